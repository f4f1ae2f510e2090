#include "storage/sealer.h"

#include "common/log.h"

/* The file alone: no reader, then no WAL. Busy: somebody reads it still, later then. */
static enum err leave_wal(struct sealer *sealer, struct shelf_part *part, uint64_t now_ms)
{
    shelf_close_reader(part);
    enum err err = segment_seal(part->handed);
    if (err == ERR_BUSY || err == ERR_LOCKED) {
        sealer->not_before_ms = now_ms + SEALER_RETRY_MS;
        return ERR_NONE;
    }
    TRY(err);
    segment_free(part->handed);
    part->handed = NULL;
    part->sealed = true;
    return ERR_NONE;
}

static enum err write_index(struct sealer *sealer, struct shelf *shelf, struct shelf_part *part)
{
    part->seal.first_index = part->first;
    part->seal.last_index = part->last;
    TRY(seal_write(part->path, shelf_growing(shelf, part), &part->seal));
    shelf_sealed(part);
    bytes_give_back();
    sealer->part = NULL;
    sealer->sealed++;
    log_info("segment_sealed", kv_text("path", part->path), kv_u64("first", part->first),
             kv_u64("last", part->last),
             kv_u64("changes", part->seal.next_id - part->seal.first_id));
    return ERR_NONE;
}

void sealer_close(struct sealer *sealer)
{
    filedigest_close(&sealer->digest);
    *sealer = (struct sealer){0};
}

void sealer_forget(struct sealer *sealer, const char *path)
{
    if (sealer->part == NULL || strcmp(sealer->part->path, path) != 0)
        return;
    filedigest_close(&sealer->digest);
    sealer->part = NULL;
}

bool sealer_due(const struct sealer *sealer, struct shelf *shelf, uint64_t durable_index,
                uint64_t now_ms)
{
    if (now_ms < sealer->not_before_ms)
        return false;
    if (sealer->part != NULL)
        return true;
    const struct shelf_part *part = shelf_oldest_open(shelf);
    return part != NULL && shelf_complete(shelf, part) && part->last <= durable_index &&
           (part->sealed || part->handed != NULL);
}

enum err sealer_step(struct sealer *sealer, struct shelf *shelf, uint64_t now_ms)
{
    if (sealer->part == NULL)
        sealer->part = shelf_oldest_open(shelf);
    struct shelf_part *part = sealer->part;
    bool done = false;
    if (!part->sealed)
        return leave_wal(sealer, part, now_ms);
    if (!sealer->digest.open)
        return filedigest_begin(&sealer->digest, part->path, DIGEST_SIZE);
    TRY(filedigest_step(&sealer->digest, &part->seal.file, &done));
    if (!done)
        return ERR_NONE;
    filedigest_close(&sealer->digest);
    return write_index(sealer, shelf, part);
}
