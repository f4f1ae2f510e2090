/* pack.h - the binary form of a dump: pieces, each proven by its own checksums.
 *
 *   0  4  mark: 8e 'C' 'A', and 'B' for begin, 'C' for change, 'E' for end
 *   4  4  size of the body                         8  4  crc32c of the body
 *  12  4  crc32c of the 12 bytes before           16     the body
 *
 * Numbers are little-endian. First one begin (body: the version, 4 bytes), then the changes (body:
 * the msgpack map that an import takes, change.h), then one end (body: how many changes, 8 bytes).
 * The size is proven before it is believed, so a file that was cut is told from one that is
 * damaged. Whose log it is does not stand there, as in lines (line.h): the hashes say it. */
#ifndef PROTOCOL_PACK_H
#define PROTOCOL_PACK_H

#include "protocol/line.h"

enum { PACK_HEAD = 16, PACK_MARK = 3, PACK_VERSION = 1, PACK_BODY_MAX = 2 << 20 };

extern const uint8_t pack_mark[PACK_MARK]; /* what all marks begin with; no UTF-8 does */

enum pack_kind { PACK_BEGIN = 'B', PACK_CHANGE = 'C', PACK_END = 'E' };

struct pack {
    enum pack_kind kind;
    uint32_t size, crc; /* of the body */
};

void pack_begin(struct bytes *out);
void pack_append(const struct line_place *place, const struct change *change, struct bytes *out);
void pack_end(uint64_t count, struct bytes *out);

/* Reads PACK_HEAD bytes. ERR_CORRUPT: they are no head; `*wrong` lends why. */
MUST_USE enum err pack_head(const uint8_t head[PACK_HEAD], struct pack *pack, const char **wrong);

/* Holds the body to its head. ERR_CORRUPT, ERR_VERSION (of begin); `*wrong` lends why. */
MUST_USE enum err pack_body(const struct pack *pack, struct span body, const char **wrong);

#endif
