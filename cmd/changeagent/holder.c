/* holder.c - the verb holder: who needs changes that are not to be cut. */
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"

#include <stdio.h>
#include <string.h>

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

static int (*find(const char *word, uint32_t *words))(struct ca *ca, const struct args *args)
{
    static const struct {
        const char *word;
        uint32_t words;
        int (*run)(struct ca *ca, const struct args *args);
    } actions[] = {{"list", 1, list}, {"set", 2, set}, {"remove", 2, let_go}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(word, actions[i].word) == 0) {
            *words = actions[i].words;
            return actions[i].run;
        }
    return NULL;
}

int verb_holder(const struct args *args)
{
    struct ca *ca;
    uint32_t words = 0;
    int (*run)(struct ca *, const struct args *) =
        args->word_count > 0 ? find(args->words[0], &words) : NULL;
    if (run == NULL)
        return usage("what is to be done?");
    if (args->word_count != words)
        return usage(args->word_count < words ? "a name is missing" : "too many words");
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit = run(ca, args);
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
