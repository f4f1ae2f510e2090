/* world.c - the event queue, the network, and a shell as thin as the real one. */
#include "tests/sim/world.h"

#include "common/hash.h"
#include "protocol/entry.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t world_chance(struct world *world, uint64_t below)
{
    world->chance += 0x9e3779b97f4a7c15u;
    uint64_t z = world->chance;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below ? z % below : z;
}

void world_trace(struct world *world, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (world->trace)
        world->trace(world, line);
    if (world->verbose)
        printf("%8llu %s\n", (unsigned long long)world->now, line);
}

void world_violated(struct world *world, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    world->violations++;
    fprintf(stderr, "violation seed=%llu at=%llu: %s\n", (unsigned long long)world->seed,
            (unsigned long long)world->now, line);
    world_trace(world, "violation: %s", line);
}

/* --- events: a heap by (time, order) --- */

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void swap(struct event *a, struct event *b)
{
    struct event c = *a;
    *a = *b;
    *b = c;
}

static struct event *push(struct world *world, struct event event)
{
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room ? world->event_room * 2 : 256;
        world->events = bytes_resize(world->events, world->event_room, sizeof event);
    }
    event.order = ++world->order;
    size_t at = world->event_count++;
    world->events[at] = event;
    for (; at > 0 && earlier(&world->events[at], &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&world->events[at], &world->events[(at - 1) / 2]);
    return &world->events[at];
}

static struct event pop(struct world *world)
{
    struct event first = world->events[0];
    world->events[0] = world->events[--world->event_count];
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t i = left; i < left + 2 && i < world->event_count; i++)
            if (earlier(&world->events[i], &world->events[least]))
                least = i;
        if (least == at)
            return first;
        swap(&world->events[at], &world->events[least]);
        at = least;
    }
}

static void push_message(struct world *world, struct event event, const struct message *message)
{
    message_encode(message, &event.frame);
    push(world, event);
}

void world_call(struct world *world, uint64_t in_ms, uint32_t node,
                void (*call)(struct world *, uint32_t))
{
    push(world,
         (struct event){.at = world->now + in_ms, .kind = EVENT_CALL, .node = node, .call = call});
}

/* --- the network --- */

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

static void send_to(struct world *world, uint32_t from, const struct raft_output *output)
{
    int to = node_of_key(world, raft_peer(world->nodes[from].raft, output->slot).key);
    world->sent[output->message.type]++;
    if (to < 0 || world->cut[from][to] || world_chance(world, 1000) < world->loss)
        return;
    uint32_t copies = world_chance(world, 1000) < world->dup ? 2 : 1;
    while (copies-- > 0)
        push_message(world,
                     (struct event){.at = world->now + draw_delay(world),
                                    .kind = EVENT_PEER,
                                    .node = (uint32_t)to,
                                    .from = from},
                     &output->message);
}

/* --- storage --- */

void world_answer(struct world *world, uint32_t at, const struct message *message)
{
    push_message(world,
                 (struct event){.at = world->now,
                                .kind = EVENT_ANSWER,
                                .node = at,
                                .stamp = world->nodes[at].conversation},
                 message);
}

/* When the transaction that takes this write along is done. */
static uint64_t batch_end(const struct world *world, struct store_model *store, uint64_t delay)
{
    if (world->now >= store->busy_until) {
        uint64_t from = store->stalled_until > world->now ? store->stalled_until : world->now;
        bool waits = store->next_until > world->now;
        store->busy_until = waits ? store->next_until : from + delay;
        store->next_until = 0;
        if (!waits)
            return store->busy_until;
    }
    if (store->next_until == 0) {
        uint64_t from =
            store->stalled_until > store->busy_until ? store->stalled_until : store->busy_until;
        store->next_until = from + delay;
    }
    return store->next_until;
}

static void ask_storage(struct world *world, uint32_t at, const struct message *message)
{
    struct node *node = &world->nodes[at];
    struct store_model *store = &node->store;
    world->sent[message->type]++;
    if (!store->up)
        return;
    struct event event = {.node = at, .stamp = store->life, .talk = node->conversation};
    uint64_t delay = world->disk_min + world_chance(world, world->disk_max - world->disk_min + 1);
    event.at = world->now + delay;
    if (message->type == MESSAGE_COMMIT) {
        event.kind = EVENT_VIEW;
    } else if (message->type == MESSAGE_FETCH) {
        event.kind = EVENT_FETCH;
    } else {
        event.kind = EVENT_OP;
        event.at = batch_end(world, store, delay);
    }
    push_message(world, event, message);
}

/* --- stepping a core --- */

static void mix(struct world *world, const struct raft_output *output)
{
    struct bytes frame = {0};
    if (output->message.type != MESSAGE_NONE)
        message_encode(&output->message, &frame);
    uint32_t crc = hash_crc32c((uint32_t)world->hash, bytes_span(&frame));
    world->hash = world->hash * 1099511628211u ^ crc ^ (uint64_t)output->kind << 40 ^ world->now;
    bytes_close(&frame);
}

static void perform(struct world *world, uint32_t at, const struct raft_output *output)
{
    struct node *node = &world->nodes[at];
    mix(world, output);
    switch (output->kind) {
    case OUTPUT_SEND:
        send_to(world, at, output);
        break;
    case OUTPUT_STORAGE:
        ask_storage(world, at, &output->message);
        break;
    case OUTPUT_REFUSED:
        node->refused += output->message.refused.txids.size / TXID_SIZE;
        break;
    case OUTPUT_COMPLAINT:
        world_trace(world, "%u says: %s", at + 1, output->text);
        break;
    case OUTPUT_FATAL:
        world_violated(world, "node %u: %s", at, output->text);
        break;
    }
}

static void step(struct world *world, uint32_t at, struct raft_input in)
{
    struct node *node = &world->nodes[at];
    in.now_ms = world->now;
    in.wall_ns = world->wall_ns + world->now * 1000000;
    raft_step(node->raft, &in, &node->outputs);
    world->steps++;
    for (uint32_t i = 0; i < node->outputs.count; i++)
        perform(world, at, &node->outputs.at[i]);
    check_step(world, at);
}

static void deliver_peer(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct message message;
    if (!node->up || world->cut[event->from][event->node] ||
        message_decode(bytes_span(&event->frame), &message) != ERR_NONE)
        return;
    int slot = raft_slot_of(node->raft, world->nodes[event->from].key);
    if (slot < 0)
        return;
    world->delivered++;
    if (message.type == MESSAGE_APPENDED)
        node->heard[event->from] = world->now;
    step(world, event->node,
         (struct raft_input){.kind = INPUT_PEER, .slot = (uint32_t)slot, .message = &message});
}

static void deliver_answer(struct world *world, const struct event *event)
{
    static const struct {
        enum message_type type;
        enum raft_input_kind kind;
    } kinds[] = {{MESSAGE_LOADED, INPUT_LOADED},
                 {MESSAGE_BALLOTED, INPUT_BALLOTED},
                 {MESSAGE_STORED, INPUT_STORED},
                 {MESSAGE_FETCHED, INPUT_FETCHED},
                 {MESSAGE_APPLIED, INPUT_APPLIED}};
    struct node *node = &world->nodes[event->node];
    struct message message;
    if (!node->up || event->stamp != node->conversation ||
        message_decode(bytes_span(&event->frame), &message) != ERR_NONE)
        return;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].type == message.type)
            step(world, event->node,
                 (struct raft_input){.kind = kinds[i].kind, .message = &message});
}

static void take_pair(struct store_model *store, const struct message_commit *pair)
{
    if (store->pair_count == WORLD_PAIRS_MAX)
        memmove(store->pairs, store->pairs + 1, sizeof store->pairs - sizeof *pair),
            store->pair_count--;
    store->pairs[store->pair_count++] = *pair;
}

static void handle(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    bool alive = node->store.up && event->stamp == node->store.life;
    struct message ask;
    if (event->kind == EVENT_PEER)
        deliver_peer(world, event);
    else if (event->kind == EVENT_ANSWER)
        deliver_answer(world, event);
    else if (event->kind == EVENT_CALL)
        event->call(world, event->node);
    else if (alive && message_decode(bytes_span(&event->frame), &ask) == ERR_NONE) {
        if (event->kind == EVENT_OP)
            disk_answer_op(world, event->node, &ask, event->talk == node->conversation);
        if (event->kind == EVENT_FETCH && event->talk == node->conversation)
            disk_fetch(world, event->node, &ask);
        if (event->kind == EVENT_VIEW) {
            take_pair(&node->store, &ask.commit);
            disk_view(world, event->node);
        }
    }
    bytes_close(&event->frame);
}

static void turn(struct world *world)
{
    while (world->event_count > 0 && world->events[0].at <= world->now) {
        struct event event = pop(world);
        handle(world, &event);
    }
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        if (node->up && world->now >= raft_due_ms(node->raft))
            step(world, i, (struct raft_input){.kind = INPUT_TICK});
        for (int tries = 0; node->up && raft_wants_flush(node->raft) && tries < 4; tries++)
            step(world, i, (struct raft_input){.kind = INPUT_FLUSH});
    }
}

/* Skips the milliseconds in which nothing is due. */
static uint64_t next_moment(const struct world *world, uint64_t end)
{
    uint64_t next = end;
    if (world->event_count > 0 && world->events[0].at < next)
        next = world->events[0].at;
    for (uint32_t i = 0; i < world->count; i++)
        if (world->nodes[i].up && raft_due_ms(world->nodes[i].raft) < next)
            next = raft_due_ms(world->nodes[i].raft);
    return next > world->now ? next : world->now + 1;
}

void world_run(struct world *world, uint64_t ms)
{
    uint64_t end = world->now + ms;
    while (world->now < end && world->violations == 0) {
        world->now = next_moment(world, end);
        turn(world);
    }
}

int world_leader(const struct world *world)
{
    int leader = -1;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct node *node = &world->nodes[i];
        if (node->up && node->raft->role == ROLE_LEADER &&
            (leader < 0 || node->raft->term > world->nodes[leader].raft->term))
            leader = (int)i;
    }
    return leader;
}

bool world_run_to_leader(struct world *world, uint64_t ms)
{
    uint64_t end = world->now + ms;
    while (world->now < end && world->violations == 0) {
        int leader = world_leader(world);
        if (leader >= 0 &&
            world->nodes[leader].raft->commit >= world->nodes[leader].raft->term_first)
            return true;
        world_run(world, 10);
    }
    return false;
}

/* --- processes --- */

static void start_storage(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->disk.exists) {
        node->disk.exists = node->disk.may_vote = true;
        node->disk.incarnation = world_chance(world, 0) | 1;
    }
    node->store = (struct store_model){
        .up = true, .life = world_chance(world, 0) | 1, .applied = node->disk.applied};
}

static void start_consensus(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct raft_voter voters[WORLD_NODES_MAX];
    for (uint32_t i = 0; i < world->count; i++) {
        memcpy(voters[i].key, world->nodes[i].key, RAFT_KEY_SIZE);
        voters[i].endpoint = "tcp://sim";
    }
    struct raft_options options = {
        .node = node->id,
        .endpoint = "tcp://sim",
        .voters = voters,
        .voter_count = world->count,
        .heartbeat_ms = world->heartbeat_ms,
        .election_min_ms = world->election_min_ms,
        .election_max_ms = world->election_max_ms,
        .seed = world_chance(world, 0),
        .history = world_chance(world, 0) | 1,
    };
    memcpy(options.key, node->key, RAFT_KEY_SIZE);
    save_u64(options.cluster, world_chance(world, 0) | 1);
    if (raft_open(&node->raft, &options, world->now) != ERR_NONE)
        world_violated(world, "the core does not open");
    node->raft->tail_bytes = world->tail_bytes;
    node->up = true;
    node->role = ROLE_LOADING;
    node->commit = 0;
    node->conversation++;
    memset(node->heard, 0, sizeof node->heard);
}

void world_start(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    bool was_up = node->store.up && node->up;
    if (was_up)
        return;
    if (!node->store.up)
        start_storage(world, at);
    if (!node->up)
        start_consensus(world, at);
    node->conversation++;
    node->commit = 0;
    step(world, at, (struct raft_input){.kind = INPUT_STORAGE_UP});
}

void world_link_down(struct world *world, uint32_t at, uint32_t peer)
{
    struct node *node = &world->nodes[at];
    int slot = node->up ? raft_slot_of(node->raft, world->nodes[peer].key) : -1;
    if (slot >= 0)
        step(world, at, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = (uint32_t)slot});
}

void world_crash_consensus(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->up)
        return;
    raft_close(&node->raft);
    node->up = false;
    for (uint32_t i = 0; i < world->count; i++)
        if (i != at)
            world_link_down(world, i, at);
}

void world_crash_storage(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    if (!node->store.up)
        return;
    disk_crash(world, at);
    node->store = (struct store_model){0};
    if (node->up)
        step(world, at, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    node->commit = 0;
}

void world_crash(struct world *world, uint32_t at)
{
    world_crash_consensus(world, at);
    world_crash_storage(world, at);
}

void world_wipe(struct world *world, uint32_t at)
{
    world_crash(world, at);
    disk_close(&world->nodes[at].disk);
    world->nodes[at].disk.wiped = true;
}

void world_propose(struct world *world, uint32_t at, uint32_t count, uint32_t size)
{
    struct node *node = &world->nodes[at];
    if (!node->up)
        return;
    struct bytes records = {0};
    uint8_t *body = bytes_zeroed(1, size + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry = {.kind = ENTRY_DATA, .change_count = 1, .body = SPAN(body, size)};
        save_u64(entry.txid, world_chance(world, 0));
        save_u64(entry.txid + 8, ++node->proposed);
        entry_encode(&entry, &records);
    }
    struct message message = {.type = MESSAGE_PROPOSE};
    message.propose.records = bytes_span(&records);
    step(world, at, (struct raft_input){.kind = INPUT_PROPOSE, .message = &message});
    bytes_close(&records);
    bytes_free(body);
}

void world_open(struct world *world)
{
    world->chance = world->seed;
    world->now = 1000;
    world->wall_ns = 1700000000000000000u;
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        node->id = 100 + i;
        for (size_t k = 0; k < RAFT_KEY_SIZE; k += 8)
            save_u64(node->key + k, world_chance(world, 0));
    }
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        raft_close(&node->raft);
        raft_outputs_close(&node->outputs);
        disk_close(&node->disk);
    }
    while (world->event_count > 0)
        bytes_close(&world->events[--world->event_count].frame);
    bytes_free(world->events);
    bytes_free(world->committed);
    bytes_free(world->leaders);
    *world = (struct world){0};
}
