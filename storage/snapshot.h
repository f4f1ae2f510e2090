/* snapshot.h - how keeper makes a snapshot beside its work, and lends it in slices.
 *
 * At any time there is at most one, in DATA/snapshot: a copy of state.db at its applied
 * index A, hard links of the sealed segments with their indexes (they stay readable when the
 * log is cut), and copies of the rows of the segments that are still written, up to A. It
 * is kept while it is used, also over a restart. What is done with the bytes is not known
 * here: a follower gets them (consensus), or a client that makes a backup (api). */
#ifndef STORAGE_SNAPSHOT_H
#define STORAGE_SNAPSHOT_H

#include "storage/artefact.h"
#include "storage/filedigest.h"
#include "storage/late.h"
#include "storage/storecopy.h"

enum {
    SNAPSHOT_KEPT_MS = 600000,    /* after its last use */
    SNAPSHOT_IN_USE_MS = 30000,   /* after a slice somebody still reads it */
    SNAPSHOT_READ_MS = 2000,      /* after its last slice: whoever else reads it asks sooner */
    SNAPSHOT_RETRY_MS = 5000,     /* after one could not be made */
    SNAPSHOT_YOUNG_MS = 200,      /* before a state that was not written yet is looked for again */
    SNAPSHOT_LAG_MAX = 2 * 131072 /* entries behind the state: too old for somebody new */
};

enum snapshot_phase {
    SNAPSHOT_NONE,
    SNAPSHOT_STATE, /* state.db is being copied */
    SNAPSHOT_ROWS,  /* then rows that are in no sealed file */
    SNAPSHOT_DIGEST,
    SNAPSHOT_READY,
};

struct snapshot {
    char *directory;
    const char *data_dir; /* lent */
    uint64_t spare_bytes; /* that must stay free on the disk */
    enum snapshot_phase phase;
    uint64_t begun_ms, used_ms, not_before_ms;
    enum err failed; /* why the last one could not be made */
    struct storecopy copy;
    struct manifest manifest;
    uint64_t next_row;
    struct segment *writer; /* of the copied rows; NULL: none */
    uint64_t writer_end;    /* last row that belongs into it */
    uint32_t next_digest;   /* file whose digest is taken */
    struct filedigest digest;
    struct artefact ready;
    uint64_t made, slices, bytes; /* counters */
};

/* Takes up what an earlier life has left there, if it is whole. */
MUST_USE enum err snapshot_open(struct snapshot *snapshot, const char *data_dir,
                                uint64_t spare_bytes);
void snapshot_close(struct snapshot *snapshot);

/* There is something to do now. */
bool snapshot_due(const struct snapshot *snapshot, uint64_t now_ms);

/* One bounded piece of making, or of clearing away. An error concerns the snapshot only and is
 * told to who asks for it. ERR_IO here: the own files could not be removed. */
MUST_USE enum err snapshot_step(struct snapshot *snapshot, struct late *late, struct shelf *shelf,
                                uint64_t now_ms);

/* Where the state is, in memory and on disk, the first entry of the kept log, and where the
 * snapshot has to end at least. */
struct snapshot_place {
    uint64_t applied, first_index, written, least_index;
};

/* Lends the snapshot `id`, or with an empty id the present one; begins to make it where there is
 * none, or only one too old. ERR_NOT_READY: it is being made; ask again.
 * ERR_NOT_FOUND: there is no such snapshot any more.  Others: it could not be made. */
MUST_USE enum err snapshot_ask(struct snapshot *snapshot, struct span id,
                               const struct snapshot_place *place, uint64_t now_ms,
                               struct artefact **ready);

/* Its last slice was lent: unless somebody else asks soon, it may give way to a newer one. */
void snapshot_was_read(struct snapshot *snapshot, uint64_t now_ms);

#endif
