/* report.c - status as messages. */
#include "consensus/report.h"

#include "protocol/cursor.h"
#include "protocol/wire.h"

void report_leader(const struct raft_status *status, char cluster[REPORT_CLUSTER_SIZE],
                   struct message *out)
{
    *out = (struct message){.type = MESSAGE_LEADER_IS};
    struct message_leader_is *is = &out->leader_is;
    cluster[0] = '\0';
    if (status->has_cluster)
        cursor_hex(status->cluster, CLUSTER_ID_SIZE, cluster);
    is->epoch = status->epoch;
    is->term = status->term;
    is->leader = status->leader;
    is->node = status->node;
    is->role = SPAN_TEXT(status->role_name);
    is->commit_index = status->commit_index;
    is->leader_commit = status->leader_commit;
    is->last_index = status->stored_index;
    is->cluster = SPAN_TEXT(cluster);
    is->waits_for = SPAN_TEXT(status->waits_for);
    is->drained = status->drained;
    is->history = status->history;
}

bool report_differs(const struct raft_status *a, const struct raft_status *b)
{
    return a->epoch != b->epoch || a->role != b->role || a->role_name != b->role_name ||
           a->term != b->term || a->leader != b->leader || a->has_cluster != b->has_cluster ||
           a->history != b->history || a->drained != b->drained ||
           strcmp(a->waits_for, b->waits_for) != 0;
}

void report_counters(const struct raft *raft, const struct peerlink *peers, struct bytes *out)
{
    struct raft_status status;
    raft_status(raft, &status);
    const struct raft_counters *c = &status.counters;
    const struct wire_counter counters[] = {
        {"catchups", c->catchups},
        {"catchup_taken", status.catchup_taken},
        {"catchup_size", status.catchup_size},
        {"leader_commit", status.leader_commit},
        {"incoming_taken", status.incoming_taken},
        {"incoming_size", status.incoming_size},
        {"slices_sent", c->slices_sent},
        {"slice_bytes", c->slice_bytes},
        {"elections", c->elections},
        {"terms_led", c->terms_led},
        {"appends_sent", c->appends_sent},
        {"append_bytes", c->append_bytes},
        {"heartbeats", c->heartbeats},
        {"stores", c->stores},
        {"store_bytes", c->store_bytes},
        {"proposals", c->proposals},
        {"refused", c->refused},
        {"forwarded", c->forwarded},
        {"fetches", c->fetches},
        {"wrong_cluster", c->wrong_cluster},
        {"wrong_receiver", c->wrong_receiver},
        {"transfers", c->transfers},
        {"reads", c->reads},
        {"read_rounds", c->read_rounds},
        {"cuts", c->cuts},
        {"peer_received", peers->received},
        {"peer_sent", peers->sent},
        {"peer_dropped", peers->dropped},
        {"peer_refused", peers->refused},
    };
    wire_pack_counters(out, counters, COUNT_OF(counters));
}
