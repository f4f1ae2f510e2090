/* snapshot_crash_test.c - the receiver dies before the n-th change of the disk, for every n from
 * the first slice to the removal of the old generation. Whatever n: the node may vote, has
 * either its old log or the one of the snapshot, whole, and the next life brings it to its end.
 *
 * A death of the process proves the order of our steps, not the disk: the power-cut rig does
 * that. */
#include "common/log.h"
#include "crash_kit.h"
#include "snapshot_kit.h"

#include <sys/wait.h>

/* ---- lives ------------------------------------------------------------------------------------
 */

static struct kit_snapshot *made;
static uint64_t stride = 2; /* 1 with any argument */

enum { OLD_ENTRIES = 400 };

/* What the node had before: some entries, of which nothing is in the snapshot's log. */
static void write_old_log(const char *dir, uint8_t hash[HASH_SIZE])
{
    SCOPED(recovery) recovery = {0};
    SCOPED(journal) journal = {0};
    struct log_kit log = {.term = 1, .ts = 1};
    size_t taken;
    uint64_t first;
    kit_founding(&log);
    while (log.last < OLD_ENTRIES)
        kit_put(&log, log.last + 1, 1, 1, "old", "x");
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    journal_open(&journal, &recovery, NULL);
    CHECK(ballot_vote(journal.ballot, KIT_TERM, 0, SPAN("", 0)) == ERR_NONE);
    CHECK(journal_write(&journal, bytes_span(&log.records), &taken, &first) == ERR_NONE);
    CHECK(journal_save_mark(&journal) == ERR_NONE);
    memcpy(hash, log.hash, HASH_SIZE);
    kit_close(&log);
}

/* The second recovery removes the old generation; both belong to the way. */
static void be_the_node(const char *dir, uint64_t n)
{
    SCOPED(recovery) recovery = {0};
    calls = 0;
    die_at = n;
    if (kit_life(dir, made) != ERR_NONE || recovery_run(&recovery, dir) != ERR_NONE)
        _exit(2);
    _exit(0);
}

/* True if it died at its n-th call. */
static bool live(const char *dir, uint64_t n)
{
    int status;
    pid_t node = fork();
    CHECK(node >= 0);
    if (node == 0)
        be_the_node(dir, n);
    CHECK(waitpid(node, &status, 0) == node);
    if (WIFSIGNALED(status)) {
        CHECK(WTERMSIG(status) == SIGKILL);
        return true;
    }
    CHECK(WEXITSTATUS(status) == 0);
    return false;
}

static bool is_installed(const char *dir, const uint8_t old_hash[HASH_SIZE])
{
    SCOPED(recovery) recovery = {0};
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    CHECK(recovery.found.may_vote);
    CHECK(recovery.ballot.term == KIT_TERM);
    if (recovery.ballot.generation == 0) {
        CHECK(recovery.found.last_index == OLD_ENTRIES);
        CHECK(memcmp(recovery.last_hash, old_hash, HASH_SIZE) == 0);
        return false;
    }
    CHECK(recovery.found.last_index == made->index);
    CHECK(recovery.found.applied_index == made->index);
    CHECK(memcmp(recovery.last_hash, made->log.hash, HASH_SIZE) == 0);
    return true;
}

TEST(whoever_dies_while_a_snapshot_comes_in_has_the_old_log_or_the_new)
{
    uint8_t old_hash[HASH_SIZE];
    uint64_t n = 1, before = 0, after = 0;
    for (bool died = true; died; n += stride) {
        struct kit kit = {.dir = "/dev/shm/cag-XXXXXX"}; /* only the order of steps is judged */
        CHECK(mkdtemp(kit.dir) != NULL);
        write_old_log(kit.dir, old_hash);
        died = live(kit.dir, n);
        bool installed = is_installed(kit.dir, old_hash);
        before += !installed;
        after += installed;
        CHECK(installed || after == 0 || !died); /* once it is there it stays */
        if (!installed)
            CHECK(!live(kit.dir, 0));
        CHECK(is_installed(kit.dir, old_hash));
        kit_drop(&kit);
    }
    CHECK(before > 20); /* calls that were really counted, */
    CHECK(after > 3);   /* on both sides of the one transaction */
}

static int setup(void **state)
{
    log_open("snapshot_crash_test", LOG_ERROR);
    made = kit_snapshot_make(1, 300);
    return 0;
}

static int teardown(void **state)
{
    kit_snapshot_drop(made);
    return 0;
}

int main(int argc, char **argv)
{
    stride = argc > 1 ? 1 : stride;
    const struct CMUnitTest tests[] = {
        T(whoever_dies_while_a_snapshot_comes_in_has_the_old_log_or_the_new),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
