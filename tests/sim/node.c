/* node.c - a shell as thin as the real one: steps a core, performs what it says, dies. */
#include "tests/sim/world.h"

#include "common/hash.h"
#include "protocol/entry.h"

enum { LINK_SILENCE_MS = 900 }; /* after so long a link notices that nobody is there */

static void mix(struct world *world, const struct raft_output *output)
{
    struct bytes frame = {0};
    if (output->message.type != MESSAGE_NONE)
        message_encode(&output->message, &frame);
    uint32_t crc = hash_crc32c((uint32_t)world->hash, bytes_span(&frame));
    world->hash = world->hash * 1099511628211u ^ crc ^ (uint64_t)output->kind << 40 ^ world->now;
    bytes_close(&frame);
}

static void tell_members(struct world *world, uint32_t at, const struct message_members_are *are)
{
    world_trace(world, "%u members: %.*s%s%.*s%s", at + 1, (int)are->error.size,
                (const char *)are->error.data, are->error.size > 0 ? ": " : "",
                (int)are->detail.size, (const char *)are->detail.data, are->done ? "done" : "");
}

static void perform(struct world *world, uint32_t at, const struct raft_output *output)
{
    struct node *node = &world->nodes[at];
    mix(world, output);
    switch (output->kind) {
    case OUTPUT_SEND:
        network_send(world, at, output);
        break;
    case OUTPUT_STORAGE:
        storage_ask(world, at, &output->message);
        break;
    case OUTPUT_REFUSED:
        node->refused += output->message.refused.txids.size / TXID_SIZE;
        api_refused(world, at, &output->message);
        break;
    case OUTPUT_READ_INDEX:
        reads_told(world, at, &output->message);
        break;
    case OUTPUT_KEPT:
        world_trace(world, "%u hands nothing over: %s", at + 1, err_name(output->err));
        break;
    case OUTPUT_MEMBERS:
        tell_members(world, at, &output->message.members_are);
        break;
    case OUTPUT_COMPLAINT:
        world_trace(world, "%u says: %s", at + 1, output->text);
        break;
    case OUTPUT_FATAL:
        world_violated(world, "node %u: %s", at, output->text);
        break;
    }
}

static void count_cell(struct world *world, uint32_t at, const struct raft_input *in)
{
    uint32_t column = in->kind;
    if (in->kind == INPUT_PEER)
        column = INPUT_COUNT + ((uint32_t)in->message->type - MESSAGE_MEET);
    if (column < WORLD_INPUTS)
        world->cells[world->nodes[at].raft->role][column]++;
}

/* Between any two things a step does, the process may end. */
static bool dies_now(struct node *node)
{
    return node->dies_after > 0 && --node->dies_after == 0;
}

void node_step(struct world *world, uint32_t at, struct raft_input in)
{
    struct node *node = &world->nodes[at];
    in.now_ms = clock_now(world, at);
    in.wall_ns = clock_wall(world, at);
    in.wall_error_ns = clock_error(world, at);
    count_cell(world, at, &in);
    uint64_t before = node->raft->log.last;
    raft_step(node->raft, &in, &node->outputs);
    world->steps++;
    lines_step(world, at, &in);
    reads_check_stamps(world, at, before);
    bool dies = false;
    for (uint32_t i = 0; i < node->outputs.count && !dies; i++) {
        perform(world, at, &node->outputs.at[i]);
        dies = dies_now(node);
    }
    check_step(world, at);
    if (!dies)
        return;
    node_crash_consensus(world, at);
    events_call(world, 1 + world_chance(world, 2000), at, node_start);
}

static void start_storage(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (node->disk.incarnation == 0) { /* drawn with the ballot */
        node->disk.exists = node->disk.may_vote = true;
        node->disk.incarnation = world_chance(world, 0) | 1;
    }
    node->store = (struct store_model){.up = true, .life = world_chance(world, 0) | 1};
    view_open(world, at);
}

static void start_consensus(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct raft_voter voters[WORLD_NODES_MAX];
    bool joins = world->founders > 0 && at >= world->founders;
    uint32_t known = world->founders > 0 && !joins ? world->founders : world->count;
    for (uint32_t i = 0; i < known; i++) {
        memcpy(voters[i].key, world->nodes[i].key, RAFT_KEY_SIZE);
        voters[i].endpoint = "tcp://sim";
    }
    struct raft_options options = {
        .node = node->id,
        .endpoint = "tcp://sim",
        .voters = voters,
        .voter_count = known,
        .joins = joins,
        .catchup_entries = world->catchup_entries,
        .catchup_rate = world->catchup_rate,
        .heartbeat_ms = world->heartbeat_ms,
        .election_min_ms = world->election_min_ms,
        .election_max_ms = world->election_max_ms,
        .seed = world_chance(world, 0),
        .history = world_chance(world, 0) | 1,
    };
    memcpy(options.key, node->key, RAFT_KEY_SIZE);
    save_u64(options.cluster, world_chance(world, 0) | 1);
    if (raft_open(&node->raft, &options, clock_now(world, at)) != ERR_NONE)
        world_violated(world, "the core does not open");
    node->raft->tail_bytes = world->tail_bytes;
    node->up = true;
    node->life++;
    node->role = ROLE_LOADING;
    node->commit = 0;
    node->conversation++;
    memset(node->heard, 0, sizeof node->heard);
}

/* Able to take an input; one that is paused is not. */
static bool hears(const struct world *world, uint32_t at)
{
    return world->nodes[at].up && !node_paused(world, at);
}

void node_wake(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node_paused(world, at))
        return;
    events_move(world, at, node->paused_until, world->now);
    node->paused_until = world->now;
}

void node_start(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    bool was_up = node->store.up && node->up;
    if (was_up)
        return;
    node_wake(world, at);
    if (node->api.session.buckets == NULL)
        api_open(node);
    if (!node->store.up) {
        start_storage(world, at);
        api_storage_new(world, at);
    }
    if (!node->up)
        start_consensus(world, at);
    node->conversation++;
    node->commit = 0;
    node_step(world, at, (struct raft_input){.kind = INPUT_STORAGE_UP});
}

void node_link_down(struct world *world, uint32_t at, uint32_t peer)
{
    struct node *node = &world->nodes[at];
    if (node_paused(world, at)) {
        events_push(
            world,
            (struct event){.at = node->paused_until, .kind = EVENT_LINK, .node = at, .from = peer});
        return;
    }
    int slot = node->up ? raft_slot_of(node->raft, world->nodes[peer].key) : -1;
    if (slot >= 0)
        node_step(world, at, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = (uint32_t)slot});
}

void node_crash_consensus(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->up)
        return;
    raft_close(&node->raft);
    node->up = false;
    node->paused_until = node->dies_after = 0;
    for (uint32_t i = 0; i < world->count; i++)
        if (i != at)
            node_link_down(world, i, at);
}

static void end_storage(struct world *world, uint32_t at)
{
    disk_crash(world, at);
    view_crash(world, at);
    world->nodes[at].store = (struct store_model){0};
    node_wake(world, at);
}

void node_swap_storage(struct world *world, uint32_t at)
{
    if (!world->nodes[at].store.up)
        return;
    end_storage(world, at);
    events_call(world, 1 + world_chance(world, LINK_SILENCE_MS), at, node_start);
}

void node_crash_storage(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->store.up)
        return;
    end_storage(world, at);
    if (node->up)
        node_step(world, at, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    node->commit = 0;
}

void node_renew_storage(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    view_close(&node->kept);
    view_close(&node->store.view);
    node->store = (struct store_model){0};
    node->commit = 0;
    node_wake(world, at);
    if (node->up)
        node_step(world, at, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    if (node->up)
        node_start(world, at);
}

void node_crash(struct world *world, uint32_t at)
{
    api_close(&world->nodes[at]);
    node_crash_consensus(world, at);
    node_crash_storage(world, at);
}

void node_wipe(struct world *world, uint32_t at)
{
    node_crash(world, at);
    view_close(&world->nodes[at].kept);
    disk_forget(&world->nodes[at].disk, (struct disk){0});
}

/* Who stands still already goes on no sooner, and its queues wait with it. */
void node_pause(struct world *world, uint32_t at, uint64_t ms)
{
    struct node *node = &world->nodes[at];
    uint64_t until = world->now + ms;
    if (until <= node->paused_until)
        return;
    if (node_paused(world, at))
        events_move(world, at, node->paused_until, until);
    node->paused_until = until;
}

bool node_paused(const struct world *world, uint32_t at)
{
    return world->nodes[at].paused_until > world->now;
}

void node_restore(struct world *world, uint32_t at)
{
    struct disk copy = {0};
    const struct disk *own = &world->nodes[at].disk;
    node_crash(world, at);
    disk_copy(&copy, own, world_chance(world, own->count + 1));
    view_close(&world->nodes[at].kept);
    disk_forget(&world->nodes[at].disk, copy);
}

void node_clone(struct world *world, uint32_t at, uint32_t of)
{
    struct disk copy = {0};
    node_crash(world, at);
    disk_copy(&copy, &world->nodes[of].disk, world->nodes[of].disk.count);
    view_close(&world->nodes[at].kept);
    disk_forget(&world->nodes[at].disk, copy);
}

void node_disk_is(struct world *world, uint32_t at, uint64_t state)
{
    struct message message = {.type = MESSAGE_DISK_IS, .disk_is = {.state = state}};
    if (hears(world, at))
        node_step(world, at, (struct raft_input){.kind = INPUT_DISK, .message = &message});
}

void node_transfer(struct world *world, uint32_t at, int to)
{
    if (hears(world, at))
        node_step(world, at,
                  (struct raft_input){.kind = INPUT_TRANSFER,
                                      .number = to < 0 ? 0 : world->nodes[to].id});
}

void node_drain(struct world *world, uint32_t at, bool on)
{
    if (hears(world, at))
        node_step(world, at, (struct raft_input){.kind = INPUT_DRAIN, .number = on});
}

void node_members(struct world *world, uint32_t at, const char *const *wishes)
{
    struct message message = {.type = MESSAGE_MEMBERS_ASK};
    struct texts *ops = &message.members_ask.ops;
    while (wishes[ops->count] != NULL && ops->count < TEXTS_MAX - 1) {
        ops->at[ops->count] = SPAN_TEXT(wishes[ops->count]);
        ops->count++;
    }
    if (hears(world, at))
        node_step(world, at, (struct raft_input){.kind = INPUT_MEMBERS, .message = &message});
}

void node_hint(struct world *world, uint32_t at, uint32_t of)
{
    struct raft_voter voter = {.endpoint = "tcp://sim"};
    memcpy(voter.key, world->nodes[of].key, RAFT_KEY_SIZE);
    if (at != of && hears(world, at))
        node_step(world, at, (struct raft_input){.kind = INPUT_HINT, .voter = &voter});
}

void node_hint_all(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++)
        for (uint32_t k = 0; k < world->count; k++)
            node_hint(world, i, k);
}

void node_propose(struct world *world, uint32_t at, uint32_t count, uint32_t size)
{
    struct node *node = &world->nodes[at];
    if (!hears(world, at))
        return;
    struct bytes records = {0};
    uint8_t *body = bytes_zeroed(1, size + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry = {.kind = ENTRY_DATA, .change_count = 1, .body = SPAN(body, size)};
        save_u64(entry.txid, world_chance(world, 0));
        save_u64(entry.txid + 8, ~++node->proposed); /* no serial of a client */
        entry_encode(&entry, &records);
    }
    struct message message = {.type = MESSAGE_PROPOSE};
    message.propose.records = bytes_span(&records);
    node_step(world, at, (struct raft_input){.kind = INPUT_PROPOSE, .message = &message});
    bytes_close(&records);
    bytes_free(body);
}
