/* main.c - changeagent: one verb, its flags, one exit code. */
#include "cmd/changeagent/verbs.h"

#include <stdio.h>
#include <string.h>

struct verb {
    const char *name;
    verb_run *run;
    const char *sentence, *example;
};

static const struct verb verbs[] = {
    {"put", verb_put, "write a change; the data is the argument, --file, or stdin",
     "changeagent put 'hello' --tag greetings --key first"},
    {"get", verb_get, "read the change with this id, or the newest one of a key",
     "changeagent get --key first -o json"},
    {"scan", verb_scan, "read the newest change of each key, in the order of the keys",
     "changeagent scan --prefix user/ --limit 20"},
    {"list", verb_list, "read a page of changes",
     "changeagent list --since 100 --tag greetings --limit 20"},
    {"count", verb_count, "tell how many changes match, and how many bytes they are",
     "changeagent count --tag greetings --since 100"},
    {"follow", verb_follow, "print every change, in order, each once, until stopped",
     "changeagent follow --now --tag greetings -o ndjson"},
    {"head", verb_head, "show where the log ends", "changeagent head"},
    {"status", verb_status, "show the state of a node, with --all of every endpoint",
     "changeagent status --all"},
    {"leader", verb_leader, "leader transfer [NODE]: let another node lead",
     "changeagent leader transfer n2"},
    {"node", verb_node,
     "node init: found a cluster of one in an empty directory; node drain|undrain|ready [NODE]: "
     "keep a node from leading, end that, ask for its health; node catchup [NODE]: show how far it "
     "is until it has all; node backup DIR: write a snapshot; node force-new-cluster: the last "
     "resort, when a majority is lost for good",
     "changeagent node drain n1\n          changeagent node force-new-cluster --data "
     "/var/lib/changeagent"},
    {"member", verb_member,
     "member list|add|remove|set|promote|cancel: who belongs to the cluster; several joined by and",
     "changeagent member add tcp://10.0.0.4:7602 PUBLICKEY name=n4 and remove n2"},
    {"dump", verb_dump, "write every change to stdout, or with --file go on with a file",
     "changeagent dump --file changes.ndjson\n          changeagent dump --format binary > "
     "changes.bin"},
    {"archive", verb_archive,
     "keep a directory level with the log, in files of 64 MiB, for a restore to any change",
     "changeagent archive /backup/changes --follow --hold archive"},
    {"load", verb_load,
     "bring a dump of either form, or an archive, into an empty cluster: ids, times and hashes "
     "stay",
     "changeagent load changes.ndjson\n          changeagent load /backup/changes --until-time "
     "-2h"},
    {"verify", verb_verify,
     "hold every file of a stopped node, a backup, an archive or a dump to what it claims",
     "changeagent verify /var/lib/changeagent"},
    {"salvage", verb_salvage, "give back every intact change of a damaged node, file, or dump",
     "changeagent salvage /var/lib/changeagent > changes.ndjson"},
    {"cluster", verb_cluster, "show or set what the whole cluster agrees on",
     "changeagent cluster config set retention.min_records=100000 retention.min_age_s=86400"},
    {"holder", verb_holder,
     "holder list|set|remove: who needs changes that are not to be cut, from which one on",
     "changeagent holder set checkpointer --from 120001 --for 1h"},
    {"rule", verb_rule,
     "rule list|set|remove: how long the changes of a tag are kept, and how many a node takes",
     "changeagent rule set 'audit/*' --keep 365d\n          changeagent rule set 'coke/*' "
     "--changes-per-second 500"},
    {"bench", verb_bench, "write as fast as it goes, and measure",
     "changeagent bench --outstanding 64 --seconds 5 -o json"},
};

static const char exit_codes[] =
    "Exit codes:\n"
    "  0 done                     4 no answer in time; nothing was written\n"
    "  1 refused                  5 open: the write may or may not have been done\n"
    "  2 the command is wrong     6 no leader; nothing was written\n"
    "  3 there is no such change  7 the changes asked for are no longer kept\n"
    "  8 out of memory, or the operating system refused\n";

static int help(const struct verb *verb)
{
    if (verb == NULL)
        printf("changeagent VERB [FLAGS] - write, read and follow a replicated log of changes\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verb == NULL || verb == &verbs[i])
            printf("  %-7s %s\n          %s\n", verbs[i].name, verbs[i].sentence, verbs[i].example);
    printf("\nFlags:\n");
    args_print_flags();
    printf("\n%s", exit_codes);
    return EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
    struct args args = {0};
    if (argc > 1 && is_help(argv[1]))
        return help(NULL);
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    if (verb == NULL) {
        fprintf(stderr, "changeagent: %s; see changeagent --help\n",
                argc > 1 ? "there is no such verb" : "a verb is missing");
        return EXIT_USAGE;
    }
    if (!args_read(&args, argc - 2, argv + 2))
        return EXIT_USAGE;
    int code = args.help ? help(verb) : verb->run(&args);
    args_close(&args);
    return code;
}
