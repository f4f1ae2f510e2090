/* clients.c - writers that try again under the same txid, at another node, until they know. */
#include "protocol/change.h"
#include "protocol/entry.h"
#include "tests/sim/world.h"

enum { CHANGES_MOST = 3, SMALL_BODY = 300 };

/* The serial of a write lies open in its txid. */
static void make_txid(uint64_t serial, uint8_t txid[16])
{
    save_u64(txid, serial * 0x9e3779b97f4a7c15u);
    save_u64(txid + 8, serial);
}

uint64_t clients_body_size(struct world *world)
{
    bool large = world->body_max <= SMALL_BODY || world_chance(world, 4) == 0;
    return world_chance(world, (large ? world->body_max : SMALL_BODY) + 1);
}

static void make_body(struct world *world, struct bytes *body)
{
    static const char *const tags[] = {"red", "green", "blue"};
    uint32_t count = 1 + (uint32_t)world_chance(world, CHANGES_MOST);
    size_t size = clients_body_size(world);
    uint8_t *data = bytes_zeroed(1, size + 1);
    change_body_begin(body, count);
    for (uint32_t i = 0; i < count; i++) {
        struct change change = {.type = i, .data = SPAN(data, size)};
        const char *tag = tags[world_chance(world, COUNT_OF(tags))];
        change.tags.at[change.tags.count++] = SPAN_TEXT(tag);
        change_body_add(body, &change);
    }
    bytes_free(data);
}

static void send(struct world *world, struct client *client)
{
    struct write *write = history_at(world, client->serial);
    uint32_t at = (uint32_t)world_chance(world, world->count);
    struct entry entry = {
        .kind = ENTRY_DATA, .born = write->born, .body = bytes_span(&client->body)};
    make_txid(client->serial, entry.txid);
    write->attempts++;
    client->due = world->now + 1 + world_chance(world, world->patience_ms);
    if (world->nodes[at].api.session.buckets != NULL)
        api_put(world, at, &entry, client->serial);
}

/* `born` is what some node has applied, told before the first send. */
static void begin(struct world *world, struct client *client)
{
    uint32_t at = (uint32_t)world_chance(world, world->count);
    const struct store_model *store = &world->nodes[at].store;
    if (!store->up || store->view.apply.at.ts == 0)
        return;
    client->serial = history_begin(world, store->view.apply.at.ts);
    client->waits = true;
    client->tries = 1 + (uint32_t)world_chance(world, 8);
    bytes_clear(&client->body);
    make_body(world, &client->body);
    send(world, client);
}

static void step(struct world *world, struct client *client, bool insist)
{
    if (client->waits && world->now < client->due)
        return;
    if (client->waits && (insist || --client->tries > 0))
        send(world, client);
    else if (client->waits)
        client->waits = false; /* it never learns what became of it */
    else if (!insist && world_chance(world, 100) < world->propose_percent)
        begin(world, client);
}

void clients_step(struct world *world, bool insist)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        step(world, &world->clients[i], insist);
}

void clients_told(struct world *world, uint64_t serial, enum err err, const struct effect *effect)
{
    struct client *client = NULL;
    for (uint32_t i = 0; i < world->client_count; i++)
        if (world->clients[i].waits && world->clients[i].serial == serial)
            client = &world->clients[i];
    bool expired = err == ERR_OUTCOME_EXPIRED; /* open for ever: too long ago to be known */
    if (effect != NULL && !expired)
        history_done(world, serial, err, effect);
    else if (err != ERR_OPEN && !expired && history_at(world, serial)->attempts == 1 &&
             client != NULL)
        history_refused(world, serial); /* by the only attempt there was: definite */
    else if (!expired)
        return; /* the client's own patience decides */
    if (client != NULL)
        client->waits = false;
}

void clients_hurry(struct world *world)
{
    world->patience_ms = 1000;
    for (uint32_t i = 0; i < world->client_count; i++)
        world->clients[i].due = world->now;
}

bool clients_wait(const struct world *world)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        if (world->clients[i].waits)
            return true;
    return false;
}

void clients_close(struct world *world)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        bytes_close(&world->clients[i].body);
}
