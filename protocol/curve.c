/* curve.c - HELLO, WELCOME, INITIATE, READY, and then MESSAGE. */
#include "protocol/curve.h"

#include "common/clock.h"

#include <assert.h>
#include <sodium.h>

enum {
    NONCE_SIZE = 24,
    LONG_NONCE = 16,  /* random, of a box of a long-term key */
    SHORT_NONCE = 8,  /* counted */
    HELLO_SIZE = 200, /* 6 name, 2 version, 72 zeros, key, nonce, box of 64 zeros */
    HELLO_KEY = 80,
    HELLO_NONCE = 112,
    HELLO_BOX = 120,
    HELLO_PLAIN = 64,
    WELCOME_SIZE = 168, /* 8 name, nonce, box of short key and cookie */
    WELCOME_PLAIN = KEY_SIZE + CURVE_COOKIE_SIZE,
    INITIATE_COOKIE = 9,
    INITIATE_NONCE = INITIATE_COOKIE + CURVE_COOKIE_SIZE,
    INITIATE_BOX = INITIATE_NONCE + SHORT_NONCE,
    VOUCH_PLAIN = 2 * KEY_SIZE,
    VOUCH_BOX = VOUCH_PLAIN + CURVE_MAC_SIZE,
    INITIATE_FIXED = KEY_SIZE + LONG_NONCE + VOUCH_BOX, /* then the metadata */
    READY_NONCE = 6,
    READY_BOX = READY_NONCE + SHORT_NONCE,
};

_Static_assert(KEY_SIZE == crypto_box_PUBLICKEYBYTES && KEY_SIZE == crypto_box_SECRETKEYBYTES &&
                   KEY_SIZE == crypto_box_BEFORENMBYTES && NONCE_SIZE == crypto_box_NONCEBYTES &&
                   CURVE_MAC_SIZE == crypto_box_MACBYTES,
               "keys, nonces and MACs of libsodium have the sizes of the protocol");
_Static_assert(CURVE_METADATA_MAX + INITIATE_FIXED + CURVE_MAC_SIZE + INITIATE_BOX <=
                   CURVE_COMMAND_MAX,
               "a command of the handshake fits");

/* ---- nonces and names ------------------------------------------------------------------------ */

static void save_number(uint8_t *at, uint64_t number)
{
    for (int i = 0; i < SHORT_NONCE; i++)
        at[i] = (uint8_t)(number >> 8 * (SHORT_NONCE - 1 - i));
}

static uint64_t load_number(const uint8_t *at)
{
    uint64_t number = 0;
    for (int i = 0; i < SHORT_NONCE; i++)
        number = number << 8 | at[i];
    return number;
}

/* A prefix of 16 letters and 8 bytes, or of 8 letters and 16 bytes. */
static void make_nonce(uint8_t nonce[NONCE_SIZE], const char *prefix, const uint8_t *rest)
{
    size_t size = strlen(prefix);
    assert(size == NONCE_SIZE - SHORT_NONCE || size == NONCE_SIZE - LONG_NONCE);
    memcpy(nonce, prefix, size);
    memcpy(nonce + size, rest, NONCE_SIZE - size);
}

/* The name stands at the front, its length before it. */
static bool is_named(struct span command, const char *name, size_t least)
{
    size_t size = strlen(name);
    return command.size >= least && command.size > size && command.data[0] == size &&
           memcmp(command.data + 1, name, size) == 0;
}

static uint8_t *begin_command(struct bytes *out, const char *name, size_t size)
{
    uint8_t *at = bytes_reserve(out, size);
    if (at == NULL)
        return NULL;
    memset(at, 0, size);
    at[0] = (uint8_t)strlen(name);
    memcpy(at + 1, name, at[0]);
    out->size += size;
    return at;
}

/* ---- opening --------------------------------------------------------------------------------- */

void curve_open(struct curve *curve, const struct keys *own, const uint8_t *server)
{
    *curve = (struct curve){.server = server == NULL};
    memcpy(curve->public_key, own->public_key, KEY_SIZE);
    memcpy(curve->secret_key, own->secret_key, KEY_SIZE);
    if (server != NULL)
        memcpy(curve->other_key, server, KEY_SIZE);
    int rc = sodium_init();
    assert(rc >= 0);
}

void curve_close(struct curve *curve)
{
    sodium_memzero(curve, sizeof *curve);
}

/* ---- the server's side ----------------------------------------------------------------------- */

static enum err take_hello(struct curve *curve, struct span command, struct bytes *out)
{
    uint8_t nonce[NONCE_SIZE], plain[WELCOME_PLAIN];
    if (!is_named(command, "HELLO", HELLO_SIZE) || command.size != HELLO_SIZE ||
        command.data[6] != 1 || command.data[7] != 0)
        return ERR_BAD_MESSAGE;
    memcpy(curve->other_short, command.data + HELLO_KEY, KEY_SIZE);
    curve->taken = load_number(command.data + HELLO_NONCE);
    make_nonce(nonce, "CurveZMQHELLO---", command.data + HELLO_NONCE);
    if (crypto_box_open_easy(plain, command.data + HELLO_BOX, HELLO_PLAIN + CURVE_MAC_SIZE, nonce,
                             curve->other_short, curve->secret_key) != 0)
        return ERR_BAD_MESSAGE;
    crypto_box_keypair(curve->short_public, curve->short_secret); /* not for who says nothing */
    /* The cookie would let a server forget everything until it comes back. On a stream there is
     * nothing to gain by that: here it is a secret that must come back. */
    chance_fill(curve->cookie, sizeof curve->cookie);
    uint8_t *at = begin_command(out, "WELCOME", WELCOME_SIZE);
    if (at == NULL)
        return ERR_NOMEM;
    chance_fill(at + 8, LONG_NONCE);
    make_nonce(nonce, "WELCOME-", at + 8);
    memcpy(plain, curve->short_public, KEY_SIZE);
    memcpy(plain + KEY_SIZE, curve->cookie, CURVE_COOKIE_SIZE);
    if (crypto_box_easy(at + 8 + LONG_NONCE, plain, sizeof plain, nonce, curve->other_short,
                        curve->secret_key) != 0)
        return ERR_BAD_MESSAGE;
    curve->step = CURVE_INITIATE;
    return ERR_NONE;
}

/* The client's long-term key boxed its short-term key and our key for us: it owns both, and means
 * us. */
static bool is_vouched(struct curve *curve, const uint8_t *plain)
{
    uint8_t nonce[NONCE_SIZE], vouch[VOUCH_PLAIN];
    make_nonce(nonce, "VOUCH---", plain + KEY_SIZE);
    return crypto_box_open_easy(vouch, plain + KEY_SIZE + LONG_NONCE, VOUCH_BOX, nonce, plain,
                                curve->short_secret) == 0 &&
           sodium_memcmp(vouch, curve->other_short, KEY_SIZE) == 0 &&
           sodium_memcmp(vouch + KEY_SIZE, curve->public_key, KEY_SIZE) == 0;
}

static bool take_number(struct curve *curve, const uint8_t *at)
{
    uint64_t number = load_number(at);
    if (number <= curve->taken)
        return false;
    curve->taken = number;
    return true;
}

static enum err say_ready(struct curve *curve, struct span own, struct bytes *out)
{
    uint8_t nonce[NONCE_SIZE];
    uint8_t *at = begin_command(out, "READY", READY_BOX + CURVE_MAC_SIZE + own.size);
    if (at == NULL)
        return ERR_NOMEM;
    save_number(at + READY_NONCE, ++curve->sent);
    make_nonce(nonce, "CurveZMQREADY---", at + READY_NONCE);
    int rc = crypto_box_easy_afternm(at + READY_BOX, own.data, own.size, nonce, curve->shared);
    assert(rc == 0);
    curve->step = CURVE_DONE;
    return ERR_NONE;
}

static enum err take_initiate(struct curve *curve, struct span command, struct span own,
                              struct bytes *out, struct bytes *other)
{
    uint8_t nonce[NONCE_SIZE], plain[CURVE_COMMAND_MAX];
    size_t least = INITIATE_BOX + CURVE_MAC_SIZE + INITIATE_FIXED;
    if (!is_named(command, "INITIATE", least) ||
        sodium_memcmp(command.data + INITIATE_COOKIE, curve->cookie, CURVE_COOKIE_SIZE) != 0 ||
        !take_number(curve, command.data + INITIATE_NONCE) ||
        crypto_box_beforenm(curve->shared, curve->other_short, curve->short_secret) != 0)
        return ERR_BAD_MESSAGE;
    make_nonce(nonce, "CurveZMQINITIATE", command.data + INITIATE_NONCE);
    if (crypto_box_open_easy_afternm(plain, command.data + INITIATE_BOX,
                                     command.size - INITIATE_BOX, nonce, curve->shared) != 0 ||
        !is_vouched(curve, plain))
        return ERR_BAD_MESSAGE;
    memcpy(curve->other_key, plain, KEY_SIZE);
    bytes_append(other, plain + INITIATE_FIXED, command.size - least);
    return say_ready(curve, own, out);
}

/* ---- the client's side ----------------------------------------------------------------------- */

void curve_say_hello(struct curve *curve, struct bytes *out)
{
    static const uint8_t zeros[HELLO_PLAIN];
    uint8_t nonce[NONCE_SIZE], *at = begin_command(out, "HELLO", HELLO_SIZE);
    assert(!curve->server && curve->step == CURVE_HELLO);
    crypto_box_keypair(curve->short_public, curve->short_secret);
    curve->step = CURVE_WELCOME;
    if (at == NULL)
        return;
    at[6] = 1; /* version 1.0 */
    memcpy(at + HELLO_KEY, curve->short_public, KEY_SIZE);
    save_number(at + HELLO_NONCE, ++curve->sent);
    make_nonce(nonce, "CurveZMQHELLO---", at + HELLO_NONCE);
    if (crypto_box_easy(at + HELLO_BOX, zeros, sizeof zeros, nonce, curve->other_key,
                        curve->short_secret) != 0) /* a key of no use: the box stays empty */
        memset(at + HELLO_BOX, 0, HELLO_PLAIN + CURVE_MAC_SIZE);
}

static enum err say_initiate(struct curve *curve, struct span own, struct bytes *out)
{
    uint8_t nonce[NONCE_SIZE], plain[CURVE_COMMAND_MAX], vouch[VOUCH_PLAIN];
    size_t size = INITIATE_FIXED + own.size;
    uint8_t *at = begin_command(out, "INITIATE", INITIATE_BOX + CURVE_MAC_SIZE + size);
    if (at == NULL)
        return ERR_NOMEM;
    memcpy(plain, curve->public_key, KEY_SIZE);
    chance_fill(plain + KEY_SIZE, LONG_NONCE);
    make_nonce(nonce, "VOUCH---", plain + KEY_SIZE);
    memcpy(vouch, curve->short_public, KEY_SIZE);
    memcpy(vouch + KEY_SIZE, curve->other_key, KEY_SIZE);
    if (crypto_box_easy(plain + KEY_SIZE + LONG_NONCE, vouch, sizeof vouch, nonce,
                        curve->other_short, curve->secret_key) != 0)
        return ERR_BAD_MESSAGE;
    memcpy(plain + INITIATE_FIXED, own.data, own.size);
    memcpy(at + INITIATE_COOKIE, curve->cookie, CURVE_COOKIE_SIZE);
    save_number(at + INITIATE_NONCE, ++curve->sent);
    make_nonce(nonce, "CurveZMQINITIATE", at + INITIATE_NONCE);
    int rc = crypto_box_easy_afternm(at + INITIATE_BOX, plain, size, nonce, curve->shared);
    assert(rc == 0);
    curve->step = CURVE_READY;
    return ERR_NONE;
}

static enum err take_welcome(struct curve *curve, struct span command, struct span own,
                             struct bytes *out)
{
    uint8_t nonce[NONCE_SIZE], plain[WELCOME_PLAIN];
    if (!is_named(command, "WELCOME", WELCOME_SIZE) || command.size != WELCOME_SIZE)
        return ERR_BAD_MESSAGE;
    make_nonce(nonce, "WELCOME-", command.data + 8);
    if (crypto_box_open_easy(plain, command.data + 8 + LONG_NONCE, sizeof plain + CURVE_MAC_SIZE,
                             nonce, curve->other_key, curve->short_secret) != 0)
        return ERR_BAD_MESSAGE;
    memcpy(curve->other_short, plain, KEY_SIZE);
    memcpy(curve->cookie, plain + KEY_SIZE, CURVE_COOKIE_SIZE);
    if (crypto_box_beforenm(curve->shared, curve->other_short, curve->short_secret) != 0)
        return ERR_BAD_MESSAGE;
    return say_initiate(curve, own, out);
}

static enum err take_ready(struct curve *curve, struct span command, struct bytes *other)
{
    uint8_t nonce[NONCE_SIZE], plain[CURVE_COMMAND_MAX];
    if (!is_named(command, "READY", READY_BOX + CURVE_MAC_SIZE) ||
        !take_number(curve, command.data + READY_NONCE))
        return ERR_BAD_MESSAGE;
    make_nonce(nonce, "CurveZMQREADY---", command.data + READY_NONCE);
    if (crypto_box_open_easy_afternm(plain, command.data + READY_BOX, command.size - READY_BOX,
                                     nonce, curve->shared) != 0)
        return ERR_BAD_MESSAGE;
    bytes_append(other, plain, command.size - READY_BOX - CURVE_MAC_SIZE);
    curve->step = CURVE_DONE;
    return ERR_NONE;
}

enum err curve_take(struct curve *curve, struct span command, struct span own, struct bytes *out,
                    struct bytes *other)
{
    assert(own.size <= CURVE_METADATA_MAX);
    if (command.size > CURVE_COMMAND_MAX)
        return ERR_BAD_MESSAGE;
    switch (curve->step) {
    case CURVE_HELLO:
        return take_hello(curve, command, out);
    case CURVE_WELCOME:
        return take_welcome(curve, command, own, out);
    case CURVE_INITIATE:
        return take_initiate(curve, command, own, out, other);
    case CURVE_READY:
        return take_ready(curve, command, other);
    case CURVE_DONE:
        break;
    }
    return ERR_BAD_MESSAGE;
}

/* ---- boxes ----------------------------------------------------------------------------------- */

static const char *prefix_of(bool from_server)
{
    return from_server ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC";
}

void curve_seal(struct curve *curve, uint8_t *body, size_t size, uint8_t flags)
{
    uint8_t nonce[NONCE_SIZE], *at = body - CURVE_BEFORE, *mac = at + CURVE_HEAD_SIZE;
    assert(curve->step == CURVE_DONE);
    memcpy(at, "\x07MESSAGE", 8);
    save_number(at + 8, ++curve->sent);
    make_nonce(nonce, prefix_of(curve->server), at + 8);
    body[-1] = flags;
    crypto_box_detached_afternm(body - 1, mac, body - 1, size + 1, nonce, curve->shared);
}

enum err curve_unseal(struct curve *curve, uint8_t *command, size_t size, uint8_t *flags,
                      struct span *body)
{
    uint8_t nonce[NONCE_SIZE], *mac = command + CURVE_HEAD_SIZE, *box = mac + CURVE_MAC_SIZE;
    if (curve->step != CURVE_DONE || !is_named(SPAN(command, size), "MESSAGE", CURVE_BEFORE) ||
        load_number(command + 8) <= curve->taken)
        return ERR_BAD_MESSAGE;
    make_nonce(nonce, prefix_of(!curve->server), command + 8);
    size_t boxed = size - CURVE_HEAD_SIZE - CURVE_MAC_SIZE;
    if (crypto_box_open_detached_afternm(box, box, mac, boxed, nonce, curve->shared) != 0)
        return ERR_BAD_MESSAGE;
    curve->taken = load_number(command + 8);
    *flags = box[0];
    *body = SPAN(box + 1, boxed - 1);
    return ERR_NONE;
}
