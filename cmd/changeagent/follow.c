/* follow.c - the verb follow. */
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"

#include <stdio.h>

enum { WAIT_MS = 1000 };

/* What was printed is pushed out before the wait: a reader at a pipe sees it at once. */
static int print_changes(struct ca *ca, struct ca_follow *follow, const struct args *args)
{
    enum output output = args->output == OUTPUT_JSON ? OUTPUT_NDJSON : args->output;
    const struct ca_row *row;
    uint64_t printed = 0;
    while (!args->has_count || printed < args->count) {
        enum ca_code code = ca_follow_next(follow, 0, &row);
        if (code == CA_AGAIN) {
            if (!print_flush())
                return EXIT_SYSTEM;
            code = ca_follow_next(follow, WAIT_MS, &row);
        }
        if (code == CA_AGAIN)
            continue;
        if (code != CA_OK)
            return args_fail(ca_last_error(ca));
        print_row(row, output);
        printed++;
    }
    if (args->verbose)
        fprintf(stderr, "changeagent: healed %llu gaps; cursor %s\n",
                (unsigned long long)ca_follow_healed(follow), ca_follow_cursor(follow));
    return EXIT_OK;
}

int verb_follow(const struct args *args)
{
    struct ca_follow_options options = {
        .since = args->since,
        .cursor = args->cursor,
        .now = args->now,
        .tags = args->tags.at,
        .tag_count = args->tags.count,
    };
    struct ca_follow *follow;
    struct ca *ca;
    if (args->word_count > 0 || args->now + args->has_since + (args->cursor != NULL) > 1) {
        fprintf(stderr, "changeagent: follow starts at one of --since, --cursor, --now\n");
        return EXIT_USAGE;
    }
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit;
    if (ca_follow_open(ca, &options, &follow) != CA_OK) {
        exit = args_fail(ca_last_error(ca));
    } else {
        print_table_head(args->output);
        exit = print_changes(ca, follow, args);
    }
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
