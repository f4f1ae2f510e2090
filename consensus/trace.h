/* trace.h - PURE: one line of JSON for each step of the core (K5).
 *
 * What came in, what the core then is, what goes out; messages as the table of messages.def has
 * them, in short. It is written after the step and before any output is performed, so what a
 * node has said is in its trace. tests/trace/check.py judges the traces of all nodes. Where the
 * lines go is not known here: see tracefile.h. */
#ifndef CONSENSUS_TRACE_H
#define CONSENSUS_TRACE_H

#include "consensus/raft.h"

/* Zeroed but for `life` it is open; nothing is to be closed. */
struct trace {
    uint64_t life;     /* of the process */
    uint64_t sequence; /* of the line */
    bool told;         /* a configuration, the last time this one */
    uint64_t config_index, config_term;
};

/* When the input was taken and when the line is written, in the clock that all nodes share. */
struct trace_time {
    uint64_t taken_us, written_us;
};

/* Appends the line, with its newline. */
void trace_step(struct trace *trace, const struct raft *raft, const struct raft_input *in,
                const struct raft_outputs *out, struct trace_time time, struct bytes *line);

#endif
