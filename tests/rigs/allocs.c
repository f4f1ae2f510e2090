/* allocs.c - every allocation of a life of the disk fails once: ours (bytes_*), then SQLite's.
 *
 *   allocs [EVERY]     each EVERY-th n only; ends with `N passed, N failed`
 *
 * One life is a process without sockets: recovery, a vote, batches over several segments, cuts,
 * marks, a state and an index. The n-th allocation fails in it, for every n, until a life passes
 * without reaching n. Clean is: it ends with a code that says why, the next start finds all that
 * was promised, and the node may vote. Linked with --wrap=malloc, calloc, realloc. */
#include "common/clock.h"
#include "common/log.h"
#include "common/service.h"
#include "storage/journal.h"
#include "storage/seal.h"
#include "storage/state.h"
#include "tests/unit/storage_kit.h"

#include <sys/wait.h>
#include <unistd.h>

enum { TURNS = 8, BATCH = 60, BODY = 300 };

/* ---- allocators that fail -------------------------------------------------------------------- */

static long left = -1; /* until one fails; below 0: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static long sqlite_left = -1;
static sqlite3_mem_methods real;

static void *sqlite_malloc(int size)
{
    return sqlite_left >= 0 && sqlite_left-- == 0 ? NULL : real.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return sqlite_left >= 0 && sqlite_left-- == 0 ? NULL : real.xRealloc(old, size);
}

static void take_over_sqlite(void)
{
    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) == SQLITE_OK);
    sqlite3_mem_methods mine = real;
    mine.xMalloc = sqlite_malloc;
    mine.xRealloc = sqlite_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK); /* all of it goes our way */
}

/* ---- one life -------------------------------------------------------------------------------- */

struct promise {
    uint64_t index, term;
    uint8_t hash[HASH_SIZE];
};

static void promise(int pipe_fd, uint64_t index, uint64_t term, const uint8_t *hash)
{
    struct promise said = {.index = index, .term = term};
    memcpy(said.hash, hash, HASH_SIZE);
    if (write(pipe_fd, &said, sizeof said) != (ssize_t)sizeof said)
        _exit(99);
}

static enum err write_batch(struct journal *journal, struct kit *chain, uint64_t term)
{
    SCOPED(bytes) records = {0};
    kit_add_many(chain, BATCH, term, BODY, &records);
    struct span rest = bytes_span(&records);
    while (rest.size > 0) {
        size_t taken;
        uint64_t first;
        TRY(journal_write(journal, rest, &taken, &first));
        rest = SPAN(rest.data + taken, rest.size - taken);
    }
    return ERR_NONE;
}

static enum err write_all(struct journal *journal, int pipe_fd)
{
    struct kit chain = {.next = journal->last_index + 1};
    uint64_t term = journal->ballot->term;
    memcpy(chain.hash, journal->last_hash, HASH_SIZE);
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn % 3 == 2) { /* another leader replaces the end */
            chain.next = journal->last_index - 2;
            TRY(journal_hash_at(journal, chain.next - 1, chain.hash));
            TRY(ballot_vote(journal->ballot, ++term, 1, SPAN("", 0)));
            promise(pipe_fd, chain.next - 1, term, chain.hash);
        }
        TRY(write_batch(journal, &chain, term));
        promise(pipe_fd, journal->last_index, term, journal->last_hash);
        TRY(journal_prepare(journal));
        TRY(journal_save_mark(journal));
    }
    return journal_hand_over(journal, 0);
}

static enum err keep_state(const char *dir)
{
    SCOPED(state) state = {0};
    struct outcome outcome = {.index = 1, .first_id = 1, .ts = 1, .change_count = 1};
    struct state_tag use = {1, 1, 1};
    struct apply_mark mark = apply_begin();
    char path[256];
    snprintf(path, sizeof path, "%s/scratch.db", dir);
    TRY(state_open(&state, path));
    TRY(state_mark(&state, &mark));
    mark.index = mark.index + 1;
    outcome.index = mark.index;
    TRY(state_begin(&state));
    TRY(state_add_outcome(&state, &outcome));
    TRY(state_add_tag(&state, SPAN_TEXT("t"), &use));
    TRY(state_end(&state, &mark, 0));
    return store_checkpoint(&state.store);
}

static enum err keep_index(const char *dir)
{
    static const uint8_t zeros[HASH_SIZE];
    struct tagindex index = {0};
    struct seal seal = {.first_index = 1, .last_index = 9, .file.size = DIGEST_SIZE};
    char path[256];
    snprintf(path, sizeof path, "%s/scratch-segment", dir);
    tagindex_open(&index, 1, zeros);
    for (int i = 0; i < 9; i++) {
        tagindex_add_run(&index, (uint64_t)i + 1);
        tagindex_add_change(&index, 1000, zeros);
        tagindex_add_tag(&index, SPAN_TEXT("t"), 0);
    }
    enum err err = seal_write(path, &index, &seal);
    tagindex_close(&index);
    seal_close(&seal);
    return err;
}

static enum err live(const char *dir, int pipe_fd)
{
    struct recovery recovery = {0};
    struct journal journal = {0};
    TRY(recovery_run(&recovery, dir));
    journal_open(&journal, &recovery, NULL);
    if (journal.ballot->term == 0)
        TRY(ballot_vote(journal.ballot, 1, 1, SPAN("", 0)));
    TRY(write_all(&journal, pipe_fd));
    TRY(keep_state(dir));
    TRY(keep_index(dir));
    journal_close(&journal);
    recovery_close(&recovery);
    return ERR_NONE;
}

/* Ends with 77 if the failing allocation was not reached. */
static _Noreturn void be_a_life(const char *dir, int pipe_fd, long ours, long sqlites)
{
    left = ours;
    sqlite_left = sqlites;
    enum err err = live(dir, pipe_fd);
    bool reached = left < 0 && sqlite_left < 0;
    _exit(err != ERR_NONE ? service_exit_code(err) : reached ? EXIT_DONE : 77);
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool holds(const char *dir, const struct promise *last)
{
    struct recovery recovery = {0};
    struct journal journal = {0};
    uint8_t hash[HASH_SIZE] = {0};
    bool fine = recovery_run(&recovery, dir) == ERR_NONE && recovery.found.may_vote &&
                recovery.found.last_index >= last->index && recovery.ballot.term >= last->term;
    if (fine) {
        journal_open(&journal, &recovery, NULL);
        fine = last->index == 0 || (journal_hash_at(&journal, last->index, hash) == ERR_NONE &&
                                    memcmp(hash, last->hash, HASH_SIZE) == 0);
        journal_close(&journal);
    }
    recovery_close(&recovery);
    return fine;
}

/* Gives the exit code of the life; 0 to 255, or 256 and the signal. */
static int run_one(long ours, long sqlites, bool *fine)
{
    struct kit kit = kit_make();
    struct promise last = {0}, said;
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    pid_t life = fork();
    CHECK(life >= 0);
    if (life == 0) {
        close(ends[0]);
        be_a_life(kit.dir, ends[1], ours, sqlites);
    }
    close(ends[1]);
    while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
        last = said;
    close(ends[0]);
    CHECK(waitpid(life, &status, 0) == life);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    *fine = (code == EXIT_DONE || code == 77 || code == EXIT_RETRY || code == EXIT_STORAGE) &&
            holds(kit.dir, &last);
    if (*fine)
        kit_drop(&kit);
    else
        printf("FAILED: allocation %ld of %s: code %d; see %s\n", ours >= 0 ? ours : sqlites,
               ours >= 0 ? "ours" : "SQLite's", code, kit.dir);
    return code;
}

static bool sweep(bool is_sqlite, long every)
{
    bool fine = true;
    long number = 0, lives = 0;
    int counts[3] = {0}, code = 0;
    for (; fine && code != 77; number += every, lives++) {
        code = run_one(is_sqlite ? -1 : number, is_sqlite ? number : -1, &fine);
        counts[code == EXIT_RETRY ? 1 : code == EXIT_STORAGE ? 2 : 0]++;
    }
    printf("%s: %ld lives, the last n %ld; went on %d, ended with 111 %d, with 112 %d\n",
           is_sqlite ? "SQLite's" : "ours", lives, number - every, counts[0], counts[1], counts[2]);
    return fine;
}

int main(int argc, char **argv)
{
    long every = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    log_open("allocs", LOG_ERROR);
    take_over_sqlite();
    setvbuf(stdout, NULL, _IOLBF, 0);
    int passed = sweep(false, every > 0 ? every : 1) + sweep(true, every > 0 ? every : 1);
    printf("%d passed, %d failed\n", passed, 2 - passed);
    return passed == 2 ? 0 : 1;
}
