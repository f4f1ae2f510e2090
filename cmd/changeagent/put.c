/* put.c - the verb put: one change, or one for each line of stdin. */
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"

#include "common/bytes.h"
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { OUTSTANDING = 64, READ_STEP = 1 << 16, DATA_MAX = 4 << 20 };

/* What all puts of the command have in common. */
struct template
{
    struct ca_change change;
    char *texts[ARGS_LIST_MAX]; /* headers, cut at '=' */
    const char *pairs[2 * ARGS_LIST_MAX];
};

static int usage(const char *what)
{
    fprintf(stderr, "changeagent: put: %s; see changeagent put --help\n", what);
    return EXIT_USAGE;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bytes_zeroed(1, size), text, size);
}

static bool cut_headers(const struct args *args, struct template *template)
{
    for (uint32_t i = 0; i < args->headers.count; i++) {
        char *text = copy_text(args->headers.at[i]);
        char *equals = strchr(text, '=');
        template->texts[i] = text;
        if (equals == NULL)
            return false;
        *equals = 0;
        template->pairs[2 * i] = text;
        template->pairs[2 * i + 1] = equals + 1;
    }
    template->change.headers = (struct ca_headers){template->pairs, args->headers.count};
    return true;
}

static bool refuse(const char *what)
{
    usage(what);
    return false;
}

static bool fill_template(const struct args *args, struct template *template)
{
    template->change = (struct ca_change){
        .type = args->type,
        .key = args->key,
        .removes = args->removes,
        .ctype = args->ctype,
        .tags = args->tags.at,
        .tag_count = args->tags.count,
    };
    return cut_headers(args, template);
}

static void template_close(struct template *template)
{
    for (int i = 0; i < ARGS_LIST_MAX; i++)
        bytes_free(template->texts[i]);
}

/* ---- one put --------------------------------------------------------------------------------- */

/* False: told on stderr. */
static bool read_all(FILE *file, struct bytes *data)
{
    for (;;) {
        size_t got = fread(bytes_reserve(data, READ_STEP), 1, READ_STEP, file);
        data->size += got;
        if (data->size > DATA_MAX)
            return refuse("the data is over 4 MiB");
        if (got == 0)
            return !ferror(file) || refuse(strerror(errno));
    }
}

static bool read_file(const char *path, struct bytes *data)
{
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL)
        return refuse(strerror(errno));
    bool fine = read_all(file, data);
    if (!is_stdin)
        fclose(file);
    return fine;
}

static int put_one(struct ca *ca, const struct args *args, struct template *template)
{
    struct ca_result result;
    SCOPED(bytes) data = {0};
    if (args->word_count > 0)
        bytes_append_span(&data, SPAN_TEXT(args->words[0]));
    else if (!read_file(args->file, &data))
        return EXIT_USAGE;
    template->change.data = (struct ca_bytes){data.data, data.size};
    enum ca_code code = ca_put(ca, &template->change, 1, &result);
    if (code != CA_OK)
        return args_fail(ca_last_error(ca));
    print_put(&result, args->output);
    return print_flush() ? EXIT_OK : EXIT_SYSTEM;
}

/* ---- many puts ------------------------------------------------------------------------------- */

struct tally {
    uint64_t acked, failed;
    int exit; /* of the first failure */
};

static void take_results(struct ca *ca, const struct args *args, struct tally *tally)
{
    struct ca_result result;
    while (ca_next(ca, &result) == CA_OK) {
        if (result.error.code == CA_OK) {
            tally->acked++;
            print_put(&result, args->output == OUTPUT_JSON ? OUTPUT_NDJSON : args->output);
            continue;
        }
        int code = args_fail(&result.error);
        fprintf(stderr, "changeagent: that was line %llu\n",
                (unsigned long long)(uintptr_t)result.token);
        tally->exit = tally->failed++ == 0 ? code : tally->exit;
    }
}

static enum ca_code begin(struct ca *ca, const struct args *args, const struct ca_change *change,
                          uint64_t line, struct tally *tally)
{
    enum ca_code code;
    void *token = (void *)(uintptr_t)line;
    while ((code = ca_put_begin(ca, NULL, change, 1, token, NULL)) == CA_AGAIN) {
        ca_poll(ca, 1000);
        take_results(ca, args, tally);
    }
    return code;
}

static int put_lines(struct ca *ca, const struct args *args, struct template *template)
{
    struct tally tally = {0};
    char *text = NULL;
    size_t room = 0;
    uint64_t line = 0;
    for (ssize_t size; (size = getline(&text, &room, stdin)) >= 0;) {
        size -= size > 0 && text[size - 1] == '\n';
        template->change.data = (struct ca_bytes){text, (size_t)size};
        line++;
        if (begin(ca, args, &template->change, line, &tally) != CA_OK) {
            int code = args_fail(ca_last_error(ca));
            tally.exit = tally.failed++ == 0 ? code : tally.exit;
        }
        ca_poll(ca, 0);
        take_results(ca, args, &tally);
    }
    bytes_free(text); /* getline's */
    while (ca_outstanding(ca) > 0) {
        ca_poll(ca, 1000);
        take_results(ca, args, &tally);
    }
    if (tally.failed > 0)
        fprintf(stderr, "changeagent: %llu of %llu lines failed\n",
                (unsigned long long)tally.failed, (unsigned long long)line);
    return print_flush() ? tally.exit : EXIT_SYSTEM;
}

int verb_put(const struct args *args)
{
    struct ca_options options = {.outstanding = args->outstanding > 0 && args->outstanding <= 16384
                                                    ? (uint32_t)args->outstanding
                                                    : OUTSTANDING};
    struct template template = {0};
    struct ca *ca;
    if (args->word_count > 1 || (args->word_count == 1 && (args->lines || args->file != NULL)))
        return usage("give the data once: as one argument, by --file, or on stdin");
    if (args->lines && args->file != NULL)
        return usage("--lines reads stdin, not a file");
    int code = EXIT_USAGE;
    if (!fill_template(args, &template))
        usage("--header takes NAME=VALUE");
    else if (args_open(args, &options, &ca) == CA_OK) {
        code = args->lines ? put_lines(ca, args, &template) : put_one(ca, args, &template);
        ca_close(ca);
    }
    template_close(&template);
    return code;
}
