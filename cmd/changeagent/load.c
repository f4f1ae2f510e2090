/* load.c - the verb load: a dump into an empty cluster, with its ids, times and hashes. */
#include "cmd/changeagent/parse.h"
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

/* Lines that go as one put, and where the cluster and the file stand. */
struct load {
    struct ca *ca;
    struct parse_line *lines;
    struct ca_row rows[BATCH_MAX];
    uint32_t count;
    size_t bytes;
    struct ca_head head; /* of the cluster: changes up to here are there already */
    uint64_t last_id;    /* of the file so far */
    uint64_t loaded, line;
    uint8_t hash[HASH_SIZE]; /* of the last change that is in the cluster */
};

static int refuse(const struct load *load, const char *what)
{
    fprintf(stderr, "changeagent: load: line %llu: %s\n", (unsigned long long)load->line, what);
    return EXIT_REFUSED;
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
        return refuse(load, "the cluster holds other changes; load into an empty one");
    memcpy(load->hash, line->hash, sizeof load->hash);
    return EXIT_OK;
}

static int take_line(struct load *load, const char *text, size_t size)
{
    struct parse_line *line = &load->lines[load->count];
    const char *wrong;
    int code = EXIT_OK;
    load->line++;
    if (!parse_open(line, text, size, &wrong)) {
        code = refuse(load, wrong);
    } else if (load->last_id == 0 ? line->row.id > load->head.id + 1
                                  : line->row.id != load->last_id + 1) {
        code = refuse(load, "changes are missing before this one");
    } else if (line->row.id > load->head.id) {
        load->last_id = line->row.id;
        load->bytes += size;
        load->count++;
        return EXIT_OK;
    } else {
        load->last_id = line->row.id;
        code = check_present(load, line);
    }
    parse_close(line);
    return code;
}

static int load_file(struct load *load, FILE *file)
{
    struct progress progress = {0};
    struct stat about;
    char *text = NULL;
    size_t room = 0;
    uint64_t read = 0;
    int code = EXIT_OK;
    uint64_t all =
        fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
    for (ssize_t size; code == EXIT_OK && (size = getline(&text, &room, file)) >= 0;) {
        if (load->count == BATCH_MAX ||
            (load->count > 0 && load->bytes + (size_t)size > BATCH_BYTES))
            code = send_batch(load);
        if (code == EXIT_OK)
            code = take_line(load, text, (size_t)size);
        read += (uint64_t)size;
        progress_show(&progress, read, all, "bytes");
    }
    if (code == EXIT_OK && ferror(file))
        code = refuse(load, strerror(errno));
    if (code == EXIT_OK)
        code = send_batch(load);
    progress_wipe(&progress);
    bytes_free(text); /* getline's */
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
        code = refuse(load, "the cluster holds more changes than the file");
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
