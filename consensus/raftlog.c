/* raftlog.c - a ring of slots over a queue of chunks, and runs of terms. */
#include "consensus/raftlog.h"

#include "protocol/entry.h"

#include <assert.h>

struct raftlog_chunk {
    struct raftlog_chunk *newer, *older;
    size_t room, used;
    uint32_t count; /* records still wanted */
    uint8_t data[];
};

static struct raftlog_slot *slot_at(const struct raftlog *log, uint64_t index)
{
    return &log->slots[index & (log->slot_room - 1)];
}

static void drop_chunk(struct raftlog *log, struct raftlog_chunk *chunk)
{
    if (chunk->older)
        chunk->older->newer = chunk->newer;
    else
        log->oldest = chunk->newer;
    if (chunk->newer)
        chunk->newer->older = chunk->older;
    else
        log->newest = chunk->older;
    if (log->spare == NULL && chunk->room == RAFTLOG_CHUNK)
        log->spare = chunk;
    else
        bytes_free(chunk);
}

static void drop_all(struct raftlog *log)
{
    while (log->oldest)
        drop_chunk(log, log->oldest);
}

static struct raftlog_chunk *add_chunk(struct raftlog *log, size_t size)
{
    struct raftlog_chunk *chunk = log->spare;
    size_t room = size > RAFTLOG_CHUNK ? size : RAFTLOG_CHUNK;
    if (chunk && room == RAFTLOG_CHUNK)
        log->spare = NULL;
    else
        chunk = bytes_resize(NULL, 1, sizeof *chunk + room);
    *chunk = (struct raftlog_chunk){.older = log->newest, .room = room};
    if (log->newest)
        log->newest->newer = chunk;
    else
        log->oldest = chunk;
    log->newest = chunk;
    return chunk;
}

static void grow_ring(struct raftlog *log)
{
    uint64_t room = log->slot_room ? log->slot_room * 2 : 1024;
    struct raftlog_slot *slots = bytes_zeroed(room, sizeof *slots);
    for (uint64_t i = log->held; i <= log->last; i++)
        slots[i & (room - 1)] = *slot_at(log, i);
    bytes_free(log->slots);
    log->slots = slots;
    log->slot_room = room;
}

static void add_run(struct raftlog *log, uint64_t index, uint64_t term)
{
    if (log->run_count > 0 && log->runs[log->run_count - 1].term == term)
        return;
    if (log->run_count == RAFTLOG_RUNS_MAX) {
        uint32_t dropped = RAFTLOG_RUNS_MAX / 2;
        memmove(log->runs, log->runs + dropped, (log->run_count - dropped) * sizeof *log->runs);
        log->run_count -= dropped;
        log->known_from = log->runs[0].first;
    }
    if (log->run_count == log->run_room) {
        log->run_room = log->run_room ? log->run_room * 2 : 16;
        log->runs = bytes_resize(log->runs, log->run_room, sizeof *log->runs);
    }
    log->runs[log->run_count++] = (struct raftlog_run){index, term};
}

/* What is to be known of a record that now stands at last + 1. */
static void note(struct raftlog *log, struct span record)
{
    assert(entry_index_of(record) == log->last + 1);
    assert(log->run_count == 0 || entry_term_of(record) >= raftlog_last_term(log));
    log->last++;
    add_run(log, log->last, entry_term_of(record));
    log->last_ts = entry_ts_of(record);
    memcpy(log->last_hash, entry_hash_of(record), HASH_SIZE);
    log->has_hash = true;
}

/* Copies a record to the end of the arena, as the bytes of index last + 1. */
static uint8_t *place(struct raftlog *log, struct span record)
{
    struct raftlog_chunk *chunk = log->newest;
    if (chunk == NULL || chunk->room - chunk->used < record.size)
        chunk = add_chunk(log, record.size);
    if (log->last + 1 - log->held >= log->slot_room)
        grow_ring(log);
    uint8_t *at = chunk->data + chunk->used;
    memcpy(at, record.data, record.size);
    chunk->used += record.size;
    chunk->count++;
    log->end += record.size;
    *slot_at(log, log->last + 1) = (struct raftlog_slot){at, log->end, (uint32_t)record.size};
    return at;
}

/* Index of the run that `index` lies in. */
static uint32_t run_of(const struct raftlog *log, uint64_t index)
{
    uint32_t low = 0, high = log->run_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->runs[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void raftlog_close(struct raftlog *log)
{
    drop_all(log);
    bytes_free(log->spare);
    bytes_free(log->runs);
    bytes_free(log->slots);
    *log = (struct raftlog){0};
}

void raftlog_reset(struct raftlog *log, uint64_t index)
{
    drop_all(log);
    log->run_count = 0;
    log->last = index;
    log->held = index + 1;
    log->known_from = index == 0 ? 0 : index + 1;
    log->last_ts = 0;
    log->end = 0;
    log->has_hash = index == 0;
    memset(log->last_hash, 0, HASH_SIZE);
}

void raftlog_append(struct raftlog *log, struct span record)
{
    place(log, record);
    note(log, record);
}

void raftlog_propose(struct raftlog *log, struct span record, uint64_t term, uint64_t ts,
                     uint64_t error_ns)
{
    assert(log->has_hash);
    assert(ts > log->last_ts);
    uint8_t *at = place(log, record);
    entry_set_clock_error(at, error_ns);
    entry_stamp(at, log->last + 1, term, ts, log->last_hash);
    note(log, SPAN(at, record.size));
}

void raftlog_skip(struct raftlog *log, struct span record)
{
    assert(log->held == log->last + 1);
    note(log, record);
    log->held = log->last + 1;
}

void raftlog_truncate(struct raftlog *log, uint64_t index)
{
    assert(index <= log->last);
    assert(index + 1 >= log->known_from);
    for (uint64_t i = log->last; i > index && i >= log->held; i--) {
        struct raftlog_chunk *chunk = log->newest;
        chunk->used -= slot_at(log, i)->size;
        log->end -= slot_at(log, i)->size;
        chunk->count--;
        if (chunk->count == 0)
            drop_chunk(log, chunk);
    }
    while (log->run_count > 0 && log->runs[log->run_count - 1].first > index)
        log->run_count--;
    log->last = index;
    if (log->held > index + 1)
        log->held = index + 1;
    log->has_hash = index == 0 || index >= log->held;
    memset(log->last_hash, 0, HASH_SIZE);
    log->last_ts = 0;
    if (index > 0 && index >= log->held) {
        memcpy(log->last_hash, entry_hash_of(raftlog_record(log, index)), HASH_SIZE);
        log->last_ts = entry_ts_of(raftlog_record(log, index));
    }
}

void raftlog_evict(struct raftlog *log, uint64_t upto, uint64_t bytes_max)
{
    while (log->held <= upto && log->held <= log->last && raftlog_held_bytes(log) > bytes_max) {
        struct raftlog_chunk *chunk = log->oldest;
        log->held++;
        chunk->count--;
        if (chunk->count == 0)
            drop_chunk(log, chunk);
    }
}

bool raftlog_knows(const struct raftlog *log, uint64_t index)
{
    return index == 0 || (index >= log->known_from && index <= log->last);
}

uint64_t raftlog_term(const struct raftlog *log, uint64_t index)
{
    assert(raftlog_knows(log, index));
    return index == 0 ? 0 : log->runs[run_of(log, index)].term;
}

uint64_t raftlog_last_term(const struct raftlog *log)
{
    return log->run_count == 0 ? 0 : log->runs[log->run_count - 1].term;
}

uint64_t raftlog_find(const struct raftlog *log, uint64_t index, uint64_t term)
{
    for (uint32_t i = log->run_count; i-- > 0;) {
        const struct raftlog_run *run = &log->runs[i];
        if (run->first > index)
            continue;
        if (run->term <= term)
            return index;
        index = run->first - 1;
    }
    return index < log->known_from && log->known_from > 0 ? log->known_from - 1 : 0;
}

uint64_t raftlog_bytes(const struct raftlog *log, uint64_t first, uint64_t last)
{
    if (first > last)
        return 0;
    if (first < log->held || last > log->last)
        return UINT64_MAX;
    const struct raftlog_slot *begin = slot_at(log, first);
    return slot_at(log, last)->end - (begin->end - begin->size);
}

uint64_t raftlog_held_bytes(const struct raftlog *log)
{
    return raftlog_bytes(log, log->held, log->last);
}

struct span raftlog_record(const struct raftlog *log, uint64_t index)
{
    assert(index >= log->held);
    assert(index <= log->last);
    return SPAN(slot_at(log, index)->at, slot_at(log, index)->size);
}

struct span raftlog_records(const struct raftlog *log, uint64_t first, uint64_t bytes_max,
                            struct bytes *scratch, uint64_t *last)
{
    struct span run = raftlog_record(log, first);
    bool in_scratch = false;
    uint64_t index = first;
    for (; index < log->last; index++) {
        struct span next = raftlog_record(log, index + 1);
        if (run.size + next.size > bytes_max)
            break;
        if (!in_scratch && next.data == run.data + run.size) {
            run.size += next.size;
            continue;
        }
        if (!in_scratch) {
            bytes_clear(scratch);
            bytes_append_span(scratch, run);
            in_scratch = true;
        }
        bytes_append_span(scratch, next);
        run = bytes_span(scratch);
    }
    *last = index;
    return run;
}
