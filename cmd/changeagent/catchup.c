/* catchup.c - the verb node catchup: how far a node is that lacks much, until it lacks nothing. */
#include "cmd/changeagent/catchup.h"

#include "common/clock.h"
#include "common/progress.h"
#include "protocol/wire.h"

#include <stdio.h>
#include <string.h>

enum { AGAIN_MS = 200 };

static bool skip(struct span *rest)
{
    struct wire_value value;
    if (!wire_next(rest, &value))
        return false;
    uint64_t inside = value.kind == WIRE_MAP     ? 2 * value.number
                      : value.kind == WIRE_ARRAY ? value.number
                                                 : 0;
    for (uint64_t i = 0; i < inside; i++)
        if (!skip(rest))
            return false;
    return true;
}

/* Leaves `rest` at the value of a key; false: there is no such key. */
static bool enter(struct span *rest, const char *name)
{
    struct wire_value map, key;
    if (!wire_next(rest, &map) || map.kind != WIRE_MAP)
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!wire_next(rest, &key))
            return false;
        if (key.kind == WIRE_TEXT && span_is(key.bytes, name))
            return true;
        if (!skip(rest))
            return false;
    }
    return false;
}

static uint64_t counter_of(const struct ca_status *status, const char *process, const char *name)
{
    struct span rest = SPAN(status->processes, status->processes_size);
    struct wire_value value;
    if (rest.size == 0 || wire_check(rest) != ERR_NONE || !enter(&rest, process) ||
        !enter(&rest, name) || !wire_next(&rest, &value) || value.kind != WIRE_U64)
        return 0;
    return value.number;
}

/* A snapshot first, then entries. */
static void show(struct progress *progress, const struct ca_status *status)
{
    uint64_t size = counter_of(status, "consensus", "incoming_size");
    if (size > 0)
        progress_show(progress, counter_of(status, "consensus", "incoming_taken"), size,
                      "bytes of the snapshot");
    else
        progress_show(progress, status->applied_index, status->commit_index, "entries");
}

/* All that it has heard of is applied, and nothing is on its way. */
static bool has_all(const struct ca_status *status)
{
    return status->ready && status->leader[0] != 0 &&
           counter_of(status, "consensus", "incoming_size") == 0 &&
           status->applied_index >= counter_of(status, "consensus", "leader_commit");
}

int catchup_node(struct ca *ca, const struct args *args, int slot)
{
    uint64_t until_ms = args->block_ms > 0 ? clock_now_ms() + args->block_ms : UINT64_MAX;
    struct progress progress = {0};
    struct ca_status status;
    bool ready = false, late = false;
    while (!ready && !late) {
        if (ca_status(ca, slot, &status) == CA_OK) {
            ready = has_all(&status);
            show(&progress, &status);
        }
        late = clock_now_ms() >= until_ms;
        if (!ready && late)
            fprintf(stderr, "changeagent: not there yet%s%s\n",
                    status.waits_for[0] != 0 ? ": it waits for " : "", status.waits_for);
        else if (!ready)
            ca_poll(ca, AGAIN_MS);
        ca_status_close(&status);
    }
    progress_wipe(&progress);
    return ready ? EXIT_OK : EXIT_REFUSED;
}
