/* discovery.c - one link, one timer, two sources. */
#include "discovery/discovery.h"

#include "common/log.h"
#include "discovery/roster.h"
#include "discovery/source_file.h"
#include "discovery/source_static.h"
#include "protocol/link.h"

struct discovery {
    struct service_base base;
    struct option_list member;
    const char *file;
    uint64_t look_ms;
    struct link consensus;
    struct link_rules rules;
    struct roster roster;
    struct source_file watched;
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

static void on_up(void *owner, uint32_t neighbour)
{
    step(owner, ROSTER_LINK_UP, SOURCE_STATIC, NULL);
}

static enum err on_hinted(void *owner, uint32_t neighbour, const struct message *message)
{
    log_info("hints_taken", kv_u64("in_use", message->hinted.count));
    return ERR_NONE;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(HINTED, on_hinted),
};

static enum err discovery_open(void *self)
{
    struct discovery *discovery = self;
    struct service_base *base = &discovery->base;
    char endpoint[128];
    TRY(look_at_list(discovery));
    if (discovery->file != NULL) {
        discovery->watched.path = discovery->file;
        look_at_file(discovery);
        loop_add_timer(&base->loop, discovery->look_ms, discovery->look_ms, look_at_file,
                       discovery);
    }
    discovery->rules = (struct link_rules){
        .process = "discovery", .handlers = handlers, .up = on_up, .life = base->life};
    TRY(service_ipc(base, "consensus.ipc", endpoint));
    return link_connect(&discovery->consensus, &base->loop, base->context, endpoint,
                        &discovery->rules, discovery);
}

static void discovery_close(void *self)
{
    struct discovery *discovery = self;
    link_close(&discovery->consensus);
    source_file_close(&discovery->watched);
}

static const struct option options[] = {
    {"discovery", "member", OPTION_LIST, offsetof(struct discovery, member), NULL, 0, 0,
     "a server that may be there: tcp://HOST:PORT, a space, its public key; may be repeated"},
    {"discovery", "file", OPTION_TEXT, offsetof(struct discovery, file), NULL, 0, 0,
     "a watched file with one such server a line; may be missing and be filled later"},
    {"discovery", "look_ms", OPTION_U64, offsetof(struct discovery, look_ms), "500", 10, 3600000,
     "how often the file is looked at"},
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
