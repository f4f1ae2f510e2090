/* tracefile.h - the trace of this node, appended to a file that an operator named.
 *
 * Off unless it is named; then each line is in the file before its step has an effect, and so
 * outlives a kill of the process (not a power cut: it is never synced, and nothing depends on it).
 */
#ifndef CONSENSUS_TRACEFILE_H
#define CONSENSUS_TRACEFILE_H

#include "consensus/trace.h"

/* Zeroed is off. */
struct tracefile {
    int fd; /* 0: off */
    struct trace trace;
    struct bytes line;
    uint64_t taken_us;
};

/* Appends to FOLDER/NODE.ndjson. ERR_CONFIG: stderr says why that cannot be. */
MUST_USE enum err tracefile_open(struct tracefile *file, const char *folder, uint64_t node,
                                 uint64_t life);
void tracefile_close(struct tracefile *file);

/* Before and after a step. A disk that refuses ends the trace, and the log says so. */
void tracefile_begin(struct tracefile *file);
void tracefile_end(struct tracefile *file, const struct raft *raft, const struct raft_input *in,
                   const struct raft_outputs *out);

#endif
