/* zmtp_refusal_test.c - what may not be said ends a conversation of ZMTP, as early as it can be
 * seen; and costs no memory until then. */
#include "tests/unit/zmtp_kit.h"

static const uint8_t zeros[KiB(8)];

/* A listener that heard nothing yet. */
static void listen_to(struct pair *pair, bool secure)
{
    pair_prepare(pair, secure);
    pair_begin(pair);
    zmtp_sent(&pair->listener.zmtp, ZMTP_GREETING_SIZE);
}

/* What a new listener or caller, of NULL, says to a whole handshake of such metadata. */
static enum err try_metadata(bool listens, struct span metadata)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    listen_to(&pair, false);
    struct end *end = listens ? &pair.listener : &pair.caller;
    add_greeting(&wire, "NULL");
    add_command(&wire, "READY", metadata);
    enum err err = hear(end, bytes_span(&wire), ONE_PIECE);
    CHECK((err == ERR_NOT_FOUND) == (end->zmtp.step == ZMTP_READY));
    return err;
}

static enum err try_type(bool listens, const char *type)
{
    SCOPED(bytes) metadata = {0};
    add_property(&metadata, "Identity", "");
    add_property(&metadata, "Socket-Type", type);
    add_property(&metadata, "X-Something", "new");
    return try_metadata(listens, bytes_span(&metadata));
}

/* What a listener that is ready says to such bytes. */
static enum err try_bytes(struct span bytes)
{
    SCOPED(pair) pair;
    pair_open(&pair, false);
    return hear(&pair.listener, bytes, ONE_PIECE);
}

/* ---- greetings ------------------------------------------------------------------------------- */

/* How many bytes of it a listener takes until it has had enough; all: it is content. */
static size_t taken_of(struct span bytes)
{
    SCOPED(pair) pair;
    listen_to(&pair, false);
    size_t size = 0;
    while (size < bytes.size && pair.listener.err == ERR_NOT_FOUND)
        hear(&pair.listener, SPAN(bytes.data + size++, 1), 1);
    CHECK(pair.listener.err == ERR_NOT_FOUND || pair.listener.err == ERR_BAD_MESSAGE);
    CHECK(zmtp_waiting(&pair.listener.zmtp).size == 0 || size == ZMTP_GREETING_SIZE);
    return pair.listener.err == ERR_NOT_FOUND ? SIZE_MAX : size;
}

TEST(who_speaks_no_zmtp_is_refused_at_once)
{
    CHECK(taken_of(SPAN_TEXT("GET / HTTP/1.1\r\n\r\n")) == 1);
    CHECK(taken_of(SPAN_TEXT("\x16\x03\x01")) == 1);                 /* TLS */
    CHECK(taken_of(SPAN("\x01\x00", 2)) == 1);                       /* ZMTP 1 */
    CHECK(taken_of(SPAN("\xff\0\0\0\0\0\0\0\1\x7f\x01", 11)) == 11); /* ZMTP 2 */
    CHECK(taken_of(SPAN("\xff\0\0\0\0\0\0\0\1\x7f\x00", 11)) == 11);
    CHECK(taken_of(SPAN("\xff\0\0\0\0\0\0\0\1\x7e", 10)) == 10);
    CHECK(taken_of(SPAN("\xff\0\0\0\0\0\0\0\1\x7f\x03", 11)) == SIZE_MAX);
}

TEST(padding_and_a_newer_version_do_not_matter)
{
    SCOPED(bytes) greeting = {0};
    add_greeting(&greeting, "NULL");
    memset(greeting.data + 1, 0x55, 8);
    memset(greeting.data + 33, 0x55, 31);
    CHECK(taken_of(bytes_span(&greeting)) == SIZE_MAX);
    greeting.data[10] = 4;
    greeting.data[11] = 0;
    CHECK(taken_of(bytes_span(&greeting)) == SIZE_MAX);
    greeting.data[10] = 2;
    CHECK(taken_of(bytes_span(&greeting)) == 11);
}

TEST(another_mechanism_is_denied)
{
    static const char *const names[] = {"NULL", "PLAIN", "CURVE", "NUL", "NULLX", "CURVES", ""};
    for (size_t i = 0; i < 2 * COUNT_OF(names); i++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0};
        bool secure = i % 2;
        listen_to(&pair, secure);
        add_greeting(&wire, names[i / 2]);
        bool same = strcmp(names[i / 2], secure ? "CURVE" : "NULL") == 0;
        enum err wanted = same ? ERR_NOT_FOUND : ERR_DENIED;
        CHECK(hear(&pair.listener, bytes_span(&wire), 1) == wanted);
        CHECK(hear(&pair.caller, bytes_span(&wire), 1) == wanted);
    }
}

/* ---- metadata -------------------------------------------------------------------------------- */

TEST(only_sockets_that_fit_are_let_in)
{
    static const char *const wrong[] = {"PUB",  "SUB",    "XPUB",   "XSUB", "PUSH",   "PULL",
                                        "PAIR", "STREAM", "dealer", "",     "DEALERS"};
    for (size_t i = 0; i < 2 * COUNT_OF(wrong); i++)
        CHECK(try_type(i % 2, wrong[i / 2]) == ERR_BAD_MESSAGE);
    for (int listens = 0; listens < 2; listens++) {
        CHECK(try_type(listens, "DEALER") == ERR_NOT_FOUND);
        CHECK(try_type(listens, "ROUTER") == ERR_NOT_FOUND);
        CHECK(try_type(listens, "REQ") == (listens ? ERR_NOT_FOUND : ERR_BAD_MESSAGE));
        CHECK(try_type(listens, "REP") == (listens ? ERR_BAD_MESSAGE : ERR_NOT_FOUND));
    }
}

TEST(who_does_not_say_what_it_is_is_refused)
{
    SCOPED(bytes) metadata = {0};
    CHECK(try_metadata(true, SPAN("", 0)) == ERR_BAD_MESSAGE);
    add_property(&metadata, "Identity", "DEALER");
    CHECK(try_metadata(true, bytes_span(&metadata)) == ERR_BAD_MESSAGE);
    CHECK(try_metadata(false, bytes_span(&metadata)) == ERR_BAD_MESSAGE);
}

TEST(metadata_cut_anywhere_is_refused)
{
    SCOPED(bytes) metadata = {0};
    add_property(&metadata, "Socket-Type", "DEALER");
    size_t whole = metadata.size;
    add_property(&metadata, "Identity", "me");
    for (size_t size = 0; size <= metadata.size; size++) {
        bool fine = size == whole || size == metadata.size;
        CHECK(try_metadata(true, SPAN(metadata.data, size)) ==
              (fine ? ERR_NOT_FOUND : ERR_BAD_MESSAGE));
    }
    memset(metadata.data + 1 + 11, 0xff, 4); /* the length of the value */
    CHECK(try_metadata(true, bytes_span(&metadata)) == ERR_BAD_MESSAGE);
}

/* ---- too early ------------------------------------------------------------------------------- */

static enum err try_early(bool secure, uint8_t flags, struct span body)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    listen_to(&pair, secure);
    add_greeting(&wire, secure ? "CURVE" : "NULL");
    add_frame(&wire, flags, body);
    enum err err = hear(&pair.listener, bytes_span(&wire), 1);
    CHECK(pair.listener.messages == 0 && pair.listener.zmtp.step != ZMTP_READY);
    return err;
}

TEST(data_before_the_handshake_is_over_is_refused)
{
    static const char ready[28] = "\5READY\xbSocket-Type\0\0\0\6DEALER";
    for (int secure = 0; secure < 2; secure++) {
        CHECK(try_early(secure, 0, SPAN_TEXT("hello")) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, MORE, SPAN_TEXT("hello")) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, 0, SPAN(ready, sizeof ready)) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, COMMAND, SPAN("\4PING\0\0", 7)) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, COMMAND, SPAN_TEXT("\5ERROR\3why")) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, COMMAND, SPAN("", 0)) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, COMMAND, SPAN_TEXT("\xffREADY")) == ERR_BAD_MESSAGE);
    }
    CHECK(try_early(true, COMMAND, SPAN(ready, sizeof ready)) == ERR_BAD_MESSAGE);
}

/* All is as in a READY, but it is none. */
TEST(only_a_ready_makes_ready)
{
    static const char *const names[] = {"\5ERROR", "\5ready", "\5HELLO", "\5READX"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        SCOPED(bytes) command = {0};
        bytes_append(&command, names[i], 6);
        add_property(&command, "Socket-Type", "DEALER");
        CHECK(try_early(false, COMMAND, bytes_span(&command)) == ERR_BAD_MESSAGE);
    }
}

TEST(a_command_of_the_handshake_is_small)
{
    for (int secure = 0; secure < 2; secure++) {
        CHECK(try_early(secure, COMMAND, SPAN(zeros, CURVE_COMMAND_MAX)) == ERR_BAD_MESSAGE);
        CHECK(try_early(secure, COMMAND, SPAN(zeros, CURVE_COMMAND_MAX + 1)) == ERR_LIMIT);
        CHECK(try_early(secure, 0, SPAN(zeros, CURVE_COMMAND_MAX + 1)) == ERR_LIMIT);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

TEST(bits_that_mean_nothing_are_refused_before_more_arrives)
{
    for (unsigned flags = 0; flags < 256; flags++) {
        uint8_t byte = (uint8_t)flags;
        bool fine = flags <= (COMMAND | LONG) && flags != (COMMAND | MORE);
        CHECK(try_bytes(SPAN(&byte, 1)) == (fine ? ERR_NOT_FOUND : ERR_BAD_MESSAGE));
    }
}

TEST(a_large_frame_is_refused_by_its_head)
{
    for (int secure = 0; secure < 2; secure++) {
        const uint64_t wrong[] = {1001 + CURVE_BEFORE, 5000,       UINT32_MAX,
                                  1ull << 32,          1ull << 63, UINT64_MAX};
        for (size_t i = 0; i < COUNT_OF(wrong); i++) {
            SCOPED(pair) pair;
            SCOPED(bytes) wire = {0};
            pair_open(&pair, secure);
            pair.listener.rules.frame_max = 1000;
            add_data(&wire, &pair.caller, SPAN(zeros, 1000), false);
            CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
            CHECK(pair.listener.messages == 1);
            bytes_clear(&wire);
            add_head(&wire, i % 2 ? COMMAND : 0, wrong[i]);
            CHECK(hear(&pair.listener, bytes_span(&wire), 1) == ERR_LIMIT);
            CHECK(pair.listener.room_max <= KiB(256));
        }
    }
}

/* Six frames are a message; together they are no larger than one. */
TEST(a_large_message_of_small_frames_is_refused)
{
    for (int i = 0; i < 4; i++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0};
        size_t size = i / 2 == 0 ? 600 : 1000;
        pair_open(&pair, i % 2);
        pair.listener.rules.frame_max = 3600;
        for (uint32_t frame = 0; frame < 6; frame++)
            add_data(&wire, &pair.caller, SPAN(zeros, size), frame < 5);
        CHECK(hear(&pair.listener, bytes_span(&wire), 100) ==
              (size == 600 ? ERR_NOT_FOUND : ERR_LIMIT));
        CHECK(pair.listener.messages == (size == 600));
    }
}

/* Commands do not count as frames of a message that has begun, but they are kept with it. */
TEST(a_message_that_never_ends_is_not_kept_with_all_that_comes_between)
{
    for (int i = 0; i < 4; i++) {
        SCOPED(pair) pair;
        SCOPED(bytes) wire = {0};
        pair_open(&pair, i % 2);
        pair.listener.rules.frame_max = 4000;
        for (int frame = 0; frame < (i / 2 == 0 ? 1 : 8); frame++)
            add_data(&wire, &pair.caller, SPAN_TEXT("more follows"), true);
        for (int ping = 0; ping < 20000; ping++)
            add_ping(&wire, &pair.caller, SPAN(zeros, 17));
        hear(&pair.listener, bytes_span(&wire), ONE_PIECE);
        CHECK(pair.listener.room_max <= KiB(256));
        CHECK(pair.listener.err == ERR_LIMIT);
    }
}

/* ---- CURVE ----------------------------------------------------------------------------------- */

/* A client made by hand goes through the handshake and tells such metadata. */
static enum err call_by_hand(struct pair *pair, struct span metadata)
{
    SCOPED(bytes) wire = {0}, command = {0}, heard = {0};
    struct zmtp *listener = &pair->listener.zmtp;
    struct curve curve;
    listen_to(pair, true);
    curve_open(&curve, &pair->caller.keys, pair->listener.keys.public_key);
    curve_say_hello(&curve, &command);
    add_greeting(&wire, "CURVE");
    add_frame(&wire, COMMAND, bytes_span(&command));
    CHECK(hear(&pair->listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
    struct span welcome = zmtp_waiting(listener);
    bytes_clear(&command);
    CHECK(curve_take(&curve, SPAN(welcome.data + HEAD, welcome.size - HEAD), metadata, &command,
                     &heard) == ERR_NONE);
    zmtp_sent(listener, welcome.size);
    bytes_clear(&wire);
    add_frame(&wire, COMMAND, bytes_span(&command));
    return hear(&pair->listener, bytes_span(&wire), ONE_PIECE);
}

static void check_refused(const struct pair *pair)
{
    CHECK(pair->listener.zmtp.step == ZMTP_HANDSHAKE);
    CHECK(zmtp_waiting(&pair->listener.zmtp).size == 0);
}

TEST(a_key_that_is_not_let_in_hears_no_ready)
{
    SCOPED(pair) pair;
    pair_prepare(&pair, true);
    pair_begin(&pair);
    pair.listener.refuses = true;
    settle_at_once(&pair);
    CHECK(pair.listener.err == ERR_DENIED && pair.listener.asked == 1);
    CHECK(pair.caller.err == ERR_NOT_FOUND && pair.caller.zmtp.step == ZMTP_HANDSHAKE);
    check_refused(&pair);
}

TEST(boxed_metadata_is_looked_at_too)
{
    SCOPED(bytes) metadata = {0}, wrong = {0};
    add_property(&metadata, "Socket-Type", "DEALER");
    add_property(&wrong, "Socket-Type", "PUSH");
    SCOPED(pair) fine;
    CHECK(call_by_hand(&fine, bytes_span(&metadata)) == ERR_NOT_FOUND);
    CHECK(fine.listener.zmtp.step == ZMTP_READY);
    const struct span lies[] = {SPAN("", 0), bytes_span(&wrong),
                                SPAN(metadata.data, metadata.size - 1)};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        SCOPED(pair) pair;
        CHECK(call_by_hand(&pair, lies[i]) == ERR_BAD_MESSAGE);
        CHECK(pair.listener.asked == 0);
        check_refused(&pair);
    }
}

TEST(a_listener_of_the_wrong_kind_is_refused_by_who_calls_it)
{
    SCOPED(pair) pair;
    pair_prepare(&pair, true);
    pair.listener.rules.type = "PUB";
    pair_begin(&pair);
    settle_at_once(&pair);
    CHECK(pair.caller.err == ERR_BAD_MESSAGE && pair.caller.zmtp.step == ZMTP_HANDSHAKE);
}

TEST(a_caller_that_means_another_server_is_refused)
{
    SCOPED(pair) pair;
    pair_prepare(&pair, true);
    open_end(&pair.listener, true, NULL);
    open_end(&pair.caller, true, pair.caller.keys.public_key);
    settle_at_once(&pair);
    CHECK(pair.listener.err == ERR_BAD_MESSAGE && pair.listener.asked == 0);
}

/* Each says HELLO, and waits for a WELCOME. */
TEST(two_that_call_each_other_are_refused)
{
    SCOPED(pair) pair;
    pair_prepare(&pair, true);
    pair.listener.rules = rules_of(false);
    open_end(&pair.listener, true, pair.caller.keys.public_key);
    open_end(&pair.caller, true, pair.listener.keys.public_key);
    settle_at_once(&pair);
    CHECK(pair.listener.err == ERR_BAD_MESSAGE || pair.caller.err == ERR_BAD_MESSAGE);
}

static enum err try_unboxed(uint8_t flags, struct span bytes)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    pair_open(&pair, true);
    add_frame(&wire, flags, bytes);
    enum err err = hear(&pair.listener, bytes_span(&wire), ONE_PIECE);
    CHECK(pair.listener.messages == 0 && zmtp_waiting(&pair.listener.zmtp).size == 0);
    return err;
}

TEST(between_keys_nothing_comes_without_a_box)
{
    CHECK(try_unboxed(0, SPAN_TEXT("hello")) == ERR_BAD_MESSAGE);
    CHECK(try_unboxed(0, SPAN("", 0)) == ERR_BAD_MESSAGE);
    CHECK(try_unboxed(0, SPAN_TEXT("\7MESSAGE")) == ERR_BAD_MESSAGE);
    CHECK(try_unboxed(0, SPAN(zeros, 100)) == ERR_BAD_MESSAGE);
    CHECK(try_unboxed(COMMAND, SPAN("\4PING\0\0", 7)) == ERR_BAD_MESSAGE);
}

TEST(a_boxed_frame_that_comes_again_is_refused)
{
    SCOPED(pair) pair;
    SCOPED(bytes) wire = {0};
    pair_open(&pair, true);
    add_data(&wire, &pair.caller, SPAN_TEXT("once"), false);
    CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_NOT_FOUND);
    CHECK(hear(&pair.listener, bytes_span(&wire), ONE_PIECE) == ERR_BAD_MESSAGE);
    CHECK(pair.listener.messages == 1);
}

TEST_MAIN(T(who_speaks_no_zmtp_is_refused_at_once), T(padding_and_a_newer_version_do_not_matter),
          T(another_mechanism_is_denied), T(only_sockets_that_fit_are_let_in),
          T(who_does_not_say_what_it_is_is_refused), T(metadata_cut_anywhere_is_refused),
          T(data_before_the_handshake_is_over_is_refused), T(only_a_ready_makes_ready),
          T(a_command_of_the_handshake_is_small),
          T(bits_that_mean_nothing_are_refused_before_more_arrives),
          T(a_large_frame_is_refused_by_its_head), T(a_large_message_of_small_frames_is_refused),
          T(a_message_that_never_ends_is_not_kept_with_all_that_comes_between),
          T(a_key_that_is_not_let_in_hears_no_ready), T(boxed_metadata_is_looked_at_too),
          T(a_listener_of_the_wrong_kind_is_refused_by_who_calls_it),
          T(a_caller_that_means_another_server_is_refused), T(two_that_call_each_other_are_refused),
          T(between_keys_nothing_comes_without_a_box), T(a_boxed_frame_that_comes_again_is_refused))
