/* verbs.h - the verbs of the command line; each returns the exit code. */
#ifndef CMD_CHANGEAGENT_VERBS_H
#define CMD_CHANGEAGENT_VERBS_H

#include "cmd/changeagent/args.h"

typedef int verb_run(const struct args *args);

verb_run verb_put, verb_scan, verb_count, verb_get, verb_list, verb_head, verb_status, verb_follow,
    verb_bench;
verb_run verb_dump, verb_archive, verb_load, verb_cluster, verb_holder, verb_rule;
verb_run verb_verify, verb_salvage;
verb_run verb_leader, verb_node, verb_member;

#endif
