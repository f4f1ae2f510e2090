/* report.h - what the core's status looks like in messages. PURE. */
#ifndef CONSENSUS_REPORT_H
#define CONSENSUS_REPORT_H

#include "consensus/raft.h"
#include "protocol/peerlink.h"

enum { REPORT_CLUSTER_SIZE = 2 * CLUSTER_ID_SIZE + 1 };

/* LEADER_IS; its spans are lent from `status` and `cluster`. */
void report_leader(const struct raft_status *status, char cluster[REPORT_CLUSTER_SIZE],
                   struct message *out);

/* True if somebody who follows the leader must be told. */
bool report_differs(const struct raft_status *a, const struct raft_status *b);

/* A msgpack map of counters. */
void report_counters(const struct raft *raft, const struct peerlink *peers, struct bytes *out);

#endif
