/* load.c - the verb load: a dump of either form, or an archive, into an empty cluster, with its
 * ids, times and hashes, to its end or to any change. */
#include "cmd/changeagent/archivedir.h"
#include "cmd/changeagent/intake.h"
#include "cmd/changeagent/print.h"
#include "common/progress.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"
#include "common/clock.h"

#include "common/err.h"
#include "common/hash.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { BATCH_MAX = 1024, BATCH_BYTES = 1 << 20 };

/* Changes that go as one put, and where the cluster and the file stand. */
struct load {
    struct ca *ca;
    struct intake intake;
    struct parse_line *lines;
    struct ca_row rows[BATCH_MAX];
    uint32_t count;
    size_t bytes;
    struct ca_head head;         /* of the cluster: changes up to here are there already */
    uint64_t last_id;            /* of the file so far */
    uint64_t until, until_ns;    /* no change behind this id, nor of this time or later */
    bool reached;                /* there is no other before it */
    char path[ARCHIVE_PATH_MAX]; /* of the file of an archive, for messages */
    uint64_t loaded;
    uint8_t hash[HASH_SIZE]; /* of the last change that is in the cluster */
};

static int refuse(const struct load *load, enum err err, const char *what)
{
    char place[INTAKE_PLACE_MAX];
    intake_place(&load->intake, place);
    fprintf(stderr, "changeagent: load: %s%s%s: %s: %s\n", load->path,
            load->path[0] != '\0' ? ": " : "", place, err_name(err), what);
    return EXIT_REFUSED;
}

/* Not as it was written. */
static int refuse_file(const struct load *load, enum intake_verdict verdict)
{
    int code = refuse(load, load->intake.err, load->intake.wrong);
    if (verdict == INTAKE_TORN && load->last_id > 0)
        fprintf(stderr,
                "changeagent: --until %llu takes what is whole; `changeagent dump --file`, or "
                "archive, goes on with it where it ends\n",
                (unsigned long long)load->last_id);
    else if (verdict != INTAKE_TORN && load->intake.err != ERR_VERSION)
        fprintf(stderr, "changeagent: dump anew, or see what `changeagent salvage` gives of it\n");
    return code;
}

static int send_batch(struct load *load)
{
    struct ca_result result;
    if (load->count == 0)
        return EXIT_OK;
    for (uint32_t i = 0; i < load->count; i++)
        load->rows[i] = load->lines[i].row;
    enum ca_code code = ca_import(load->ca, load->rows, load->count, &result);
    if (code == CA_OK) {
        load->loaded += load->count;
        memcpy(load->hash, result.hash, sizeof load->hash);
    }
    for (uint32_t i = 0; i < load->count; i++)
        parse_close(&load->lines[i]);
    load->count = 0;
    load->bytes = 0;
    return code == CA_OK ? EXIT_OK : args_fail(ca_last_error(load->ca));
}

/* A change that an earlier load has brought must be the one in the file. */
static int check_present(struct load *load, const struct parse_line *line)
{
    if (line->row.id < load->head.id)
        return EXIT_OK;
    if (memcmp(line->hash, load->head.hash, sizeof line->hash) != 0)
        return refuse(load, ERR_IMPORT, "the cluster holds other changes; load into an empty one");
    memcpy(load->hash, line->hash, sizeof load->hash);
    return EXIT_OK;
}

/* A change that is at lines[count]. */
static int take_change(struct load *load, struct parse_line *line)
{
    uint64_t id = line->row.id;
    bool follows = load->last_id == 0 ? id <= load->head.id + 1 : id == load->last_id + 1;
    if (!follows)
        return refuse(load, ERR_GAP, "changes are missing before this one");
    load->last_id = id;
    if (id <= load->head.id)
        return check_present(load, line);
    load->bytes += (size_t)(load->intake.next - load->intake.at);
    load->count++;
    return EXIT_OK;
}

static bool is_beyond(const struct load *load, const struct ca_row *row)
{
    return row->id > load->until || row->ts >= load->until_ns;
}

/* The next change, and what waits before it where that is enough for a put. */
static int step(struct load *load, bool *done)
{
    struct parse_line *line = &load->lines[load->count];
    enum intake_verdict verdict = intake_next(&load->intake, line);
    uint32_t before = load->count;
    int code = EXIT_OK;
    bool beyond = verdict == INTAKE_CHANGE && is_beyond(load, &line->row);
    if (verdict == INTAKE_CHANGE && !beyond)
        code = take_change(load, line);
    else if (verdict != INTAKE_CHANGE && verdict != INTAKE_DONE)
        code = refuse_file(load, verdict);
    load->reached = beyond || (verdict == INTAKE_CHANGE && line->row.id == load->until);
    *done = verdict == INTAKE_DONE || load->reached;
    if (load->count == before)
        parse_close(line);
    if (code == EXIT_OK && (*done || load->count == BATCH_MAX || load->bytes > BATCH_BYTES))
        code = send_batch(load);
    return code;
}

static int load_file(struct load *load, FILE *file)
{
    struct progress progress = {0};
    struct stat about;
    bool done = false;
    int code = EXIT_OK;
    uint64_t all =
        fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
    intake_close(&load->intake);
    intake_open(&load->intake, file, NULL);
    while (code == EXIT_OK && !done) {
        code = step(load, &done);
        progress_show(&progress, load->intake.next, all, "bytes");
    }
    progress_wipe(&progress);
    return code;
}

/* What is there already is not read again, but for the file with its end. */
static int load_archive(struct load *load, const struct archivedir *archive)
{
    int code = EXIT_OK;
    for (uint32_t i = 0; i < archive->count && code == EXIT_OK && !load->reached; i++) {
        if (i + 1 < archive->count && archive->firsts[i + 1] <= load->head.id)
            continue;
        FILE *file = fopen(archivedir_file(archive, archive->firsts[i], load->path), "re");
        if (file == NULL)
            return refuse(load, ERR_IO, strerror(errno));
        code = load_file(load, file);
        fclose(file);
    }
    return code;
}

static int load_from(struct load *load, const char *path)
{
    struct archivedir archive;
    struct stat about;
    int code;
    if (path != NULL && stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        code = archivedir_open(&archive, "load", path) ? load_archive(load, &archive) : EXIT_USAGE;
        if (code == EXIT_OK && archive.count == 0) {
            fprintf(stderr, "changeagent: load: %s: there is no file of an archive here\n", path);
            code = EXIT_USAGE;
        }
        archivedir_close(&archive);
        return code;
    }
    FILE *file = path == NULL ? stdin : fopen(path, "re");
    if (file == NULL)
        return refuse(load, ERR_IO, strerror(errno));
    code = load_file(load, file);
    if (file != stdin)
        fclose(file);
    return code;
}

/* What was loaded is what was asked for. */
static int check_end(const struct load *load)
{
    if (load->last_id < load->head.id)
        return refuse(load, ERR_IMPORT, "the cluster holds more changes than were to be loaded");
    if (load->until != UINT64_MAX && !load->reached)
        return refuse(load, ERR_AHEAD, "the dump ends before the change of --until");
    return EXIT_OK;
}

static int run(struct load *load, const char *path)
{
    char hash[2 * HASH_SIZE + 1];
    int code = args_head(load->ca, false, &load->head);
    if (code != EXIT_OK)
        return code;
    code = load_from(load, path);
    if (code == EXIT_OK)
        code = check_end(load);
    cursor_hex(load->hash, sizeof load->hash, hash);
    fprintf(stderr, "changeagent: %llu changes loaded", (unsigned long long)load->loaded);
    if (code == EXIT_OK && load->last_id > 0)
        fprintf(stderr, ", up to id %llu, hash %s", (unsigned long long)load->last_id, hash);
    else if (code != EXIT_OK && code != EXIT_REFUSED)
        fprintf(stderr, "; the same command goes on where this one ended");
    fputc('\n', stderr);
    return code;
}

static void load_close(struct load *load)
{
    for (uint32_t i = 0; i < BATCH_MAX; i++)
        parse_close(&load->lines[i]);
    bytes_free(load->lines);
    intake_close(&load->intake);
    ca_close(load->ca);
    bytes_free(load);
}

static bool read_bounds(struct load *load, const struct args *args)
{
    uint64_t now_ns = clock_wall_ns(NULL);
    if (args->has_until && args->until == 0) {
        fprintf(stderr, "changeagent: load: --until: the first change has the id 1\n");
        return false;
    }
    load->until = args->until != 0 ? args->until : UINT64_MAX;
    load->until_ns = UINT64_MAX;
    if (args->until_time == NULL || when_parse(args->until_time, now_ns, &load->until_ns))
        return true;
    fprintf(stderr, "changeagent: load: %s: not a time; say -2h, 2026-11-25T01:02:03Z or @1e9\n",
            args->until_time);
    return false;
}

int verb_load(const struct args *args)
{
    const char *path = args->word_count == 1 ? args->words[0] : args->file;
    if (args->word_count > 1 || (args->word_count == 1 && args->file != NULL)) {
        fprintf(stderr, "changeagent: load takes one file or archive, or reads stdin\n");
        return EXIT_USAGE;
    }
    if (path != NULL && strcmp(path, "-") == 0)
        path = NULL;
    if (path != NULL && access(path, R_OK) != 0) {
        fprintf(stderr, "changeagent: load: %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    struct load *load = bytes_zeroed(1, sizeof *load);
    load->lines = bytes_zeroed(BATCH_MAX, sizeof *load->lines);
    int code = EXIT_USAGE;
    if (read_bounds(load, args) && args_open(args, NULL, &load->ca) == CA_OK)
        code = run(load, path);
    load_close(load);
    return code;
}
