/* journal_crash_test.c - a writer is killed with SIGKILL again and again; every row it
 * acknowledged is there afterwards, with its hash, and the node may still vote.
 *
 * A kill proves the order of our steps, not the disk: the power-cut rig does that. */
#include "common/log.h"
#include "storage/journal.h"
#include "tests/unit/storage_kit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 50, BATCH = 8 };

/* What the writer says it has on disk. */
struct acknowledged {
    uint64_t index, term;
    uint8_t hash[HASH_SIZE];
};

static enum err write_batch(struct journal *journal, struct kit *chain, uint64_t term)
{
    SCOPED(bytes) records = {0};
    kit_add_many(chain, BATCH, term, 400, &records);
    struct span rest = bytes_span(&records);
    while (rest.size > 0) {
        size_t taken;
        uint64_t first;
        TRY(journal_write(journal, rest, &taken, &first));
        rest = SPAN(rest.data + taken, rest.size - taken);
    }
    return ERR_NONE;
}

/* Each fifth batch replaces the last three entries under a new term; the parent is told before,
 * because what is replaced was promised to nobody any more. */
static enum err write_for_ever(struct journal *journal, struct kit *chain, int pipe_fd)
{
    uint64_t term = journal->ballot->term;
    for (uint64_t turn = 1;; turn++) {
        struct acknowledged said = {0};
        if (turn % 5 == 0 && journal->last_index > 3) {
            uint64_t index = journal->last_index - 2;
            TRY(ballot_vote(journal->ballot, ++term, 1, SPAN("", 0)));
            TRY(journal_hash_at(journal, index - 1, chain->hash));
            chain->next = index;
            said.index = index - 1;
            memcpy(said.hash, chain->hash, HASH_SIZE);
            if (write(pipe_fd, &said, sizeof said) != (ssize_t)sizeof said)
                return ERR_SYSTEM;
        }
        TRY(write_batch(journal, chain, term));
        if (turn % 7 == 0)
            TRY(journal_save_mark(journal));
        said.index = journal->last_index;
        memcpy(said.hash, journal->last_hash, HASH_SIZE);
        if (write(pipe_fd, &said, sizeof said) != (ssize_t)sizeof said)
            return ERR_SYSTEM;
    }
}

static void be_the_writer(const char *dir, int pipe_fd)
{
    struct recovery recovery = {0};
    struct journal journal = {0};
    struct kit chain = {0};
    if (recovery_run(&recovery, dir) != ERR_NONE)
        _exit(1);
    journal_open(&journal, &recovery, NULL);
    chain.next = journal.last_index + 1;
    memcpy(chain.hash, journal.last_hash, HASH_SIZE);
    if (journal.ballot->term == 0 && ballot_vote(journal.ballot, 1, 1, SPAN("", 0)) != ERR_NONE)
        _exit(1);
    (void)!write_for_ever(&journal, &chain, pipe_fd);
    _exit(1);
}

static void kill_after(pid_t writer, int pipe_fd, int batches, struct acknowledged *last)
{
    struct acknowledged said;
    for (int i = 0; i < batches; i++) {
        CHECK(read(pipe_fd, &said, sizeof said) == (ssize_t)sizeof said);
        *last = said;
    }
    kill(writer, SIGKILL);
    while (read(pipe_fd, &said, sizeof said) == (ssize_t)sizeof said)
        *last = said; /* what it still said before it died counts too */
    int status;
    CHECK(waitpid(writer, &status, 0) == writer);
    CHECK(WIFSIGNALED(status));
}

static void check_after(const char *dir, const struct acknowledged *last)
{
    struct recovery recovery = {0};
    struct journal journal = {0};
    uint8_t hash[HASH_SIZE];
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    CHECK(recovery.found.may_vote);
    CHECK(recovery.found.last_index >= last->index);
    journal_open(&journal, &recovery, NULL);
    CHECK(journal_hash_at(&journal, last->index, hash) == ERR_NONE);
    CHECK(memcmp(hash, last->hash, HASH_SIZE) == 0);
    journal_close(&journal);
    recovery_close(&recovery);
}

TEST(nothing_acknowledged_is_lost_by_fifty_kills)
{
    struct kit kit = kit_make();
    struct acknowledged last = {0};
    log_open("crash", LOG_ERROR);
    for (int i = 0; i < KILLS; i++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        pid_t writer = fork();
        CHECK(writer >= 0);
        if (writer == 0) {
            close(ends[0]);
            be_the_writer(kit.dir, ends[1]);
        }
        close(ends[1]);
        kill_after(writer, ends[0], 1 + i % 23, &last);
        close(ends[0]);
        check_after(kit.dir, &last);
    }
    CHECK(last.index > KILLS);
    kit_drop(&kit);
}

TEST_MAIN(T(nothing_acknowledged_is_lost_by_fifty_kills))
