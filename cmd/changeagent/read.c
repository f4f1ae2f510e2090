/* read.c - the verbs get, list, count, head and status. */
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"
#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int finish(struct ca *ca, enum ca_code code)
{
    int exit = code == CA_OK ? EXIT_OK : args_fail(ca_last_error(ca));
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}

static enum ca_code get_one(struct ca *ca, const struct args *args, uint64_t id)
{
    struct ca_page *page;
    enum ca_code code =
        args->key != NULL ? ca_get_key(ca, args->key, &page) : ca_get(ca, id, &page);
    if (code == CA_OK && ca_page_count(page) == 1) {
        print_table_head(args->output);
        print_row(ca_page_row(page, 0), args->output);
    }
    ca_page_close(page);
    return code;
}

int verb_get(const struct args *args)
{
    struct ca *ca;
    char *end = NULL;
    errno = 0;
    uint64_t id = args->word_count == 1 ? strtoull(args->words[0], &end, 10) : 0;
    bool by_id = end != NULL && *end == 0 && errno == 0 && id > 0;
    if (by_id == (args->key != NULL) || (args->key != NULL && args->word_count > 0)) {
        fprintf(stderr, "changeagent: get takes one change id, 1 or more, or --key\n");
        return EXIT_USAGE;
    }
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    return finish(ca, get_one(ca, args, id));
}

static uint32_t small(uint64_t number, uint32_t max)
{
    return number < max ? (uint32_t)number : max;
}

static bool take_time(const char *text, const char *flag, uint64_t *ns)
{
    if (text == NULL || when_parse(text, clock_wall_ns(NULL), ns))
        return true;
    fprintf(stderr, "changeagent: %s: '%s' is no time; now, -2h, 2026-11-25T01:02:03Z, @seconds\n",
            flag, text);
    return false;
}

/* False: told on stderr. */
static bool query_of(const struct args *args, struct ca_query *query)
{
    *query = (struct ca_query){
        .since = args->since,
        .cursor = args->cursor,
        .before = args->before,
        .now = args->now,
        .limit = small(args->last > 0 ? args->last : args->limit, UINT32_MAX),
        .bytes = small(args->bytes, UINT32_MAX),
        .block_ms = small(args->block_ms, 60000),
        .tags = args->tags.at,
        .tag_count = args->tags.count,
        .all_tags = args->all_tags.at,
        .all_count = args->all_tags.count,
        .no_tags = args->no_tags.at,
        .no_count = args->no_tags.count,
        .until = args->until,
        .last = args->last > 0,
        .reverse = args->reverse,
        .headers_only = args->headers_only,
        .latest = args->latest,
    };
    return take_time(args->since_time, "--since-time", &query->since_time) &&
           take_time(args->until_time, "--until-time", &query->until_time) &&
           take_time(args->at_time, "--at", &query->at_time);
}

/* With --all a page leads to the next one: by `next`, or backwards by `prev`. */
static enum ca_code list_pages(struct ca *ca, const struct args *args, struct ca_query query)
{
    bool backwards = query.before != NULL || query.last || query.reverse || query.at_time > 0;
    bool more = true;
    char cursor[256];
    while (more) {
        struct ca_page_info info;
        struct ca_page *page;
        enum ca_code code = ca_list(ca, &query, &page);
        if (code != CA_OK)
            return code;
        print_page(page, args->output);
        ca_page_info(page, &info);
        more = args->all && !(backwards ? info.at_start : info.at_end);
        snprintf(cursor, sizeof cursor, "%s", backwards ? info.prev : info.next);
        query.before = backwards ? cursor : NULL;
        query.cursor = backwards ? NULL : cursor;
        query.now = query.last = false;
        query.at_time = 0; /* the cursor says it */
        ca_page_close(page);
        more = more && print_flush();
    }
    return CA_OK;
}

int verb_list(const struct args *args)
{
    struct ca_query query;
    struct ca *ca;
    if (args->word_count > 0 || (args->all && args->output == OUTPUT_JSON)) {
        fprintf(stderr, "changeagent: list takes flags only; --all goes with table and ndjson\n");
        return EXIT_USAGE;
    }
    if (!query_of(args, &query) || args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    print_table_head(args->output);
    return finish(ca, list_pages(ca, args, query));
}

int verb_count(const struct args *args)
{
    struct ca_query query;
    struct ca_count count;
    struct ca *ca;
    if (args->word_count > 0) {
        fprintf(stderr, "changeagent: count takes flags only\n");
        return EXIT_USAGE;
    }
    if (!query_of(args, &query) || args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    enum ca_code code = ca_count(ca, &query, &count);
    if (code == CA_OK)
        print_count(&count, args->output);
    return finish(ca, code);
}

static enum ca_code scan_pages(struct ca *ca, const struct args *args)
{
    struct ca_scan scan = {.after = args->after,
                           .prefix = args->prefix,
                           .limit = small(args->limit, UINT32_MAX),
                           .bytes = small(args->bytes, UINT32_MAX)};
    char after[1025];
    for (bool more = true; more;) {
        struct ca_page_info info;
        struct ca_page *page;
        enum ca_code code = ca_scan(ca, &scan, &page);
        if (code != CA_OK)
            return code;
        print_page(page, args->output);
        ca_page_info(page, &info);
        more = args->all && !info.at_end;
        snprintf(after, sizeof after, "%s", info.next_key);
        scan.after = after;
        ca_page_close(page);
        more = more && print_flush();
    }
    return CA_OK;
}

int verb_scan(const struct args *args)
{
    struct ca *ca;
    if (args->word_count > 0 || (args->all && args->output == OUTPUT_JSON)) {
        fprintf(stderr, "changeagent: scan takes flags only; --all goes with table and ndjson\n");
        return EXIT_USAGE;
    }
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    print_table_head(args->output);
    return finish(ca, scan_pages(ca, args));
}

int verb_head(const struct args *args)
{
    struct ca_head head;
    struct ca *ca;
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    enum ca_code code = ca_head(ca, &head);
    if (code == CA_OK)
        print_head(&head, args->output);
    return finish(ca, code);
}

static int status_of_all(struct ca *ca, const struct args *args)
{
    int exit = EXIT_OK;
    print_statuses_begin(args->output, true);
    for (uint32_t slot = 0; slot < args->endpoints.count; slot++) {
        struct ca_status status;
        if (ca_status(ca, (int)slot, &status) == CA_OK) {
            print_status(args->endpoints.at[slot], &status, args->output, true);
        } else {
            print_status_failed(args->endpoints.at[slot], ca_last_error(ca), args->output);
            exit = args_exit(ca_last_error(ca)->code);
        }
        ca_status_close(&status);
    }
    print_statuses_end(args->output, true);
    return exit;
}

static int status_of_one(struct ca *ca, const struct args *args)
{
    struct ca_status status;
    bool single = args->endpoints.count == 1;
    if (ca_status(ca, single ? 0 : -1, &status) != CA_OK)
        return args_fail(ca_last_error(ca));
    print_statuses_begin(args->output, false);
    print_status(single ? args->endpoints.at[0] : "", &status, args->output, false);
    ca_status_close(&status);
    return EXIT_OK;
}

int verb_status(const struct args *args)
{
    struct ca *ca;
    struct args patient = *args; /* a status that takes long says enough */
    if (patient.timeout_ms == 0)
        patient.timeout_ms = 5000;
    if (args_open(&patient, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit = args->all ? status_of_all(ca, args) : status_of_one(ca, args);
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
