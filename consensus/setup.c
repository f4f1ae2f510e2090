#include "consensus/setup.h"

#include "common/clock.h"
#include "common/probe.h"
#include "consensus/hint.h"
#include "protocol/cursor.h"

#include <stdio.h>
#include <unistd.h>

#define OPTION(name, kind, preset, min, max, sentence)                                       \
    {                                                                                        \
        "consensus", #name, kind, offsetof(struct setup_head, setup.name), preset, min, max, \
            sentence                                                                         \
    }

const struct option setup_options[] = {
    OPTION(listen, OPTION_ENDPOINT, "tcp://127.0.0.1:7602", 0, 0, "where other servers reach us"),
    OPTION(advertise, OPTION_ENDPOINT, NULL, 0, 0,
           "as others see it; default: as in the list of members, else listen"),
    {"consensus", "member", OPTION_LIST, offsetof(struct setup_head, setup.members), NULL, 0, 0,
     "a voter, 'ENDPOINT PUBLICKEY'; repeat it for each, this node included"},
    OPTION(expect, OPTION_U64, "0", 0, 9, "voters that found the cluster; 0: those listed"),
    OPTION(heartbeat_ms, OPTION_U64, "100", 10, 60000, "the leader's heartbeat"),
    OPTION(election_min_ms, OPTION_U64, "500", 50, 600000, "shortest election timeout"),
    OPTION(election_max_ms, OPTION_U64, "1000", 100, 600000, "longest election timeout"),
    OPTION(catchup_rate, OPTION_U64, "20", 0, 100000,
           "MB/s for a server that catches up, while clients write; 0: no limit"),
    OPTION(catchup_entries, OPTION_U64, "131072", 1, UINT64_MAX,
           "who lacks more entries, and most of the log, gets a snapshot"),
    OPTION(trace, OPTION_TEXT, NULL, 0, 0,
           "folder for a file with a line of JSON for each step of the core (docs/testing.md)"),
    OPTION(found, OPTION_U64, "0", 0, UINT32_MAX, "set by the supervisor for --init"),
    OPTION(probe, OPTION_FLAG, "no", 0, 0, "set by the supervisor: only look, and end"),
    OPTION_END,
};

enum err setup_settle(struct setup *setup, const uint8_t key[KEY_SIZE])
{
    if (setup->advertise == NULL)
        setup->advertise = setup->listen;
    for (uint32_t i = 0; i < setup->members.count && setup->advertise == setup->listen; i++)
        if (hint_is_of(SPAN_TEXT(setup->members.at[i]), key, setup->own))
            setup->advertise = setup->own;
    return hint_check_reach(setup->advertise, &setup->members);
}

const char *setup_place(const struct setup *setup)
{
    return probe_is_any(setup->listen) ? setup->advertise : setup->listen;
}

/* A file that says so changes nothing: the number is that of a process that lives now. */
static bool founds(const struct setup *setup)
{
    return setup->found != 0 && setup->found == (uint64_t)getppid();
}

/* Nothing says who founds. On loopback, for trying out, that is this node alone; else it waits to
 * be added: a blank node never makes a cluster of its own beside one that lives. */
static bool joins(const struct setup_head *head)
{
    const struct setup *setup = &head->setup;
    bool told = setup->members.count > 0 || setup->expect > 0 || founds(setup);
    return head->base.join != NULL || (!told && !probe_is_loopback(setup->listen));
}

static enum err read_voters(const struct setup *setup, struct raft_voter voters[OPTION_LIST_MAX],
                            char endpoints[OPTION_LIST_MAX][RAFT_ENDPOINT_MAX])
{
    for (uint32_t i = 0; i < setup->members.count; i++) {
        if (hint_parse(SPAN_TEXT(setup->members.at[i]), &voters[i], endpoints[i]) == ERR_NONE)
            continue;
        fprintf(stderr, "consensus/member: '%s' is not 'ENDPOINT PUBLICKEY'\n",
                setup->members.at[i]);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

enum err setup_open_core(const struct setup_head *head, const struct keys *keys, struct raft **raft)
{
    struct raft_voter voters[OPTION_LIST_MAX];
    char endpoints[OPTION_LIST_MAX][RAFT_ENDPOINT_MAX];
    const struct setup *setup = &head->setup;
    struct raft_options core = {
        .node = keys->node_id,
        .endpoint = setup->advertise,
        .voters = voters,
        .voter_count = founds(setup) ? 0 : setup->members.count,
        .expect = founds(setup) ? 1 : (uint32_t)setup->expect,
        .joins = joins(head),
        .heartbeat_ms = setup->heartbeat_ms,
        .election_min_ms = setup->election_min_ms,
        .election_max_ms = setup->election_max_ms,
        .catchup_rate = setup->catchup_rate * 1000000,
        .catchup_entries = setup->catchup_entries,
        .seed = chance_u64(),
        .history = chance_u64(),
    };
    TRY(read_voters(setup, voters, endpoints));
    memcpy(core.key, keys->public_key, KEY_SIZE);
    chance_fill(core.cluster, sizeof core.cluster);
    enum err err = raft_open(raft, &core, clock_now_ms());
    if (err != ERR_NONE)
        fprintf(stderr, "changeagent-consensus: consensus/%s\n", raft_wrong_option(*raft, &core));
    return err;
}

void setup_announce(struct setup_head *head, const struct raft *raft)
{
    struct raft_status status;
    char cluster[2 * CLUSTER_ID_SIZE + 1];
    if (!founds(&head->setup) || head->setup.announced)
        return;
    raft_status(raft, &status);
    if (status.role != ROLE_LEADER || status.commit_index == 0)
        return;
    cursor_hex(status.cluster, CLUSTER_ID_SIZE, cluster);
    service_announce(&head->base, "founded", cluster);
    head->setup.announced = true;
}

void setup_print_self(const struct setup *setup, const uint8_t key[KEY_SIZE],
                      char text[RAFT_ENDPOINT_MAX + KEY_TEXT_SIZE])
{
    char printed[KEY_TEXT_SIZE];
    keys_print(key, printed);
    snprintf(text, RAFT_ENDPOINT_MAX + KEY_TEXT_SIZE, "%.*s %s", RAFT_ENDPOINT_MAX - 1,
             setup->advertise, printed);
}
