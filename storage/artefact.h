/* artefact.h - a snapshot as it lies in a directory: MANIFEST, state.db, log/.
 *
 * Read as one stream of bytes, the manifest first, then each file in the order it is
 * named: so a place in it is one number, and who was interrupted goes on from there.
 * Every file was closed for ever before the manifest was written (S9); here they are
 * read as plain bytes. How an artefact is made: snapshot.h, how it is received: incoming.h. */
#ifndef STORAGE_ARTEFACT_H
#define STORAGE_ARTEFACT_H

#include "storage/manifest.h"

#define ARTEFACT_MANIFEST "MANIFEST"

enum { ARTEFACT_SLICE_MAX = 1 << 20 };

struct artefact {
    char *directory;
    struct manifest manifest;
    struct bytes head; /* the manifest as it is in the file */
    uint8_t id[HASH_SIZE];
    uint64_t size; /* of the stream */
    int fd;        /* of the file read last; 0: none */
    uint32_t open; /* its number */
};

/* ERR_NOT_FOUND: no manifest there.  ERR_CORRUPT: it is damaged, or a file is missing or has
 * another size.  ERR_VERSION, ERR_IO. */
MUST_USE enum err artefact_open(struct artefact *artefact, const char *directory);
void artefact_close(struct artefact *artefact);

/* Appends `max` bytes of the stream from `offset` on, fewer only at its end.
 * ERR_CORRUPT: a file has become shorter.  ERR_IO. */
MUST_USE enum err artefact_read(struct artefact *artefact, uint64_t offset, size_t max,
                                struct bytes *out);

/* Reads all of it. ERR_CORRUPT: a file has another digest; `name` is which. ERR_IO. */
MUST_USE enum err artefact_verify(struct artefact *artefact, const char **name);

/* Which file a place in the stream is in, and where in it; manifest.count: at the end. The place
 * must lie behind the manifest. */
uint32_t artefact_place(const struct manifest *manifest, uint64_t behind_head, uint64_t *at);

/* Reads a whole file. ERR_NOT_FOUND, ERR_LIMIT: more than `max` bytes.  ERR_IO. */
MUST_USE enum err artefact_read_file(const char *path, size_t max, struct bytes *out);

/* Writes the manifest to a temporary name, syncs and renames it: the last step of making one. */
MUST_USE enum err artefact_write_manifest(const char *directory, struct span text);

#endif
