/* journal.h - the replicated log on disk: entries in order, without a hole, in a
 * row of segment files.
 *
 * Term and vote are elsewhere (ballot.h), and what an entry means is not known
 * here. Who asks, and when a batch is full, is scribe.h's business. */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include "common/worker.h"
#include "storage/recovery.h"

enum {
    JOURNAL_ROWS_MAX = 4096,      /* of one transaction: nothing spills out of the cache */
    JOURNAL_BYTES_MAX = 16 << 20, /* of one transaction */
};

struct journal {
    const char *data_dir;     /* lent */
    struct logdir *logdir;    /* lent */
    struct ballot *ballot;    /* lent; journal names segments in it */
    struct queue *keeper;     /* is told of files; NULL in tests */
    struct segment **writers; /* of the unsealed segments, oldest first */
    uint32_t writer_count;
    struct segment *spare; /* the next file, prepared ahead; not named yet */
    uint64_t last_index, last_term;
    uint8_t last_hash[HASH_SIZE];
    uint64_t base_index, base_term; /* the entry before the oldest writer */
    uint8_t base_hash[HASH_SIZE];
    uint64_t applied;         /* durable in state.db: never cut at or below it */
    struct witness_mark mark; /* the high-water mark as it was written last */
    bool mark_moved;          /* and not synced since */
    int mark_fd;              /* 0: not open */
    struct bytes old_configs; /* newest two of the segments that were handed over, newest first */
    uint32_t old_config_count;
    uint64_t transactions, rolls, cuts; /* counters */
};

/* Takes what recovery left open; `recovery` must outlive the journal. */
void journal_open(struct journal *journal, struct recovery *recovery, struct queue *keeper);
void journal_close(struct journal *journal);

static inline struct segment *journal_newest(const struct journal *journal)
{
    return journal->writers[journal->writer_count - 1];
}

/* Term and hash of the entry at `index`; zeros for 0. Errors as below. */
MUST_USE enum err journal_look_up(struct journal *journal, uint64_t index, uint64_t *term,
                                  uint8_t hash[HASH_SIZE]);

/* In the transaction that `segment` is in: a file says itself what it goes on from, here the entry
 * at `index` of this log. Without it the log cannot begin with that file once the ones before are
 * cut (logrow.c). Errors as below, and those of segment_note_base. */
MUST_USE enum err journal_note_base(struct journal *journal, uint64_t index,
                                    struct segment *segment);

/* Appends whole records from `from` on, as many as fit of one file, at least one.
 * ERR_TRUNCATED: it was handed over.  ERR_GAP: behind the end.  ERR_CORRUPT, ERR_IO. */
MUST_USE enum err journal_read(struct journal *journal, uint64_t from, size_t bytes_max,
                               struct bytes *out);

/* Copies the log hash of the entry at `index`; zeros for 0.
 * ERR_GAP: the log ends before it.  ERR_TRUNCATED: it lies in a segment handed over. */
MUST_USE enum err journal_hash_at(struct journal *journal, uint64_t index, uint8_t hash[HASH_SIZE]);

/* Are these whole, intact records from `first` on, without a gap, of terms up to `term_max`, and
 * does the first follow `hash`? The chain inside of them is consensus's to verify; here the
 * checksum of each stands for it (docs/decisions/0022). Then `hash` becomes that of the last one,
 * *last its index. ERR_BAD_MESSAGE, ERR_GAP, ERR_CORRUPT, ERR_BAD_REQUEST (a term above). `hash` is
 * then undefined.
 */
MUST_USE enum err journal_check(struct span records, uint64_t first, uint64_t term_max,
                                uint8_t hash[HASH_SIZE], uint64_t *last);

/* Makes the first part of checked records durable, in one transaction of one file, replacing
 * what conflicts; *taken bytes of them are on disk then. Call again for the rest.
 * *first: the first index written; 0: all that was taken was there already.
 * ERR_GAP: they do not follow.  ERR_BAD_REQUEST: they would change what is applied.
 * ERR_NOSPACE: nothing of this part was written; the log is as before or ends before it.
 * ERR_IO, ERR_CORRUPT: the outcome is unknown; the process ends (S5). */
MUST_USE enum err journal_write(struct journal *journal, struct span records, size_t *taken,
                                uint64_t *first);

/* Everything up to `index` is applied and synced in state.db: full segments at or below it
 * go to keeper, with the only connection that writes to them. */
MUST_USE enum err journal_hand_over(struct journal *journal, uint64_t index);

/* Makes the next file ahead of time where the newest is more than half full. */
MUST_USE enum err journal_prepare(struct journal *journal);

/* Now and then: the next file, where there is room for it, and what a hand-over left behind,
 * because the file that was durably applied had no file after it yet. */
MUST_USE enum err journal_tend(struct journal *journal, bool room);

/* Moves the high-water mark to the end of the log, before that is acknowledged; it is exact then
 * for whoever comes after this process. */
MUST_USE enum err journal_move_mark(struct journal *journal);
/* The same, and durable. */
MUST_USE enum err journal_save_mark(struct journal *journal);

/* Appends the newest records, contiguous up to the last one, about `bytes_max` of them, at least
 * one if there is one in an open segment. */
MUST_USE enum err journal_tail(struct journal *journal, size_t bytes_max, struct bytes *out);

/* Appends the last two founding and configuration records, older first. */
MUST_USE enum err journal_configs(struct journal *journal, struct bytes *out);

#endif
