/* line.h - one change as one line of JSON: what dump and salvage write, and load reads.
 *
 *   {"id":1,"ts":…,"type":0,"key":"k","tags":["a"],"headers":{"n":"v"},"ctype":"…",
 *    "data":"…","hash":"…"}   and "delete":true behind a key that is gone
 *
 * Nothing that the change hash covers is lost: data that is not UTF-8 stands as data_base64, and
 * headers whose msgpack is not the shortest form as headers_base64. Reading is the command
 * line's; here is no library for it. */
#ifndef PROTOCOL_LINE_H
#define PROTOCOL_LINE_H

#include "protocol/change.h"

/* Where a change stands; id 0 or an empty hash: not known, and left out. */
struct line_place {
    uint64_t id, ts;
    struct span hash;
};

/* Appends the line with its newline. */
void line_append(const struct line_place *place, const struct change *change, struct bytes *out);

/* Base64 back to bytes (RFC 4648, padded). False: it is none. */
bool line_unbase64(struct span text, struct bytes *out);

#endif
