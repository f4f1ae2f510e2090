#include "storage/salvage.h"

#include "common/log.h"
#include "common/progress.h"
#include "common/service.h"
#include "protocol/cursor.h"
#include "storage/carve.h"
#include "storage/findings.h"
#include "storage/retell.h"
#include "storage/wreck.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 4 };

struct salvage {
    struct findings findings;
    struct hints hints;
    struct progress progress;
    struct wreck *wrecks; /* stay open: findings lie in them */
    uint32_t wreck_count, files;
    uint64_t bytes, refused, unreadable;
};

static void salvage_close(struct salvage *salvage)
{
    findings_close(&salvage->findings);
    hints_close(&salvage->hints);
    for (uint32_t i = 0; i < salvage->wreck_count; i++)
        wreck_close(&salvage->wrecks[i]);
    bytes_free(salvage->wrecks);
    *salvage = (struct salvage){0};
}

/* ---- files ----------------------------------------------------------------------------------- */

static void take(void *owner, struct span record, bool in_place)
{
    struct salvage *salvage = owner;
    findings_add(&salvage->findings, record, in_place);
}

static struct span open_wreck(struct salvage *salvage, const char *path)
{
    struct wreck wreck = {0};
    if (wreck_open(&wreck, path) != ERR_NONE) {
        fprintf(stderr, "%s: cannot be read\n", path);
        salvage->unreadable++;
        return (struct span){0};
    }
    if (wreck.bytes.size == 0) {
        wreck_close(&wreck);
        return (struct span){0};
    }
    if (wreck.refused > 0)
        fprintf(stderr, "%s: the disk refused %" PRIu64 " bytes\n", path, wreck.refused);
    salvage->refused += wreck.refused;
    salvage->bytes += wreck.bytes.size;
    salvage->wrecks =
        bytes_resize(salvage->wrecks, salvage->wreck_count + 1, sizeof *salvage->wrecks);
    salvage->wrecks[salvage->wreck_count++] = wreck;
    return wreck.bytes;
}

static void take_file(struct salvage *salvage, const char *path)
{
    char wal_path[4096];
    snprintf(wal_path, sizeof wal_path, "%s-wal", path);
    struct span file = open_wreck(salvage, path), wal = open_wreck(salvage, wal_path);
    carve_pieces(file, take, salvage);
    carve_pieces(wal, take, salvage);
    carve_pages(file, wal, take, salvage);
    if (wal.size == 0)
        carve_pages((struct span){0}, file, take, salvage); /* a -wal on its own */
    hints_add_seal(&salvage->hints, path);
    salvage->files++;
    progress_show(&salvage->progress, salvage->bytes, 0, "bytes read");
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), tail = strlen(end);
    return size >= tail && strcmp(name + size - tail, end) == 0;
}

static bool exists_without(const char *path, const char *end)
{
    char base[4096];
    snprintf(base, sizeof base, "%.*s", (int)(strlen(path) - strlen(end)), path);
    return access(base, F_OK) == 0;
}

/* What never holds entries, or is read together with what it lies beside. */
static bool is_aside(const char *path)
{
    static const char *const others[] = {"-shm", ".index", ".index.tmp", "/lock", "/ballast"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (ends_with(path, others[i]))
            return true;
    if (strstr(path, "/state.db") != NULL || strstr(path, "/ballot.db") != NULL)
        return true;
    return ends_with(path, "-wal") && exists_without(path, "-wal");
}

static void take_tree(struct salvage *salvage, const char *directory, int depth);

static void take_path(struct salvage *salvage, const char *path, const char *name, int depth)
{
    struct stat about;
    bool is_ours = strcmp(name, "identity") != 0 && strcmp(name, "run") != 0;
    if (lstat(path, &about) != 0)
        return;
    if (S_ISDIR(about.st_mode) && is_ours && depth < DEPTH_MAX)
        take_tree(salvage, path, depth + 1);
    else if (S_ISREG(about.st_mode) && !is_aside(path))
        take_file(salvage, path);
}

static void take_tree(struct salvage *salvage, const char *directory, int depth)
{
    char path[4096];
    DIR *opened = opendir(directory);
    if (opened == NULL) {
        fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        salvage->unreadable++;
        return;
    }
    hints_add_state(&salvage->hints, directory);
    for (struct dirent *at = readdir(opened); at != NULL; at = readdir(opened)) {
        if (at->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, at->d_name);
        take_path(salvage, path, at->d_name, depth);
    }
    closedir(opened);
}

/* ---- the report ------------------------------------------------------------------------------ */

static int report(const struct salvage *salvage, const struct retell *told)
{
    char hash[2 * HASH_SIZE + 1];
    uint64_t applied = salvage->hints.mark.last_id;
    bool whole = told->missing_records == 0 && told->missing_changes == 0 && told->unplaced == 0 &&
                 salvage->refused == 0 && salvage->unreadable == 0 && told->records > 0;
    cursor_hex(told->hash, HASH_SIZE, hash);
    fprintf(stderr, "%u files, %" PRIu64 " log entries, %" PRIu64 " changes", salvage->files,
            told->records, told->changes);
    if (told->first_id > 0)
        fprintf(stderr, ", ids %" PRIu64 " to %" PRIu64 "%s%s", told->first_id, told->last_id,
                told->has_hash ? ", hash " : "", told->has_hash ? hash : "");
    fprintf(stderr, "\n%" PRIu64 " entries without effect, %" PRIu64 " replaced ones passed over\n",
            told->refused, salvage->findings.stale);
    if (applied > 0 && told->last_id > applied)
        fprintf(stderr, "changes above id %" PRIu64 " may never have been acknowledged\n", applied);
    if (told->unplaced > 0)
        fprintf(stderr, "%" PRIu64 " changes without id: what was before them is missing\n",
                told->unplaced);
    if (told->unproven > 0)
        fprintf(stderr, "%" PRIu64 " changes without hash\n", told->unproven);
    if (told->records == 0)
        fprintf(stderr, "nothing of a log is here\n");
    fprintf(stderr, "%s: %" PRIu64 " log entries, %" PRIu64 " changes\n",
            whole ? "nothing is missing" : "missing", told->missing_records, told->missing_changes);
    if (told->failed)
        return EXIT_STORAGE;
    return whole ? EXIT_DONE : EXIT_CORRUPTION;
}

static int tell(struct salvage *salvage, const struct form *form, FILE *out)
{
    SCOPED(retell) retell = {0};
    findings_settle(&salvage->findings);
    retell_open(&retell, &salvage->hints, form, out);
    for (size_t slot = 0; slot < salvage->findings.count && !retell.failed; slot++) {
        retell_record(&retell, findings_record(&salvage->findings, slot));
        progress_show(&salvage->progress, slot, salvage->findings.count, "entries told");
    }
    progress_wipe(&salvage->progress);
    retell_end(&retell);
    retell.failed = fflush(out) != 0 || retell.failed;
    return report(salvage, &retell);
}

int salvage_path(const char *path, const struct form *form, FILE *out)
{
    SCOPED(salvage) salvage = {0};
    struct stat about;
    if (stat(path, &about) != 0) {
        fprintf(stderr, "changeagent: salvage: %s: %s\n", path, strerror(errno));
        return EXIT_CONFIG;
    }
    if (S_ISDIR(about.st_mode))
        take_tree(&salvage, path, 0);
    else
        take_file(&salvage, path);
    return tell(&salvage, form, out);
}

int salvage_main(int argc, char **argv)
{
    const struct form *form = argc > 3 ? form_find(argv[3]) : &form_lines;
    if (argc < 3 || argc > 4 || argv[2][0] == '-' || form == NULL) {
        fprintf(stderr, "usage: changeagent salvage DIR|FILE > changes.ndjson\n");
        return EXIT_CONFIG;
    }
    log_open("salvage", LOG_ERROR);
    return salvage_path(argv[2], form, stdout);
}
