/* holder.c - the verb holder: who needs changes that are not to be cut. */
#include "cmd/changeagent/actions.h"
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"

#include <stdio.h>

static int usage(const char *what)
{
    fprintf(stderr,
            "changeagent: holder: %s; say list, set NAME --from ID [--for 1h], or remove NAME\n",
            what);
    return EXIT_USAGE;
}

static int list(struct ca *ca, const struct args *args)
{
    struct ca_holders holders;
    if (ca_holders(ca, &holders) != CA_OK)
        return args_fail(ca_last_error(ca));
    print_holders(&holders, args->output);
    return EXIT_OK;
}

static int set(struct ca *ca, const struct args *args)
{
    uint64_t for_s;
    const char *for_time = args->for_time != NULL ? args->for_time : "1h";
    if (!when_seconds(for_time, &for_s))
        return usage("--for takes whole seconds, as 90s, 1h or 2d");
    if (args->from == 0)
        return usage("--from is missing: the first change still needed");
    if (ca_holder_set(ca, args->words[1], args->from, for_s, NULL) != CA_OK)
        return args_fail(ca_last_error(ca));
    return list(ca, args);
}

static int let_go(struct ca *ca, const struct args *args)
{
    if (ca_holder_remove(ca, args->words[1], NULL) != CA_OK)
        return args_fail(ca_last_error(ca));
    return list(ca, args);
}

int verb_holder(const struct args *args)
{
    static const struct actions actions = {list, set, let_go, usage};
    return actions_run(&actions, args);
}
