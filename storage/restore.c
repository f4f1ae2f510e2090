#include "storage/restore.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/service.h"
#include "storage/artefact.h"
#include "storage/generation.h"
#include "storage/incoming.h"
#include "storage/refound.h"
#include "storage/smallfile.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, SLICE_BYTES = 1 << 20, GENERATION = 1, MARK_SIZE = HASH_SIZE + 1 };

/* How far it has come, durably. */
enum stage { STAGE_NONE, STAGE_COMES, STAGE_INSTALLED, STAGE_DONE };

struct restore {
    const char *data_dir;
    struct artefact artefact;
    struct incoming incoming;
    int lock_fd;
    enum stage stage;
    uint8_t of[HASH_SIZE]; /* the artefact that the stage is about */
};

static void restore_close(struct restore *restore)
{
    incoming_close(&restore->incoming);
    artefact_close(&restore->artefact);
    if (restore->lock_fd > 0)
        close(restore->lock_fd);
    *restore = (struct restore){0};
}

static enum err refuse(enum err err, const char *what, const char *path, const char *advice)
{
    log_error("restore_refused", kv_err(err), kv_text("path", path), kv_text("what", what),
              kv_text("advice", advice));
    return err;
}

static const char *path_in(char path[PATH_BYTES_MAX], const char *directory, const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", directory, name);
    return path;
}

/* ---- identity/restored ------------------------------------------------------------------------
 */

static enum err read_stage(struct restore *restore)
{
    char path[PATH_BYTES_MAX];
    uint8_t content[SMALLFILE_MAX];
    size_t size;
    enum err err =
        smallfile_read(path_in(path, restore->data_dir, "identity/restored"), content, &size);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE;
    TRY(err);
    if (size != MARK_SIZE || content[HASH_SIZE] < STAGE_COMES || content[HASH_SIZE] > STAGE_DONE)
        return ERR_CORRUPT;
    memcpy(restore->of, content, HASH_SIZE);
    restore->stage = (enum stage)content[HASH_SIZE];
    return ERR_NONE;
}

static enum err write_stage(struct restore *restore, enum stage stage)
{
    char path[PATH_BYTES_MAX];
    uint8_t content[MARK_SIZE];
    memcpy(content, restore->artefact.id, HASH_SIZE);
    content[HASH_SIZE] = (uint8_t)stage;
    TRY(smallfile_write(path_in(path, restore->data_dir, "identity/restored"),
                        SPAN(content, sizeof content)));
    memcpy(restore->of, restore->artefact.id, HASH_SIZE);
    restore->stage = stage;
    return ERR_NONE;
}

/* ---- is the directory blank? ------------------------------------------------------------------
 */

static const char *const ballot_files[] = {"ballot.db-wal", "ballot.db-shm", "ballot.db-journal",
                                           "ballot.db"};

static bool is_any(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* What a lock, keys and an earlier try leave behind. */
static bool is_of_us(const struct restore *restore, const char *name)
{
    static const char *const always[] = {".", "..", "lock", "run", "identity", "lost+found"};
    static const char *const begun[] = {"incoming", "generation-00000001"};
    return is_any(name, always, COUNT_OF(always)) ||
           (restore->stage == STAGE_COMES && (is_any(name, begun, COUNT_OF(begun)) ||
                                              is_any(name, ballot_files, COUNT_OF(ballot_files))));
}

static enum err check_blank(const struct restore *restore)
{
    enum err err = ERR_NONE;
    DIR *directory = opendir(restore->data_dir);
    if (directory == NULL)
        return refuse(ERR_IO, strerror(errno), restore->data_dir, "it cannot be listed");
    for (struct dirent *at = readdir(directory); at && err == ERR_NONE; at = readdir(directory))
        if (!is_of_us(restore, at->d_name))
            err = refuse(ERR_CONFIG, at->d_name, restore->data_dir,
                         "a backup is restored into an empty directory: name another one, or move "
                         "this one away; to start the node that is in it, leave --restore out");
    closedir(directory);
    return err;
}

static bool of_this_artefact(const struct restore *restore)
{
    return memcmp(restore->of, restore->artefact.id, HASH_SIZE) == 0;
}

/* ---- the artefact -----------------------------------------------------------------------------
 */

static enum err blame(const struct restore *restore, enum err err)
{
    const char *what = err == ERR_NOT_FOUND ? "there is no MANIFEST"
                       : err == ERR_CORRUPT ? "it is damaged"
                       : err == ERR_NOSPACE ? "the disk has too little room for it"
                                            : err_sentence(err);
    const char *advice = err == ERR_NOT_FOUND ? "name a directory that `changeagent node backup` "
                                                "wrote; without MANIFEST it was never finished"
                         : err == ERR_CORRUPT ? "use another backup; `changeagent verify` says "
                                                "what is wrong with this one"
                         : err == ERR_NOSPACE ? "make room, and give the same command again"
                                              : "the lines above say more";
    return refuse(err == ERR_NOT_FOUND ? ERR_CONFIG : err, what, restore->artefact.directory,
                  advice);
}

static enum err copy_slice(struct restore *restore, struct bytes *data)
{
    struct artefact *artefact = &restore->artefact;
    bytes_clear(data);
    TRY(artefact_read(artefact, restore->incoming.offset, SLICE_BYTES, data));
    struct digest digest = digest_of(bytes_span(data), DIGEST_SIZE);
    return incoming_write(&restore->incoming, &(struct incoming_slice){
                                                  .id = SPAN(artefact->id, HASH_SIZE),
                                                  .head = artefact->head.size,
                                                  .size = artefact->size,
                                                  .offset = restore->incoming.offset,
                                                  .data = bytes_span(data),
                                                  .digest = digest_span(&digest),
                                              });
}

/* All of it, from where the last try ended. A file that differs from the manifest ends it. */
static enum err copy_all(struct restore *restore)
{
    SCOPED(bytes) data = {0};
    struct progress progress = {0};
    enum err err = ERR_NONE;
    TRY(incoming_open(&restore->incoming, restore->data_dir, 0));
    if (memcmp(restore->incoming.id, restore->artefact.id, HASH_SIZE) != 0)
        TRY(incoming_drop(&restore->incoming)); /* of another one that was never finished */
    while (err == ERR_NONE && !incoming_whole(&restore->incoming)) {
        err = copy_slice(restore, &data);
        progress_show(&progress, restore->incoming.offset, restore->artefact.size, "bytes");
    }
    progress_wipe(&progress);
    return err;
}

/* ---- the ballot -------------------------------------------------------------------------------
 */

/* Until it names the generation, nothing in the directory is anybody's log. */
static enum err install(struct restore *restore, const char *newest)
{
    const struct witness_mark nothing = {0};
    char path[PATH_BYTES_MAX];
    uint64_t incarnation = chance_u64();
    SCOPED(ballot) ballot = {0};
    TRY(witness_forget_place(restore->data_dir));
    TRY(witness_write_mark(restore->data_dir, &nothing));
    TRY(witness_write_incarnation(restore->data_dir, incarnation));
    TRY(ballot_open(&ballot, path_in(path, restore->data_dir, "ballot.db"), incarnation));
    TRY(ballot_renew(&ballot, restore->artefact.manifest.term, incarnation, GENERATION, newest));
    return store_sync_directory(restore->data_dir);
}

/* Killed between the ballot and the word that it is there. */
static bool is_installed(const struct restore *restore)
{
    char path[PATH_BYTES_MAX];
    SCOPED(ballot) ballot = {0};
    path_in(path, restore->data_dir, "ballot.db");
    return access(path, F_OK) == 0 && ballot_look(&ballot, path) == ERR_NONE &&
           ballot.generation == GENERATION && ballot.newest[0] != '\0';
}

/* What is left of a try that was never installed; what came in stays in `incoming`. */
static enum err clear(const struct restore *restore)
{
    char path[PATH_BYTES_MAX];
    enum err err = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(ballot_files) && err == ERR_NONE; i++)
        err = generation_remove(path_in(path, restore->data_dir, ballot_files[i]));
    TRY(err);
    char *home = generation_home(restore->data_dir, GENERATION);
    err = generation_remove(home);
    bytes_free(home);
    return err;
}

static enum err refuse_other(const struct restore *restore)
{
    return refuse(ERR_CONFIG, "it was restored from another backup", restore->data_dir,
                  "name an empty directory; to start the node in this one, leave --restore out");
}

static enum err bring_in(struct restore *restore)
{
    char newest[SEGMENT_NAME_MAX];
    if (restore->stage == STAGE_COMES && is_installed(restore))
        return of_this_artefact(restore) ? write_stage(restore, STAGE_INSTALLED)
                                         : refuse_other(restore);
    TRY(check_blank(restore));
    TRY(write_stage(restore, STAGE_COMES));
    TRY(clear(restore));
    enum err err = copy_all(restore);
    if (err == ERR_NONE)
        err = incoming_stage(&restore->incoming, GENERATION, newest);
    if (err != ERR_NONE)
        return blame(restore, err);
    TRY(install(restore, newest));
    return write_stage(restore, STAGE_INSTALLED);
}

/* ---- the new history --------------------------------------------------------------------------
 */

static enum err begin_history(struct restore *restore)
{
    SCOPED(refound) refound = {0};
    uint64_t history;
    close(restore->lock_fd); /* recovery takes it anew; the supervisor holds the directory */
    restore->lock_fd = 0;
    TRY(refound_open(&refound, restore->data_dir));
    history = refound.members.history;
    if (!refound.alone)
        TRY(refound_write(&refound, &history));
    char text[17], before[17];
    snprintf(text, sizeof text, "%016" PRIx64, history);
    snprintf(before, sizeof before, "%016" PRIx64, restore->artefact.manifest.history);
    TRY(write_stage(restore, STAGE_DONE));
    log_info("restored", kv_text("from", restore->artefact.directory), kv_text("history", text),
             kv_text("history_before", before),
             kv_u64("last_id", restore->artefact.manifest.last_id),
             kv_text("advice", "this node is the only voter; let the others join it, blank"));
    return ERR_NONE;
}

static enum err run(struct restore *restore, const char *directory)
{
    TRY(generation_lock(restore->data_dir, &restore->lock_fd));
    enum err err = read_stage(restore);
    if (err != ERR_NONE)
        return refuse(err, "identity/restored cannot be read", restore->data_dir,
                      "an earlier restore left it; clear the directory");
    err = artefact_open(&restore->artefact, directory);
    if (err != ERR_NONE)
        return blame(restore, err);
    if (restore->stage >= STAGE_INSTALLED && !of_this_artefact(restore))
        return refuse_other(restore);
    if (restore->stage < STAGE_INSTALLED)
        TRY(bring_in(restore));
    if (restore->stage == STAGE_INSTALLED)
        return begin_history(restore);
    log_info("restored_before", kv_text("from", directory),
             kv_text("advice", "the node goes on with what it has; --restore may be left out"));
    return ERR_NONE;
}

int restore_main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: changeagentd --data DIR --restore BACKUP\n");
        return EXIT_CONFIG;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever starts it again begins where it was */
    log_open("storage", LOG_INFO);
    SCOPED(restore) restore = {.data_dir = argv[2]};
    enum err err = run(&restore, argv[3]);
    return service_exit_code(err);
}
