#include "storage/verify.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/service.h"
#include "protocol/cursor.h"
#include "storage/generation.h"
#include "storage/walscan.h"
#include "storage/witness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void verify_blame(struct verify *verify, const char *file, enum err err, const char *format, ...)
{
    char words[384];
    va_list more;
    va_start(more, format);
    vsnprintf(words, sizeof words, format, more);
    va_end(more);
    progress_wipe(&verify->progress);
    printf("BAD  %s: %s\n", file, words);
    if (verify->faults == 0)
        snprintf(verify->first, sizeof verify->first, "%.120s: %s", file, words);
    verify->faults++;
    verify->refused += err == ERR_IO;
}

static void verify_close(struct verify *verify)
{
    apply_close(&verify->apply);
    overlay_close(&verify->overlay);
    bytes_close(&verify->effects);
    state_close(&verify->state);
    logdir_close(&verify->logdir);
    ballot_close(&verify->ballot);
    bytes_free(verify->home);
    *verify = (struct verify){0};
}

static void path_of(char path[4096], const char *directory, const char *name)
{
    snprintf(path, 4096, "%s/%s", directory, name);
}

/* ---- ballot and identity --------------------------------------------------------------------- */

static void check_wal(struct verify *verify, const char *path)
{
    char wal[4200];
    struct walscan scan;
    snprintf(wal, sizeof wal, "%s-wal", path);
    enum err err = walscan_file(&scan, wal);
    if (err != ERR_NONE || scan.verdict == WALSCAN_DAMAGED)
        verify_blame(verify, wal, err == ERR_NONE ? ERR_CORRUPT : err, "frame %u is bad",
                     scan.bad_frame);
}

static void look_at_ballot(struct verify *verify)
{
    char path[4096];
    path_of(path, verify->data, "ballot.db");
    check_wal(verify, path);
    enum err err = access(path, F_OK) == 0 ? ballot_look(&verify->ballot, path) : ERR_NOT_FOUND;
    verify->has_ballot = err == ERR_NONE;
    if (err != ERR_NONE)
        verify_blame(verify, path, err, "it cannot be read: %s", err_name(err));
    else if (!ballot_may_vote(&verify->ballot))
        verify_blame(verify, path, ERR_CORRUPT, "the node does not vote any more: %s",
                     verify->ballot.damage);
    else
        printf("ok   %s: term %" PRIu64 ", newest segment %s\n", path, verify->ballot.term,
               verify->ballot.newest);
}

static void check_mark(struct verify *verify)
{
    struct witness_mark mark;
    if (witness_read_mark(verify->data, &mark) != ERR_NONE)
        return; /* written lazily; what is lost of it is written again */
    if (mark.index > verify->last_index)
        verify_blame(verify, "identity/high-water", ERR_CORRUPT,
                     "log entry %" PRIu64 " was durable, the log ends at %" PRIu64, mark.index,
                     verify->last_index);
}

static void check_ballot(struct verify *verify)
{
    uint64_t copy;
    if (!verify->has_ballot)
        return;
    if (verify->ballot.term < verify->last_term)
        verify_blame(verify, "ballot.db", ERR_CORRUPT,
                     "its term %" PRIu64 " is below that of the log, %" PRIu64, verify->ballot.term,
                     verify->last_term);
    if (witness_read_incarnation(verify->data, &copy) == ERR_NONE &&
        copy != verify->ballot.incarnation)
        verify_blame(verify, "identity/incarnation", ERR_CORRUPT,
                     "the directory was copied or restored");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void open_state(struct verify *verify)
{
    char path[4096];
    path_of(path, verify->home, "state.db");
    if (access(path, F_OK) != 0)
        return; /* the log makes it anew */
    check_wal(verify, path);
    enum err err = state_open_reader(&verify->state, path);
    if (err == ERR_NONE)
        err = state_mark(&verify->state, &verify->mark);
    verify->has_state = err == ERR_NONE && verify->mark.index > 0;
    if (err != ERR_NONE)
        verify_blame(verify, path, err, "it cannot be read: %s", err_name(err));
}

static int tell(const struct verify *verify)
{
    char hash[2 * HASH_SIZE + 1];
    if (verify->faults > 0) {
        printf("damaged: %" PRIu64 " faults; the first: %s\n", verify->faults, verify->first);
        return verify->refused > 0 ? EXIT_STORAGE : EXIT_CORRUPTION;
    }
    printf("sound: log entries %" PRIu64 " to %" PRIu64, verify->first_index, verify->last_index);
    if (verify->exact) {
        cursor_hex(verify->apply.at.hash, HASH_SIZE, hash);
        printf(", change %" PRIu64 ", hash %s", verify->apply.at.last_id, hash);
    }
    printf("\n");
    return EXIT_DONE;
}

static int run(struct verify *verify)
{
    uint8_t key[HASH_KEY_SIZE];
    save_u64(key, chance_u64());
    save_u64(key + 8, chance_u64());
    apply_open(&verify->apply, key);
    look_at_ballot(verify);
    verify->home =
        generation_home(verify->data, verify->has_ballot ? verify->ballot.generation
                                                         : generation_highest(verify->data));
    open_state(verify);
    enum err err = logdir_open(&verify->logdir, verify->home);
    if (err != ERR_NONE) {
        verify_blame(verify, verify->home, err, "its log cannot be listed");
        return tell(verify);
    }
    verify_log(verify);
    verify_state(verify);
    check_ballot(verify);
    check_mark(verify);
    progress_wipe(&verify->progress);
    return tell(verify);
}

int verify_main(int argc, char **argv)
{
    char log_path[4096];
    int lock_fd = -1;
    if (argc != 3 || argv[2][0] == '-') {
        fprintf(stderr, "usage: changeagent verify DIR\n");
        return EXIT_CONFIG;
    }
    path_of(log_path, argv[2], "identity");
    if (access(log_path, F_OK) != 0) {
        fprintf(stderr, "changeagent: verify: %s is no data directory of a node\n", argv[2]);
        return EXIT_CONFIG;
    }
    log_open("verify", LOG_ERROR);
    enum err err = generation_lock(argv[2], &lock_fd);
    if (err != ERR_NONE) {
        fprintf(stderr, "changeagent: verify: a node runs on %s; stop it first\n", argv[2]);
        return EXIT_RETRY;
    }
    SCOPED(verify) verify = {.data = argv[2]};
    int code = run(&verify);
    close(lock_fd);
    return fflush(stdout) == 0 ? code : EXIT_STORAGE;
}
