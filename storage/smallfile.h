/* smallfile.h - files of a few bytes outside SQLite: marks, copies, the ballast.
 *
 * Each content carries its checksum. Nothing here ever touches a database file (S9). */
#ifndef STORAGE_SMALLFILE_H
#define STORAGE_SMALLFILE_H

#include "common/bytes.h"
#include "common/err.h"

enum { SMALLFILE_MAX = 256 };

/* Writes the content so that it is there as a whole after a power cut: written in place
 * (one sector), synced; a new file also with its directory. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err smallfile_write(const char *path, struct span content);

/* Opens a file that smallfile_write has made, to be written often: it is whole in memory of the
 * kernel after each put, so also when this process dies, and on disk after a sync. *fd is closed
 * by close(). ERR_NOT_FOUND: no such file. ERR_IO. */
MUST_USE enum err smallfile_open(const char *path, int *fd);
MUST_USE enum err smallfile_put(int fd, struct span content);
MUST_USE enum err smallfile_sync(int fd);

/* ERR_NOT_FOUND: no such file.  ERR_CORRUPT: torn or damaged. */
MUST_USE enum err smallfile_read(const char *path, uint8_t content[SMALLFILE_MAX], size_t *size);

/* A directory, made where missing, with mode 0700. */
MUST_USE enum err smallfile_directory(const char *path);

#endif
