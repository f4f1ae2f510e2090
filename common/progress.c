/* progress.c - see progress.h. */
#include "common/progress.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 40, PAUSE_MS = 100 };

void progress_show(struct progress *progress, uint64_t done, uint64_t all, const char *what)
{
    char bar[WIDTH + 1];
    uint64_t now_ms = clock_now_ms();
    if (!isatty(STDERR_FILENO) || now_ms - progress->drawn_ms < PAUSE_MS)
        return;
    double share = all == 0 ? 0 : done < all ? (double)done / (double)all : 1;
    size_t full = (size_t)(share * WIDTH);
    memset(bar, '.', WIDTH);
    memset(bar, '#', full);
    bar[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3.0f %%  %llu %s ", bar, share * 100, (unsigned long long)done, what);
    progress->shown = true;
    progress->drawn_ms = now_ms;
}

void progress_wipe(struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%*s\r", WIDTH + 40, "");
    progress->shown = false;
}
