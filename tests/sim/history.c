/* history.c - what clients sent and were told, against what was applied: G1, G3, G5, G6, G7. */
#include "tests/sim/world.h"

struct write *history_at(struct world *world, uint64_t serial)
{
    return &world->writes[serial - 1];
}

uint64_t history_begin(struct world *world, uint64_t born)
{
    if (world->write_count == world->write_room) {
        world->write_room = world->write_room ? world->write_room * 2 : 256;
        world->writes = bytes_resize(world->writes, world->write_room, sizeof *world->writes);
    }
    world->writes[world->write_count++] =
        (struct write){.born = born, .floor_id = world->acked_id, .sent_ms = world->now};
    return world->write_count;
}

/* G5 on every node, and the same there; G7: what was refused never happens. */
void history_applied(struct world *world, uint32_t at, uint64_t index, const struct effect *effect)
{
    uint64_t serial = load_u64(effect->txid + 8);
    bool commits = effect->err == ERR_NONE && effect->index == index;
    if (serial == 0 || serial > world->write_count || !commits)
        return;
    struct write *write = history_at(world, serial);
    if (write->index != 0 && (write->index != index || write->first_id != effect->first_id))
        world_violated(world, "G5: write %llu takes effect at index %llu and at %llu on node %u",
                       (unsigned long long)serial, (unsigned long long)write->index,
                       (unsigned long long)index, at);
    if (write->said == SAID_REFUSED)
        world_violated(world, "G7: write %llu was refused and takes effect at index %llu",
                       (unsigned long long)serial, (unsigned long long)index);
    write->index = index;
    write->first_id = effect->first_id;
    write->last_id = effect->last_id;
}

void history_done(struct world *world, uint64_t serial, enum err err, const struct effect *effect)
{
    struct write *write = history_at(world, serial);
    if (err != ERR_NONE || write->index != effect->index || write->first_id != effect->first_id ||
        write->last_id != effect->last_id)
        world_violated(world, "G5: write %llu took effect at index %llu and is answered %s of %llu",
                       (unsigned long long)serial, (unsigned long long)write->index, err_name(err),
                       (unsigned long long)effect->index);
    if (effect->first_id <= write->floor_id)
        world_violated(world,
                       "G3: write %llu got id %llu, one answered before it was sent has %llu",
                       (unsigned long long)serial, (unsigned long long)effect->first_id,
                       (unsigned long long)write->floor_id);
    write->said = SAID_DONE;
    if (effect->last_id > world->acked_id)
        world->acked_id = effect->last_id;
}

void history_refused(struct world *world, uint64_t serial)
{
    struct write *write = history_at(world, serial);
    if (write->index != 0)
        world_violated(world, "G7: write %llu took effect at index %llu and is refused",
                       (unsigned long long)serial, (unsigned long long)write->index);
    write->said = SAID_REFUSED;
}

/* G1: what was acknowledged is still there when all is well again. */
void history_check(struct world *world, uint64_t committed)
{
    for (uint64_t serial = 1; serial <= world->write_count; serial++) {
        const struct write *write = history_at(world, serial);
        if (write->said == SAID_DONE && (write->index == 0 || write->index > committed))
            world_violated(world, "G1: write %llu was acknowledged at index %llu of %llu",
                           (unsigned long long)serial, (unsigned long long)write->index,
                           (unsigned long long)committed);
    }
}
