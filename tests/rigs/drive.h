/* drive.h - a scripted consensus for one changeagent-storage, which remembers what storage
 * promised.
 *
 * promises.c hears what storage says and holds it to its word, talk.c asks, writer.c makes a log,
 * looker.c reads as a client does. What is done when is told by commands: drive.c. */
#ifndef TESTS_RIGS_DRIVE_H
#define TESTS_RIGS_DRIVE_H

#include "protocol/link.h"
#include "tests/unit/log_kit.h"

enum { DRIVE_INDEX_MAX = 1 << 22, DRIVE_PATIENCE_MS = 20000, DRIVE_TURN_MS = 2 };

#define DRIVE_CHECK_BYTES MiB(1)

/* One entry that was sent: the newest version of its index. */
struct sent {
    uint8_t hash[HASH_SIZE];
    uint64_t term;
};

/* A version of the last entries that was replaced before anybody took it as done. */
struct replaced {
    uint64_t index;
    uint8_t hash[HASH_SIZE];
};

struct drive {
    struct loop loop;
    struct link journal, view, keeper;
    const char *run_dir;
    uint64_t seed;
    bool open, writing, loaded, balloted, fetched;
    uint64_t left; /* batches of this life; 0: no end */
    bool mortal;   /* storage may die at any moment: that is no fault */
    bool looks;    /* at a storage that may be damaged, and say so */
    bool votes, has_page;
    uint64_t served, refused;
    struct bytes row;       /* of the last page; empty: refused, or none */
    struct bytes *learned;  /* rows by id */
    uint64_t learned_count; /* ids from 1 on */
    struct sent *sent;      /* by index */
    uint64_t last, acked, committed, durable, ts, txid;
    struct replaced *replaced;
    uint32_t replaced_count;
    uint64_t life, ticket, answered, tail_first, loaded_last;
    uint64_t term, vote, term_promised, vote_promised, ballot_ticket;
    uint64_t told_applied, verified, incarnation, gone_ms;
    uint64_t stores, overwrites, lives, ballots;
};

/* Ends the drive with a line that begins with FAULT, if the promise does not hold. */
void promises_hold(const struct drive *drive, bool promise, const char *what, uint64_t a,
                   uint64_t b);
_Noreturn void promises_broken(const struct drive *drive, const char *what, uint64_t a, uint64_t b);
extern link_handler *const promises_handlers[MESSAGE_TYPE_MAX];

void talk_open(struct drive *drive);
void talk_close(struct drive *drive);
void talk_say(struct drive *drive, struct link *link, const struct message *message);
/* True: whoever starts and kills storages wants something, so the one that is waited for is gone.
 */
bool talk_interrupted(void);
/* Each is false if there is no use in waiting any more. */
bool talk_await(struct drive *drive, const bool *done, const char *what);
bool talk_read_back(struct drive *drive, uint64_t from, uint64_t to);
bool talk_load(struct drive *drive);
/* False: the links are down. Whoever killed storage says so soon, or it is a fault. */
bool talk_is_heard(struct drive *drive);
/* The same, and storage knows who speaks. Behind a silence both sides have hung up, and it has
 * forgotten: it is loaded again, as at a start. */
bool talk_stands(struct drive *drive);
/* Tells storage how far everything is committed. */
void talk_commit(struct drive *drive);

/* A batch, a new term, a commit, or nothing, by chance. */
void writer_turn(struct drive *drive);
/* The last batch of a life was sent: all of it shall be stored, committed, applied. */
void writer_rest(struct drive *drive);

/* Everything that was committed is to be applied again: as far as storage can. */
void looker_commit(struct drive *drive);
void looker_learn(struct drive *drive);
void looker_look(struct drive *drive);

#endif
