/* pack.c - writes and checks the pieces of a binary dump; see pack.h. */
#include "protocol/pack.h"

const uint8_t pack_mark[PACK_MARK] = {0x8e, 'C', 'A'};

enum { SIZE_AT = 4, CRC_AT = 8, HEAD_CRC_AT = 12 };

/* ---- writing ---------------------------------------------------------------------------------
 */

/* Makes room for a head and gives where it stands; the body is appended behind it. */
static size_t open_piece(struct bytes *out)
{
    static const uint8_t blank[PACK_HEAD] = {0};
    size_t at = out->size;
    bytes_append(out, blank, sizeof blank);
    return at;
}

static void seal_piece(struct bytes *out, size_t at, enum pack_kind kind)
{
    uint8_t *head = out->data + at;
    struct span body = SPAN(head + PACK_HEAD, out->size - at - PACK_HEAD);
    memcpy(head, pack_mark, PACK_MARK);
    head[PACK_MARK] = (uint8_t)kind;
    save_u32(head + SIZE_AT, (uint32_t)body.size);
    save_u32(head + CRC_AT, hash_crc32c(0, body));
    save_u32(head + HEAD_CRC_AT, hash_crc32c(0, SPAN(head, HEAD_CRC_AT)));
}

void pack_begin(struct bytes *out)
{
    uint8_t version[4];
    size_t at = open_piece(out);
    save_u32(version, PACK_VERSION);
    bytes_append(out, version, sizeof version);
    seal_piece(out, at, PACK_BEGIN);
}

void pack_append(const struct line_place *place, const struct change *change, struct bytes *out)
{
    struct change placed = *change;
    size_t at = open_piece(out);
    placed.id = place->id;
    placed.ts = place->ts;
    placed.hash = place->hash;
    change_body_add(out, &placed);
    seal_piece(out, at, PACK_CHANGE);
}

void pack_end(uint64_t count, struct bytes *out)
{
    uint8_t number[8];
    size_t at = open_piece(out);
    save_u64(number, count);
    bytes_append(out, number, sizeof number);
    seal_piece(out, at, PACK_END);
}

/* ---- reading ---------------------------------------------------------------------------------
 */

static enum err refuse(enum err err, const char *sentence, const char **wrong)
{
    *wrong = sentence;
    return err;
}

enum err pack_head(const uint8_t head[PACK_HEAD], struct pack *pack, const char **wrong)
{
    uint8_t kind = head[PACK_MARK];
    uint32_t size = load_u32(head + SIZE_AT);
    if (memcmp(head, pack_mark, PACK_MARK) != 0)
        return refuse(ERR_CORRUPT, "here is no mark of a piece", wrong);
    if (load_u32(head + HEAD_CRC_AT) != hash_crc32c(0, SPAN(head, HEAD_CRC_AT)))
        return refuse(ERR_CORRUPT, "the checksum of its head is wrong", wrong);
    if (kind != PACK_BEGIN && kind != PACK_CHANGE && kind != PACK_END)
        return refuse(ERR_VERSION, "a piece of a kind that this version does not know", wrong);
    if (kind == PACK_BEGIN ? size < 4 || size > 64 : kind == PACK_END && size != 8)
        return refuse(ERR_CORRUPT, "a begin or an end of a wrong size", wrong);
    if (size > PACK_BODY_MAX)
        return refuse(ERR_LIMIT, "a change over 2 MiB", wrong);
    *pack = (struct pack){(enum pack_kind)kind, size, load_u32(head + CRC_AT)};
    return ERR_NONE;
}

enum err pack_body(const struct pack *pack, struct span body, const char **wrong)
{
    if (body.size != pack->size || hash_crc32c(0, body) != pack->crc)
        return refuse(ERR_CORRUPT, "the checksum of its body is wrong", wrong);
    if (pack->kind == PACK_BEGIN && load_u32(body.data) != PACK_VERSION)
        return refuse(ERR_VERSION, "a binary dump of a version that this one does not know", wrong);
    return ERR_NONE;
}
