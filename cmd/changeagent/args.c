/* args.c - flags into struct args; the environment stands in for endpoints. */
#include "cmd/changeagent/args.h"

#include "common/bytes.h"
#include "common/clock.h"
#include "common/keys.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH_MS = 10000 };

enum flag_kind { FLAG_YES, FLAG_TEXT, FLAG_NUMBER, FLAG_LIST, FLAG_COMMAS };

struct flag {
    const char *name, *short_name;
    enum flag_kind kind;
    size_t offset, seen; /* seen: a bool to set, or 0 */
    const char *value, *sentence;
};

#define AT(field) offsetof(struct args, field)

static const struct flag flags[] = {
    {"--endpoints", "-e", FLAG_COMMAS, AT(endpoints), 0, "A,B",
     "nodes to ask; else CHANGEAGENT_ENDPOINTS, else tcp://127.0.0.1:7600"},
    {"--output", "-o", FLAG_TEXT, AT(output_name), 0, "FORM", "table, json or ndjson"},
    {"--timeout", NULL, FLAG_NUMBER, AT(timeout_ms), 0, "MS",
     "for one ask with all its retries; default 30000"},
    {"--tag", "-t", FLAG_LIST, AT(tags), 0, "TAG",
     "put: a tag of it; bench: one more of each; list, count, follow: any of these; may be "
     "repeated"},
    {"--all-tag", NULL, FLAG_LIST, AT(all_tags), 0, "TAG", "list, count: and all of these"},
    {"--no-tag", NULL, FLAG_LIST, AT(no_tags), 0, "TAG",
     "list, count: and none of these; PATH/* stands for all tags below PATH"},
    {"--key", "-k", FLAG_TEXT, AT(key), 0, "KEY", "put: key of the change; get: the key's change"},
    {"--prefix", NULL, FLAG_TEXT, AT(prefix), 0, "P", "scan: keys that begin with this"},
    {"--after", NULL, FLAG_TEXT, AT(after), 0, "KEY", "scan: keys behind this one"},
    {"--delete", NULL, FLAG_YES, AT(removes), 0, NULL, "put: the key is gone from the collection"},
    {"--type", NULL, FLAG_NUMBER, AT(type), 0, "N", "put: type of the change; default 0"},
    {"--ctype", NULL, FLAG_TEXT, AT(ctype), 0, "TYPE", "put: content type"},
    {"--header", NULL, FLAG_LIST, AT(headers), 0, "K=V", "put: a header; may be repeated"},
    {"--file", "-f", FLAG_TEXT, AT(file), 0, "PATH",
     "put: data from this file; dump, load: the dump"},
    {"--format", NULL, FLAG_TEXT, AT(format), 0, "FORM",
     "dump, salvage: ndjson or binary; default ndjson, or as the file is"},
    {"--lines", NULL, FLAG_YES, AT(lines), 0, NULL, "put: each line of stdin is one put"},
    {"--since", NULL, FLAG_NUMBER, AT(since), AT(has_since), "ID",
     "list, count, follow, dump, archive: changes after this id; default 0"},
    {"--cursor", NULL, FLAG_TEXT, AT(cursor), 0, "C", "list, follow: go on after this cursor"},
    {"--before", NULL, FLAG_TEXT, AT(before), 0, "C", "list: the page that ends at this `prev`"},
    {"--until", NULL, FLAG_NUMBER, AT(until), AT(has_until), "ID",
     "list, count, load: changes up to and with this id"},
    {"--since-time", NULL, FLAG_TEXT, AT(since_time), 0, "T",
     "list, count: changes of this log time or later: now, -2h, 2026-11-25T01:02:03Z, @1e9"},
    {"--until-time", NULL, FLAG_TEXT, AT(until_time), 0, "T",
     "list, count, load: changes before this log time"},
    {"--at", NULL, FLAG_TEXT, AT(at_time), 0, "T", "list: the page that ends at this log time"},
    {"--last", NULL, FLAG_NUMBER, AT(last), 0, "N", "list: the last N that match"},
    {"--reverse", NULL, FLAG_YES, AT(reverse), 0, NULL, "list: the newest first"},
    {"--headers-only", NULL, FLAG_YES, AT(headers_only), 0, NULL, "list: sizes in place of data"},
    {"--latest", NULL, FLAG_YES, AT(latest), 0, NULL, "list: of each key only the newest change"},
    {"--bytes", NULL, FLAG_NUMBER, AT(bytes), 0, "N", "list: bytes of a page; at most 4194304"},
    {"--now", NULL, FLAG_YES, AT(now), 0, NULL, "list, follow: from the head of this moment"},
    {"--linearizable", NULL, FLAG_YES, AT(linearizable), 0, NULL,
     "get, list, count, head: what was acknowledged anywhere before is shown, or it fails"},
    {"--max-lag", NULL, FLAG_NUMBER, AT(max_lag_ms), 0, "MS",
     "the same, but for what was acknowledged in the last so many ms"},
    {"--limit", NULL, FLAG_NUMBER, AT(limit), 0, "N",
     "list: changes of a page; default 100, at most 10000"},
    {"--block", NULL, FLAG_NUMBER, AT(block_ms), 0, "MS",
     "list: wait so long for the first; node ready, member: for that"},
    {"--all", NULL, FLAG_YES, AT(all), 0, NULL, "list: every page; status: every endpoint"},
    {"--count", "-n", FLAG_NUMBER, AT(count), AT(has_count), "N", "follow: end after so many"},
    {"--outstanding", NULL, FLAG_NUMBER, AT(outstanding), 0, "N",
     "bench, put --lines: puts under way; default 64"},
    {"--size", NULL, FLAG_NUMBER, AT(size), 0, "BYTES", "bench: data of a change; default 256"},
    {"--tags", NULL, FLAG_NUMBER, AT(tag_per_put), AT(has_tags), "N",
     "bench: tags of a change; default 2"},
    {"--distinct-tags", NULL, FLAG_NUMBER, AT(distinct_tags), 0, "N",
     "bench: how many different tags; default 1000"},
    {"--seconds", NULL, FLAG_NUMBER, AT(seconds), 0, "S", "bench: time measured; default 5"},
    {"--warm", NULL, FLAG_NUMBER, AT(warm), AT(has_warm), "S", "bench: time before; default 1"},
    {"--rate", NULL, FLAG_NUMBER, AT(rate), 0, "N", "bench: puts per second; default: as it goes"},
    {"--connections", NULL, FLAG_NUMBER, AT(connections), 0, "N",
     "bench: connections to each endpoint; default 1"},
    {"--from", NULL, FLAG_NUMBER, AT(from), 0, "ID", "holder set: the first change still needed"},
    {"--for", NULL, FLAG_TEXT, AT(for_time), 0, "TIME",
     "holder set, archive: how long, unless set again: 90s, 1h, 2d; default 1h, archive 2d"},
    {"--hold", NULL, FLAG_TEXT, AT(hold), 0, "NAME",
     "archive: be a holder of this name, so nothing is cut that is not archived"},
    {"--keep", NULL, FLAG_TEXT, AT(keep), 0, "TIME",
     "rule set: changes of the tag are kept so long at least: 12h, 365d; 0: as long as others"},
    {"--changes-per-second", NULL, FLAG_NUMBER, AT(changes_s), AT(has_changes_s), "N",
     "rule set: so many changes of the tag a node takes; 0: no bound"},
    {"--bytes-per-second", NULL, FLAG_NUMBER, AT(bytes_s), AT(has_bytes_s), "N",
     "rule set: so many bytes of them; 0: no bound"},
    {"--follow", NULL, FLAG_YES, AT(follow), 0, NULL, "archive: go on until stopped"},
    {"--pids", NULL, FLAG_TEXT, AT(pids), 0, "A,B",
     "bench: processes whose CPU is counted; default: the nodes, if all are on this machine"},
    {"--server-key", NULL, FLAG_TEXT, AT(server_key), 0, "Z85", "CURVE: key of the server"},
    {"--public-key", NULL, FLAG_TEXT, AT(public_key), 0, "Z85", "CURVE: own public key"},
    {"--secret-key-file", NULL, FLAG_TEXT, AT(secret_key), 0, "PATH",
     "CURVE: file with the own secret key, 40 characters of Z85"},
    {"--data", NULL, FLAG_TEXT, AT(data), 0, "DIR", "node init, force-new-cluster: data directory"},
    {"--yes", NULL, FLAG_YES, AT(sure), 0, NULL, "node force-new-cluster: do not ask"},
    {"--config", NULL, FLAG_TEXT, AT(config), 0, "FILE", "node init: settings of the node"},
    {"--verbose", "-v", FLAG_YES, AT(verbose), 0, NULL, "say on stderr what the library does"},
    {"--help", "-h", FLAG_YES, AT(help), 0, NULL, "this"},
};

void args_print_flags(void)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        char name[48];
        const struct flag *flag = &flags[i];
        snprintf(name, sizeof name, "%s%s%s %s", flag->short_name ? flag->short_name : "",
                 flag->short_name ? ", " : "", flag->name, flag->value ? flag->value : "");
        printf("  %-24s %s\n", name, flag->sentence);
    }
}

static bool complain(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: %s: %s; see changeagent --help\n", what, about);
    return false;
}

static bool read_number(const char *name, const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != 0)
        return complain("not a number", name);
    return true;
}

static bool add(struct args_list *list, const char *text)
{
    if (list->count == ARGS_LIST_MAX)
        return complain("too many", text);
    list->at[list->count++] = text;
    return true;
}

/* Copies the pieces; args_close frees them. */
static bool add_pieces(struct args_list *list, const char *text)
{
    while (*text != 0) {
        size_t size = strcspn(text, ", ");
        if (size > 0) {
            char *piece = bytes_zeroed(1, size + 1);
            memcpy(piece, text, size);
            if (!add(list, piece))
                return false;
        }
        text += size + (text[size] != 0);
    }
    return true;
}

static const struct flag *find_flag(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const struct flag *flag = &flags[i];
        bool is_long = strlen(flag->name) == size && memcmp(flag->name, word, size) == 0;
        if (is_long ||
            (flag->short_name != NULL && size == 2 && !memcmp(flag->short_name, word, 2)))
            return flag;
    }
    return NULL;
}

static bool take_value(struct args *args, const struct flag *flag, const char *value)
{
    void *at = (char *)args + flag->offset;
    if (flag->seen != 0)
        *(bool *)((char *)args + flag->seen) = true;
    switch (flag->kind) {
    case FLAG_YES:
        *(bool *)at = true;
        return true;
    case FLAG_TEXT:
        *(const char **)at = value;
        return true;
    case FLAG_NUMBER:
        return read_number(flag->name, value, at);
    case FLAG_LIST:
        return add(at, value);
    case FLAG_COMMAS:
        return add_pieces(at, value);
    }
    return false;
}

static size_t name_size(const char *word)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    return equals != NULL ? (size_t)(equals - word) : strlen(word);
}

/* A key in Z85 may begin with one or two '-': one in eighty-five does. */
static bool is_key(const char *word)
{
    uint8_t key[KEY_SIZE];
    return find_flag(word, name_size(word)) == NULL && keys_parse(SPAN_TEXT(word), key) == ERR_NONE;
}

/* A flag at `*i`, with its value behind '=' or in the next word. */
static bool take_flag(struct args *args, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    size_t size = name_size(word);
    const char *equals = word[size] == '=' ? word + size : NULL;
    const struct flag *flag = find_flag(word, size);
    if (flag == NULL)
        return complain("unknown flag", word);
    if (flag->kind == FLAG_YES)
        return equals == NULL ? take_value(args, flag, NULL) : complain("takes no value", word);
    if (equals != NULL)
        return take_value(args, flag, equals + 1);
    if (*i + 1 >= argc)
        return complain("needs a value", word);
    return take_value(args, flag, argv[++*i]);
}

static bool take_output(struct args *args)
{
    static const char *const names[] = {"table", "json", "ndjson"};
    const char *name = args->output_name != NULL ? args->output_name : "table";
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            args->output = (enum output)i;
            return true;
        }
    return complain("no such form of output", name);
}

static bool take_endpoints(struct args *args)
{
    const char *given = getenv("CHANGEAGENT_ENDPOINTS");
    if (args->endpoints.count > 0)
        return true;
    return add_pieces(&args->endpoints,
                      given != NULL && *given != 0 ? given : "tcp://127.0.0.1:7600");
}

bool args_read(struct args *args, int argc, char **argv)
{
    bool flags_end = false;
    for (int i = 0; i < argc; i++) {
        if (!flags_end && strcmp(argv[i], "--") == 0) {
            flags_end = true;
        } else if (!flags_end && argv[i][0] == '-' && argv[i][1] != 0 && !is_key(argv[i])) {
            if (!take_flag(args, argc, argv, &i))
                return false;
        } else if (args->word_count == ARGS_WORDS_MAX) {
            return complain("too many words", argv[i]);
        } else {
            args->words[args->word_count++] = argv[i];
        }
    }
    return take_output(args) && take_endpoints(args);
}

void args_close(struct args *args)
{
    for (uint32_t i = 0; i < args->endpoints.count; i++)
        bytes_free((void *)(uintptr_t)args->endpoints.at[i]);
    *args = (struct args){0};
}

static void say(void *owner, const char *line)
{
    fprintf(stderr, "changeagent: %s\n", line);
}

static bool read_secret(const char *path, char text[64])
{
    FILE *file = fopen(path, "re");
    bool fine = file != NULL && fscanf(file, "%40s", text) == 1 && strlen(text) == 40;
    if (file != NULL)
        fclose(file);
    return fine || complain("no secret key in", path);
}

enum ca_code args_open(const struct args *args, const struct ca_options *more, struct ca **ca)
{
    char secret[64] = {0};
    struct ca_options options = more != NULL ? *more : (struct ca_options){0};
    options.timeout_ms = args->timeout_ms < UINT32_MAX ? (uint32_t)args->timeout_ms : UINT32_MAX;
    options.log = args->verbose ? say : NULL;
    options.linearizable = args->linearizable || args->max_lag_ms > 0;
    options.max_lag_ms = args->max_lag_ms < UINT32_MAX ? (uint32_t)args->max_lag_ms : UINT32_MAX;
    options.server_key = args->server_key;
    options.public_key = args->public_key;
    if (args->secret_key != NULL) {
        if (!read_secret(args->secret_key, secret))
            return CA_USAGE;
        options.secret_key = secret;
    }
    enum ca_code code = ca_open(args->endpoints.at, args->endpoints.count, &options, ca);
    memset(secret, 0, sizeof secret);
    if (code != CA_OK)
        complain("cannot use these endpoints or keys", ca_code_name(code));
    return code;
}

int args_head(struct ca *ca, bool stale_is_fine, struct ca_head *head)
{
    uint64_t end = clock_now_ms() + FRESH_MS;
    for (;;) {
        if (ca_head(ca, head) != CA_OK)
            return args_fail(ca_last_error(ca));
        if (!head->stale)
            return EXIT_OK;
        if (clock_now_ms() > end)
            break;
        ca_poll(ca, 100);
    }
    complain("the node has not heard from a leader lately", stale_is_fine ? "warning" : "refused");
    return stale_is_fine ? EXIT_OK : EXIT_NO_LEADER;
}

int args_exit(enum ca_code code)
{
    return code <= CA_TRUNCATED ? (int)code : EXIT_SYSTEM;
}

int args_fail(const struct ca_error *error)
{
    fprintf(stderr, "changeagent: %s: %s: %s\n", ca_code_name(error->code), error->name,
            error->detail);
    if (error->code == CA_TRUNCATED && error->first_id > 0)
        fprintf(stderr, "changeagent: the first change kept is %llu\n",
                (unsigned long long)error->first_id);
    return args_exit(error->code);
}
