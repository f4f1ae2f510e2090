/* source_file.h - a watched file: one server a line, `tcp://HOST:PORT` and, behind a
 * space, its public key. Lines that are blank or begin with `#` are skipped.
 *
 * The file is an outside thing: it may be missing, empty, or full of nonsense. */
#ifndef DISCOVERY_SOURCE_FILE_H
#define DISCOVERY_SOURCE_FILE_H

#include "common/err.h"
#include "discovery/source.h"

enum { SOURCE_FILE_MAX = 64 * 1024 };

struct source_file {
    const char *path;     /* lent */
    struct bytes content; /* as last seen; a missing file is an empty one */
    bool looked;
};

/* Looks again. True: the content changed, or this is the first look. */
bool source_file_look(struct source_file *file);

/* Takes the next sighting off `*rest` (begin with the content), and counts `*line`.
 * Garbage is logged once a change, with its line number, and skipped. False: no more. */
bool source_file_next(const struct source_file *file, struct span *rest, uint32_t *line,
                      struct sighting *sighting);

void source_file_close(struct source_file *file);

#endif
