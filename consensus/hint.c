#include "consensus/hint.h"

#include "common/keys.h"
#include "common/log.h"
#include "common/probe.h"

#include <stdio.h>

enum { PROBE_MS = 500 };

enum err hint_parse(struct span text, struct raft_voter *voter, char endpoint[RAFT_ENDPOINT_MAX])
{
    const uint8_t *space = memchr(text.data, ' ', text.size);
    if (space == NULL || (size_t)(space - text.data) >= RAFT_ENDPOINT_MAX)
        return ERR_BAD_REQUEST;
    size_t size = (size_t)(space - text.data);
    memcpy(endpoint, text.data, size);
    endpoint[size] = '\0';
    voter->endpoint = endpoint;
    return keys_parse(SPAN(space + 1, text.size - size - 1), voter->key);
}

bool hint_is_of(struct span text, const uint8_t key[RAFT_KEY_SIZE],
                char endpoint[RAFT_ENDPOINT_MAX])
{
    struct raft_voter voter;
    return hint_parse(text, &voter, endpoint) == ERR_NONE &&
           memcmp(voter.key, key, RAFT_KEY_SIZE) == 0;
}

enum err hint_probe(const struct option_list *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        struct raft_voter voter;
        char endpoint[RAFT_ENDPOINT_MAX];
        if (hint_parse(SPAN_TEXT(members->at[i]), &voter, endpoint) != ERR_NONE ||
            !probe_answers(endpoint, PROBE_MS))
            continue;
        log_error("init_refused", kv_text("answers", endpoint),
                  kv_text("advice", "a server is there already: join its cluster with --join, or "
                                    "take it off the list of members"));
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

enum err hint_check_reach(const char *own, const struct option_list *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        struct raft_voter voter;
        char endpoint[RAFT_ENDPOINT_MAX];
        if (hint_parse(SPAN_TEXT(members->at[i]), &voter, endpoint) != ERR_NONE ||
            probe_is_loopback(endpoint) || !probe_is_loopback(own))
            continue;
        fprintf(stderr,
                "consensus/advertise: '%s' is reached from this machine only, but there is a "
                "member at %s; set consensus/listen, or advertise, to an address that it reaches\n",
                own, endpoint);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}
