/* snapshot.c - the keeper's part of the storage model: cuts, and snapshots lent and installed.
 *
 * A slice says only which snapshot it is of; what that holds, the world remembers: the log of its
 * maker up to what was applied there. Its state is the real apply of these entries. */
#include "consensus/catchup.h"
#include "protocol/entry.h"
#include "storage/retention.h"
#include "tests/sim/world.h"

enum { HEAD_BYTES = 100, SLICES_MOST = 6, MAKING_MS = 300, IN_USE_MS = 2000, LAG_MOST = 50 };

/* ---- cuts ------------------------------------------------------------------------------------ */

/* Never behind what those have who answer; now and then behind those who do not. */
static uint64_t keep_from(struct world *world, uint32_t at, const struct message_may_cut *ask)
{
    uint64_t most = world->nodes[at].store.applied;
    if (ask->live_index < most)
        most = ask->live_index;
    if (ask->down_index < most && world_chance(world, 3) == 0)
        most = ask->down_index;
    uint64_t kept = world_chance(world, 40);
    return most > kept ? most - kept : 0;
}

static void answer_cut(struct world *world, uint32_t at, const struct message_may_cut *ask)
{
    const struct apply_mark *mark = &world->nodes[at].store.view.apply.at;
    struct message answer = {.type = MESSAGE_CUT_AT};
    struct bytes body = {0};
    struct retention_cut cut = {.first_id = mark->first_id,
                                .keep_index = keep_from(world, at, ask),
                                .settings_index = mark->settings_index};
    memcpy(cut.hash, mark->cut_hash, HASH_SIZE);
    if (cut.keep_index > mark->keep_index && world_chance(world, 100) < world->cut_percent)
        retention_encode(&cut, &body);
    answer.cut_at.body = bytes_span(&body);
    storage_answer(world, at, &answer);
    bytes_close(&body);
}

/* ---- lending --------------------------------------------------------------------------------- */

static struct shot *shot_of(struct world *world, struct span id)
{
    for (uint32_t i = 0; i < WORLD_SHOTS_MAX; i++)
        if (world->shots[i].number > 0 && span_equal(id, SPAN(world->shots[i].id, HASH_SIZE)))
            return &world->shots[i];
    return NULL;
}

static struct shot *shot_by_number(struct world *world, uint64_t number)
{
    struct shot *shot = &world->shots[number % WORLD_SHOTS_MAX];
    return number > 0 && shot->number == number ? shot : NULL;
}

/* The oldest one of all is forgotten for it: who still wanted it starts over. */
static struct shot *make(struct world *world, uint32_t at)
{
    const struct node *node = &world->nodes[at];
    uint64_t number = ++world->shot_count;
    struct shot *shot = &world->shots[number % WORLD_SHOTS_MAX];
    disk_close(&shot->content);
    *shot = (struct shot){.number = number, .index = node->store.applied};
    save_u64(shot->id, number);
    save_u64(shot->id + 8, world->seed);
    disk_copy(&shot->content, &node->disk, shot->index);
    shot->size = HEAD_BYTES + 1 + world_chance(world, SLICES_MOST * CATCHUP_SLICE_BYTES);
    return shot;
}

/* For somebody new, as storage/snapshot.c. */
static bool is_fresh(const struct world *world, const struct node *node, const struct shot *shot)
{
    return shot->index >= node->disk.first && (node->store.applied < shot->index + LAG_MOST ||
                                               world->now < node->store.lent_ms + IN_USE_MS);
}

static enum err find(struct world *world, uint32_t at, struct span id, struct shot **shot)
{
    struct store_model *store = &world->nodes[at].store;
    *shot = shot_by_number(world, store->lends);
    if (id.size > 0 && (*shot == NULL || !span_equal(id, SPAN((*shot)->id, HASH_SIZE))))
        return ERR_NOT_FOUND;
    if (store->applied == 0)
        return ERR_NOT_READY;
    if (*shot == NULL || (id.size == 0 && !is_fresh(world, &world->nodes[at], *shot))) {
        *shot = make(world, at);
        store->lends = (*shot)->number;
        store->lends_from_ms = store->lent_ms = world->now + world_chance(world, MAKING_MS);
    }
    if (world->now < store->lends_from_ms)
        return ERR_NOT_READY;
    bool fails = world->rot > 0 && world_chance(world, 5000) < world->rot;
    return fails ? ERR_NOSPACE : ERR_NONE;
}

static void lend(struct world *world, uint32_t at, const struct message_snapshot_read *ask)
{
    struct shot *shot;
    struct message answer = {.type = MESSAGE_SNAPSHOT_PART};
    struct message_snapshot_part *part = &answer.snapshot_part;
    enum err err = find(world, at, ask->id, &shot);
    part->ticket = ask->ticket;
    if (err != ERR_NONE) {
        part->error = SPAN_TEXT(err_name(err));
        storage_answer(world, at, &answer);
        return;
    }
    world->nodes[at].store.lent_ms = world->now;
    part->id = SPAN(shot->id, HASH_SIZE);
    part->index = shot->index;
    part->term = entry_term_of(disk_record(&shot->content, shot->index));
    part->head = HEAD_BYTES;
    part->size = shot->size;
    part->offset = ask->offset;
    part->data = SPAN(shot->id, ask->offset < shot->size ? 8 : 0);
    storage_answer(world, at, &answer);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* I16, as storage/install.c: what is older than the state on disk, or than the ballot, is
 * dropped. */
static void install(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct store_model *store = &node->store;
    if (!store->up || !store->takes.installing)
        return;
    struct shot *shot = shot_by_number(world, store->takes.number);
    store->takes = (struct taking){0};
    if (shot == NULL || shot->index <= node->disk.applied)
        return;
    if (entry_term_of(disk_record(&shot->content, shot->index)) > node->disk.term)
        return;
    disk_install(world, at, &shot->content, shot->index);
    world->installs++;
    world_trace(world, "%u installs a snapshot up to %llu", at + 1,
                (unsigned long long)shot->index);
    node_renew_storage(world, at);
}

/* A file of it is damaged: it comes again, from its start. */
static enum err take_slice(struct world *world, struct taking *takes, const struct shot *shot,
                           const struct message_snapshot_write *ask)
{
    if (ask->data.size == 0 || ask->offset != takes->offset)
        return ERR_NONE;
    if (world->rot > 0 && world_chance(world, 2000) < world->rot) {
        takes->offset -= world_chance(world, takes->offset + 1);
        return ERR_CORRUPT;
    }
    takes->offset += CATCHUP_SLICE_BYTES;
    if (takes->offset > shot->size)
        takes->offset = shot->size;
    return ERR_NONE;
}

static void take(struct world *world, uint32_t at, const struct message_snapshot_write *ask)
{
    struct taking *takes = &world->nodes[at].store.takes;
    const struct shot *shot = shot_of(world, ask->id);
    struct message answer = {.type = MESSAGE_SNAPSHOT_WRITTEN};
    struct message_snapshot_written *written = &answer.snapshot_written;
    enum err err = shot == NULL ? ERR_CORRUPT : ERR_NONE;
    if (!takes->installing && (shot == NULL || takes->number != shot->number))
        *takes = (struct taking){.number = shot ? shot->number : 0};
    if (!takes->installing && shot != NULL) {
        err = take_slice(world, takes, shot, ask);
        takes->installing = takes->offset == shot->size;
        if (takes->installing)
            events_call(world, 1 + world_chance(world, world->disk_max + 1), at, install);
    }
    written->id = ask->id;
    written->size = ask->size;
    written->offset = takes->installing ? ask->size : takes->offset;
    if (err != ERR_NONE)
        written->error = SPAN_TEXT(err_name(err));
    storage_answer(world, at, &answer);
}

void snapshot_do(struct world *world, uint32_t at, const struct message *ask)
{
    if (ask->type == MESSAGE_MAY_CUT)
        answer_cut(world, at, &ask->may_cut);
    else if (ask->type == MESSAGE_SNAPSHOT_READ)
        lend(world, at, &ask->snapshot_read);
    else
        take(world, at, &ask->snapshot_write);
}

void snapshot_close(struct world *world)
{
    for (uint32_t i = 0; i < WORLD_SHOTS_MAX; i++)
        disk_close(&world->shots[i].content);
}
