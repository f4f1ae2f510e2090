/* discovery.c - one link, one timer, two sources. */
#include "discovery/discovery.h"

#include "common/log.h"
#include "common/probe.h"
#include "discovery/roster.h"
#include "discovery/source_file.h"
#include "discovery/source_join.h"
#include "discovery/source_static.h"
#include "protocol/link.h"

#include <stdio.h>

enum { PROBE_MS = 500 };

struct discovery {
    struct service_base base;
    struct option_list member;
    const char *file;
    uint64_t look_ms;
    bool probe;
    struct link consensus;
    struct link_rules rules;
    struct roster roster;
    struct source_file watched;
    struct source_join join;
};

static void send_hints(struct discovery *discovery)
{
    struct message message = {.type = MESSAGE_HINTS};
    const struct roster_list *hints = &discovery->roster.hints;
    for (uint32_t i = 0; i < hints->count; i++)
        message.hints.endpoints.at[i] = SPAN_TEXT(hints->at[i].text);
    message.hints.endpoints.count = hints->count;
    link_tell(&discovery->consensus, 0, &message);
    log_info("hints_sent", kv_u64("count", hints->count));
}

static void step(struct discovery *discovery, enum roster_input_kind kind, enum source source,
                 const struct sighting *sighting)
{
    struct roster_input in = {kind, source, sighting};
    struct roster_output out;
    roster_step(&discovery->roster, &in, &out);
    if (out.send)
        send_hints(discovery);
}

static enum err look_at_list(struct discovery *discovery)
{
    struct sighting sighting;
    step(discovery, ROSTER_ROUND, SOURCE_STATIC, NULL);
    for (uint32_t i = 0; i < discovery->member.count; i++) {
        TRY(source_static_read(&discovery->member, i, &sighting));
        step(discovery, ROSTER_SIGHTED, SOURCE_STATIC, &sighting);
    }
    step(discovery, ROSTER_DONE, SOURCE_STATIC, NULL);
    return ERR_NONE;
}

static void look_at_file(void *owner)
{
    struct discovery *discovery = owner;
    struct sighting sighting;
    uint32_t line = 0;
    if (!source_file_look(&discovery->watched))
        return;
    struct span rest = bytes_span(&discovery->watched.content);
    step(discovery, ROSTER_ROUND, SOURCE_FILE, NULL);
    while (source_file_next(&discovery->watched, &rest, &line, &sighting))
        step(discovery, ROSTER_SIGHTED, SOURCE_FILE, &sighting);
    uint32_t dropped = discovery->roster.round[SOURCE_FILE].dropped;
    step(discovery, ROSTER_DONE, SOURCE_FILE, NULL);
    log_info("file_read", kv_text("path", discovery->file), kv_u64("lines", line),
             kv_u64("hints", discovery->roster.hints.count), kv_u64("dropped", dropped));
}

/* Before a cluster is founded: nobody may be where servers are said to be. */
static enum err probe(struct discovery *discovery)
{
    const struct roster_list *hints = &discovery->roster.hints;
    for (uint32_t i = 0; i < hints->count; i++) {
        char endpoint[SIGHTING_MAX + 1];
        snprintf(endpoint, sizeof endpoint, "%.*s", (int)hints->at[i].endpoint_size,
                 hints->at[i].text);
        if (!probe_answers(endpoint, PROBE_MS))
            continue;
        log_error("init_refused", kv_text("answers", endpoint),
                  kv_text("advice", "a server is there already: join its cluster with --join, or "
                                    "take it off the list"));
        return ERR_CONFIG;
    }
    loop_stop(&discovery->base.loop, EXIT_DONE);
    return ERR_NONE;
}

static void on_up(void *owner, uint32_t neighbour)
{
    step(owner, ROSTER_LINK_UP, SOURCE_STATIC, NULL);
}

static void on_learned(void *owner)
{
    struct discovery *discovery = owner;
    const struct joining *joining = &discovery->join.joining;
    if (joining->state == JOINING_UNKNOWN) {
        send_hints(discovery);
        return;
    }
    step(discovery, ROSTER_ROUND, SOURCE_JOIN, NULL);
    for (uint32_t i = 0; i < joining->member_count; i++)
        step(discovery, ROSTER_SIGHTED, SOURCE_JOIN, &joining->members[i]);
    step(discovery, ROSTER_DONE, SOURCE_JOIN, NULL);
}

static enum err on_hinted(void *owner, uint32_t neighbour, const struct message *message)
{
    struct discovery *discovery = owner;
    log_info("hints_taken", kv_u64("in_use", message->hinted.count));
    if (discovery->base.join != NULL)
        source_join_know(&discovery->join, &message->hinted);
    return ERR_NONE;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(HINTED, on_hinted),
};

static enum err discovery_open(void *self)
{
    struct discovery *discovery = self;
    struct service_base *base = &discovery->base;
    char path[128];
    TRY(look_at_list(discovery));
    if (discovery->file != NULL) {
        discovery->watched.path = discovery->file;
        look_at_file(discovery);
        loop_add_timer(&base->loop, discovery->look_ms, discovery->look_ms, look_at_file,
                       discovery);
    }
    if (discovery->probe)
        return probe(discovery);
    discovery->rules = (struct link_rules){
        .process = "discovery", .handlers = handlers, .up = on_up, .life = base->life};
    if (base->join != NULL)
        TRY(source_join_open(&discovery->join, base, on_learned, discovery));
    TRY(service_path(base, "consensus.ipc", path));
    link_connect(&discovery->consensus, &base->loop, path, &discovery->rules, discovery);
    return ERR_NONE;
}

static void discovery_close(void *self)
{
    struct discovery *discovery = self;
    link_close(&discovery->consensus);
    source_file_close(&discovery->watched);
    source_join_close(&discovery->join);
}

static const struct option options[] = {
    {"discovery", "member", OPTION_LIST, offsetof(struct discovery, member), NULL, 0, 0,
     "a server that may be there: tcp://HOST:PORT, a space, its public key; may be repeated"},
    {"discovery", "file", OPTION_TEXT, offsetof(struct discovery, file), NULL, 0, 0,
     "a watched file with one such server a line; may be missing and be filled later"},
    {"discovery", "look_ms", OPTION_U64, offsetof(struct discovery, look_ms), "500", 10, 3600000,
     "how often the file is looked at"},
    {"discovery", "probe", OPTION_FLAG, offsetof(struct discovery, probe), "no", 0, 0,
     "set by the supervisor: only look whether a server answers, and end"},
    OPTION_END,
};

const struct service discovery_service = {
    .name = "discovery",
    .about = "says where other servers might be; decides nothing about members",
    .size = sizeof(struct discovery),
    .options = options,
    .open = discovery_open,
    .close = discovery_close,
};
