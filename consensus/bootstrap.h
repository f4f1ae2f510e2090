/* bootstrap.h - how a cluster is founded, once, by all its listed voters.
 *
 * MEET and MET gather ids and incarnations. The founder, the listed voter with
 * the lowest key, draws the cluster id, notes all voters in its ballot (the note
 * is encoded by members.h), lets every voter note the same durably, and only
 * then is the first to campaign; record 1 is the note. A noted node never takes
 * part in another founding; a blank one that meets a founded cluster stays
 * outside. ARCHITECTURE section 8. */
#ifndef CONSENSUS_BOOTSTRAP_H
#define CONSENSUS_BOOTSTRAP_H

#include "consensus/state.h"

/* The log is empty: found, note or wait. */
void bootstrap_begin(struct raft *raft);

raft_rule bootstrap_tick;
raft_rule bootstrap_meet;  /* MEET, in every role that knows its incarnation */
raft_rule bootstrap_met;   /* MET */
raft_rule bootstrap_note;  /* NOTE, while record 1 is missing */
raft_rule bootstrap_again; /* NOTE, later: the answer may have been lost */
raft_rule bootstrap_noted; /* NOTED */
raft_rule bootstrap_hint;  /* HINT, in every role */

/* The ballot is settled: answers NOTE, or goes on founding. */
void bootstrap_release(struct raft *raft);

/* True if this node may campaign although record 1 is missing. */
bool bootstrap_may_campaign(const struct raft *raft);

/* In words, what the founding waits for. */
void bootstrap_waits_for(const struct raft *raft, char *text, size_t size);

#endif
