/* recovery.h - what is found at the start, and what follows from it.
 *
 * Runs before any thread, alone with the files. It looks at every promise the
 * directory made: the ballot, its copy beside the data, the named segment, the
 * WALs, the row without a hole, the high-water mark, the applied index. A broken
 * one makes the directory another incarnation that must not vote (I18); what can
 * still be read stays. What is open afterwards is taken by journal. */
#ifndef STORAGE_RECOVERY_H
#define STORAGE_RECOVERY_H

#include "storage/ballot.h"
#include "storage/witness.h"
#include "storage/logdir.h"
#include "storage/storage.h"

struct recovery {
    char *data_dir;
    char *home;  /* of log and state (generation.h) */
    int lock_fd; /* holds the lock of the data directory (S11); 0: none */
    struct logdir logdir;
    struct ballot ballot;
    struct segment *
        *writers; /* of the unsealed segments, oldest first; the last one is the newest */
    uint32_t writer_count;
    struct storage_found found;
    struct witness_mark mark;
    uint64_t base_index, base_term; /* the last entry before the oldest writer; 0: none */
    uint8_t base_hash[HASH_SIZE];
    bool bridged;       /* the last file taken cannot be read; the next one says how it ended */
    uint64_t last_term; /* of the last entry; 0 if there is none */
    uint8_t last_hash[HASH_SIZE];
    struct bytes old_configs; /* the newest configuration records in sealed files, newest first */
    uint32_t old_config_count;
};

/* ERR_LOCKED: another storage is at work here.  ERR_VERSION: a newer one wrote the files.
 * ERR_IO: the disk refused.  Damage is no error: found.may_vote tells. */
MUST_USE enum err recovery_run(struct recovery *recovery, const char *data_dir);
void recovery_close(struct recovery *recovery);

#endif
