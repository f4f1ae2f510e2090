/* curve_test.c - the handshake and the boxes of CURVE between two of ours, and what was changed on
 * the way. */
#include "tests/unit/curve_kit.h"

/* ---- what goes well -------------------------------------------------------------------------- */

TEST(both_sides_finish_and_hear_what_the_other_tells)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    CHECK(talk.client.step == CURVE_DONE && talk.server.step == CURVE_DONE);
    CHECK(span_is(bytes_span(&talk.server_heard), client_words));
    CHECK(span_is(bytes_span(&talk.client_heard), server_words));
    CHECK(memcmp(talk.server.other_key, talk.client_keys.public_key, KEY_SIZE) == 0);
    CHECK(memcmp(talk.client.shared, talk.server.shared, KEY_SIZE) == 0);
    CHECK(!sodium_is_zero(talk.client.shared, KEY_SIZE));
    CHECK(talk.said[HELLO].size == 200 && talk.said[WELCOME].size == 168);
}

TEST(metadata_may_be_empty_and_large)
{
    static const uint8_t large[CURVE_METADATA_MAX] = {1, 2, 3};
    SCOPED(talk) few = {0};
    SCOPED(talk) much = {0};
    talk_with(&few, SPAN("", 0), SPAN("", 0));
    CHECK(few.server_heard.size == 0 && few.client_heard.size == 0);
    talk_with(&much, SPAN(large, sizeof large), SPAN(large, sizeof large));
    CHECK(span_equal(bytes_span(&much.server_heard), SPAN(large, sizeof large)));
    CHECK(span_equal(bytes_span(&much.client_heard), SPAN(large, sizeof large)));
}

TEST(what_is_told_and_said_is_not_seen_on_the_way)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    static const char secret[] = "nobody else reads this";
    talk_open(&talk);
    for (int i = 0; i < COMMANDS; i++) {
        const struct bytes *said = &talk.said[i];
        CHECK(memmem(said->data, said->size, client_words, sizeof client_words - 1) == NULL);
        CHECK(memmem(said->data, said->size, server_words, sizeof server_words - 1) == NULL);
        CHECK(memmem(said->data, said->size, talk.client_keys.public_key, KEY_SIZE) == NULL);
    }
    seal(&talk.client, &box, SPAN_TEXT(secret), 0);
    CHECK(memmem(box.data, box.size, secret, sizeof secret - 1) == NULL);
}

TEST(boxes_of_every_size_go_both_ways)
{
    static const size_t sizes[] = {0, 1, 255, 256, KiB(64)};
    static uint8_t body[KiB(64)];
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    randombytes_buf(body, sizeof body);
    talk_open(&talk);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct span sent = SPAN(body, sizes[i]);
        seal(&talk.client, &box, sent, (uint8_t)i);
        CHECK(box.size == 33 + sizes[i]);
        CHECK(is_opened(&talk.server, &box, sent, (uint8_t)i));
        seal(&talk.server, &box, sent, (uint8_t)(i + 1));
        CHECK(is_opened(&talk.client, &box, sent, (uint8_t)(i + 1)));
    }
}

TEST(closing_wipes)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    curve_close(&talk.client);
    CHECK(sodium_is_zero((const uint8_t *)&talk.client, sizeof talk.client));
}

TEST(each_conversation_has_keys_of_its_own)
{
    SCOPED(talk) talk = {0};
    struct curve again;
    talk_open(&talk);
    curve_open(&again, &talk.client_keys, talk.server_keys.public_key);
    CHECK(memcmp(again.short_public, talk.client.short_public, KEY_SIZE) != 0);
    CHECK(memcmp(again.short_secret, talk.client.short_secret, KEY_SIZE) != 0);
}

/* ---- what was changed on the way ------------------------------------------------------------- */

static bool is_padding(int command, size_t at)
{
    return command == HELLO && at >= 8 && at < HELLO_KEY;
}

TEST(a_flipped_bit_anywhere_in_the_handshake_is_refused)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    for (int i = 0; i < COMMANDS; i++) {
        struct bytes *said = &talk.said[i];
        CHECK(try_command(&talk.takers[i], bytes_span(said)) == ERR_NONE);
        for (size_t at = 0; at < said->size; at++) {
            if (is_padding(i, at))
                continue;
            said->data[at] ^= (uint8_t)(1 << at % 7);
            CHECK(try_command(&talk.takers[i], bytes_span(said)) == ERR_BAD_MESSAGE);
            said->data[at] ^= (uint8_t)(1 << at % 7);
        }
    }
}

/* X25519 does not look at the topmost bit of a public key: the HELLO opens. The vouch names the
 * key as it is. */
TEST(a_key_that_means_the_same_is_refused_by_its_vouch)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) welcome = {0}, initiate = {0}, ready = {0}, heard = {0};
    struct curve server, client;
    talk_open(&talk);
    server = talk.takers[HELLO];
    client = talk.takers[WELCOME];
    talk.said[HELLO].data[HELLO_KEY + KEY_SIZE - 1] ^= 0x80;
    CHECK(curve_take(&server, bytes_span(&talk.said[HELLO]), SPAN("", 0), &welcome, &heard) ==
          ERR_NONE);
    CHECK(curve_take(&client, bytes_span(&welcome), SPAN("", 0), &initiate, &heard) == ERR_NONE);
    CHECK(curve_take(&server, bytes_span(&initiate), SPAN("", 0), &ready, &heard) ==
          ERR_BAD_MESSAGE);
    CHECK(ready.size == 0);
}

TEST(a_flipped_bit_anywhere_in_a_box_is_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    talk_open(&talk);
    seal(&talk.client, &box, SPAN_TEXT("some words"), 1);
    CHECK(try_box(&talk.server, bytes_span(&box)) == ERR_NONE);
    for (size_t at = 0; at < box.size * 8; at++) {
        box.data[at / 8] ^= (uint8_t)(1 << at % 8);
        CHECK(try_box(&talk.server, bytes_span(&box)) == ERR_BAD_MESSAGE);
        box.data[at / 8] ^= (uint8_t)(1 << at % 8);
    }
}

TEST(a_command_cut_anywhere_is_refused_and_so_is_a_longer_one)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    talk_open(&talk);
    for (int i = 0; i < COMMANDS; i++) {
        struct bytes *said = &talk.said[i];
        for (size_t size = 0; size < said->size; size++)
            CHECK(try_command(&talk.takers[i], SPAN(said->data, size)) == ERR_BAD_MESSAGE);
        bytes_append(said, "", 1);
        CHECK(try_command(&talk.takers[i], bytes_span(said)) == ERR_BAD_MESSAGE);
    }
    seal(&talk.server, &box, SPAN_TEXT("some words"), 0);
    for (size_t size = 0; size < box.size; size++)
        CHECK(try_box(&talk.client, SPAN(box.data, size)) == ERR_BAD_MESSAGE);
    bytes_append(&box, "", 1);
    CHECK(try_box(&talk.client, bytes_span(&box)) == ERR_BAD_MESSAGE);
}

TEST(a_command_out_of_turn_is_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) to_server = {0}, to_client = {0};
    talk_open(&talk);
    seal(&talk.client, &to_server, SPAN_TEXT("x"), 0);
    seal(&talk.server, &to_client, SPAN_TEXT("x"), 0);
    for (int i = 0; i < COMMANDS; i++) {
        for (int other = 0; other < COMMANDS; other++)
            if (other != i)
                CHECK(try_command(&talk.takers[i], bytes_span(&talk.said[other])) ==
                      ERR_BAD_MESSAGE);
        CHECK(try_command(&talk.client, bytes_span(&talk.said[i])) == ERR_BAD_MESSAGE);
        CHECK(try_command(&talk.server, bytes_span(&talk.said[i])) == ERR_BAD_MESSAGE);
        CHECK(try_command(&talk.takers[i], bytes_span(&to_server)) == ERR_BAD_MESSAGE);
        CHECK(try_command(&talk.takers[i], bytes_span(&to_client)) == ERR_BAD_MESSAGE);
        CHECK(try_box(&talk.takers[i], bytes_span(&to_server)) == ERR_BAD_MESSAGE);
        CHECK(try_box(&talk.takers[i], bytes_span(&to_client)) == ERR_BAD_MESSAGE);
    }
}

/* A box that fits, but before its side has finished. */
TEST(a_box_before_the_end_of_the_handshake_is_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    talk_open(&talk);
    seal(&talk.server, &box, SPAN_TEXT("x"), 0);
    struct curve early = talk.takers[READY];
    CHECK(memcmp(early.shared, talk.server.shared, KEY_SIZE) == 0);
    CHECK(try_box(&early, bytes_span(&box)) == ERR_BAD_MESSAGE);
}

TEST(what_another_conversation_said_is_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(talk) other = {0};
    SCOPED(bytes) box = {0};
    talk_open(&talk);
    talk_open(&other);
    for (int i = 0; i < COMMANDS; i++)
        CHECK(try_command(&talk.takers[i], bytes_span(&other.said[i])) == ERR_BAD_MESSAGE);
    seal(&other.client, &box, SPAN_TEXT("x"), 0);
    CHECK(try_box(&talk.server, bytes_span(&box)) == ERR_BAD_MESSAGE);
}

/* ---- boxes that come again ------------------------------------------------------------------- */

TEST(a_box_that_comes_again_and_an_older_one_are_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) first = {0}, second = {0}, third = {0};
    talk_open(&talk);
    seal(&talk.client, &first, SPAN_TEXT("1"), 0);
    seal(&talk.client, &second, SPAN_TEXT("2"), 0);
    seal(&talk.client, &third, SPAN_TEXT("3"), 0);
    CHECK(try_box(&talk.server, bytes_span(&first)) == ERR_NONE);
    CHECK(is_opened(&talk.server, &second, SPAN_TEXT("2"), 0));
    CHECK(try_box(&talk.server, bytes_span(&second)) == ERR_BAD_MESSAGE);
    CHECK(try_box(&talk.server, bytes_span(&first)) == ERR_BAD_MESSAGE);
    CHECK(is_opened(&talk.server, &third, SPAN_TEXT("3"), 0));
}

/* What cannot be opened does not use up a number. */
TEST(a_forged_number_does_not_shut_the_true_one_out)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0}, forged = {0};
    struct span body;
    uint8_t flags;
    talk_open(&talk);
    seal(&talk.client, &box, SPAN_TEXT("x"), 0);
    bytes_append_span(&forged, bytes_span(&box));
    forged.data[8] = 0x7f;
    CHECK(curve_unseal(&talk.server, forged.data, forged.size, &flags, &body) == ERR_BAD_MESSAGE);
    CHECK(is_opened(&talk.server, &box, SPAN_TEXT("x"), 0));
}

TEST(a_box_sent_back_to_its_sender_is_refused)
{
    SCOPED(talk) talk = {0};
    SCOPED(bytes) box = {0};
    talk_open(&talk);
    seal(&talk.client, &box, SPAN_TEXT("x"), 0);
    CHECK(talk.client.sent > talk.client.taken);
    CHECK(try_box(&talk.client, bytes_span(&box)) == ERR_BAD_MESSAGE);
    seal(&talk.server, &box, SPAN_TEXT("x"), 0);
    talk.server.taken = 0;
    CHECK(try_box(&talk.server, bytes_span(&box)) == ERR_BAD_MESSAGE);
}

TEST_MAIN(T(both_sides_finish_and_hear_what_the_other_tells), T(metadata_may_be_empty_and_large),
          T(what_is_told_and_said_is_not_seen_on_the_way), T(boxes_of_every_size_go_both_ways),
          T(closing_wipes), T(each_conversation_has_keys_of_its_own),
          T(a_flipped_bit_anywhere_in_the_handshake_is_refused),
          T(a_key_that_means_the_same_is_refused_by_its_vouch),
          T(a_flipped_bit_anywhere_in_a_box_is_refused),
          T(a_command_cut_anywhere_is_refused_and_so_is_a_longer_one),
          T(a_command_out_of_turn_is_refused), T(a_box_before_the_end_of_the_handshake_is_refused),
          T(what_another_conversation_said_is_refused),
          T(a_box_that_comes_again_and_an_older_one_are_refused),
          T(a_forged_number_does_not_shut_the_true_one_out),
          T(a_box_sent_back_to_its_sender_is_refused))
