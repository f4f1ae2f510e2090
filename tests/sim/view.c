/* view.c - the real apply over the disk of a node: the same entries give the same state (I19). */
#include "protocol/entry.h"
#include "tests/sim/world.h"

static enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    const struct outcome *row = overlay_find(owner, index);
    if (row == NULL)
        return ERR_CORRUPT;
    *out = *row;
    return ERR_NONE;
}

/* The key decides nothing but where a hash table puts things. */
static void open_apply(struct world *world, uint32_t at, struct view *view)
{
    uint8_t key[HASH_KEY_SIZE];
    for (size_t i = 0; i < sizeof key; i += 8)
        save_u64(key + i, world->seed * 31 + at * 7 + world->now + i);
    apply_open(&view->apply, key);
    if (world->outcomes_max > 0)
        view->apply.outcomes.max = (uint32_t)world->outcomes_max;
}

/* Everything of the state in one number. */
static uint64_t digest(const struct apply_mark *at)
{
    uint8_t bytes[5 * 8 + HASH_SIZE];
    save_u64(bytes, at->index);
    save_u64(bytes + 8, at->ts);
    save_u64(bytes + 16, at->last_id);
    save_u64(bytes + 24, at->floor);
    save_u64(bytes + 32, at->change_ts);
    memcpy(bytes + 40, at->hash, HASH_SIZE);
    return (uint64_t)hash_crc32c(7, SPAN(bytes, sizeof bytes)) << 32 |
           hash_crc32c(1, SPAN(bytes, 40));
}

static void remember(struct view *view, uint64_t index, struct span effects, struct effect *effect)
{
    if (!effect_next(&effects, effect) || !overlay_is_outcome(effect, index))
        return;
    struct outcome outcome = overlay_outcome(effect);
    overlay_add(&view->overlay, &outcome);
}

void view_apply(struct world *world, uint32_t at, uint64_t index, bool tell)
{
    struct view *view = &world->nodes[at].store.view;
    const struct apply_source source = {find_outcome, &view->overlay};
    struct entry entry;
    struct effect effect = {0};
    struct span record = disk_record(&world->nodes[at].disk, index);
    bytes_clear(&view->effects);
    if (entry_decode(record, &entry) != ERR_NONE ||
        apply_entry(&view->apply, &entry, &source, &view->effects) != ERR_NONE) {
        world_violated(world, "node %u cannot apply index %llu", at, (unsigned long long)index);
        return;
    }
    check_state(world, at, index, digest(&view->apply.at));
    if (view->effects.size == 0)
        return;
    remember(view, index, bytes_span(&view->effects), &effect);
    history_applied(world, at, index, &effect);
    if (tell)
        api_effect(world, at, &effect);
}

/* What state.db holds comes from the log, and the rest of the log is applied as it is committed.
 * Where it is as new as the disk it is not made again: that is most of the time. */
void view_open(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct store_model *store = &node->store;
    if (node->kept.apply.outcomes.max > 0) {
        store->view = node->kept;
        store->applied = node->disk.applied;
        node->kept = (struct view){0};
        return;
    }
    open_apply(world, at, &store->view);
    store->applied = 0;
    while (store->applied < node->disk.applied && world->violations == 0)
        view_apply(world, at, ++store->applied, false);
}

void view_crash(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (world->client_count == 0 || world_chance(world, 5) == 0) { /* a script draws nothing */
        view_close(&node->store.view);
        return;
    }
    node->disk.applied = node->store.applied;
    node->kept = node->store.view;
}

void view_close(struct view *view)
{
    apply_close(&view->apply);
    overlay_close(&view->overlay);
    bytes_close(&view->effects);
    *view = (struct view){0};
}

bool view_outcome(const struct world *world, uint32_t at, const uint8_t txid[16],
                  struct effect *effect)
{
    const struct store_model *store = &world->nodes[at].store;
    struct overlay overlay = store->view.overlay;
    const struct apply_source source = {find_outcome, &overlay};
    struct outcome outcome;
    if (!store->up || apply_outcome(&store->view.apply, txid, &source, &outcome) != ERR_NONE)
        return false;
    *effect = overlay_effect(&outcome);
    return true;
}
