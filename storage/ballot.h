/* ballot.h - term, vote, note, incarnation and the name of the newest segment:
 * what a voter must never forget, in one row of one file.
 *
 * The entries are elsewhere (journal.h). Every call here is one transaction
 * that is on disk when it returns (I2). */
#ifndef STORAGE_BALLOT_H
#define STORAGE_BALLOT_H

#include "storage/segment.h"
#include "storage/store.h"

enum { BALLOT_NOTE_MAX = 16 << 10, BALLOT_DAMAGE_MAX = 64 };

struct ballot {
    struct store store;
    sqlite3_stmt *read, *write;
    uint64_t term, vote, incarnation;
    uint64_t generation;            /* which directory holds log and state (generation.h) */
    struct bytes note;              /* of the founding, opaque */
    char newest[SEGMENT_NAME_MAX];  /* file name of the newest segment; empty: none yet */
    bool fresh;                     /* this open has drawn the row: nothing was known before */
    char damage[BALLOT_DAMAGE_MAX]; /* why this node must not vote (I18); empty: it may */
};

/* Opens the file and reads the row; makes both where missing, with `incarnation`.
 * ERR_CORRUPT: the row is damaged.  Others: store_open. */
MUST_USE enum err ballot_open(struct ballot *ballot, const char *path, uint64_t incarnation);
void ballot_close(struct ballot *ballot);

/* Reads the row and writes nothing, for the offline tools. ERR_NOT_FOUND: there is none. Others: as
 * above. */
MUST_USE enum err ballot_look(struct ballot *ballot, const char *path);

/* Each makes one thing durable, and only then changes it in memory.
 * ERR_IO: the outcome is unknown; the process ends (S5).  ERR_NOSPACE: nothing was written. */

/* ERR_BAD_REQUEST: the term would fall, or a vote given in this term would change. */
MUST_USE enum err ballot_vote(struct ballot *ballot, uint64_t term, uint64_t vote,
                              struct span note);
MUST_USE enum err ballot_name(struct ballot *ballot, const char *newest);

/* Installs a generation: one transaction that names its directory and its newest segment. */
MUST_USE enum err ballot_install(struct ballot *ballot, uint64_t generation, const char *newest);

/* The directory is damaged: another incarnation, at least this term, no vote, `newest` as
 * recovery left it. `reason` is kept until the node has been admitted again. */
MUST_USE enum err ballot_damage(struct ballot *ballot, const char *reason, uint64_t incarnation,
                                uint64_t term, const char *newest);

/* This directory is another server from now on, which may vote: another incarnation, this term, no
 * vote, log and state in this generation. */
MUST_USE enum err ballot_renew(struct ballot *ballot, uint64_t term, uint64_t incarnation,
                               uint64_t generation, const char *newest);

static inline bool ballot_may_vote(const struct ballot *ballot)
{
    return ballot->damage[0] == '\0';
}

#endif
