/* rule.c - the verb rule: what holds for the changes of one tag, or of all tags below a path. */
#include "cmd/changeagent/actions.h"
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"

#include <stdio.h>
#include <string.h>

static int usage(const char *what)
{
    fprintf(stderr,
            "changeagent: rule: %s; say list, set TAG [--keep TIME] [--changes-per-second N] "
            "[--bytes-per-second N], or remove TAG\n",
            what);
    return EXIT_USAGE;
}

static int list(struct ca *ca, const struct args *args)
{
    struct ca_rules rules;
    if (ca_rules(ca, &rules) != CA_OK)
        return args_fail(ca_last_error(ca));
    print_rules(&rules, args->output);
    return EXIT_OK;
}

static bool read_keep(const char *text, uint64_t *keep_s)
{
    *keep_s = text == NULL ? CA_UNCHANGED : 0;
    return text == NULL || strcmp(text, "0") == 0 || when_seconds(text, keep_s);
}

static int set(struct ca *ca, const struct args *args)
{
    const char *tag = args->words[1];
    struct ca_rule rule = {.changes_s = args->has_changes_s ? args->changes_s : CA_UNCHANGED,
                           .bytes_s = args->has_bytes_s ? args->bytes_s : CA_UNCHANGED};
    if (!read_keep(args->keep, &rule.keep_s))
        return usage("--keep takes whole seconds, as 90s, 12h or 365d, or 0");
    if (args->keep == NULL && !args->has_changes_s && !args->has_bytes_s)
        return usage("what shall it say?");
    if (strlen(tag) >= sizeof rule.tag)
        return usage("a tag of a rule has at most 64 bytes");
    memcpy(rule.tag, tag, strlen(tag));
    if (ca_rule_set(ca, &rule, NULL) != CA_OK)
        return args_fail(ca_last_error(ca));
    return list(ca, args);
}

static int let_go(struct ca *ca, const struct args *args)
{
    if (ca_rule_remove(ca, args->words[1], NULL) != CA_OK)
        return args_fail(ca_last_error(ca));
    return list(ca, args);
}

int verb_rule(const struct args *args)
{
    static const struct actions actions = {list, set, let_go, usage};
    return actions_run(&actions, args);
}
