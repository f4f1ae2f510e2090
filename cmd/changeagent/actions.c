#include "cmd/changeagent/actions.h"

#include "cmd/changeagent/print.h"

#include <string.h>

/* What the first word asks for, and how many words that takes; NULL: nothing. */
static action_run *find(const struct actions *actions, const char *word, uint32_t *words)
{
    *words = strcmp(word, "list") == 0 ? 1 : 2;
    if (*words == 1)
        return actions->list;
    if (strcmp(word, "set") == 0)
        return actions->set;
    return strcmp(word, "remove") == 0 ? actions->remove : NULL;
}

int actions_run(const struct actions *actions, const struct args *args)
{
    struct ca *ca;
    uint32_t words = 0;
    action_run *run = args->word_count > 0 ? find(actions, args->words[0], &words) : NULL;
    if (run == NULL)
        return actions->usage("what is to be done?");
    if (args->word_count != words)
        return actions->usage(args->word_count < words ? "a name is missing" : "too many words");
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit = run(ca, args);
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
