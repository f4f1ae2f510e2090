/* storage_kit.h - what the tests of the disk share: a directory that goes away,
 * and records that follow one another. */
#ifndef TESTS_UNIT_STORAGE_KIT_H
#define TESTS_UNIT_STORAGE_KIT_H

#include "protocol/entry.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#define UNUSED __attribute__((unused))

struct kit {
    char dir[64];
    uint64_t next;
    uint8_t hash[HASH_SIZE];
};

static UNUSED void kit_shell(const char *format, const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, format, a, b);
    CHECK(system(command) == 0);
}

static UNUSED struct kit kit_make(void)
{
    struct kit kit = {.dir = "/var/tmp/cag-XXXXXX", .next = 1};
    CHECK(mkdtemp(kit.dir) != NULL);
    return kit;
}

static UNUSED void kit_drop(struct kit *kit)
{
    kit_shell("rm -rf %s%s", kit->dir, "");
}

static UNUSED const char *kit_path(const struct kit *kit, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", kit->dir, name);
    return path;
}

/* Appends the next record of the chain to `out`. */
static UNUSED void kit_add(struct kit *kit, enum entry_kind kind, uint64_t term, size_t body_size,
                           struct bytes *out)
{
    uint8_t *body = bytes_zeroed(1, body_size + 1);
    memset(body, (int)(kit->next & 0xff), body_size);
    struct entry entry = {.kind = kind, .change_count = 1, .body = SPAN(body, body_size)};
    size_t at = out->size;
    entry_encode(&entry, out);
    entry_stamp(out->data + at, kit->next, term, kit->next * 1000, kit->hash);
    memcpy(kit->hash, entry_hash_of(SPAN(out->data + at, out->size - at)), HASH_SIZE);
    kit->next++;
    bytes_free(body);
}

static UNUSED void kit_add_many(struct kit *kit, uint32_t count, uint64_t term, size_t body_size,
                                struct bytes *out)
{
    for (uint32_t i = 0; i < count; i++)
        kit_add(kit, ENTRY_DATA, term, body_size, out);
}

/* Goes back: the next record will be `index`, after the record whose hash is given. */
static UNUSED void kit_rewind(struct kit *kit, uint64_t index, const uint8_t hash[HASH_SIZE])
{
    kit->next = index;
    memcpy(kit->hash, hash, HASH_SIZE);
}

/* Flips one bit of a file. */
static UNUSED void kit_flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    CHECK(fseek(file, offset, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(fseek(file, offset, SEEK_SET) == 0);
    fputc(byte ^ 4, file);
    fclose(file);
}

#endif
