/* wire.h - msgpack: the one wrapper that reads it, and the helpers that write it.
 *
 * Bytes from outside are scanned before the library sees them (Z11): nesting
 * at most 16, declared counts against the bytes that are left, valid UTF-8,
 * no key twice in a map, nothing behind the value. The scan meets every value
 * once, so it is the decoder too: nothing is reserved for a count that was
 * only claimed, and nothing is copied (docs/decisions/0002). msgpack-c writes. */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include "common/bytes.h"
#include "common/err.h"

enum { WIRE_DEPTH_MAX = 16 };

/* Checks one value that fills `bytes` wholly. ERR_BAD_MESSAGE. */
MUST_USE enum err wire_check(struct span bytes);

/* Valid UTF-8 (RFC 3629). */
bool wire_is_text(struct span text);

/* Size of the first value in `bytes` (its structure is checked, not its texts); 0: broken. */
size_t wire_size(struct span bytes);

/* A value, read step by step from bytes that wire_check accepted. */
enum wire_kind {
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_U64,
    WIRE_NEGATIVE, /* an integer below zero */
    WIRE_FLOAT,
    WIRE_TEXT,
    WIRE_BIN,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_OTHER
};

struct wire_value {
    enum wire_kind kind;
    bool flag;
    uint64_t number;   /* U64; the value as int64 for NEGATIVE; item or pair count of ARRAY, MAP */
    struct span bytes; /* TEXT, BIN: lent content */
};

/* Takes the head of the next value off `*rest`; the items of an array or map follow it.
 * False: the bytes end or are broken. */
bool wire_next(struct span *rest, struct wire_value *value);

/* Takes a whole value off `*rest` and lends its bytes. False: broken. */
bool wire_take(struct span *rest, struct span *whole);

void wire_pack_nil(struct bytes *out);
void wire_pack_bool(struct bytes *out, bool value);
void wire_pack_u64(struct bytes *out, uint64_t value);
void wire_pack_text(struct bytes *out, struct span text);
void wire_pack_bin(struct bytes *out, struct span bin);
void wire_pack_array(struct bytes *out, uint32_t count);
void wire_pack_map(struct bytes *out, uint32_t pairs);

/* A pair of a map of counters: name, number. */
void wire_pack_counter(struct bytes *out, const char *name, uint64_t value);

/* A whole map of them. */
struct wire_counter {
    const char *name;
    uint64_t value;
};
void wire_pack_counters(struct bytes *out, const struct wire_counter *counters, uint32_t count);

#endif
