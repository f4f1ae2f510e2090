/* settings.c - the table of the supervisor's own options. */
#include "supervisor/settings.h"

#include "common/log.h"
#include "common/service.h"
#include "supervisor/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char about[] =
    "supervisor of one node: starts storage, consensus, discovery and api, and starts anew "
    "what dies.\n  changeagentd --data DIR              a node on its own, on loopback\n"
    "  changeagentd --config FILE           a node as the file says\n"
    "  changeagentd --data DIR --show-key   makes the identity if missing, prints node id and "
    "public key\n  changeagentd --data DIR --init       founds a cluster of one, and ends\n"
    "  changeagentd --data DIR --join tcp://HOST:PORT   joins the cluster that answers there\n"
    "  changeagentd --data DIR --restore BACKUP         an empty DIR goes on from what "
    "`changeagent "
    "node backup\n                                       BACKUP` wrote: one voter, a new history";

#define NODE(name, kind, preset, sentence)                                           \
    {                                                                                \
        "node", #name, kind, offsetof(struct settings, name), preset, 0, 0, sentence \
    }
#define RULE(name, preset, max, sentence)                                                       \
    {                                                                                           \
        "supervisor", #name, OPTION_U64, offsetof(struct settings, rules.name), preset, 1, max, \
            sentence                                                                            \
    }

static const struct option node_options[] = {
    NODE(data, OPTION_TEXT, "changeagent-data", "data directory"),
    NODE(run_dir, OPTION_TEXT, NULL, "directory of the ipc sockets; default DATA/run"),
    NODE(name, OPTION_TEXT, "node", "name of this node, for people"),
    NODE(join, OPTION_ENDPOINT, NULL, "where a node of the cluster to be joined answers clients"),
    NODE(log_level, OPTION_TEXT, "info", "error, warn, info or debug"),
    OPTION_END,
};

static const struct option own_options[] = {
    RULE(budget, "5", RESTART_BUDGET_MAX,
         "deaths of one process in window_ms before the node stops"),
    RULE(window_ms, "60000", 86400000, "window of the budget"),
    RULE(delay_first_ms, "50", 60000, "first delay before a restart; doubled at each early death"),
    RULE(delay_max_ms, "5000", 600000, "longest delay before a restart"),
    RULE(healthy_ms, "3000", 600000, "who lived so long is started anew at once"),
    RULE(ready_ms, "60000", 3600000, "time from the start of a process to its ready line"),
    RULE(silent_ms, "30000", 3600000, "a process silent for so long hangs and is killed"),
    RULE(stop_ms, "5000", 600000, "time from SIGTERM to SIGKILL"),
    {"supervisor", "lock_wait_ms", OPTION_U64, offsetof(struct settings, lock_wait_ms), "10000", 0,
     600000, "how long to wait for the lock of the data directory"},
    {"supervisor", "place", OPTION_FLAG, offsetof(struct settings, place), "yes", 0, 0,
     "no: a copied data directory is not told by the numbers of its files"},
    OPTION_END,
};

static enum err open_log(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            log_open("supervisor", (enum log_level)i);
            return ERR_NONE;
        }
    }
    fprintf(stderr, "changeagentd: node/log_level: '%.32s' is none of error warn info debug\n",
            name);
    return ERR_CONFIG;
}

static enum err find_programs(char *dir, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", dir, size - 1);
    if (length <= 0) {
        log_error("own_program_not_found", kv_text("reason", strerror(errno)));
        return ERR_SYSTEM;
    }
    dir[length] = '\0';
    *strrchr(dir, '/') = '\0';
    return ERR_NONE;
}

/* --show-key, --init and --restore are no settings of a file, and --config is wanted here too, to
 * pass it on. What is left is for options_read. */
static int take_own_flags(struct settings *settings, int argc, char **argv)
{
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--show-key") == 0) {
            settings->show_key = true;
            continue;
        }
        if (strcmp(argv[i], "--init") == 0) {
            settings->init = true;
            continue;
        }
        if (strcmp(argv[i], "--restore") == 0) {
            settings->restore = i + 1 < argc ? argv[++i] : "";
            continue;
        }
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            settings->config = argv[i + 1];
        argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

static enum err check_choice(const struct settings *settings)
{
    const char *wrong = NULL;
    if (settings->init && settings->join != NULL)
        wrong = "--init founds a cluster, --join joins one: choose";
    else if (settings->restore != NULL && settings->restore[0] == '\0')
        wrong = "--restore: the directory of a backup is missing";
    else if (settings->restore != NULL && (settings->init || settings->join != NULL))
        wrong = "--restore begins with what a backup holds, --init with nothing, --join with what "
                "the others have: choose";
    if (wrong != NULL)
        fprintf(stderr, "changeagentd: %s\n", wrong);
    return wrong == NULL ? ERR_NONE : ERR_CONFIG;
}

enum err settings_read(struct settings *settings, int argc, char **argv)
{
    static const struct option *const tables[] = {node_options, own_options, NULL};
    argc = take_own_flags(settings, argc, argv);
    TRY(options_read(tables, "changeagentd", about, argc, argv, settings, &settings->done));
    if (settings->log_level == NULL) /* --help: nothing was read */
        return ERR_NONE;
    TRY(open_log(settings->log_level));
    TRY(check_choice(settings));
    TRY(find_programs(settings->bin_dir, sizeof settings->bin_dir));
    if (!settings->done && !settings->show_key)
        options_log(tables, settings);
    return ERR_NONE;
}

/* Runs a program of ours with the file and one more flag. */
static enum err run_program(const struct settings *settings, const char *name, const char *flag,
                            const char *value, int *code)
{
    char program[PATH_MAX + 64], config[] = "--config", path[PATH_MAX], words[2][32];
    snprintf(program, sizeof program, "%s/changeagent-%s", settings->bin_dir, name);
    snprintf(path, sizeof path, "%s", settings->config);
    snprintf(words[0], sizeof words[0], "%s", flag);
    snprintf(words[1], sizeof words[1], "%s", value != NULL ? value : "");
    return child_run(
        (char *[]){program, config, path, words[0], value != NULL ? words[1] : NULL, NULL}, code);
}

static enum err check_program(const struct settings *settings, const char *name)
{
    int code = 0;
    TRY(run_program(settings, name, "--check-config", NULL, &code));
    if (code == EXIT_DONE)
        return ERR_NONE;
    log_error("configuration_refused", kv_text("by", name), kv_u64("code", (uint64_t)code));
    return code == EXIT_CONFIG ? ERR_CONFIG : ERR_SYSTEM;
}

enum err settings_check_programs(const struct settings *settings, const char *const *names,
                                 uint32_t count)
{
    enum err worst = ERR_NONE;
    for (uint32_t i = 0; settings->config != NULL && i < count; i++) {
        enum err err = check_program(settings, names[i]);
        if (worst == ERR_NONE || err == ERR_SYSTEM)
            worst = err;
    }
    return worst;
}

enum err settings_probe(const struct settings *settings)
{
    static const char *const names[] = {"consensus", "discovery"};
    for (uint32_t i = 0; settings->init && settings->config != NULL && i < COUNT_OF(names); i++) {
        int code = 0;
        TRY(run_program(settings, names[i], "--probe", "yes", &code));
        if (code != EXIT_DONE)
            return code == EXIT_CONFIG ? ERR_CONFIG : ERR_SYSTEM;
    }
    return ERR_NONE;
}

static enum err restore_err(int code)
{
    switch (code) {
    case EXIT_DONE:
        return ERR_NONE;
    case EXIT_CONFIG:
        return ERR_CONFIG;
    case EXIT_CORRUPTION:
        return ERR_CORRUPT;
    case EXIT_STORAGE:
        return ERR_IO;
    default:
        return ERR_SYSTEM;
    }
}

enum err settings_restore(const struct settings *settings, const char *data)
{
    char program[PATH_MAX + 64], verb[] = "restore", from[PATH_MAX], to[PATH_MAX];
    int code = 0;
    if (settings->restore == NULL)
        return ERR_NONE;
    snprintf(program, sizeof program, "%s/changeagent-storage", settings->bin_dir);
    snprintf(from, sizeof from, "%s", settings->restore);
    snprintf(to, sizeof to, "%s", data);
    TRY(child_run((char *[]){program, verb, to, from, NULL}, &code));
    return restore_err(code);
}
