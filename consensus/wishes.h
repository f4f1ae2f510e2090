/* wishes.h - clients wish that the membership be so, and ask how far it is.
 *
 * An ask is answered at once, with how things stand; who wants to wait asks
 * again. So nothing is kept for it here, it may be lost, doubled or repeated, and
 * the next leader answers it as well: what it wished for stands in the log. */
#ifndef CONSENSUS_WISHES_H
#define CONSENSUS_WISHES_H

#include "consensus/state.h"

raft_rule wishes_asked;         /* MEMBERS_ASK, of a leader */
raft_rule wishes_asked_by_peer; /* ASK_MEMBERS, of a leader */
raft_rule wishes_forward;       /* MEMBERS_ASK, of any other: to the leader */
raft_rule wishes_unknown;       /* MEMBERS_ASK, while storage has said nothing */
raft_rule wishes_told;          /* TELL_MEMBERS: to the own api */
raft_rule wishes_met;           /* MET, of a leader: the server that was called back */

#endif
