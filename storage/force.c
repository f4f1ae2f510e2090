#include "storage/force.h"

#include "common/log.h"
#include "common/service.h"
#include "protocol/cursor.h"
#include "storage/refound.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, NOT_CONFIRMED = 1 };

static int refuse(const char *data_dir, enum err err)
{
    const char *what = err == ERR_NOT_FOUND ? "it is not the data directory of a node, or there is "
                                              "no cluster in its log: found one with `changeagent "
                                              "node init`"
                       : err == ERR_CORRUPT ? "what is left of its log cannot be applied: use a "
                                              "backup (changeagentd --restore), or `changeagent "
                                              "salvage`"
                       : err == ERR_LOCKED  ? "a node runs on it; stop it first"
                                            : err_sentence(err);
    fprintf(stderr, "changeagent: force-new-cluster: %s: %s: %s\n", data_dir, err_name(err), what);
    return err == ERR_NOT_FOUND ? EXIT_CONFIG : service_exit_code(err);
}

/* The supervisor's own lock: it may be alive between two lives of its storage. */
static enum err take_lock(const char *data_dir, int *fd)
{
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/lock", data_dir);
    *fd = open(path, O_RDWR | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    return flock(*fd, LOCK_EX | LOCK_NB) == 0 ? ERR_NONE : ERR_LOCKED;
}

/* ---- what may be lost ------------------------------------------------------------------------ */

static void print_member(const struct member *member)
{
    char id[NODE_ID_TEXT_SIZE];
    node_id_print(member->node, id);
    printf("    %s %s, %s at %s\n", member->name[0] ? member->name : "(no name)", id,
           member_role_name(member_votes(member) ? MEMBER_VOTER : member->now), member->endpoint);
}

static void print_log(const struct refound *refound)
{
    const struct apply_mark *mark = &refound->mark;
    const struct journal *journal = &refound->journal;
    char cluster[2 * CLUSTER_ID_SIZE + 1], hash[2 * HASH_SIZE + 1];
    cursor_hex(refound->members.cluster, CLUSTER_ID_SIZE, cluster);
    cursor_hex(mark->hash, HASH_SIZE, hash);
    printf("cluster %s, history %016" PRIx64 "\n", cluster, refound->members.history);
    printf("log: entries %" PRIu64 " to %" PRIu64 ", the last one of term %" PRIu64 "\n",
           refound->recovery.found.first_index, journal->last_index, journal->last_term);
    printf("known to be committed: up to entry %" PRIu64 ", change %" PRIu64 ", chain %s\n",
           mark->index, mark->last_id, hash);
    if (journal->last_index > mark->index)
        printf("behind it: %" PRIu64 " entries of which this node does not know whether a majority "
               "had them; all of them stay\n",
               journal->last_index - mark->index);
    if (refound->recovery.found.damage != NULL)
        printf("DAMAGED: %s. What was behind the damage is lost\n", refound->recovery.found.damage);
}

static void print_loss(const struct refound *refound)
{
    print_log(refound);
    printf("members that are left out, and with them every change that was acknowledged and is not "
           "in this log:\n");
    for (uint32_t i = 0; i < refound->members.count; i++) {
        const struct member *member = &refound->members.at[i];
        bool own = memcmp(member->key, refound->keys.public_key, KEY_SIZE) == 0;
        if (member_lives(member) && !own)
            print_member(member);
    }
    printf("If another directory of this cluster is left, use the one whose last entry has the "
           "highest term,\nand of those the one with the highest entry. While a majority can still "
           "be brought back, do not go on.\n");
    fflush(stdout);
}

static bool confirmed(void)
{
    char line[16] = "";
    printf("Begin a new history with this node alone? Type yes: ");
    fflush(stdout);
    bool yes = fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0;
    if (!yes)
        printf("\nNot confirmed: no new history was begun.\n");
    return yes;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int run(const char *data_dir, bool sure)
{
    SCOPED(refound) refound = {0};
    uint64_t history = 0;
    enum err err = refound_open(&refound, data_dir);
    if (err != ERR_NONE)
        return refuse(data_dir, err);
    if (refound.alone) {
        printf("history %016" PRIx64 ": this node is its only voter already; start it\n",
               refound.members.history);
        return EXIT_DONE;
    }
    print_loss(&refound);
    if (!sure && !confirmed())
        return NOT_CONFIRMED;
    err = refound_write(&refound, &history);
    if (err != ERR_NONE)
        return refuse(data_dir, err);
    printf("history %016" PRIx64 " has begun behind entry %" PRIu64 "; this node is its only "
           "voter.\nStart it. Clear the data directories of the others, and start them with "
           "--join.\n",
           history, refound.journal.last_index - 1);
    return EXIT_DONE;
}

int force_main(int argc, char **argv)
{
    int fd = -1;
    if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "yes") != 0)) {
        fprintf(stderr, "usage: changeagent node force-new-cluster --data DIR [--yes]\n");
        return EXIT_CONFIG;
    }
    log_open("storage", LOG_WARN);
    enum err err = take_lock(argv[2], &fd);
    int code = err == ERR_NONE ? run(argv[2], argc == 4) : refuse(argv[2], err);
    if (fd >= 0)
        close(fd);
    return code;
}
