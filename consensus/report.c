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
    wire_pack_map(out, 29);
    wire_pack_counter(out, "catchups", c->catchups);
    wire_pack_counter(out, "catchup_taken", status.catchup_taken);
    wire_pack_counter(out, "catchup_size", status.catchup_size);
    wire_pack_counter(out, "leader_commit", status.leader_commit);
    wire_pack_counter(out, "incoming_taken", status.incoming_taken);
    wire_pack_counter(out, "incoming_size", status.incoming_size);
    wire_pack_counter(out, "slices_sent", c->slices_sent);
    wire_pack_counter(out, "slice_bytes", c->slice_bytes);
    wire_pack_counter(out, "elections", c->elections);
    wire_pack_counter(out, "terms_led", c->terms_led);
    wire_pack_counter(out, "appends_sent", c->appends_sent);
    wire_pack_counter(out, "append_bytes", c->append_bytes);
    wire_pack_counter(out, "heartbeats", c->heartbeats);
    wire_pack_counter(out, "stores", c->stores);
    wire_pack_counter(out, "store_bytes", c->store_bytes);
    wire_pack_counter(out, "proposals", c->proposals);
    wire_pack_counter(out, "refused", c->refused);
    wire_pack_counter(out, "forwarded", c->forwarded);
    wire_pack_counter(out, "fetches", c->fetches);
    wire_pack_counter(out, "wrong_cluster", c->wrong_cluster);
    wire_pack_counter(out, "wrong_receiver", c->wrong_receiver);
    wire_pack_counter(out, "transfers", c->transfers);
    wire_pack_counter(out, "reads", c->reads);
    wire_pack_counter(out, "read_rounds", c->read_rounds);
    wire_pack_counter(out, "cuts", c->cuts);
    wire_pack_counter(out, "peer_received", peers->received);
    wire_pack_counter(out, "peer_sent", peers->sent);
    wire_pack_counter(out, "peer_dropped", peers->dropped);
    wire_pack_counter(out, "peer_refused", peers->refused);
}
