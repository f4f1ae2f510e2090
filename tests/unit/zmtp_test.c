/* zmtp_test.c - a conversation of ZMTP between two of ours, without a socket: whatever the pieces
 * in which it arrives, the same messages. What is refused: zmtp_refusal_test.c. */
#include "tests/unit/zmtp_kit.h"

static const size_t sizes[] = {0, 1, 2, 100, 255, 256, 0, 70000, 5, 300};

static uint8_t body[70000];

static void fill_body(void)
{
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
}

/* Says a message, and notes it as the other end should. */
static void say(struct end *end, struct bytes *said, uint32_t count, size_t first)
{
    struct zmtp_message message = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        size_t size = sizes[(first + i) % COUNT_OF(sizes)];
        message.frames[i] = SPAN(body + (first + i) % 16, size < 69000 ? size : 69000);
        CHECK(zmtp_frame(&end->zmtp, message.frames[i], i + 1 < count) == ERR_NONE);
    }
    note(said, &message);
}

static void say_all(struct end *end, struct bytes *said)
{
    for (uint32_t count = 1; count <= ZMTP_FRAMES_MAX; count++)
        for (size_t first = 0; first < COUNT_OF(sizes); first += 3)
            say(end, said, count, first + count);
}

static void talk(bool secure, struct pieces pieces)
{
    SCOPED(pair) pair;
    SCOPED(bytes) by_caller = {0}, by_listener = {0};
    pair_prepare(&pair, secure);
    pair_begin(&pair);
    settle(&pair, pieces);
    CHECK(pair.caller.zmtp.step == ZMTP_READY && pair.listener.zmtp.step == ZMTP_READY);
    for (int round = 0; round < 2; round++) {
        say_all(&pair.caller, &by_caller);
        say_all(&pair.listener, &by_listener);
        settle(&pair, pieces);
    }
    CHECK(pair.caller.err == ERR_NOT_FOUND && pair.listener.err == ERR_NOT_FOUND);
    CHECK(pair.listener.messages == 48 && pair.caller.messages == 48);
    CHECK(span_equal(bytes_span(&pair.listener.heard), bytes_span(&by_caller)));
    CHECK(span_equal(bytes_span(&pair.caller.heard), bytes_span(&by_listener)));
}

TEST(messages_arrive_byte_by_byte)
{
    talk(false, (struct pieces){.most = 1});
    talk(true, (struct pieces){.most = 1});
}

TEST(messages_arrive_in_one_piece)
{
    talk(false, (struct pieces){.most = ONE_PIECE});
    talk(true, (struct pieces){.most = ONE_PIECE});
}

TEST(messages_arrive_in_pieces_of_any_size)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        talk(false, (struct pieces){.most = seed * seed * seed * 100, .seed = seed});
        talk(true, (struct pieces){.most = seed * seed * seed * 100, .seed = seed});
    }
}

/* ---- the handshake --------------------------------------------------------------------------- */

TEST(a_greeting_is_what_the_protocol_says)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        uint8_t wanted[ZMTP_GREETING_SIZE] = {0xff, [9] = 0x7f, [10] = 3, 1};
        memcpy(wanted + 12, secure ? "CURVE" : "NULL", secure ? 5 : 4);
        pair_prepare(&pair, secure);
        pair_begin(&pair);
        CHECK(span_equal(zmtp_waiting(&pair.caller.zmtp), SPAN(wanted, sizeof wanted)));
        wanted[32] = (uint8_t)secure; /* as-server */
        CHECK(span_equal(zmtp_waiting(&pair.listener.zmtp), SPAN(wanted, sizeof wanted)));
    }
}

/* Whoever may does not wait for an answer: greeting, READY and a message come at once. */
TEST(words_right_behind_the_handshake_are_heard)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0}, metadata = {0};
    pair_prepare(&pair, false);
    pair_begin(&pair);
    add_greeting(&wire, "NULL");
    add_property(&metadata, "Socket-Type", "REQ");
    add_command(&wire, "READY", bytes_span(&metadata));
    add_frame(&wire, 0, SPAN_TEXT("hello"));
    CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
    CHECK(pair.listener.messages == 1);
}

TEST(words_right_behind_a_boxed_ready_are_heard)
{
    SCOPED(pair) pair;
    pair_prepare(&pair, true);
    pair_begin(&pair);
    struct pieces at_once = {.most = ONE_PIECE};
    for (int i = 0; pair.listener.zmtp.step != ZMTP_READY && i < 9; i++) {
        if (i > 0)
            carry(&pair.listener, &pair.caller, &at_once);
        carry(&pair.caller, &pair.listener, &at_once);
    }
    CHECK(pair.listener.zmtp.step == ZMTP_READY && pair.caller.zmtp.step == ZMTP_HANDSHAKE);
    CHECK(zmtp_frame(&pair.listener.zmtp, SPAN_TEXT("hello"), false) == ERR_NONE);
    carry(&pair.listener, &pair.caller, &at_once);
    CHECK(pair.caller.zmtp.step == ZMTP_READY && pair.caller.messages == 1);
}

TEST(a_key_is_asked_for_once_and_is_the_proven_one)
{
    SCOPED(pair) pair;
    pair_open(&pair, true);
    CHECK(pair.listener.asked == 1 && pair.caller.asked == 0);
    CHECK(memcmp(pair.listener.key, pair.caller.keys.public_key, KEY_SIZE) == 0);
}

/* ---- more frames than we have a use for ------------------------------------------------------ */

static void say_frames(struct end *end, uint32_t count, size_t size)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK(zmtp_frame(&end->zmtp, SPAN(body, size), i + 1 < count) == ERR_NONE);
}

TEST(more_frames_than_six_are_counted_and_the_next_message_is_fine)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        SCOPED(bytes) said = {0};
        struct zmtp_message many = {.count = 7};
        pair_open(&pair, secure);
        say_frames(&pair.caller, 7, 100);
        note(&said, &many);
        say(&pair.caller, &said, 3, 1);
        say_frames(&pair.caller, many.count = 500, 100);
        note(&said, &many);
        say(&pair.caller, &said, 6, 4);
        settle(&pair, (struct pieces){.most = 50, .seed = 7});
        CHECK(pair.listener.err == ERR_NOT_FOUND && pair.listener.messages == 4);
        CHECK(span_equal(bytes_span(&pair.listener.heard), bytes_span(&said)));
    }
}

TEST(a_message_of_frames_without_end_fills_no_memory)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        pair_open(&pair, secure);
        pair.listener.rules.frame_max = KiB(64);
        say_frames(&pair.caller, 20000, 300);
        say_frames(&pair.caller, 2, 300);
        settle_at_once(&pair);
        CHECK(pair.listener.messages == 2 && pair.listener.count == 2);
        CHECK(pair.listener.room_max <= KiB(256));
    }
}

/* ---- pings ----------------------------------------------------------------------------------- */

static void check_pong(struct pair *pair, struct span context)
{
    SCOPED(bytes) said = {0};
    bytes_append_span(&said, zmtp_waiting(&pair->listener.zmtp));
    zmtp_sent(&pair->listener.zmtp, said.size);
    uint8_t flags = said.size > 0 ? said.data[0] : 0;
    CHECK(said.size > HEAD && flags == (pair->secure ? LONG : COMMAND | LONG));
    CHECK(load_u64(said.data + 1) == __builtin_bswap64(said.size - HEAD));
    struct span command = SPAN(said.data + HEAD, said.size - HEAD);
    if (pair->secure)
        CHECK(curve_unseal(&pair->caller.zmtp.curve, said.data + HEAD, command.size, &flags,
                           &command) == ERR_NONE &&
              flags == BOXED_COMMAND);
    CHECK(command.size == 5 + context.size && memcmp(command.data, "\4PONG", 5) == 0);
    CHECK(span_equal(SPAN(command.data + 5, context.size), context));
}

TEST(a_ping_is_answered_with_its_context)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        pair_open(&pair, secure);
        for (size_t size = 0; size <= 16; size++) {
            SCOPED(bytes) wire = {0};
            add_ping(&wire, &pair.caller, SPAN(body + 1, size));
            CHECK(hear(&pair.listener, bytes_span(&wire), 1) == ERR_NOT_FOUND);
            check_pong(&pair, SPAN(body + 1, size));
        }
        CHECK(pair.listener.messages == 0);
    }
}

TEST(a_ping_with_too_much_context_is_not_answered)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0};
        pair_open(&pair, secure);
        add_ping(&wire, &pair.caller, SPAN(body, 17));
        add_ping(&wire, &pair.caller, SPAN(body, 5000));
        CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
        CHECK(zmtp_waiting(&pair.listener.zmtp).size == 0);
    }
}

TEST(commands_that_nobody_knows_are_passed_over)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    pair_open(&pair, false);
    add_command(&wire, "PONG", SPAN("", 0));
    add_command(&wire, "PING", SPAN("\0", 1)); /* without a whole time to live */
    add_command(&wire, "CANCEL", SPAN_TEXT("news"));
    add_command(&wire, "PIN", SPAN("\0\0\0\0", 4));
    add_frame(&wire, COMMAND, SPAN("", 0));
    add_frame(&wire, COMMAND, SPAN("\xffPINGxx", 7)); /* a name longer than the command */
    add_frame(&wire, 0, SPAN_TEXT("x"));
    CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
    CHECK(zmtp_waiting(&pair.listener.zmtp).size == 0 && pair.listener.messages == 1);
}

TEST(our_ping_is_answered)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        pair_open(&pair, secure);
        zmtp_ping(&pair.caller.zmtp);
        carry(&pair.caller, &pair.listener, &(struct pieces){.most = ONE_PIECE});
        check_pong(&pair, SPAN("", 0));
        zmtp_ping(&pair.listener.zmtp);
        settle_at_once(&pair);
        CHECK(pair.caller.err == ERR_NOT_FOUND && pair.listener.err == ERR_NOT_FOUND);
        CHECK(pair.caller.messages == 0 && pair.listener.messages == 0);
    }
}

TEST(a_ping_between_the_frames_of_a_message_is_answered)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0}, said = {0};
        struct zmtp_message message = {.frames = {SPAN_TEXT("a"), SPAN_TEXT("b")}, .count = 2};
        pair_open(&pair, secure);
        add_data(&wire, &pair.caller, SPAN_TEXT("a"), true);
        add_ping(&wire, &pair.caller, SPAN_TEXT("now"));
        add_data(&wire, &pair.caller, SPAN_TEXT("b"), false);
        CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
        note(&said, &message);
        CHECK(span_equal(bytes_span(&pair.listener.heard), bytes_span(&said)));
        check_pong(&pair, SPAN_TEXT("now"));
    }
}

/* Once it reads again it is answered again. */
TEST(pings_of_who_does_not_read_fill_no_memory)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0};
        pair_open(&pair, secure);
        for (int i = 0; i < 100000; i++) {
            bytes_clear(&wire);
            add_ping(&wire, &pair.caller, SPAN(body, 16));
            CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
        }
        CHECK(pair.listener.zmtp.out.size <= MiB(1) + 100);
        CHECK(pair.listener.zmtp.out.room <= MiB(2));
        zmtp_sent(&pair.listener.zmtp, zmtp_waiting(&pair.listener.zmtp).size);
        CHECK(pair.listener.zmtp.out.room <= MiB(1));
        bytes_clear(&wire);
        add_ping(&wire, &pair.caller, SPAN(body, 16));
        hear(&pair.listener, bytes_span(&wire), ONE_PIECE);
        CHECK(zmtp_waiting(&pair.listener.zmtp).size > 0);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

TEST(memory_grows_with_what_came_and_is_given_back)
{
    for (int secure = 0; secure < 2; secure++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0}, large = {0};
        pair_open(&pair, secure);
        bytes_reserve(&large, MiB(5));
        large.size = MiB(5);
        memset(large.data, 0, large.size);
        add_data(&wire, &pair.caller, bytes_span(&large), false);
        struct span left = bytes_span(&wire);
        while (left.size > 0) {
            size_t size = receive(&pair.listener, left, KiB(10));
            left = SPAN(left.data + size, left.size - size);
            CHECK(pair.listener.messages == 0);
            hear_all(&pair.listener);
            struct bytes *in = &pair.listener.zmtp.in;
            CHECK(in->room <= 4 * in->size + KiB(256));
        }
        CHECK(pair.listener.err == ERR_NOT_FOUND && pair.listener.messages == 1);
        bytes_clear(&wire);
        add_data(&wire, &pair.caller, SPAN_TEXT("x"), false);
        CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
        CHECK(pair.listener.messages == 2 && pair.listener.zmtp.in.room <= MiB(1));
    }
}

TEST(what_only_says_that_much_is_coming_gets_no_memory)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    pair_open(&pair, false);
    add_head(&wire, 0, MiB(5));
    bytes_append(&wire, body, 1000);
    CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
    for (int i = 0; i < 10; i++)
        receive(&pair.listener, SPAN(body, 1), 1);
    CHECK(pair.listener.zmtp.in.room <= KiB(256));
}

/* A message that finds no memory, in its first frame or in a later one, is as if it had never
 * been begun; what was said before it, and what comes behind, arrives. */
TEST(a_soft_conversation_survives_without_memory)
{
    for (int i = 0; i < 4; i++) {
        SCOPED(pair) pair;
        SCOPED(bytes) said = {0};
        pair_prepare(&pair, i % 2);
        pair.caller.rules.soft = true;
        pair_begin(&pair);
        settle_at_once(&pair);
        say(&pair.caller, &said, 2, 3);
        size_t before = zmtp_waiting(&pair.caller.zmtp).size;
        if (i / 2 == 1)
            CHECK(zmtp_frame(&pair.caller.zmtp, SPAN_TEXT("in vain"), true) == ERR_NONE);
        struct bytes *out = zmtp_begin(&pair.caller.zmtp);
        CHECK(out->soft);
        bytes_append(out, "in", 2);
        out->failed = true; /* as the next append would say */
        CHECK(zmtp_end(&pair.caller.zmtp, i / 2 == 0) == ERR_NOMEM);
        CHECK(zmtp_waiting(&pair.caller.zmtp).size == before);
        settle_at_once(&pair);
        CHECK(pair.listener.messages == 1);
        say(&pair.caller, &said, 3, 1);
        settle_at_once(&pair);
        CHECK(pair.listener.err == ERR_NOT_FOUND && pair.listener.messages == 2);
        CHECK(span_equal(bytes_span(&pair.listener.heard), bytes_span(&said)));
    }
}

/* An answer that is not given needs no memory: the next message is fine. */
TEST(a_soft_caller_that_finds_no_memory_for_nothing_goes_on)
{
    SCOPED(pair) pair;
    struct pieces at_once = {.most = ONE_PIECE};
    pair_prepare(&pair, true);
    pair.caller.rules.soft = true;
    pair_begin(&pair);
    while (pair.listener.zmtp.step != ZMTP_READY) {
        carry(&pair.listener, &pair.caller, &at_once);
        carry(&pair.caller, &pair.listener, &at_once);
    }
    pair.caller.zmtp.out.failed = true; /* as it would be said while READY is taken */
    carry(&pair.listener, &pair.caller, &at_once);
    CHECK(pair.caller.zmtp.step == ZMTP_READY);
    CHECK(zmtp_frame(&pair.caller.zmtp, SPAN_TEXT("x"), false) == ERR_NONE);
    settle_at_once(&pair);
    CHECK(pair.listener.messages == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_arrive_byte_by_byte),
        T(messages_arrive_in_one_piece),
        T(messages_arrive_in_pieces_of_any_size),
        T(a_greeting_is_what_the_protocol_says),
        T(words_right_behind_the_handshake_are_heard),
        T(words_right_behind_a_boxed_ready_are_heard),
        T(a_key_is_asked_for_once_and_is_the_proven_one),
        T(more_frames_than_six_are_counted_and_the_next_message_is_fine),
        T(a_message_of_frames_without_end_fills_no_memory),
        T(a_ping_is_answered_with_its_context),
        T(a_ping_with_too_much_context_is_not_answered),
        T(commands_that_nobody_knows_are_passed_over),
        T(our_ping_is_answered),
        T(a_ping_between_the_frames_of_a_message_is_answered),
        T(pings_of_who_does_not_read_fill_no_memory),
        T(memory_grows_with_what_came_and_is_given_back),
        T(what_only_says_that_much_is_coming_gets_no_memory),
        T(a_soft_conversation_survives_without_memory),
        T(a_soft_caller_that_finds_no_memory_for_nothing_goes_on),
    };
    fill_body();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
