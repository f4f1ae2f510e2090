/* progress.h - how far a long command is: a bar on stderr, if that is a terminal. */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown; /* something is drawn that must be wiped */
    uint64_t drawn_ms;
};

/* Draws at most ten times a second; `all` 0: how much there is is not known. */
void progress_show(struct progress *progress, uint64_t done, uint64_t all, const char *what);
void progress_wipe(struct progress *progress);

#endif
