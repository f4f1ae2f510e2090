/* printagree.c - holders, and rules of tags, as a table for people, as JSON for programs. */
#include "cmd/changeagent/print.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

static void dump(json_t *value, enum output output)
{
    json_dumpf(value, stdout, output == OUTPUT_NDJSON ? JSON_COMPACT : JSON_INDENT(2));
    putchar('\n');
    json_decref(value);
}

/* ---- holders ------------------------------------------------------------------------------ */

static void print_holder(const struct ca_holder *holder)
{
    time_t seconds = (time_t)(holder->until / 1000000000u);
    struct tm utc;
    char text[32] = "-";
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    printf("%-32s  %12llu  %-20s%s\n", holder->name, (unsigned long long)holder->from, text,
           holder->until <= clock_wall_ns(NULL) ? "  ended" : "");
}

static json_t *holder_of(const struct ca_holder *holder)
{
    return json_pack("{s:s, s:I, s:I}", "name", holder->name, "from", (json_int_t)holder->from,
                     "until", (json_int_t)holder->until);
}

void print_holders(const struct ca_holders *holders, enum output output)
{
    json_t *rows = output == OUTPUT_JSON ? json_array() : NULL;
    if (output == OUTPUT_TABLE)
        printf("%-32s  %12s  %s\n", "name", "from", "until");
    for (uint32_t i = 0; i < holders->count; i++)
        if (output == OUTPUT_TABLE)
            print_holder(&holders->at[i]);
        else if (output == OUTPUT_NDJSON)
            dump(holder_of(&holders->at[i]), output);
        else
            json_array_append_new(rows, holder_of(&holders->at[i]));
    if (output == OUTPUT_JSON)
        dump(json_pack("{s:o, s:I}", "holders", rows, "first_id", (json_int_t)holders->first_id),
             output);
}

/* ---- rules of tags -------------------------------------------------------------------------- */

/* "-": the rule does not say. */
static const char *number(uint64_t value, char text[24])
{
    if (value == 0)
        return "-";
    snprintf(text, 24, "%llu", (unsigned long long)value);
    return text;
}

static void print_rule(const struct ca_rule *rule)
{
    char keep[24], changes[24], bytes[24];
    printf("%-32s  %12s  %12s  %14s\n", rule->tag, number(rule->keep_s, keep),
           number(rule->changes_s, changes), number(rule->bytes_s, bytes));
}

static json_t *rule_of(const struct ca_rule *rule)
{
    return json_pack("{s:s, s:I, s:I, s:I}", "tag", rule->tag, "keep_s", (json_int_t)rule->keep_s,
                     "changes_s", (json_int_t)rule->changes_s, "bytes_s",
                     (json_int_t)rule->bytes_s);
}

void print_rules(const struct ca_rules *rules, enum output output)
{
    json_t *rows = output == OUTPUT_JSON ? json_array() : NULL;
    if (output == OUTPUT_TABLE)
        printf("%-32s  %12s  %12s  %14s\n", "tag", "keep, s", "changes/s", "bytes/s");
    for (uint32_t i = 0; i < rules->count; i++)
        if (output == OUTPUT_TABLE)
            print_rule(&rules->at[i]);
        else if (output == OUTPUT_NDJSON)
            dump(rule_of(&rules->at[i]), output);
        else
            json_array_append_new(rows, rule_of(&rules->at[i]));
    if (output == OUTPUT_JSON)
        dump(json_pack("{s:o, s:I}", "rules", rows, "first_id", (json_int_t)rules->first_id),
             output);
}
