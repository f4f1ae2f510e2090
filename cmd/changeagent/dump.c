/* dump.c - the verb dump: every change up to the head of this moment, as lines or binary. */
#include "cmd/changeagent/dumpfile.h"
#include "cmd/changeagent/verbs.h"
#include "protocol/cursor.h"

#include <stdio.h>

static int refuse(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: dump: %s: %s\n", about, what);
    return EXIT_USAGE;
}

static void tell(const struct dumpfile *dump)
{
    char hash[2 * HASH_SIZE + 1];
    cursor_hex(dump->hash, sizeof dump->hash, hash);
    fprintf(stderr, "changeagent: %llu changes, up to id %llu%s%s\n",
            (unsigned long long)dump->written, (unsigned long long)dump->since,
            dump->since > 0 ? ", hash " : "", dump->since > 0 ? hash : "");
}

/* What an error of the node left unfinished has no end, and is still made durable. */
static int run(struct ca *ca, struct dumpfile *dump)
{
    struct ca_head head;
    int code = args_head(ca, true, &head);
    if (code == EXIT_OK)
        code = dumpfile_check(dump, ca, &head);
    if (code != EXIT_OK)
        return code;
    code = dumpfile_write(dump, ca, &head, UINT64_MAX);
    int synced = code == EXIT_OK ? dumpfile_end(dump) : dumpfile_sync(dump);
    if (synced == EXIT_OK && code != EXIT_SYSTEM)
        tell(dump);
    return code != EXIT_OK ? code : synced;
}

/* The form that was asked for; NULL: none was. */
static bool find_form(const struct args *args, const struct form **form)
{
    *form = args->format != NULL ? form_find(args->format) : NULL;
    return args->format == NULL || *form != NULL;
}

int verb_dump(const struct args *args)
{
    struct dumpfile dump = {.verb = "dump", .file = stdout, .since = args->since};
    struct ca *ca = NULL;
    int code = EXIT_OK;
    if (args->word_count > 0 || args->tags.count > 0 || (args->file != NULL && args->has_since))
        return refuse("takes --file PATH, or --since ID and writes to stdout", "usage");
    if (!find_form(args, &dump.form))
        return refuse("there is no such form; --format is ndjson or binary", args->format);
    if (args->file != NULL)
        code = dumpfile_take_up(&dump, args->file);
    if (dump.form == NULL)
        dump.form = &form_lines;
    if (code == EXIT_OK)
        code = args_open(args, NULL, &ca) == CA_OK ? run(ca, &dump) : EXIT_USAGE;
    ca_close(ca);
    dumpfile_close(&dump);
    return code;
}
