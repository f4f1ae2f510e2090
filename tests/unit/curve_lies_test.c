/* curve_lies_test.c - CURVE against who lies: another server, no secret, a cookie, a vouch, a key
 * of low order. */
#include "tests/unit/curve_kit.h"

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

TEST_MAIN(T(a_client_that_means_another_server_is_refused),
          T(a_server_without_its_secret_key_is_refused), T(an_unknown_cookie_is_refused),
          T(a_second_initiate_is_refused), T(a_vouch_of_another_key_is_refused),
          T(more_metadata_than_a_command_holds_is_refused), T(a_low_order_key_in_hello_is_refused),
          T(a_low_order_key_in_welcome_is_refused), T(a_low_order_key_in_initiate_is_refused),
          T(a_server_key_of_zeros_opens_nothing))
