#include "storage/recovery.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/doubt.h"
#include "storage/generation.h"
#include "storage/inquiry.h"
#include "storage/logrow.h"
#include "storage/smallfile.h"
#include "storage/state.h"

#include <stdio.h>
#include <unistd.h>

static char *path_in(const char *directory, const char *name)
{
    size_t room = strlen(directory) + strlen(name) + 2;
    char *path = bytes_zeroed(1, room);
    snprintf(path, room, "%s/%s", directory, name);
    return path;
}

/* ---- the ballot and its copy ----------------------------------------------------------------- */

/* A ballot that cannot be read is kept for salvage under another name. */
static enum err replace_ballot(struct inquiry *inquiry, const char *path)
{
    struct recovery *recovery = inquiry->recovery;
    char from[4096], to[4200];
    static const char *const suffixes[] = {"-wal", ""};
    ballot_close(&recovery->ballot);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged%s", path, suffixes[i]);
        if (access(from, F_OK) == 0 && rename(from, to) != 0)
            return ERR_IO;
    }
    inquiry_blame(inquiry, "the ballot cannot be read");
    inquiry->had_ballot = false;
    return ballot_open(&recovery->ballot, path, chance_u64());
}

static enum err open_ballot_at(struct inquiry *inquiry, const char *path)
{
    char wal[4096];
    snprintf(wal, sizeof wal, "%s-wal", path);
    bool had_wal = access(wal, F_OK) == 0;
    TRY(inquiry_scan_wal(inquiry, path, "the ballot's WAL is damaged"));
    enum err err = ballot_open(&inquiry->recovery->ballot, path, chance_u64());
    if (err == ERR_CORRUPT)
        return replace_ballot(inquiry, path);
    inquiry->had_ballot = err == ERR_NONE && !inquiry->recovery->ballot.fresh;
    if (inquiry->had_ballot && !had_wal)
        inquiry_blame(inquiry, "the ballot's WAL is missing");
    return err;
}

static enum err open_ballot(struct inquiry *inquiry)
{
    char *path = path_in(inquiry->recovery->data_dir, "ballot.db");
    enum err err = open_ballot_at(inquiry, path);
    bytes_free(path);
    return err;
}

/* A ballot that was lost does not say which generation is in use: the newest one is whole,
 * because it was staged as a whole. */
static enum err open_log(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    if (!inquiry->had_ballot)
        recovery->ballot.generation = generation_highest(recovery->data_dir);
    recovery->home = generation_home(recovery->data_dir, recovery->ballot.generation);
    return logdir_open(&recovery->logdir, recovery->home);
}

static enum err read_copy(struct inquiry *inquiry)
{
    enum err err = witness_read_incarnation(inquiry->recovery->data_dir, &inquiry->copy);
    inquiry->had_copy = err == ERR_NONE || err == ERR_CORRUPT;
    return err == ERR_IO ? ERR_IO : ERR_NONE;
}

static void compare_copy(struct inquiry *inquiry)
{
    const struct recovery *recovery = inquiry->recovery;
    bool has_past = inquiry->had_copy || recovery->logdir.count > 0;
    if (!inquiry->had_ballot && has_past)
        inquiry_blame(inquiry, "the ballot is missing");
    else if (inquiry->had_copy && inquiry->copy != recovery->ballot.incarnation)
        inquiry_blame(inquiry, "the directory was copied or restored");
}

/* ---- promises kept elsewhere ------------------------------------------------------------------
 */

static enum err check_mark(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    struct witness_mark *mark = &recovery->mark;
    uint64_t term;
    enum err err = witness_read_mark(recovery->data_dir, mark);
    if (err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
        *mark = (struct witness_mark){0};
        return ERR_NONE;
    }
    TRY(err);
    if (mark->index > recovery->found.last_index) {
        inquiry_blame(inquiry, "the log ends below its high-water mark");
        return ERR_NONE;
    }
    TRY(logrow_term_at(recovery, mark->index, &term));
    if (term != 0 && term != mark->term)
        inquiry_blame(inquiry, "the entry at the high-water mark bears another term");
    return ERR_NONE;
}

static uint64_t first_index(const struct storage_found *found)
{
    bool begun = found->segment_count > 0 && found->segments[0].first != 0;
    return begun ? found->segments[0].first : found->last_index + 1;
}

/* What it was made of is cut: what is kept of the log goes on from there all the same. */
static void lose_state(struct recovery *recovery)
{
    recovery->found.state_lost = true;
    recovery->found.applied_index = first_index(&recovery->found) - 1;
    log_error("state_lost", kv_u64("first_index", first_index(&recovery->found)),
              kv_text("advice", "the leader sends a snapshot; if no node has its state, restore"));
}

static enum err check_state(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    char *path = path_in(recovery->home, "state.db");
    struct apply_mark mark = apply_begin();
    enum err looked = state_look(path, &mark), err = ERR_NONE;
    /* Files go only after the cut is durable in the state. */
    if (looked == ERR_NONE && first_index(&recovery->found) > mark.keep_index &&
        first_index(&recovery->found) > 1)
        inquiry_blame(inquiry, "the log begins behind what was cut");
    if (mark.index > recovery->found.last_index) {
        inquiry_blame(inquiry, "the state is ahead of the log");
        err = state_remove(path); /* the log rebuilds it once it is whole again */
        mark.index = 0;
        looked = ERR_NOT_FOUND;
    }
    recovery->found.applied_index = mark.index;
    bool lost = looked == ERR_NOT_FOUND || looked == ERR_CORRUPT || doubt_is_there(path);
    if (lost && first_index(&recovery->found) > 1)
        lose_state(recovery);
    bytes_free(path);
    return err;
}

/* ---- what follows -----------------------------------------------------------------------------
 */

/* The name of the newest segment; a fresh one where there is none that can be written. */
static enum err settle_newest(struct recovery *recovery, char name[SEGMENT_NAME_MAX])
{
    const struct storage_found *found = &recovery->found;
    if (recovery->writer_count == 0) {
        uint32_t count = found->segment_count;
        return logrow_add_new(recovery, count ? found->segments[count - 1].number + 1 : 1, name);
    }
    const char *path = found->segments[found->segment_count - 1].path;
    snprintf(name, SEGMENT_NAME_MAX, "%s", strrchr(path, '/') + 1);
    return ERR_NONE;
}

static enum err settle_damage(struct inquiry *inquiry, const char *newest)
{
    struct recovery *recovery = inquiry->recovery;
    TRY(ballot_damage(&recovery->ballot, inquiry->damage, chance_u64(), recovery->last_term,
                      newest));
    recovery->mark = (struct witness_mark){recovery->found.last_index, recovery->last_term};
    return witness_write_mark(recovery->data_dir, &recovery->mark);
}

static enum err settle(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    struct ballot *ballot = &recovery->ballot;
    char newest[SEGMENT_NAME_MAX];
    uint32_t keep = inquiry->keep;
    TRY(settle_newest(recovery, newest));
    if (inquiry->damage != NULL)
        TRY(settle_damage(inquiry, newest));
    else if (strcmp(ballot->newest, newest) != 0)
        TRY(ballot_name(ballot, newest));
    TRY(logdir_set_aside(&recovery->logdir, keep));
    if (!inquiry->had_copy || inquiry->copy != ballot->incarnation)
        TRY(witness_write_incarnation(recovery->data_dir, ballot->incarnation));
    return ERR_NONE;
}

static void report(struct recovery *recovery)
{
    struct storage_found *found = &recovery->found;
    found->first_index = first_index(found);
    found->home = recovery->home;
    found->generation = recovery->ballot.generation;
    found->incarnation = recovery->ballot.incarnation;
    found->may_vote = ballot_may_vote(&recovery->ballot);
    found->damage = found->may_vote ? NULL : recovery->ballot.damage;
    log_info("recovered", kv_u64("last_index", found->last_index),
             kv_u64("last_term", recovery->last_term), kv_u64("applied", found->applied_index),
             kv_u64("segments", found->segment_count), kv_u64("term", recovery->ballot.term),
             kv_text("may_vote", found->may_vote ? "yes" : "no"),
             kv_u64("incarnation", found->incarnation));
}

static enum err make_room(struct recovery *recovery)
{
    char *identity = path_in(recovery->data_dir, "identity");
    enum err err = smallfile_directory(recovery->data_dir);
    if (err == ERR_NONE)
        err = smallfile_directory(identity);
    bytes_free(identity);
    return err;
}

enum err recovery_run(struct recovery *recovery, const char *data_dir)
{
    struct inquiry inquiry = {.recovery = recovery};
    recovery->data_dir = bytes_zeroed(1, strlen(data_dir) + 1);
    memcpy(recovery->data_dir, data_dir, strlen(data_dir));
    TRY(make_room(recovery));
    TRY(generation_lock(data_dir, &recovery->lock_fd));
    TRY(read_copy(&inquiry));
    TRY(open_ballot(&inquiry));
    TRY(open_log(&inquiry));
    compare_copy(&inquiry);
    TRY(logrow_trim(&inquiry));
    TRY(logrow_take(&inquiry));
    TRY(logrow_check_writers(&inquiry));
    if (recovery->ballot.term < recovery->last_term)
        inquiry_blame(&inquiry, "the term of the ballot is below the log's");
    TRY(check_mark(&inquiry));
    TRY(check_state(&inquiry));
    TRY(settle(&inquiry));
    report(recovery);
    if (inquiry.damage == NULL && /* an old ballot must not cost the log it does not know */
        generation_sweep(recovery->data_dir, recovery->ballot.generation) != ERR_NONE)
        log_warn("generation_left", kv_text("advice", "it is removed at the next start"));
    return ERR_NONE;
}

void recovery_close(struct recovery *recovery)
{
    for (uint32_t i = 0; i < recovery->writer_count; i++)
        segment_free(recovery->writers[i]);
    bytes_free(recovery->writers);
    for (uint32_t i = 0; i < recovery->found.segment_count; i++)
        bytes_free(recovery->found.segments[i].path);
    bytes_free(recovery->found.segments);
    ballot_close(&recovery->ballot);
    logdir_close(&recovery->logdir);
    bytes_close(&recovery->old_configs);
    if (recovery->lock_fd > 0)
        close(recovery->lock_fd);
    bytes_free(recovery->home);
    bytes_free(recovery->data_dir);
    *recovery = (struct recovery){0};
}
