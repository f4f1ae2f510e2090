/* member.c - the verb member: who belongs to the cluster, and that it be otherwise. */
#include "cmd/changeagent/place.h"
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"

#include "common/clock.h"
#include "common/progress.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 60000, LOOK_MS = 1000, WISH_SIZE = 480 };

/* What a wish is read with. */
struct asked {
    struct ca *ca;
    const struct args *args;
    struct ca_members known;
};

struct wishes {
    char text[CA_WISHES_MAX][WISH_SIZE];
    const char *at[CA_WISHES_MAX];
    uint32_t count;
};

static int usage(const char *what, const char *about)
{
    fprintf(
        stderr,
        "changeagent: member: %s%s\n"
        "  member list\n"
        "  member add tcp://HOST:PORT PUBLICKEY [name=…] [api=tcp://…] [role=replica]\n"
        "  member remove NODE\n"
        "  member set NODE [peer=tcp://…] [api=tcp://…] [name=…] [role=voter|replica]\n"
        "  member promote NODE\n"
        "  member cancel\n"
        "Several in one step: member add … and add … and remove … (NODE: id, name or address)\n",
        what, about);
    return EXIT_USAGE;
}

static bool is_called(const struct ca_member *member, const char *word)
{
    return strcmp(word, member->node) == 0 || strcmp(word, member->peer) == 0 ||
           strcmp(word, member->key) == 0 || strcmp(word, member->api) == 0 ||
           (member->name[0] != 0 && strcmp(word, member->name) == 0);
}

/* Name and address of one that was removed may be another one's by now: who belongs goes first.
 * The names that founders have in their own files are not in the list, and a list may be a moment
 * old: where nobody in it belongs, the nodes are asked for their names. */
static int node_of(const struct asked *asked, const char *word, struct place *place)
{
    const struct ca_member *found = NULL;
    uint32_t live = 0;
    for (uint32_t i = 0; i < asked->known.count; i++) {
        const struct ca_member *member = &asked->known.at[i];
        if (!is_called(member, word))
            continue;
        bool belongs = strcmp(member->state, "removed") != 0;
        live += belongs;
        if (found == NULL || belongs || strcmp(word, member->node) == 0)
            found = member;
    }
    if (live > 1)
        return usage("more than one member is called so, give the id: ", word);
    bool sure = live == 1 || (found != NULL && strcmp(word, found->node) == 0);
    if (!sure && place_find(asked->ca, asked->args, word, place))
        return EXIT_OK;
    if (found != NULL) {
        snprintf(place->id, sizeof place->id, "%s", found->node);
    } else {
        fprintf(stderr,
                "changeagent: no member is called '%s'; see changeagent member list (an id or an "
                "address will do)\n",
                word);
        return EXIT_NOT_FOUND;
    }
    return EXIT_OK;
}

static bool append(char wish[WISH_SIZE], const char *before, const char *word)
{
    size_t used = strlen(wish);
    int size = snprintf(wish + used, WISH_SIZE - used, "%s%s%s", used > 0 ? " " : "", before, word);
    return size > 0 && (size_t)size < WISH_SIZE - used;
}

static bool is_end(const struct args *args, uint32_t at)
{
    return at == args->word_count || strcmp(args->words[at], "and") == 0;
}

/* Reads one wish from word `*at` on, up to `and` or the end. */
static int read_wish(const struct asked *asked, uint32_t *at, char wish[WISH_SIZE])
{
    const struct args *args = asked->args;
    struct place place = {0};
    const char *verb = args->words[(*at)++];
    bool adds = strcmp(verb, "add") == 0, cancels = strcmp(verb, "cancel") == 0;
    bool names =
        strcmp(verb, "remove") == 0 || strcmp(verb, "set") == 0 || strcmp(verb, "promote") == 0;
    wish[0] = 0;
    if (!adds && !cancels && !names)
        return usage("there is no such action: ", verb);
    bool fits = append(wish, "", verb);
    if (adds) {
        if (is_end(args, *at) || is_end(args, *at + 1))
            return usage("add takes an address and a public key", "");
        fits = fits && append(wish, "peer=", args->words[(*at)++]);
        fits = fits && append(wish, "key=", args->words[(*at)++]);
    }
    if (names) {
        if (is_end(args, *at))
            return usage("which node? ", verb);
        int exit = node_of(asked, args->words[(*at)++], &place);
        if (exit != EXIT_OK)
            return exit;
        fits = fits && append(wish, "node=", place.id);
    }
    while (!is_end(args, *at))
        fits = fits && append(wish, "", args->words[(*at)++]);
    return fits ? EXIT_OK : usage("this is too long: ", verb);
}

static int read_wishes(const struct asked *asked, struct wishes *wishes)
{
    const struct args *args = asked->args;
    uint32_t at = 0;
    while (at < args->word_count) {
        if (wishes->count == CA_WISHES_MAX)
            return usage("at most 16 wishes at a time", "");
        char *text = wishes->text[wishes->count];
        int exit = read_wish(asked, &at, text);
        if (exit != EXIT_OK)
            return exit;
        wishes->at[wishes->count++] = text;
        if (at < args->word_count && ++at == args->word_count)
            return usage("something is missing behind 'and'", "");
    }
    return EXIT_OK;
}

static void show_progress(struct progress *progress, const struct ca_members *members)
{
    uint64_t least = 100;
    for (uint32_t i = 0; i < members->count; i++)
        if (strcmp(members->at[i].role, "learner") == 0 && members->at[i].percent < least)
            least = members->at[i].percent;
    progress_show(progress, least, 100, members->waits_for);
}

static int change(struct ca *ca, const struct args *args, const struct wishes *wishes)
{
    uint64_t until = clock_now_ms() + (args->block_ms > 0 ? args->block_ms : WAIT_MS), since = 0;
    struct progress progress = {0};
    struct ca_members members;
    enum ca_code code;
    do {
        code = ca_members(ca, wishes->at, wishes->count, LOOK_MS, since, &members);
        since = members.since;
        if (code == CA_OK && !members.done)
            show_progress(&progress, &members);
    } while (code == CA_OK && !members.done && clock_now_ms() < until);
    progress_wipe(&progress);
    if (code != CA_OK)
        return args_fail(ca_last_error(ca));
    print_members(&members, args->output);
    if (members.done)
        return EXIT_OK;
    fprintf(stderr,
            "changeagent: not yet: it waits %s. It goes on by itself; the same command waits on, "
            "member cancel takes it back\n",
            members.waits_for);
    return EXIT_OPEN;
}

static int run(struct ca *ca, const struct args *args)
{
    struct asked asked = {.ca = ca, .args = args};
    struct wishes wishes = {0};
    bool lists = strcmp(args->words[0], "list") == 0;
    if (ca_members(ca, NULL, 0, 0, 0, &asked.known) != CA_OK)
        return args_fail(ca_last_error(ca));
    if (lists) {
        print_members(&asked.known, args->output);
        return EXIT_OK;
    }
    int exit = read_wishes(&asked, &wishes);
    return exit == EXIT_OK ? change(ca, args, &wishes) : exit;
}

int verb_member(const struct args *args)
{
    struct ca *ca;
    if (args->word_count == 0)
        return usage("what is to be done?", "");
    if (strcmp(args->words[0], "list") == 0 && args->word_count > 1)
        return usage("list takes flags only", "");
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit = run(ca, args);
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
