/* lines.c - the steps of all nodes into one file, as a node writes its own (consensus/trace.h). */
#include "tests/sim/world.h"

#include "consensus/trace.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *file; /* NULL: nothing is written */
static struct trace traces[WORLD_NODES_MAX];

void lines_open(const char *path)
{
    file = fopen(path, "w");
    if (file != NULL)
        return;
    fprintf(stderr, "sim: %s cannot be written\n", path);
    exit(2);
}

void lines_step(struct world *world, uint32_t at, const struct raft_input *in)
{
    const struct node *node = &world->nodes[at];
    struct trace_time time = {world->now * 1000, world->now * 1000};
    struct bytes line = {0};
    if (file == NULL)
        return;
    if (traces[at].life != node->life)
        traces[at] = (struct trace){.life = node->life};
    trace_step(&traces[at], node->raft, in, &node->outputs, time, &line);
    fwrite(line.data, 1, line.size, file);
    fflush(file); /* a violation may end the process */
    bytes_close(&line);
}
