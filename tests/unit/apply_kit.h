/* apply_kit.h - a log of its own in memory, applied entry by entry. */
#ifndef TESTS_UNIT_APPLY_KIT_H
#define TESTS_UNIT_APPLY_KIT_H

#include "log_kit.h"
#include "storage/apply.h"
#include "storage/overlay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
    struct apply apply;
    struct overlay overlay;
    struct log_kit kit;
    struct bytes effects;
    struct effect effect; /* of the last write */
    enum err lost;        /* what the source answers when told to fail */
};

static inline enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct bench *bench = owner;
    if (bench->lost != ERR_NONE)
        return bench->lost;
    const struct outcome *row = overlay_find(&bench->overlay, index);
    if (row == NULL)
        return ERR_CORRUPT;
    *out = *row;
    return ERR_NONE;
}

static inline void bench_open(struct bench *bench, uint8_t key_byte)
{
    uint8_t key[HASH_KEY_SIZE];
    memset(key, key_byte, sizeof key);
    *bench = (struct bench){.kit = {.term = 1, .ts = 1000}};
    apply_open(&bench->apply, key);
}

static inline void bench_close(struct bench *bench)
{
    apply_close(&bench->apply);
    overlay_close(&bench->overlay);
    kit_close(&bench->kit);
    bytes_close(&bench->effects);
}

static inline enum err run(struct bench *bench, struct span record)
{
    const struct apply_source source = {find_outcome, bench};
    struct entry entry;
    assert_int_equal(entry_decode(record, &entry), ERR_NONE);
    bytes_clear(&bench->effects);
    enum err err = apply_entry(&bench->apply, &entry, &source, &bench->effects);
    struct span rest = bytes_span(&bench->effects);
    if (err == ERR_NONE && entry_is_ask(entry.kind)) {
        assert_true(effect_next(&rest, &bench->effect));
        if (overlay_is_outcome(&bench->effect, entry.index)) {
            struct outcome outcome = overlay_outcome(&bench->effect);
            overlay_add(&bench->overlay, &outcome);
        }
    }
    assert_int_equal(rest.size, 0);
    return err;
}

static inline void put(struct bench *bench, uint64_t txid, uint32_t count, const char *tag,
                       const char *data)
{
    uint64_t born = bench->apply.at.ts ? bench->apply.at.ts : 1;
    assert_int_equal(run(bench, kit_put(&bench->kit, txid, born, count, tag, data)), ERR_NONE);
}

#endif
