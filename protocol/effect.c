/* effect.c - reads and writes the layout of effect.h. */
#include "protocol/effect.h"

#include <assert.h>

enum { LINK_HEAD_SIZE = HASH_SIZE + 2 };

void effect_link_append(struct bytes *links, const uint8_t hash[HASH_SIZE],
                        const uint64_t *previous, uint16_t tag_count)
{
    bytes_append(links, hash, HASH_SIZE);
    bytes_append(links, &tag_count, sizeof tag_count);
    bytes_append(links, previous, tag_count * sizeof *previous);
}

bool effect_link_next(struct span *links, struct effect_link *link)
{
    if (links->size < LINK_HEAD_SIZE)
        return false;
    link->hash = links->data;
    link->tag_count = load_u16(links->data + HASH_SIZE);
    link->previous = links->data + LINK_HEAD_SIZE;
    size_t size = LINK_HEAD_SIZE + (size_t)link->tag_count * 8;
    if (size > links->size)
        return false;
    *links = SPAN(links->data + size, links->size - size);
    return true;
}

void effect_encode(const struct effect *effect, struct bytes *out)
{
    size_t size = EFFECT_HEADER_SIZE + 4 + effect->links.size + effect->body.size;
    assert(size <= UINT32_MAX);
    uint8_t *at = bytes_reserve(out, size);
    save_u32(at, (uint32_t)size);
    save_u16(at + 4, (uint16_t)effect->err);
    save_u16(at + 6, effect->change_count);
    save_u64(at + 8, effect->index);
    save_u64(at + 16, effect->first_id);
    save_u64(at + 24, effect->ts);
    save_u64(at + 32, effect->last_id);
    save_u64(at + 40, effect->body_hash);
    memcpy(at + 48, effect->txid, sizeof effect->txid);
    save_u32(at + 64, (uint32_t)effect->links.size);
    out->size += EFFECT_HEADER_SIZE + 4;
    bytes_append_span(out, effect->links);
    bytes_append_span(out, effect->body);
}

bool effect_next(struct span *rest, struct effect *effect)
{
    const uint8_t *at = rest->data;
    if (rest->size < EFFECT_HEADER_SIZE + 4)
        return false;
    size_t size = load_u32(at);
    if (size > rest->size || size < EFFECT_HEADER_SIZE + 4)
        return false;
    size_t links = load_u32(at + 64);
    if (links > size - EFFECT_HEADER_SIZE - 4)
        return false;
    effect->err = (enum err)load_u16(at + 4);
    effect->change_count = load_u16(at + 6);
    effect->index = load_u64(at + 8);
    effect->first_id = load_u64(at + 16);
    effect->ts = load_u64(at + 24);
    effect->last_id = load_u64(at + 32);
    effect->body_hash = load_u64(at + 40);
    memcpy(effect->txid, at + 48, sizeof effect->txid);
    effect->links = SPAN(at + EFFECT_HEADER_SIZE + 4, links);
    effect->body = SPAN(at + EFFECT_HEADER_SIZE + 4 + links, size - EFFECT_HEADER_SIZE - 4 - links);
    *rest = SPAN(at + size, rest->size - size);
    return true;
}

bool effect_thin(struct span effects, struct bytes *out)
{
    struct effect effect;
    struct effect_link link;
    while (effect_next(&effects, &effect)) {
        struct span rest = effect.links, last = rest;
        while (rest.size > 0) {
            last = rest;
            if (!effect_link_next(&rest, &link))
                return false;
        }
        effect.links = last;
        effect.body = (struct span){0};
        effect_encode(&effect, out);
    }
    return effects.size == 0;
}
