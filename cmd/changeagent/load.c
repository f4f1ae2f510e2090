/* load.c - the verb load: a dump of either form into an empty cluster, with its ids, times and
 * hashes. */
#include "cmd/changeagent/intake.h"
#include "cmd/changeagent/print.h"
#include "common/progress.h"
#include "cmd/changeagent/verbs.h"

#include "common/err.h"
#include "common/hash.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { BATCH_MAX = 1024, BATCH_BYTES = 1 << 20 };

/* Changes that go as one put, and where the cluster and the file stand. */
struct load {
    struct ca *ca;
    struct intake intake;
    struct parse_line *lines;
    struct ca_row rows[BATCH_MAX];
    uint32_t count;
    size_t bytes;
    struct ca_head head; /* of the cluster: changes up to here are there already */
    uint64_t last_id;    /* of the file so far */
    uint64_t loaded;
    uint8_t hash[HASH_SIZE]; /* of the last change that is in the cluster */
};

static int refuse(const struct load *load, enum err err, const char *what)
{
    char place[INTAKE_PLACE_MAX];
    intake_place(&load->intake, place);
    fprintf(stderr, "changeagent: load: %s: %s: %s\n", place, err_name(err), what);
    return EXIT_REFUSED;
}

/* Not as it was written. */
static int refuse_file(const struct load *load, enum intake_verdict verdict)
{
    int code = refuse(load, load->intake.err, load->intake.wrong);
    if (verdict == INTAKE_TORN)
        fprintf(stderr, "changeagent: `changeagent dump --file` goes on with it where it ends\n");
    else if (load->intake.err != ERR_VERSION)
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

/* The next change, and what waits before it where that is enough for a put. */
static int step(struct load *load, bool *done)
{
    struct parse_line *line = &load->lines[load->count];
    enum intake_verdict verdict = intake_next(&load->intake, line);
    uint32_t before = load->count;
    int code = EXIT_OK;
    *done = verdict == INTAKE_DONE;
    if (verdict == INTAKE_CHANGE)
        code = take_change(load, line);
    else if (verdict != INTAKE_DONE)
        code = refuse_file(load, verdict);
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
    intake_open(&load->intake, file, NULL);
    while (code == EXIT_OK && !done) {
        code = step(load, &done);
        progress_show(&progress, load->intake.next, all, "bytes");
    }
    progress_wipe(&progress);
    return code;
}

static int run(struct load *load, FILE *file)
{
    char hash[2 * HASH_SIZE + 1];
    int code = args_head(load->ca, false, &load->head);
    if (code != EXIT_OK)
        return code;
    code = load_file(load, file);
    if (code == EXIT_OK && load->last_id < load->head.id)
        code = refuse(load, ERR_IMPORT, "the cluster holds more changes than the file");
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

int verb_load(const struct args *args)
{
    const char *path = args->word_count == 1 ? args->words[0] : args->file;
    if (args->word_count > 1 || (args->word_count == 1 && args->file != NULL)) {
        fprintf(stderr, "changeagent: load takes one file, or reads stdin\n");
        return EXIT_USAGE;
    }
    FILE *file = path == NULL || strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "changeagent: load: %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    struct load *load = bytes_zeroed(1, sizeof *load);
    load->lines = bytes_zeroed(BATCH_MAX, sizeof *load->lines);
    int code = args_open(args, NULL, &load->ca) == CA_OK ? run(load, file) : EXIT_USAGE;
    load_close(load);
    if (file != stdin)
        fclose(file);
    return code;
}
