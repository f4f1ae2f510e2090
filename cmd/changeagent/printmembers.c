/* printmembers.c - members as a table for people, as JSON for programs. */
#include "cmd/changeagent/print.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void dump(json_t *value, enum output output)
{
    size_t form = output == OUTPUT_NDJSON ? JSON_COMPACT : JSON_INDENT(2);
    json_dumpf(value, stdout, form | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

static json_t *member_of(const struct ca_member *m)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "node", m->node,
                  "name", m->name, "peer", m->peer, "api", m->api, "key", m->key, "role", m->role,
                  "wish", m->wish, "state", m->state, "incarnation", (json_int_t)m->incarnation,
                  "changed", (json_int_t)m->changed, "leader", m->leader);
    if (m->has_progress)
        json_object_update_new(row, json_pack("{s:I, s:I, s:I}", "match", (json_int_t)m->match,
                                              "percent", (json_int_t)m->percent, "silent_ms",
                                              (json_int_t)m->silent_ms));
    return row;
}

/* A key in full is for add; in a table its beginning tells members apart. */
static void print_member(const struct ca_member *m)
{
    char state[40];
    bool counts = m->has_progress && strcmp(m->role, "learner") == 0;
    snprintf(state, sizeof state, "%s", m->state);
    if (counts)
        snprintf(state, sizeof state, "%s %u %%", m->state, m->percent);
    printf("%-14s %-8s %-8s %-14s %-28s %-28s %.8s… %10.1f %s\n", m->node,
           m->name[0] != 0 ? m->name : "-", m->role, state, m->peer, m->api[0] != 0 ? m->api : "-",
           m->key, m->has_progress ? (double)m->silent_ms / 1000 : 0.0, m->leader ? "leads" : "");
}

void print_members(const struct ca_members *members, enum output output)
{
    if (output == OUTPUT_TABLE) {
        printf("%-14s %-8s %-8s %-14s %-28s %-28s %-9s %10s\n", "NODE", "NAME", "ROLE", "STATE",
               "PEER", "API", "KEY", "SILENT s");
        for (uint32_t i = 0; i < members->count; i++)
            print_member(&members->at[i]);
        if (members->waits_for[0] != 0)
            printf("a change is pending; it waits %s\n", members->waits_for);
        if (members->stale)
            printf("no leader is known: this is as one node knows it\n");
        return;
    }
    json_t *rows = json_array();
    for (uint32_t i = 0; i < members->count; i++)
        if (output == OUTPUT_NDJSON)
            dump(member_of(&members->at[i]), output);
        else
            json_array_append_new(rows, member_of(&members->at[i]));
    if (output == OUTPUT_NDJSON)
        json_decref(rows);
    else
        dump(json_pack("{s:o, s:b, s:b, s:b, s:s, s:I}", "members", rows, "done", members->done,
                       "joint", members->joint, "stale", members->stale, "waits_for",
                       members->waits_for, "index", (json_int_t)members->index),
             output);
}
