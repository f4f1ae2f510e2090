/* network.c - loses, doubles, delays and cuts what the cores send each other. */
#include "tests/sim/world.h"

static uint64_t draw_delay(struct world *world)
{
    uint64_t delay =
        world->delay_min + world_chance(world, world->delay_max - world->delay_min + 1);
    if (world->slow_one_in && world_chance(world, world->slow_one_in) == 0)
        delay += world_chance(world, world->slow_ms + 1);
    return delay;
}

static int node_of_key(const struct world *world, const uint8_t *key)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (memcmp(world->nodes[i].key, key, RAFT_KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

void network_send(struct world *world, uint32_t from, const struct raft_output *output)
{
    int to = node_of_key(world, raft_peer(world->nodes[from].raft, output->slot).key);
    world->sent[output->message.type]++;
    if (to < 0 || world->cut[from][to] || world_chance(world, 1000) < world->loss)
        return;
    /* No link of ours doubles what it carries, and a put that is forwarded counts on it: of two
     * copies one may be refused. What the cores say to each other bears it. */
    bool may_double = output->message.type != MESSAGE_FORWARD;
    uint32_t copies = world_chance(world, 1000) < world->dup && may_double ? 2 : 1;
    while (copies-- > 0)
        events_push_message(world,
                            (struct event){.at = world->now + draw_delay(world),
                                           .kind = EVENT_PEER,
                                           .node = (uint32_t)to,
                                           .from = from},
                            &output->message);
}

/* Bytes that no server of ours would send. What can still be read gets the head of a stranger:
 * a voter that lies is not among the faults. */
static void garble(struct world *world, struct span frame, struct message *message)
{
    static uint8_t copy[KiB(4)];
    struct message broken;
    size_t size = frame.size < sizeof copy ? frame.size : sizeof copy;
    memcpy(copy, frame.data, size);
    copy[world_chance(world, size)] ^= (uint8_t)(1 + world_chance(world, 255));
    bool readable = message_decode(SPAN(copy, world_chance(world, size + 1)), &broken) == ERR_NONE;
    if (readable || world_chance(world, 2) == 0)
        message->peer.cluster[world_chance(world, CLUSTER_ID_SIZE)] ^= 1;
    else
        message->peer.to_incarnation ^= 1;
}

void network_deliver(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct message message;
    if (!node->up || world->cut[event->from][event->node] ||
        message_decode(bytes_span(&event->frame), &message) != ERR_NONE)
        return;
    if (world->garble > 0 && world_chance(world, 1000) < world->garble &&
        message.type >= MESSAGE_VOTE)
        garble(world, bytes_span(&event->frame), &message);
    int slot = raft_slot_of(node->raft, world->nodes[event->from].key);
    if (slot < 0)
        return;
    world->delivered++;
    if (message.type == MESSAGE_APPENDED)
        node->heard[event->from] = world->now;
    node_step(world, event->node,
              (struct raft_input){.kind = INPUT_PEER, .slot = (uint32_t)slot, .message = &message});
}
