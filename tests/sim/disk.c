/* disk.c - storage as the core sees it: late, in order, forgetful of what was not synced. */
#include "protocol/entry.h"
#include "tests/sim/world.h"

#include <stdlib.h>

struct span disk_record(const struct disk *disk, uint64_t index)
{
    if (index == 0 || index > disk->count)
        return (struct span){0};
    return bytes_span(&disk->records[index - 1]);
}

static void truncate_disk(struct world *world, uint32_t at, uint64_t index)
{
    struct disk *disk = &world->nodes[at].disk;
    while (disk->count > index) {
        check_truncated(world, at, disk->count);
        bytes_close(&disk->records[--disk->count]);
    }
}

static void append_disk(struct disk *disk, struct span record)
{
    if (disk->count == disk->room) {
        disk->room = disk->room ? disk->room * 2 : 64;
        disk->records = bytes_resize(disk->records, disk->room, sizeof *disk->records);
    }
    disk->records[disk->count] = (struct bytes){0};
    bytes_append_span(&disk->records[disk->count++], record);
}

/* One transaction: replaces what conflicts, appends the rest. Across files they are several, the
 * older file first: a crash may leave only the first `most` records of it. */
static void store(struct world *world, uint32_t at, const struct message_store *ask, uint64_t most,
                  struct message *answer)
{
    struct node *node = &world->nodes[at];
    struct span rest = ask->entries, record;
    while (most-- > 0 && entry_next(&rest, &record)) {
        uint64_t index = entry_index_of(record);
        if (index > node->disk.count + 1 || !entry_intact(record)) {
            world_violated(world, "I6: store of index %llu behind %llu on node %u",
                           (unsigned long long)index, (unsigned long long)node->disk.count, at);
            return;
        }
        if (entry_term_of(record) > node->disk.term)
            world_violated(world, "entry of term %llu before the ballot on node %u",
                           (unsigned long long)entry_term_of(record), at);
        if (index <= node->disk.count) {
            if (span_equal(disk_record(&node->disk, index), record))
                continue;
            truncate_disk(world, at, index - 1);
        }
        append_disk(&node->disk, record);
        answer->stored.last_index = index;
    }
    answer->type = MESSAGE_STORED;
    answer->stored.life = ask->life;
    answer->stored.ticket = ask->ticket;
    answer->stored.term = ask->term;
}

static void ballot(struct node *node, const struct message_ballot *ask, struct message *answer)
{
    node->disk.term = ask->term;
    node->disk.vote = ask->vote;
    bytes_clear(&node->disk.note);
    bytes_append_span(&node->disk.note, ask->note);
    answer->type = MESSAGE_BALLOTED;
    answer->balloted.life = ask->life;
    answer->balloted.ticket = ask->ticket;
}

static void gather(const struct disk *disk, uint64_t from, uint64_t to, uint64_t bytes_max,
                   struct bytes *out)
{
    for (uint64_t i = from; i <= to && i <= disk->count; i++) {
        struct span record = disk_record(disk, i);
        if (out->size > 0 && out->size + record.size > bytes_max)
            return;
        bytes_append_span(out, record);
    }
}

static bool is_config(struct span record)
{
    uint8_t kind = entry_kind_of(record);
    return kind == ENTRY_FOUNDING || kind == ENTRY_CONFIG;
}

static void load(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct disk *disk = &node->disk;
    struct bytes tail = {0}, configs = {0};
    uint64_t told = world_chance(world, world->tail_told + 1);
    uint64_t first = disk->count + 1, kept = disk->first > 1 ? disk->first : 1;
    for (uint64_t bytes = 0; first > kept && disk->count + 1 - first < told; first--) {
        bytes += disk_record(disk, first - 1).size;
        if (bytes > MiB(5))
            break;
    }
    for (uint64_t i = first; i <= disk->count; i++)
        bytes_append_span(&tail, disk_record(disk, i));
    for (uint64_t i = 1; i <= disk->count; i++)
        if (is_config(disk_record(disk, i)))
            bytes_append_span(&configs, disk_record(disk, i));
    struct message answer = {.type = MESSAGE_LOADED};
    struct message_loaded *loaded = &answer.loaded;
    loaded->life = node->store.life;
    loaded->incarnation = disk->incarnation;
    loaded->may_vote = disk->may_vote;
    loaded->term = disk->term;
    loaded->vote = disk->vote;
    loaded->note = bytes_span(&disk->note);
    loaded->first_index = kept;
    loaded->last_index = disk->count;
    if (disk->count > 0) {
        loaded->last_term = entry_term_of(disk_record(disk, disk->count));
        loaded->last_hash = SPAN(entry_hash_of(disk_record(disk, disk->count)), HASH_SIZE);
    }
    loaded->applied_index = disk->applied;
    loaded->configs = bytes_span(&configs);
    loaded->tail = bytes_span(&tail);
    storage_answer(world, at, &answer);
    bytes_close(&tail);
    bytes_close(&configs);
}

static void do_op(struct world *world, uint32_t at, const struct message *ask, uint64_t most,
                  bool tell)
{
    struct node *node = &world->nodes[at];
    struct message answer = {0};
    if (ask->type == MESSAGE_LOAD && tell)
        load(world, at);
    if (ask->type == MESSAGE_BALLOT && ask->ballot.life == node->store.life)
        ballot(node, &ask->ballot, &answer);
    if (ask->type == MESSAGE_STORE && ask->store.life == node->store.life) {
        store(world, at, &ask->store, most, &answer);
        disk_view(world, at);
    }
    if (answer.type != MESSAGE_NONE && tell)
        storage_answer(world, at, &answer);
}

void disk_answer_op(struct world *world, uint32_t at, const struct message *ask, bool tell)
{
    do_op(world, at, ask, UINT64_MAX, tell);
}

/* A page that cannot be read, or is read wrongly. */
static void rot(struct world *world, struct bytes *entries)
{
    if (world->rot == 0 || world_chance(world, 1000) >= world->rot || entries->size == 0)
        return;
    if (world_chance(world, 2) == 0)
        bytes_clear(entries);
    else
        entries->data[world_chance(world, entries->size)] ^= 1;
}

void disk_fetch(struct world *world, uint32_t at, const struct message *ask)
{
    const struct message_fetch *fetch = &ask->fetch;
    struct bytes entries = {0};
    struct message answer = {.type = MESSAGE_FETCHED};
    bool cut = fetch->from < world->nodes[at].disk.first;
    if (!cut)
        gather(&world->nodes[at].disk, fetch->from, fetch->to, fetch->bytes, &entries);
    rot(world, &entries);
    answer.fetched.ticket = fetch->ticket;
    answer.fetched.from = fetch->from;
    answer.fetched.entries = bytes_span(&entries);
    if (entries.size == 0)
        answer.fetched.error = SPAN_TEXT(cut ? "E_TRUNCATED" : "E_NOT_FOUND");
    storage_answer(world, at, &answer);
    bytes_close(&entries);
}

void disk_tell_applied(struct world *world, uint32_t at)
{
    const struct node *node = &world->nodes[at];
    struct message answer = {.type = MESSAGE_APPLIED};
    answer.applied.index = node->store.applied;
    answer.applied.durable_index = node->disk.applied;
    storage_answer(world, at, &answer);
}

/* Applies up to the highest pair that a stored entry bears out. */
void disk_view(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct store_model *store = &node->store;
    uint64_t upto = 0;
    for (uint32_t i = 0; i < store->pair_count; i++) {
        struct span record = disk_record(&node->disk, store->pairs[i].index);
        if (record.size > 0 && entry_term_of(record) == store->pairs[i].term &&
            store->pairs[i].index > upto)
            upto = store->pairs[i].index;
    }
    if (upto <= store->applied)
        return;
    while (store->applied < upto) {
        check_applied(world, at, ++store->applied);
        view_apply(world, at, store->applied, true);
    }
    if (world_chance(world, 4) == 0) { /* state.db is written late, and only then files go */
        node->disk.applied = store->applied;
        if (store->view.apply.at.keep_index > node->disk.first)
            node->disk.first = store->view.apply.at.keep_index;
    }
    disk_tell_applied(world, at);
}

void disk_crash(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    uint64_t lucky = world_chance(world, 3); /* what had reached the platter all the same */
    while (lucky-- > 0) {
        struct event *first = NULL;
        for (size_t i = 0; i < world->event_count; i++) {
            struct event *event = &world->events[i];
            bool ours =
                event->kind == EVENT_OP && event->node == at && event->stamp == node->store.life;
            if (ours && (!first || event->order < first->order))
                first = event;
        }
        if (first == NULL)
            return;
        struct message ask;
        first->stamp = 0; /* its turn will find another life */
        bool torn = lucky == 0 && world_chance(world, 3) == 0;
        if (message_decode(bytes_span(&first->frame), &ask) == ERR_NONE)
            do_op(world, at, &ask, torn ? world_chance(world, 4) : UINT64_MAX, false);
    }
}

void disk_copy(struct disk *disk, const struct disk *from, uint64_t count)
{
    *disk = (struct disk){.exists = from->exists, .may_vote = true};
    for (uint64_t i = 1; i <= count; i++)
        append_disk(disk, disk_record(from, i));
    disk->term = from->term;
    disk->vote = from->vote;
    disk->applied = from->applied < count ? from->applied : count;
    disk->first = from->first < count ? from->first : 0;
    bytes_append_span(&disk->note, bytes_span(&from->note));
}

/* What follows the last entry of the snapshot stays, if it is the same log; what is committed is
 * the same in both. */
void disk_install(struct world *world, uint32_t at, const struct disk *content, uint64_t index)
{
    struct disk *disk = &world->nodes[at].disk;
    uint64_t same = 0;
    while (same < index && span_equal(disk_record(disk, same + 1), disk_record(content, same + 1)))
        same++;
    if (same < index)
        truncate_disk(world, at, same);
    while (disk->count < index)
        append_disk(disk, disk_record(content, disk->count + 1));
    for (uint64_t i = same + 1; i <= index; i++)
        check_applied(world, at, i);
    disk->applied = index;
    disk->first = content->first;
}

void disk_close(struct disk *disk)
{
    for (uint64_t i = 0; i < disk->count; i++)
        bytes_close(&disk->records[i]);
    bytes_free(disk->records);
    bytes_close(&disk->note);
    *disk = (struct disk){0};
}

void disk_forget(struct disk *disk, struct disk other)
{
    other.wiped = true;
    other.promised_term = disk->term;
    other.promised_vote = disk->vote;
    disk_close(disk);
    *disk = other;
}
