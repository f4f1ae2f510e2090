/* reads.c - linearizable reads: each node asks now and then, and no answer may be older than its
 * ask (G4): what anybody knew to be committed when it was asked lies at or below its index. */
#include "protocol/entry.h"
#include "tests/sim/world.h"

void reads_ask(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->up || node_paused(world, at))
        return;
    struct read_mark *mark = &node->reads[world->read_ticket % WORLD_READS_MAX];
    *mark = (struct read_mark){.ticket = ++world->read_ticket, .committed = world->committed_count};
    struct message message = {.type = MESSAGE_READ_INDEX};
    message.read_index.ticket = mark->ticket;
    node_step(world, at, (struct raft_input){.kind = INPUT_READ_INDEX, .message = &message});
}

void reads_told(struct world *world, uint32_t at, const struct message *message)
{
    const struct message_read_index_is *is = &message->read_index_is;
    for (uint32_t i = 0; i < WORLD_READS_MAX; i++) {
        const struct read_mark *mark = &world->nodes[at].reads[i];
        if (mark->ticket != is->ticket)
            continue;
        world->reads_answered += is->error.size == 0;
        if (is->error.size == 0 && is->index < mark->committed)
            world_violated(world, "G4: node %u is told read index %llu, %llu was committed before",
                           at, (unsigned long long)is->index, (unsigned long long)mark->committed);
        world_trace(world, "%u read %llu: index %llu%s%.*s", at + 1, (unsigned long long)is->ticket,
                    (unsigned long long)is->index, is->error.size > 0 ? " " : "",
                    (int)is->error.size, (const char *)is->error.data);
    }
}

/* R8: what this node stamped as leader in this step, behind `before`, bounds its own error. */
void reads_check_stamps(struct world *world, uint32_t at, uint64_t before)
{
    const struct raft *raft = world->nodes[at].raft;
    uint64_t truth = world->wall_ns + world->now * 1000000;
    for (uint64_t index = before + 1; raft->role == ROLE_LEADER && index <= raft->log.last;
         index++) {
        struct span record = raftlog_record(&raft->log, index);
        uint64_t ts = entry_ts_of(record), apart = ts > truth ? ts - truth : truth - ts;
        if (apart >= entry_clock_error_ns(record.data[3]))
            world_violated(world, "R8: node %u stamped index %llu %llu ns off, and says %llu", at,
                           (unsigned long long)index, (unsigned long long)apart,
                           (unsigned long long)entry_clock_error_ns(record.data[3]));
    }
}
