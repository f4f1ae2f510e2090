/* leader.c - the verbs leader and node: who leads, and which node shall not. */
#include "cmd/changeagent/backup.h"
#include "cmd/changeagent/catchup.h"
#include "cmd/changeagent/place.h"
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/program.h"
#include "cmd/changeagent/verbs.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 2000, AGAIN_MS = 50 };

static int usage(const char *what)
{
    fprintf(stderr, "changeagent: %s\n", what);
    return EXIT_USAGE;
}

/* One endpoint that does not answer must not hold up the search for another. */
static enum ca_code open_patient(const struct args *args, struct ca **ca)
{
    struct args quick = *args;
    quick.timeout_ms = args->timeout_ms > 0 ? args->timeout_ms : LOOK_MS;
    return args_open(&quick, NULL, ca);
}

static bool find_place(struct ca *ca, const struct args *args, const char *word,
                       struct place *place)
{
    if (place_find(ca, args, word, place))
        return true;
    fprintf(stderr,
            "changeagent: no node at these endpoints is called '%s'; changeagent status "
            "--all shows names and ids\n",
            word);
    return false;
}

/* An id of a node whose endpoint was not given is fine for `leader transfer`: the cluster knows. */
static const char *id_of(const struct args *args, const char *word, struct place *place)
{
    struct ca *ca;
    if (word == NULL)
        return NULL;
    if (open_patient(args, &ca) != CA_OK)
        return word;
    bool found = find_place(ca, args, word, place);
    ca_close(ca);
    return found ? place->id : word;
}

int verb_leader(const struct args *args)
{
    struct ca_node node;
    struct place place = {0};
    struct ca *ca;
    if (args->word_count < 1 || args->word_count > 2 || strcmp(args->words[0], "transfer") != 0)
        return usage("leader transfer [NODE]: NODE is a name, an id or an endpoint");
    const char *to = id_of(args, args->word_count == 2 ? args->words[1] : NULL, &place);
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int code = EXIT_OK;
    if (ca_transfer(ca, to, &node) == CA_OK)
        print_node(&node, args->output);
    else
        code = args_fail(ca_last_error(ca));
    ca_close(ca);
    return print_flush() ? code : EXIT_SYSTEM;
}

/* ---- node -------------------------------------------------------------------------------------
 */

static int drain(struct ca *ca, const struct args *args, int slot, bool on)
{
    struct ca_node node;
    if (ca_drain(ca, slot, on, &node) != CA_OK)
        return args_fail(ca_last_error(ca));
    print_node(&node, args->output);
    return EXIT_OK;
}

/* For probes of load balancers, and for scripts that wait until a node is back. */
static int is_ready(struct ca *ca, const struct args *args, int slot)
{
    uint64_t until_ms = clock_now_ms() + args->block_ms;
    struct ca_status status;
    bool ready;
    do {
        ready = ca_status(ca, slot, &status) == CA_OK && status.ready;
        if (!ready && clock_now_ms() < until_ms)
            ca_poll(ca, AGAIN_MS);
        if (!ready && status.node[0] == 0 && args->block_ms == 0)
            return args_fail(ca_last_error(ca));
        if (!ready && clock_now_ms() >= until_ms)
            fprintf(stderr, "changeagent: not ready%s%s%s\n", status.drained ? ": drained" : "",
                    status.waits_for[0] != 0 ? ": it waits for " : "", status.waits_for);
        ca_status_close(&status);
    } while (!ready && clock_now_ms() < until_ms);
    return ready ? EXIT_OK : EXIT_REFUSED;
}

/* Founding is no ask to a running node: the supervisor does it, and ends. */
static int found(const struct args *args)
{
    const char *words[8] = {"--init"};
    uint32_t count = 1;
    if (args->word_count > 1 || (args->data == NULL && args->config == NULL))
        return usage("node init --data DIR, or --config FILE that names it");
    if (args->data != NULL) {
        words[count++] = "--data";
        words[count++] = args->data;
    }
    if (args->config != NULL) {
        words[count++] = "--config";
        words[count++] = args->config;
    }
    return program_become("changeagentd", words);
}

/* Nor is the last resort: the node must not run. */
static int force(const struct args *args)
{
    if (args->word_count != 1 || args->data == NULL)
        return usage("node force-new-cluster --data DIR [--yes]");
    return program_become(
        "changeagent-storage",
        (const char *const[]){"force-new-cluster", args->data, args->sure ? "yes" : NULL, NULL});
}

static int act(struct ca *ca, const struct args *args, int slot)
{
    const char *action = args->words[0];
    if (strcmp(action, "ready") == 0)
        return is_ready(ca, args, slot);
    if (strcmp(action, "catchup") == 0)
        return catchup_node(ca, args, slot);
    return drain(ca, args, slot, strcmp(action, "drain") == 0);
}

static bool is_action(const char *word)
{
    return strcmp(word, "drain") == 0 || strcmp(word, "undrain") == 0 ||
           strcmp(word, "ready") == 0 || strcmp(word, "catchup") == 0;
}

/* node backup DIR: of the first endpoint. */
static int back_up(const struct args *args)
{
    struct ca *ca;
    if (args->word_count != 2)
        return usage("node backup DIR: a directory that is not there yet; the node is the first "
                     "endpoint");
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int code = backup_node(ca, args, 0, args->words[1]);
    ca_close(ca);
    return print_flush() ? code : EXIT_SYSTEM;
}

int verb_node(const struct args *args)
{
    struct place place = {0};
    struct ca *ca;
    if (args->word_count > 0 && strcmp(args->words[0], "backup") == 0)
        return back_up(args);
    if (args->word_count > 0 && strcmp(args->words[0], "init") == 0)
        return found(args);
    if (args->word_count > 0 && strcmp(args->words[0], "force-new-cluster") == 0)
        return force(args);
    if (args->word_count < 1 || args->word_count > 2 || !is_action(args->words[0]))
        return usage("node drain|undrain|ready|catchup [NODE]: NODE is a name, an id or an "
                     "endpoint; or node init, node backup DIR, node force-new-cluster");
    if (args->word_count == 1 && args->endpoints.count != 1)
        return usage("several endpoints are given: say which node is meant");
    if ((args->word_count == 1 ? args_open(args, NULL, &ca) : open_patient(args, &ca)) != CA_OK)
        return EXIT_USAGE;
    bool found = args->word_count == 1 || find_place(ca, args, args->words[1], &place);
    int code = found ? act(ca, args, place.slot) : EXIT_NOT_FOUND;
    ca_close(ca);
    return print_flush() ? code : EXIT_SYSTEM;
}
