/* args.h - the flags of the command line, in one table. */
#ifndef CMD_CHANGEAGENT_ARGS_H
#define CMD_CHANGEAGENT_ARGS_H

#include "client/changeagent.h"

enum { ARGS_LIST_MAX = 64, ARGS_WORDS_MAX = 64 };

/* How a command ends; the first eight are those of enum ca_code. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_TIMEOUT = 4,
    EXIT_OPEN = 5,
    EXIT_NO_LEADER = 6,
    EXIT_TRUNCATED = 7,
    EXIT_SYSTEM = 8,
};

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_NDJSON };

struct args_list {
    const char *at[ARGS_LIST_MAX];
    uint32_t count;
};

/* What was said; everything else is zero. */
struct args {
    const char *program_verb;
    struct args_list endpoints, tags, headers; /* headers: "name=value" as given */
    struct args_list all_tags, no_tags;
    const char *output_name, *key, *ctype, *file, *cursor, *before, *pids, *data, *config;
    const char *server_key, *public_key, *secret_key;
    const char *prefix, *after, *format;
    const char *since_time, *until_time, *at_time, *for_time, *hold, *keep;
    uint64_t until, last, bytes, from, max_lag_ms, changes_s, bytes_s;
    uint64_t timeout_ms, type, since, limit, block_ms, count, id;
    uint64_t outstanding, size, tag_per_put, seconds, warm, rate, connections, distinct_tags;
    bool has_since, has_until, has_count, has_tags, has_warm, has_changes_s, has_bytes_s, lines,
        now, follow, all, help, verbose, linearizable;
    bool sure;
    bool reverse, headers_only, latest, removes;
    enum output output;
    const char *words[ARGS_WORDS_MAX]; /* what is no flag */
    uint32_t word_count;
};

/* Reads argv behind the verb. False: told on stderr; the command is wrong. */
bool args_read(struct args *args, int argc, char **argv);
void args_close(struct args *args);

/* Every flag, one line each. */
void args_print_flags(void);

/* A handle from the flags. Not CA_OK: told on stderr. */
enum ca_code args_open(const struct args *args, const struct ca_options *more, struct ca **ca);

/* The head of a node that hears a leader: waits for it a while. A stale head in the end is told
 * on stderr and taken where `stale_is_fine`. EXIT_OK, or the exit code. */
int args_head(struct ca *ca, bool stale_is_fine, struct ca_head *head);

/* Prints "changeagent: E_NAME: detail" on stderr and gives the exit code. */
int args_fail(const struct ca_error *error);
int args_exit(enum ca_code code);

#endif
