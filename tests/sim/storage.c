/* storage.c - the storage process: queues and batches over a disk (disk.c). */
#include "tests/sim/world.h"

void storage_answer(struct world *world, uint32_t at, const struct message *message)
{
    struct store_model *store = &world->nodes[at].store;
    uint64_t late = world->answer_max > 0 ? world_chance(world, world->answer_max + 1) : 0;
    uint64_t when = world->now + late;
    store->told_until = when > store->told_until ? when : store->told_until;
    events_push_message(world,
                        (struct event){.at = store->told_until,
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

/* A disk that hangs gives nothing back either; and keeper is a thread that has other work, too:
 * queries, seals, the file of the state. What is asked of it waits behind that. */
static uint64_t read_at(struct world *world, struct store_model *store, uint64_t delay)
{
    uint64_t at = world->now + delay;
    if (world->busy_one_in > 0 && world_chance(world, world->busy_one_in) == 0)
        store->keeper_until = world->now + world_chance(world, world->busy_ms);
    at = at > store->keeper_until ? at : store->keeper_until;
    return at > store->stalled_until ? at : store->stalled_until;
}

static bool is_for_keeper(enum message_type type)
{
    return type == MESSAGE_FETCH || type == MESSAGE_MAY_CUT || type == MESSAGE_SNAPSHOT_READ ||
           type == MESSAGE_SNAPSHOT_WRITE;
}

void storage_ask(struct world *world, uint32_t at, const struct message *message)
{
    struct node *node = &world->nodes[at];
    struct store_model *store = &node->store;
    world->sent[message->type]++;
    if (!store->up || (message->type == MESSAGE_MAY_CUT && world->cut_percent == 0))
        return;
    struct event event = {.node = at, .stamp = store->life, .talk = node->conversation};
    uint64_t delay = world->disk_min + world_chance(world, world->disk_max - world->disk_min + 1);
    event.at = world->now + delay;
    if (message->type == MESSAGE_COMMIT) {
        event.kind = EVENT_VIEW;
    } else if (is_for_keeper(message->type)) {
        event.kind = message->type == MESSAGE_FETCH ? EVENT_FETCH : EVENT_KEEPER;
        event.at = read_at(world, store, delay);
    } else {
        event.kind = EVENT_OP;
        event.at = batch_end(world, store, delay);
    }
    events_push_message(world, event, message);
}

void storage_tell(struct world *world, const struct event *event)
{
    static const struct {
        enum message_type type;
        enum raft_input_kind kind;
    } kinds[] = {{MESSAGE_LOADED, INPUT_LOADED},      {MESSAGE_BALLOTED, INPUT_BALLOTED},
                 {MESSAGE_STORED, INPUT_STORED},      {MESSAGE_FETCHED, INPUT_FETCHED},
                 {MESSAGE_APPLIED, INPUT_APPLIED},    {MESSAGE_CUT_AT, INPUT_CUT},
                 {MESSAGE_SNAPSHOT_PART, INPUT_PART}, {MESSAGE_SNAPSHOT_WRITTEN, INPUT_WRITTEN}};
    struct node *node = &world->nodes[event->node];
    struct message message;
    if (!node->up || event->stamp != node->conversation ||
        message_decode(bytes_span(&event->frame), &message) != ERR_NONE)
        return;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].type == message.type)
            node_step(world, event->node,
                      (struct raft_input){.kind = kinds[i].kind, .message = &message});
}

static void take_pair(struct store_model *store, const struct message_commit *pair)
{
    if (store->pair_count == WORLD_PAIRS_MAX)
        memmove(store->pairs, store->pairs + 1, sizeof store->pairs - sizeof *pair),
            store->pair_count--;
    store->pairs[store->pair_count++] = *pair;
}

/* As storage/view.c: a consensus that is new here hears what is applied, with its first COMMIT. */
static void tell_newcomer(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (event->talk != node->conversation || node->store.told_talk == event->talk)
        return;
    node->store.told_talk = event->talk;
    disk_tell_applied(world, event->node);
}

void storage_do(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct message ask;
    if (!node->store.up || event->stamp != node->store.life ||
        message_decode(bytes_span(&event->frame), &ask) != ERR_NONE)
        return;
    if (event->kind == EVENT_OP)
        disk_answer_op(world, event->node, &ask, event->talk == node->conversation);
    if (event->kind == EVENT_FETCH && event->talk == node->conversation)
        disk_fetch(world, event->node, &ask);
    if (event->kind == EVENT_KEEPER && event->talk == node->conversation)
        snapshot_do(world, event->node, &ask);
    if (event->kind == EVENT_VIEW) {
        take_pair(&node->store, &ask.commit);
        disk_view(world, event->node);
        tell_newcomer(world, event);
    }
}
