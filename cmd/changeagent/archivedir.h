/* archivedir.h - an archive: a directory of binary dumps, one behind the other.
 *
 * Each file is named by the id of its first change, twenty digits, and `.dump`; their names in
 * order are the log in order. Other files are passed over. Errors are told on stderr. */
#ifndef CMD_CHANGEAGENT_ARCHIVEDIR_H
#define CMD_CHANGEAGENT_ARCHIVEDIR_H

#include <stdbool.h>
#include <stdint.h>

#define ARCHIVE_NAME     "%020llu.dump"
#define ARCHIVE_FILE_MAX (UINT64_C(64) << 20) /* bytes; a file that has them is full */

/* Zeroed is closed. */
struct archivedir {
    const char *verb, *path; /* lent */
    uint64_t *firsts;        /* in order */
    uint32_t count;
    int lock; /* 0: for reading only */
};

/* Lists the files of a directory that is there. False: told. */
bool archivedir_open(struct archivedir *archive, const char *verb, const char *path);

/* The same for who writes: makes the directory, and is the only one. */
bool archivedir_claim(struct archivedir *archive, const char *verb, const char *path);

void archivedir_close(struct archivedir *archive);

/* The path of the file with this first change. */
enum { ARCHIVE_PATH_MAX = 4096 };
const char *archivedir_file(const struct archivedir *archive, uint64_t first,
                            char path[ARCHIVE_PATH_MAX]);

/* Makes durable that a file came or went. */
bool archivedir_sync(const struct archivedir *archive);

#endif
