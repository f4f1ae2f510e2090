/* curve_test.c - the handshake and the boxes of CURVE, between two of ours and against who lies.
 *
 * A command that must be refused is tried on a copy of the side that waits for it, so one
 * handshake serves many lies; the bytes are copied to where a read beyond their end is seen. */
#include "protocol/curve.h"

#include "tests/unit/test.h"

#include <sodium.h>
#include <stdlib.h>

enum { HELLO, WELCOME, INITIATE, READY, COMMANDS };
enum { HELLO_KEY = 80, COOKIE_AT = 9, NUMBER_AT = 105, BOX_AT = 113, VOUCH_SIZE = 80 };

static const char client_words[] = "what the client tells", server_words[] = "and the server";

/* A handshake that went well: what was said, and who heard it as it was before. */
struct talk {
    struct keys client_keys, server_keys;
    struct curve client, server;
    struct curve takers[COMMANDS];
    struct bytes said[COMMANDS];
    struct bytes client_heard, server_heard;
};

static void talk_close(struct talk *talk)
{
    for (int i = 0; i < COMMANDS; i++)
        bytes_close(&talk->said[i]);
    bytes_close(&talk->client_heard);
    bytes_close(&talk->server_heard);
}

static void make_keys(struct keys *keys)
{
    CHECK(sodium_init() >= 0);
    *keys = (struct keys){0};
    crypto_box_keypair(keys->public_key, keys->secret_key);
}

static void take(struct talk *talk, int command, struct curve *taker, struct span words,
                 struct bytes *answer, struct bytes *heard)
{
    talk->takers[command] = *taker;
    CHECK(curve_take(taker, bytes_span(&talk->said[command]), words, answer, heard) == ERR_NONE);
}

static void talk_with(struct talk *talk, struct span from_client, struct span from_server)
{
    SCOPED(bytes) nothing = {0};
    make_keys(&talk->client_keys);
    make_keys(&talk->server_keys);
    curve_open(&talk->client, &talk->client_keys, talk->server_keys.public_key);
    curve_open(&talk->server, &talk->server_keys, NULL);
    curve_say_hello(&talk->client, &talk->said[HELLO]);
    take(talk, HELLO, &talk->server, from_server, &talk->said[WELCOME], &talk->server_heard);
    take(talk, WELCOME, &talk->client, from_client, &talk->said[INITIATE], &talk->client_heard);
    CHECK(talk->server_heard.size == 0 && talk->client_heard.size == 0);
    take(talk, INITIATE, &talk->server, from_server, &talk->said[READY], &talk->server_heard);
    take(talk, READY, &talk->client, from_client, &nothing, &talk->client_heard);
    CHECK(nothing.size == 0);
}

static void talk_open(struct talk *talk)
{
    talk_with(talk, SPAN_TEXT(client_words), SPAN_TEXT(server_words));
}

static enum err try_command(const struct curve *taker, struct span command)
{
    struct curve copy = *taker;
    SCOPED(bytes) out = {0}, heard = {0};
    uint8_t *exact = malloc(command.size);
    memcpy(exact, command.data, command.size);
    enum err err = curve_take(&copy, SPAN(exact, command.size), SPAN_TEXT("words"), &out, &heard);
    free(exact);
    return err;
}

static enum err try_box(const struct curve *taker, struct span command)
{
    struct curve copy = *taker;
    struct span body;
    uint8_t *exact = malloc(command.size), flags;
    memcpy(exact, command.data, command.size);
    enum err err = curve_unseal(&copy, exact, command.size, &flags, &body);
    free(exact);
    return err;
}

/* The whole command: what stands before the body, and the body. */
static void seal(struct curve *curve, struct bytes *box, struct span body, uint8_t flags)
{
    bytes_clear(box);
    uint8_t *at = bytes_reserve(box, CURVE_BEFORE + body.size);
    memset(at, 0xa5, CURVE_BEFORE);
    memcpy(at + CURVE_BEFORE, body.data, body.size);
    curve_seal(curve, at + CURVE_BEFORE, body.size, flags);
    box->size = CURVE_BEFORE + body.size;
}

static bool is_opened(struct curve *curve, const struct bytes *box, struct span body, uint8_t flags)
{
    struct span got;
    uint8_t got_flags;
    SCOPED(bytes) copy = {0};
    bytes_append_span(&copy, bytes_span(box));
    return curve_unseal(curve, copy.data, copy.size, &got_flags, &got) == ERR_NONE &&
           span_equal(got, body) && got_flags == flags;
}

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

/* ---- who lies -------------------------------------------------------------------------------- */

TEST(a_client_that_means_another_server_is_refused)
{
    SCOPED(bytes) hello = {0};
    struct keys client_keys, server_keys, other_keys;
    struct curve client, server;
    make_keys(&client_keys);
    make_keys(&server_keys);
    make_keys(&other_keys);
    curve_open(&client, &client_keys, other_keys.public_key);
    curve_open(&server, &server_keys, NULL);
    curve_say_hello(&client, &hello);
    CHECK(try_command(&server, bytes_span(&hello)) == ERR_BAD_MESSAGE);
}

/* One who knows what was said, but not the secret key of the server, answers with his own. */
TEST(a_server_without_its_secret_key_is_refused)
{
    SCOPED(talk) talk = {0};
    uint8_t welcome[168] = "\x07WELCOME", plain[128] = {0}, nonce[24] = "WELCOME-";
    struct keys keys;
    const uint8_t *client = talk.takers[WELCOME].short_public;
    talk_open(&talk);
    make_keys(&keys);
    for (int i = 0; i < 2; i++) {
        const struct keys *signer = i == 0 ? &talk.server_keys : &keys;
        memcpy(plain, keys.public_key, KEY_SIZE);
        CHECK(crypto_box_easy(welcome + 24, plain, sizeof plain, nonce, client,
                              signer->secret_key) == 0);
        CHECK(try_command(&talk.takers[WELCOME], SPAN(welcome, sizeof welcome)) ==
              (i == 0 ? ERR_NONE : ERR_BAD_MESSAGE));
    }
}

TEST(an_unknown_cookie_is_refused)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    struct bytes *initiate = &talk.said[INITIATE];
    CHECK(memcmp(initiate->data + COOKIE_AT, talk.server.cookie, CURVE_COOKIE_SIZE) == 0);
    for (size_t i = 0; i < CURVE_COOKIE_SIZE * 8; i++) {
        initiate->data[COOKIE_AT + i / 8] ^= (uint8_t)(1 << i % 8);
        CHECK(try_command(&talk.takers[INITIATE], bytes_span(initiate)) == ERR_BAD_MESSAGE);
        initiate->data[COOKIE_AT + i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

/* What an INITIATE claims; made by hand, of anybody's keys. */
struct claim {
    const uint8_t *key;                      /* "this is my long-term key" */
    const uint8_t *secret;                   /* that boxes the vouch */
    const uint8_t *vouched_key, *vouched_to; /* what the vouch says */
    size_t words;                            /* of metadata */
};

static struct claim true_claim(const struct talk *talk)
{
    return (struct claim){
        .key = talk->client_keys.public_key,
        .secret = talk->client_keys.secret_key,
        .vouched_key = talk->client.short_public,
        .vouched_to = talk->server_keys.public_key,
    };
}

/* The box between a secret key and a public one, even if the latter is of low order: those have
 * a shared point of zeros, which everybody knows. */
static void box_for(uint8_t *out, struct span plain, const uint8_t *nonce,
                    const uint8_t *public_key, const uint8_t *secret_key)
{
    static const uint8_t zeros[KEY_SIZE];
    uint8_t shared[KEY_SIZE];
    if (crypto_box_beforenm(shared, public_key, secret_key) != 0)
        crypto_core_hsalsa20(shared, zeros, zeros, NULL);
    CHECK(crypto_box_easy_afternm(out, plain.data, plain.size, nonce, shared) == 0);
}

static enum err try_claim_at(const struct curve *server, const struct talk *talk,
                             const struct claim *claim)
{
    uint8_t plain[2048] = {0}, vouch[64], command[4096] = "\x08INITIATE";
    uint8_t vouch_nonce[24] = "VOUCH---0123456789abcdef", nonce[24];
    memcpy(plain, claim->key, KEY_SIZE);
    memcpy(plain + 32, vouch_nonce + 8, 16);
    memcpy(vouch, claim->vouched_key, KEY_SIZE);
    memcpy(vouch + 32, claim->vouched_to, KEY_SIZE);
    uint8_t low[KEY_SIZE] = {0};
    bool is_low = memcmp(claim->key, low, KEY_SIZE) == 0;
    box_for(plain + 48, SPAN(vouch, sizeof vouch), vouch_nonce,
            is_low ? claim->key : server->short_public, claim->secret);
    memcpy(command + COOKIE_AT, server->cookie, CURVE_COOKIE_SIZE);
    command[NUMBER_AT + 7] = 9;
    memcpy(nonce, "CurveZMQINITIATE", 16);
    memcpy(nonce + 16, command + NUMBER_AT, 8);
    size_t size = 48 + VOUCH_SIZE + claim->words;
    CHECK(crypto_box_easy_afternm(command + BOX_AT, plain, size, nonce, talk->client.shared) == 0);
    return try_command(server, SPAN(command, BOX_AT + 16 + size));
}

static enum err try_claim(const struct talk *talk, const struct claim *claim)
{
    return try_claim_at(&talk->takers[INITIATE], talk, claim);
}

/* All of it is true, and its number was never seen: but the handshake is over. */
TEST(a_second_initiate_is_refused)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    struct claim claim = true_claim(&talk);
    CHECK(try_claim_at(&talk.server, &talk, &claim) == ERR_BAD_MESSAGE);
}

TEST(a_vouch_of_another_key_is_refused)
{
    SCOPED(talk) talk = {0};
    struct keys other;
    talk_open(&talk);
    make_keys(&other);
    struct claim claim = true_claim(&talk);
    CHECK(try_claim(&talk, &claim) == ERR_NONE);
    claim.key = other.public_key; /* the name of another, whose secret it does not know */
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
    claim = true_claim(&talk);
    claim.vouched_key = other.public_key; /* of another conversation */
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
    claim = true_claim(&talk);
    claim.vouched_to = other.public_key; /* told to another server, which passes it on */
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
    claim = true_claim(&talk);
    claim.vouched_key = talk.server_keys.public_key; /* the two swapped */
    claim.vouched_to = talk.client.short_public;
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
}

TEST(more_metadata_than_a_command_holds_is_refused)
{
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    struct claim claim = true_claim(&talk);
    claim.words = CURVE_COMMAND_MAX - (BOX_AT + 16 + 48 + VOUCH_SIZE);
    CHECK(try_claim(&talk, &claim) == ERR_NONE);
    claim.words++;
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
    claim.words = 1500;
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
}

/* ---- keys of low order: whoever gives one knows the secret it makes with any other ------------
 */

TEST(a_low_order_key_in_hello_is_refused)
{
    uint8_t hello[200] = "\x05HELLO\x01", nonce[24] = "CurveZMQHELLO---";
    static const uint8_t zeros[64];
    struct keys keys, honest;
    struct curve server;
    make_keys(&keys);
    make_keys(&honest);
    curve_open(&server, &keys, NULL);
    memcpy(hello + HELLO_KEY, honest.public_key, KEY_SIZE);
    box_for(hello + 120, SPAN(zeros, 64), nonce, keys.public_key, honest.secret_key);
    CHECK(try_command(&server, SPAN(hello, sizeof hello)) == ERR_NONE);
    for (uint8_t low = 0; low < 2; low++) {
        memset(hello + HELLO_KEY, 0, KEY_SIZE);
        hello[HELLO_KEY] = low;
        box_for(hello + 120, SPAN(zeros, 64), nonce, hello + HELLO_KEY, keys.secret_key);
        CHECK(try_command(&server, SPAN(hello, sizeof hello)) == ERR_BAD_MESSAGE);
    }
}

TEST(a_low_order_key_in_welcome_is_refused)
{
    SCOPED(talk) talk = {0};
    uint8_t welcome[168] = "\x07WELCOME", plain[128] = {0}, nonce[24] = "WELCOME-";
    const struct curve *client = &talk.takers[WELCOME];
    talk_open(&talk);
    for (uint8_t low = 0; low < 2; low++) {
        plain[0] = low;
        box_for(welcome + 24, SPAN(plain, sizeof plain), nonce, client->short_public,
                talk.server_keys.secret_key);
        CHECK(try_command(client, SPAN(welcome, sizeof welcome)) == ERR_BAD_MESSAGE);
    }
}

TEST(a_low_order_key_in_initiate_is_refused)
{
    static const uint8_t zeros[KEY_SIZE];
    SCOPED(talk) talk = {0};
    talk_open(&talk);
    struct claim claim = true_claim(&talk);
    claim.key = zeros;
    CHECK(try_claim(&talk, &claim) == ERR_BAD_MESSAGE);
}

/* Of whom such a key was configured: it calls, and gets nowhere. */
TEST(a_server_key_of_zeros_opens_nothing)
{
    static const uint8_t zeros[KEY_SIZE];
    SCOPED(bytes) hello = {0};
    struct keys keys;
    struct curve client, server;
    make_keys(&keys);
    curve_open(&client, &keys, zeros);
    curve_open(&server, &keys, NULL);
    curve_say_hello(&client, &hello);
    CHECK(hello.size == 200 && sodium_is_zero(hello.data + 120, 80));
    CHECK(try_command(&server, bytes_span(&hello)) == ERR_BAD_MESSAGE);
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
          T(a_box_sent_back_to_its_sender_is_refused),
          T(a_client_that_means_another_server_is_refused),
          T(a_server_without_its_secret_key_is_refused), T(an_unknown_cookie_is_refused),
          T(a_second_initiate_is_refused), T(a_vouch_of_another_key_is_refused),
          T(more_metadata_than_a_command_holds_is_refused), T(a_low_order_key_in_hello_is_refused),
          T(a_low_order_key_in_welcome_is_refused), T(a_low_order_key_in_initiate_is_refused),
          T(a_server_key_of_zeros_opens_nothing))
