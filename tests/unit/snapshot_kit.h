/* snapshot_kit.h - a snapshot made by a real keeper, held in memory as slices, and what a
 * receiver does with them. */
#ifndef TESTS_UNIT_SNAPSHOT_KIT_H
#define TESTS_UNIT_SNAPSHOT_KIT_H

#include "protocol/link.h"

static enum err kit_on_part(void *owner, uint32_t neighbour, const struct message *message);
#define KIT_KEEPER_HANDLERS ON(SNAPSHOT_PART, kit_on_part)

#include "rooms_kit.h"
#include "storage/incoming.h"
#include "storage/install.h"
#include "storage/statehash.h"
#include "storage_kit.h"

enum { KIT_SLICE = 64 << 10, KIT_SLICES_MAX = 4096, KIT_TERM = 3 };

struct kit_slice {
    uint64_t offset;
    struct bytes data;
    struct digest digest;
};

struct kit_snapshot {
    struct kit_slice slices[KIT_SLICES_MAX];
    uint32_t count;
    uint8_t id[HASH_SIZE];
    uint64_t head, size, index, term;
    uint8_t state_hash[HASH_SIZE];
    struct log_kit log; /* the records that went into it */
    /* of the answer that was taken last */
    uint64_t answers;
    enum err error;
};

static UNUSED struct incoming_slice kit_slice_at(const struct kit_snapshot *snapshot, uint32_t slot)
{
    const struct kit_slice *slice = &snapshot->slices[slot];
    return (struct incoming_slice){.id = SPAN(snapshot->id, HASH_SIZE),
                                   .head = snapshot->head,
                                   .size = snapshot->size,
                                   .offset = slice->offset,
                                   .data = bytes_span(&slice->data),
                                   .digest = digest_span(&slice->digest)};
}

static UNUSED struct kit_snapshot *kit_snapshot_now; /* the kit of rooms has one owner only */

static UNUSED enum err kit_on_part(void *owner, uint32_t neighbour, const struct message *message)
{
    struct kit_snapshot *snapshot = kit_snapshot_now;
    const struct message_snapshot_part *part = &message->snapshot_part;
    snapshot->answers++;
    snapshot->error =
        part->error.size ? err_by_name((const char *)part->error.data, part->error.size) : ERR_NONE;
    if (snapshot->error != ERR_NONE)
        return ERR_NONE;
    memcpy(snapshot->id, part->id.data, HASH_SIZE);
    snapshot->head = part->head;
    snapshot->size = part->size;
    snapshot->index = part->index;
    snapshot->term = part->term;
    if (part->data.size == 0)
        return ERR_NONE;
    assert(snapshot->count < KIT_SLICES_MAX);
    struct kit_slice *slice = &snapshot->slices[snapshot->count++];
    slice->offset = part->offset;
    bytes_append_span(&slice->data, part->data);
    assert_true(digest_set(&slice->digest, part->hash));
    return ERR_NONE;
}

/* Asks for one slice and waits for what comes. */
static UNUSED void kit_ask_part(struct kit_house *house, struct kit_snapshot *snapshot,
                                struct span id, uint64_t offset)
{
    struct message ask = {.type = MESSAGE_SNAPSHOT_READ};
    uint64_t before = snapshot->answers;
    ask.snapshot_read.id = id;
    ask.snapshot_read.offset = offset;
    ask.snapshot_read.bytes = KIT_SLICE;
    assert(link_send(&house->to_keeper, 0, &ask) == ERR_NONE);
    KIT_WAIT(house, snapshot->answers > before);
}

/* All of it, the first slice as soon as the snapshot is made. */
static UNUSED void kit_fetch(struct kit_house *house, struct kit_snapshot *snapshot)
{
    snapshot->error = ERR_NOT_READY;
    while (snapshot->error == ERR_NOT_READY)
        kit_ask_part(house, snapshot, SPAN(NULL, 0), 0);
    CHECK(snapshot->error == ERR_NONE);
    for (;;) {
        const struct kit_slice *last = &snapshot->slices[snapshot->count - 1];
        uint64_t next = last->offset + last->data.size;
        if (next == snapshot->size)
            return;
        kit_ask_part(house, snapshot, SPAN(snapshot->id, HASH_SIZE), next);
        CHECK(snapshot->error == ERR_NONE);
    }
}

/* Filled, and applied. */
static UNUSED void kit_load(struct kit_house *house, struct log_kit *log, uint64_t count)
{
    kit_fill(house, log, count);
    kit_commit(house, log->last, log->term);
    KIT_WAIT(house, house->applied == log->last);
}

static UNUSED void kit_hash_state(const char *directory, uint8_t hash[HASH_SIZE])
{
    char path[256];
    SCOPED(state) reader = {0};
    snprintf(path, sizeof path, "%s/state.db", directory);
    CHECK(state_open_reader(&reader, path) == ERR_NONE);
    CHECK(statehash_of(&reader, hash) == ERR_NONE);
}

/* A node with `sealed` sealed segments and one that is written; its snapshot. */
static UNUSED struct kit_snapshot *kit_snapshot_make(uint32_t sealed, uint64_t entries)
{
    struct kit_snapshot *snapshot = bytes_zeroed(1, sizeof *snapshot);
    struct kit_house *house = bytes_zeroed(1, sizeof *house);
    kit_snapshot_now = snapshot;
    snapshot->log = (struct log_kit){.term = KIT_TERM, .ts = 1000};
    kit_house_open(house);
    kit_start(house);
    kit_store(house, kit_founding(&snapshot->log));
    for (uint32_t part = 0; part <= sealed; part++) {
        if (part > 0)
            kit_roll(house);
        kit_load(house, &snapshot->log, entries);
    }
    char index[160];
    for (uint32_t part = 0; part < sealed; part++) {
        snprintf(index, sizeof index, "%s.index", house->paths[part]);
        KIT_WAIT(house, access(index, F_OK) == 0);
    }
    KIT_WAIT(house, house->durable > 0 || entries == 0);
    kit_stop(house); /* so that all of it is in state.db */
    kit_start(house);
    kit_fetch(house, snapshot);
    CHECK(snapshot->index == snapshot->log.last);
    CHECK(snapshot->term == KIT_TERM);
    kit_stop(house);
    kit_hash_state(house->directory, snapshot->state_hash);
    kit_house_close(house);
    bytes_free(house);
    return snapshot;
}

static UNUSED void kit_snapshot_drop(struct kit_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->count; i++)
        bytes_close(&snapshot->slices[i].data);
    kit_close(&snapshot->log);
    bytes_free(snapshot);
}

/* ---- the receiver ---------------------------------------------------------------------------- */

/* What is left of the slice in which `offset` lies, as a sender would read it. */
static UNUSED struct incoming_slice kit_slice_from(const struct kit_snapshot *snapshot,
                                                   uint64_t offset, struct digest *digest)
{
    struct incoming_slice slice = kit_slice_at(snapshot, (uint32_t)(offset / KIT_SLICE));
    size_t skip = (size_t)(offset - slice.offset);
    slice.data = SPAN(slice.data.data + skip, slice.data.size - skip);
    slice.offset = offset;
    *digest = digest_of(slice.data, DIGEST_SIZE);
    slice.digest = digest_span(digest);
    return slice;
}

/* Writes slices until all is there, each from where `incoming` says. */
static UNUSED enum err kit_receive(struct incoming *incoming, const struct kit_snapshot *snapshot)
{
    struct digest digest;
    const struct incoming_slice first = kit_slice_from(snapshot, 0, &digest);
    TRY(incoming_write(incoming, &first)); /* says what is coming */
    while (!incoming_whole(incoming)) {
        const struct incoming_slice slice = kit_slice_from(snapshot, incoming->offset, &digest);
        TRY(incoming_write(incoming, &slice));
    }
    return ERR_NONE;
}

/* One life of a receiving node: whatever is left of an earlier try is gone on with. */
static UNUSED enum err kit_life(const char *dir, const struct kit_snapshot *snapshot)
{
    SCOPED(recovery) recovery = {0};
    SCOPED(incoming) incoming = {0};
    SCOPED(journal) journal = {0};
    char newest[SEGMENT_NAME_MAX];
    TRY(recovery_run(&recovery, dir));
    TRY(incoming_open(&incoming, dir, 0));
    journal_open(&journal, &recovery, NULL);
    if (journal.ballot->term < KIT_TERM)
        TRY(ballot_vote(journal.ballot, KIT_TERM, 0, SPAN("", 0)));
    TRY(kit_receive(&incoming, snapshot));
    uint64_t generation = recovery.found.generation + 1;
    TRY(incoming_stage(&incoming, generation, newest));
    const struct install install = {generation, snapshot->index, snapshot->term, newest};
    return install_generation(&journal, &install);
}

#endif
