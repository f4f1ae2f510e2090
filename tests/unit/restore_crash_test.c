/* restore_crash_test.c - a restore, and a new history by force, die before the n-th change of the
 * disk, for every n. Whatever n: the same command, given again, brings the directory to the one
 * end; until then it never votes for the log of before, and afterwards nothing is begun anew.
 *
 * A death of the process proves the order of our steps, not the disk: the power-cut rig does
 * that. */
#include "common/log.h"
#include "crash_kit.h"
#include "snapshot_kit.h"
#include "storage/refound.h"
#include "storage/restore.h"

#include <fcntl.h>
#include <sys/wait.h>

/* ---- directories ------------------------------------------------------------------------------
 */

static struct kit_snapshot *made;
static struct kit backup = {.dir = "/dev/shm/cab-XXXXXX"};
static uint64_t stride = 5; /* 1 with any argument */

/* The founding that the kits write is a cluster id and a history; here somebody is named too. */
static void write_backup(void)
{
    SCOPED(incoming) incoming = {0};
    CHECK(mkdtemp(backup.dir) != NULL);
    CHECK(incoming_open(&incoming, backup.dir, 0) == ERR_NONE);
    CHECK(kit_receive(&incoming, made) == ERR_NONE);
}

static struct kit blank(void)
{
    struct kit kit = {.dir = "/dev/shm/car-XXXXXX"}; /* only the order of steps is judged */
    struct keys keys = {0};
    CHECK(mkdtemp(kit.dir) != NULL);
    CHECK(keys_open(&keys, kit.dir) == ERR_NONE);
    return kit;
}

static int restore(const char *dir, const char *from)
{
    char *argv[] = {"changeagent-storage", "restore", (char *)(uintptr_t)dir,
                    (char *)(uintptr_t)from, NULL};
    return restore_main(4, argv);
}

static const char *artefact(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/incoming", backup.dir);
    return path;
}

/* ---- lives ------------------------------------------------------------------------------------
 */

typedef int command(const char *dir);

static int restore_it(const char *dir)
{
    return restore(dir, artefact());
}

static int force_it(const char *dir)
{
    SCOPED(refound) refound = {0};
    uint64_t history;
    if (refound_open(&refound, dir) != ERR_NONE)
        return 2;
    return refound.alone || refound_write(&refound, &history) == ERR_NONE ? 0 : 3;
}

/* True if it died at its n-th call. */
static bool live(command *run, const char *dir, uint64_t n)
{
    int status;
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        calls = 0;
        die_at = n;
        _exit(run(dir));
    }
    CHECK(waitpid(process, &status, 0) == process);
    if (WIFSIGNALED(status)) {
        CHECK(WTERMSIG(status) == SIGKILL);
        return true;
    }
    CHECK(WEXITSTATUS(status) == 0);
    return false;
}

/* The history that the directory goes on with; 0: it is not the voter of any new one. */
static uint64_t history_of(const char *dir)
{
    SCOPED(refound) refound = {0};
    CHECK(refound_open(&refound, dir) == ERR_NONE);
    if (!refound.alone)
        return 0;
    CHECK(refound.recovery.found.may_vote);
    CHECK(refound.journal.last_index >= made->index + 1);
    CHECK(refound.mark.index == made->index);
    CHECK(refound.recovery.ballot.term >= refound.journal.last_term);
    CHECK(refound.members.count == 1 && refound.members.parent != 0);
    return refound.members.history;
}

static void die_everywhere(command *run, void (*prepare)(const char *dir))
{
    uint64_t n = 1, deaths = 0;
    for (bool died = true; died; n += stride) {
        struct kit kit = blank();
        if (prepare != NULL)
            prepare(kit.dir);
        died = live(run, kit.dir, n);
        deaths += died;
        CHECK(!live(run, kit.dir, 0));
        uint64_t history = history_of(kit.dir);
        CHECK(history != 0);
        CHECK(!live(run, kit.dir, 0)); /* once more: nothing is to be done */
        CHECK(history_of(kit.dir) == history);
        kit_drop(&kit);
    }
    CHECK(deaths > 5); /* calls that were really counted */
}

TEST(a_restore_that_was_killed_anywhere_is_ended_by_the_same_command)
{
    die_everywhere(restore_it, NULL);
}

/* A node that is no member any more: its directory was copied. */
static void make_other(const char *dir)
{
    CHECK(!live(restore_it, dir, 0));
    CHECK(witness_write_incarnation(dir, 4711) == ERR_NONE);
}

TEST(a_new_history_by_force_that_was_killed_anywhere_is_ended_by_the_same_command)
{
    die_everywhere(force_it, make_other);
}

/* ---- what is refused --------------------------------------------------------------------------
 */

static void spoil(const char *dir, const char *name, off_t at)
{
    char path[256];
    uint8_t byte;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 4;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static bool has(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

TEST(what_is_no_whole_backup_is_refused_and_leaves_no_node)
{
    static const char *const ways[] = {
        "rm %s/MANIFEST",
        "rm %s/state.db",
        "truncate -s -1 %s/state.db",
        "echo >> %s/MANIFEST",
        "truncate -s 10 %s/MANIFEST",
        "rm -r %s/log",
        "ln -sf /etc/passwd %s/state.db",
    };
    char copy[160];
    struct kit kit = blank();
    snprintf(copy, sizeof copy, "%s/copy", backup.dir);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        kit_shell("rm -rf %s%s", copy, "");
        kit_shell("cp -r %s %s", artefact(), copy);
        kit_shell(ways[i], copy, "");
        CHECK(restore(kit.dir, copy) != 0);
        CHECK(!has(kit.dir, "ballot.db") && !has(kit.dir, "generation-00000001"));
    }
    kit_shell("rm -rf %s%s", copy, "");
    CHECK(restore(kit.dir, "/nowhere") != 0 && restore(kit.dir, "/etc/passwd") != 0);
    CHECK(restore_it(kit.dir) == 0); /* and a whole one after them is taken */
    kit_drop(&kit);
}

TEST(a_flipped_bit_anywhere_in_a_backup_is_found_before_it_is_a_node)
{
    char copy[160];
    struct kit kit = blank();
    snprintf(copy, sizeof copy, "%s/copy", backup.dir);
    kit_shell("cp -r %s %s", artefact(), copy);
    for (off_t at = 0; at < 60000; at += 7001) {
        spoil(copy, "state.db", at % 12000);
        CHECK(restore(kit.dir, copy) != 0);
        CHECK(!has(kit.dir, "ballot.db") && !has(kit.dir, "generation-00000001"));
        spoil(copy, "state.db", at % 12000);
    }
    CHECK(restore(kit.dir, copy) == 0);
    kit_shell("rm -rf %s%s", copy, "");
    kit_drop(&kit);
}

TEST(a_directory_that_holds_something_is_refused)
{
    static const char *const names[] = {"ballot.db",           "log",      "state.db",
                                        "generation-00000001", "incoming", "photographs"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct kit kit = blank();
        kit_shell("mkdir %s/%s", kit.dir, names[i]);
        CHECK(restore_it(kit.dir) == 100);
        CHECK(has(kit.dir, names[i]));
        kit_drop(&kit);
    }
}

TEST(a_word_of_an_earlier_restore_that_is_none_is_refused)
{
    struct kit kit = blank();
    kit_shell("echo nonsense > %s/identity/%s", kit.dir, "restored");
    CHECK(restore_it(kit.dir) == 113);
    kit_drop(&kit);
}

/* ---- the group --------------------------------------------------------------------------------
 */

static int setup(void **state)
{
    log_open("restore_crash_test", LOG_ERROR);
    made = kit_snapshot_make(1, 300);
    write_backup();
    return 0;
}

static int teardown(void **state)
{
    kit_drop(&backup);
    kit_snapshot_drop(made);
    return 0;
}

int main(int argc, char **argv)
{
    stride = argc > 1 ? 1 : stride;
    const struct CMUnitTest tests[] = {
        T(a_restore_that_was_killed_anywhere_is_ended_by_the_same_command),
        T(a_new_history_by_force_that_was_killed_anywhere_is_ended_by_the_same_command),
        T(what_is_no_whole_backup_is_refused_and_leaves_no_node),
        T(a_flipped_bit_anywhere_in_a_backup_is_found_before_it_is_a_node),
        T(a_directory_that_holds_something_is_refused),
        T(a_word_of_an_earlier_restore_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
