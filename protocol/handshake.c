/* handshake.c - the same for both mechanisms, but for the commands of CURVE: those are curve.c's.
 */
#include "protocol/handshake.h"

enum {
    SIGNATURE_SIZE = 10,
    VERSION_AT = 10,
    MECHANISM_AT = 12,
    MECHANISM_SIZE = 20,
    SERVER_AT = 32,
};

/* ---- greeting -------------------------------------------------------------------------------- */

static void save_mechanism(const struct zmtp *zmtp, uint8_t field[MECHANISM_SIZE])
{
    const char *name = zmtp->secure ? "CURVE" : "NULL";
    memset(field, 0, MECHANISM_SIZE);
    memcpy(field, name, strlen(name));
}

void handshake_greet(struct zmtp *zmtp)
{
    uint8_t greeting[ZMTP_GREETING_SIZE] = {0xff, [9] = 0x7f, [VERSION_AT] = 3, 1};
    save_mechanism(zmtp, greeting + MECHANISM_AT);
    greeting[SERVER_AT] = zmtp->secure && zmtp->rules->listens;
    bytes_append(&zmtp->out, greeting, sizeof greeting);
}

bool handshake_may_be_greeting(struct span in)
{
    return (in.size < 1 || in.data[0] == 0xff) &&
           (in.size < SIGNATURE_SIZE || in.data[SIGNATURE_SIZE - 1] == 0x7f) &&
           (in.size <= VERSION_AT || in.data[VERSION_AT] >= 3);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void add_property(struct bytes *out, const char *name, const char *value)
{
    uint8_t size = (uint8_t)strlen(name), length[4] = {0, 0, 0, (uint8_t)strlen(value)};
    bytes_append(out, &size, 1);
    bytes_append(out, name, size);
    bytes_append(out, length, sizeof length);
    bytes_append(out, value, length[3]);
}

static void fill_metadata(const struct zmtp *zmtp, struct bytes *out)
{
    add_property(out, "Socket-Type", zmtp->rules->type);
    add_property(out, "Identity", "");
}

bool handshake_take_name(struct span *rest, struct span *name)
{
    if (rest->size < 1 || rest->size - 1 < rest->data[0])
        return false;
    *name = SPAN(rest->data + 1, rest->data[0]);
    *rest = SPAN(rest->data + 1 + name->size, rest->size - 1 - name->size);
    return true;
}

static bool take_value(struct span *rest, struct span *value)
{
    if (rest->size < 4)
        return false;
    size_t size = (size_t)rest->data[0] << 24 | (size_t)rest->data[1] << 16 |
                  (size_t)rest->data[2] << 8 | rest->data[3];
    if (rest->size - 4 < size)
        return false;
    *value = SPAN(rest->data + 4, size);
    *rest = SPAN(rest->data + 4 + size, rest->size - 4 - size);
    return true;
}

/* Who may speak with a DEALER or a ROUTER; one that listens hears REQ, too. */
static bool fits(const struct zmtp *zmtp, struct span type)
{
    return span_is(type, "DEALER") || span_is(type, "ROUTER") ||
           span_is(type, zmtp->rules->listens ? "REQ" : "REP");
}

static enum err take_metadata(const struct zmtp *zmtp, struct span rest)
{
    struct span name, value;
    bool known = false;
    while (rest.size > 0) {
        if (!handshake_take_name(&rest, &name) || !take_value(&rest, &value))
            return ERR_BAD_MESSAGE;
        if (!span_is(name, "Socket-Type"))
            continue;
        if (!fits(zmtp, value))
            return ERR_BAD_MESSAGE;
        known = true;
    }
    return known ? ERR_NONE : ERR_BAD_MESSAGE;
}

/* ---- mechanisms ------------------------------------------------------------------------------ */

static enum err say_ready(struct zmtp *zmtp)
{
    struct bytes *out = zmtp_begin_command(zmtp);
    bytes_append(out, "\x05READY", 6);
    fill_metadata(zmtp, out);
    return zmtp_end_command(zmtp);
}

static enum err say_hello(struct zmtp *zmtp)
{
    curve_say_hello(&zmtp->curve, zmtp_begin_command(zmtp));
    return zmtp_end_command(zmtp);
}

/* With NULL both ends say READY as soon as they were greeted; with CURVE the one that connected
 * goes on. */
enum err handshake_begin(struct zmtp *zmtp, const uint8_t greeting[ZMTP_GREETING_SIZE])
{
    uint8_t mechanism[MECHANISM_SIZE];
    save_mechanism(zmtp, mechanism);
    if (memcmp(mechanism, greeting + MECHANISM_AT, MECHANISM_SIZE) != 0)
        return ERR_DENIED;
    zmtp->step = ZMTP_HANDSHAKE;
    if (!zmtp->secure)
        return say_ready(zmtp);
    return zmtp->rules->listens ? ERR_NONE : say_hello(zmtp);
}

/* What the other end told, and whether it is let in. */
static enum err check_other(const struct zmtp *zmtp, struct span told)
{
    TRY(take_metadata(zmtp, told));
    if (zmtp->rules->listens && !zmtp->rules->allow(zmtp->owner, zmtp->curve.other_key))
        return ERR_DENIED;
    return ERR_NONE;
}

static enum err answer_curve(struct zmtp *zmtp, struct span command, struct bytes *out)
{
    SCOPED(bytes) own = {.soft = zmtp->rules->soft}, other = {.soft = zmtp->rules->soft};
    fill_metadata(zmtp, &own);
    TRY(curve_take(&zmtp->curve, command, bytes_span(&own), out, &other));
    if (own.failed || other.failed)
        return ERR_NOMEM;
    return zmtp->curve.step == CURVE_DONE ? check_other(zmtp, bytes_span(&other)) : ERR_NONE;
}

/* Who is refused does not hear the answer that was made; and a READY gets none. */
static enum err take_curve(struct zmtp *zmtp, struct span command)
{
    struct bytes *out = zmtp_begin_command(zmtp);
    enum err err = answer_curve(zmtp, command, out);
    bool done = zmtp->curve.step == CURVE_DONE;
    if (err != ERR_NONE || (done && !zmtp->rules->listens))
        zmtp_drop_command(zmtp);
    else
        err = zmtp_end_command(zmtp);
    if (err == ERR_NONE && done)
        zmtp->step = ZMTP_READY;
    return err;
}

enum err handshake_take(struct zmtp *zmtp, struct span command)
{
    struct span name, rest = command;
    if (!handshake_take_name(&rest, &name) || span_is(name, "ERROR"))
        return ERR_BAD_MESSAGE;
    if (zmtp->secure)
        return take_curve(zmtp, command);
    if (!span_is(name, "READY"))
        return ERR_BAD_MESSAGE;
    TRY(take_metadata(zmtp, rest));
    zmtp->step = ZMTP_READY;
    return ERR_NONE;
}

enum handshake_doubt handshake_doubt(const struct zmtp *zmtp)
{
    if (!zmtp->secure || zmtp->step != ZMTP_HANDSHAKE)
        return HANDSHAKE_NO_DOUBT;
    switch (zmtp->curve.step) {
    case CURVE_WELCOME:
        return HANDSHAKE_THEIRS;
    case CURVE_READY:
        return HANDSHAKE_OURS;
    default:
        return HANDSHAKE_NO_DOUBT;
    }
}
