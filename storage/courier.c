#include "storage/courier.h"

#include "common/log.h"
#include "storage/generation.h"

static struct span text_of(enum err err)
{
    return err == ERR_NONE ? (struct span){0} : SPAN_TEXT(err_name(err));
}

enum err courier_open(struct courier *courier, const struct courier_desk *desk)
{
    const char *data_dir = desk->room->base->data;
    uint64_t spare_bytes = desk->room->disk_low_bytes;
    courier->desk = *desk;
    TRY(snapshot_open(&courier->snapshot, data_dir, spare_bytes));
    return incoming_open(&courier->incoming, data_dir, spare_bytes);
}

void courier_close(struct courier *courier)
{
    snapshot_close(&courier->snapshot);
    incoming_close(&courier->incoming);
    bytes_close(&courier->slice);
    *courier = (struct courier){0};
}

enum err courier_work(struct courier *courier, uint64_t now_ms, bool *worked)
{
    *worked = snapshot_due(&courier->snapshot, now_ms);
    if (!*worked)
        return ERR_NONE;
    return snapshot_step(&courier->snapshot, courier->desk.late, courier->desk.shelf, now_ms);
}

/* ---- out ------------------------------------------------------------------------------------- */

static enum err fill_part(struct courier *courier, struct artefact *artefact,
                          const struct message_snapshot_read *ask,
                          struct message_snapshot_part *part, struct digest *digest,
                          uint64_t now_ms)
{
    size_t max = ask->bytes < ARTEFACT_SLICE_MAX ? (size_t)ask->bytes : ARTEFACT_SLICE_MAX;
    bytes_clear(&courier->slice);
    TRY(artefact_read(artefact, ask->offset, max, &courier->slice));
    *digest = digest_of(bytes_span(&courier->slice), DIGEST_SIZE);
    part->id = SPAN(artefact->id, HASH_SIZE);
    part->index = artefact->manifest.index;
    part->term = artefact->manifest.term;
    part->head = artefact->head.size;
    part->size = artefact->size;
    part->data = bytes_span(&courier->slice);
    part->hash = digest_span(digest);
    if (ask->offset + courier->slice.size == artefact->size)
        snapshot_was_read(&courier->snapshot, now_ms);
    courier->snapshot.slices++;
    courier->snapshot.bytes += courier->slice.size;
    return ERR_NONE;
}

enum err courier_read(struct courier *courier, uint32_t neighbour,
                      const struct message_snapshot_read *ask, uint64_t now_ms)
{
    struct message answer = {.type = MESSAGE_SNAPSHOT_PART};
    struct message_snapshot_part *part = &answer.snapshot_part;
    struct artefact *artefact = NULL;
    struct digest digest;
    const struct shelf *shelf = courier->desk.shelf;
    const struct late *late = courier->desk.late;
    const struct snapshot_place place = {shelf->applied,
                                         shelf->count > 0 ? shelf->parts[0]->first : 0,
                                         late->written, ask->least_index};
    enum err err = late->lost
                       ? ERR_NOT_READY
                       : snapshot_ask(&courier->snapshot, ask->id, &place, now_ms, &artefact);
    if (err == ERR_NONE)
        err = fill_part(courier, artefact, ask, part, &digest, now_ms);
    part->ticket = ask->ticket;
    part->offset = ask->offset;
    part->error = text_of(err);
    link_tell(courier->desk.link, neighbour, &answer);
    return ERR_NONE;
}

/* ---- in -------------------------------------------------------------------------------------- */

static void ask_journal(struct courier *courier, uint64_t index, uint64_t term, const char *newest)
{
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_INSTALL;
    item->first = courier->installing;
    item->index = index;
    item->last = term;
    item->path = bytes_zeroed(1, SEGMENT_NAME_MAX);
    memcpy(item->path, newest, strlen(newest));
    queue_push_now(&courier->desk.room->rooms->journal, item, sizeof *item);
}

static enum err stage(struct courier *courier)
{
    char newest[SEGMENT_NAME_MAX];
    uint64_t index = courier->incoming.manifest.index, term = courier->incoming.manifest.term;
    uint64_t generation = courier->desk.room->found->generation + 1;
    TRY(incoming_stage(&courier->incoming, generation, newest));
    courier->installing = generation;
    ask_journal(courier, index, term, newest);
    return ERR_NONE;
}

static enum err take_slice(struct courier *courier, const struct message_snapshot_write *ask)
{
    const struct incoming_slice slice = {.id = ask->id,
                                         .head = ask->head,
                                         .size = ask->size,
                                         .offset = ask->offset,
                                         .data = ask->data,
                                         .digest = ask->hash};
    TRY(incoming_write(&courier->incoming, &slice));
    return incoming_whole(&courier->incoming) ? stage(courier) : ERR_NONE;
}

enum err courier_write(struct courier *courier, uint32_t neighbour,
                       const struct message_snapshot_write *ask)
{
    struct message answer = {.type = MESSAGE_SNAPSHOT_WRITTEN};
    struct message_snapshot_written *written = &answer.snapshot_written;
    enum err err = courier->installing ? ERR_NONE : take_slice(courier, ask);
    written->id = ask->id;
    written->size = ask->size;
    written->offset = courier->installing ? ask->size : courier->incoming.offset;
    written->error = text_of(err);
    link_tell(courier->desk.link, neighbour, &answer);
    return err == ERR_IO ? ERR_IO : ERR_NONE;
}

enum err courier_refused(struct courier *courier, enum err reason)
{
    char *home = generation_home(courier->desk.room->base->data, courier->installing);
    log_warn("snapshot_not_installed", kv_err(reason), kv_u64("generation", courier->installing));
    enum err err = generation_remove(home);
    bytes_free(home);
    courier->installing = 0;
    return err;
}
