/* incoming.h - a snapshot that comes in: slices become files, files become a generation.
 *
 * What has come is in DATA/incoming and is gone on with after any interruption: a file
 * that is whole and has its digest bears its own name, the one in work ends in .part. When
 * all is there and fits together it is staged as the next generation; whether and when
 * that is installed is decided by journal (install.h). */
#ifndef STORAGE_INCOMING_H
#define STORAGE_INCOMING_H

#include "storage/manifest.h"
#include "storage/segment.h"

struct incoming {
    const char *data_dir; /* lent */
    uint64_t spare_bytes; /* that must stay free on the disk */
    char *directory;
    bool active;
    uint8_t id[HASH_SIZE];
    uint64_t head, size; /* bytes of the manifest; of the stream */
    uint64_t offset;     /* all before it is here */
    struct bytes text;   /* the manifest, as far as it has come */
    struct manifest manifest;
    uint32_t file; /* in work */
    uint64_t file_at;
    int fd; /* 0: not open */
    struct digest_state digest;
    uint64_t slices, bytes, resumed; /* counters */
};

/* One slice of the stream. */
struct incoming_slice {
    struct span id;
    uint64_t head, size, offset;
    struct span data, digest; /* of the data */
};

/* Takes up what an earlier life has left. ERR_IO. */
MUST_USE enum err incoming_open(struct incoming *incoming, const char *data_dir,
                                uint64_t spare_bytes);
void incoming_close(struct incoming *incoming);

/* Writes a slice if it is the next one; what is wanted next is incoming->offset then. Another
 * id begins anew. ERR_BAD_REQUEST: not a slice.  ERR_CORRUPT: it, or the file it ends, or the
 * manifest has another digest; the offset is where to go on.  ERR_NOSPACE, ERR_IO. */
MUST_USE enum err incoming_write(struct incoming *incoming, const struct incoming_slice *slice);

bool incoming_whole(const struct incoming *incoming);

/* All is here: checks that state and log fit together, makes the newest segment ready to be
 * written, syncs, and gives the directory the name of the generation. Nothing of it is in
 * `incoming` afterwards. ERR_CORRUPT: it does not fit; all of it is gone.  ERR_IO. */
MUST_USE enum err incoming_stage(struct incoming *incoming, uint64_t generation,
                                 char newest[SEGMENT_NAME_MAX]);

/* Do the label and the content of a snapshot agree? `name`: what does not. Reads only.
 * ERR_CORRUPT: they do not (I16). */
MUST_USE enum err incoming_check(const char *directory, const struct manifest *manifest,
                                 const char **name);

/* Forgets and removes what has come. */
MUST_USE enum err incoming_drop(struct incoming *incoming);

#endif
