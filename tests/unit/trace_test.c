/* trace_test.c - a line for each step: valid, whole, and with what the checker needs. */
#include "consensus/trace.h"

#include "consensus/tracefile.h"
#include "tests/unit/raft_kit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The line of a step that has just been done. */
static json_t *line_of(struct kit *kit, struct trace *trace, struct raft_input in)
{
    struct bytes line = {0};
    struct trace_time time = {5, 7};
    trace_step(trace, kit->raft, &in, &kit->out, time, &line);
    CHECK(line.size > 0 && line.data[line.size - 1] == '\n');
    CHECK(memchr(line.data, '\n', line.size - 1) == NULL);
    json_t *json = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    bytes_close(&line);
    return json;
}

static uint64_t number(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    CHECK(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

static const char *text(const json_t *json, const char *name)
{
    const char *value = json_string_value(json_object_get(json, name));
    return value != NULL ? value : "";
}

TEST(a_vote_and_its_ballot_can_be_read_from_the_lines)
{
    struct kit kit;
    struct trace trace = {.life = 9};
    kit_open(&kit);
    struct message vote = kit_from(&kit, SLOT_2, 2, MESSAGE_VOTE);
    vote.vote.candidate_term = 2;
    vote.vote.last_index = vote.vote.last_term = 1;
    struct raft_input in = {.kind = INPUT_PEER, .slot = SLOT_2, .message = &vote};
    kit_peer(&kit, SLOT_2, &vote);
    json_t *line = line_of(&kit, &trace, in);
    CHECK(number(line, "node") == 1 && number(line, "incarnation") == 11);
    CHECK(number(line, "life") == 9 && number(line, "seq") == 1);
    CHECK(number(line, "taken") == 5 && number(line, "written") == 7);
    CHECK(strcmp(text(line, "role"), "follower") == 0 && number(line, "term") == 2);
    CHECK(number(line, "vote") == 2 && number(line, "balloted") == 1 && number(line, "last") == 1);
    CHECK(number(line, "config") == 1 && json_array_size(json_object_get(line, "members")) == 3);
    const json_t *told = json_object_get(line, "in");
    CHECK(strcmp(text(told, "kind"), "peer") == 0 && strcmp(text(told, "message"), "vote") == 0);
    CHECK(number(told, "candidate_term") == 2 && json_object_get(told, "pre") == NULL);
    CHECK(json_integer_value(json_array_get(json_object_get(told, "from"), 0)) == 2);
    const json_t *out = json_array_get(json_object_get(line, "out"), 0);
    CHECK(strcmp(text(out, "kind"), "storage") == 0 && strcmp(text(out, "message"), "ballot") == 0);
    CHECK(number(out, "term") == 2 && number(out, "vote") == 2);
    json_decref(line);
    kit_flush(&kit);
    line = line_of(&kit, &trace, (struct raft_input){.kind = INPUT_FLUSH});
    CHECK(number(line, "seq") == 2 && json_object_get(line, "members") == NULL); /* told once */
    json_decref(line);
    kit_close(&kit);
}

/* Entries are told as runs of a term, so that any two nodes can be compared. */
TEST(entries_are_told_by_index_term_and_hash)
{
    struct kit kit;
    struct trace trace = {.life = 9};
    kit_lead(&kit);
    kit_propose(&kit, 2, 10, ENTRY_DATA);
    kit_flush(&kit);
    json_t *line = line_of(&kit, &trace, (struct raft_input){.kind = INPUT_FLUSH});
    const json_t *store = json_array_get(json_object_get(line, "out"), 0);
    CHECK(strcmp(text(store, "message"), "store") == 0 && number(store, "life") == LIFE);
    const json_t *runs = json_object_get(store, "entries");
    CHECK(json_array_size(runs) == 1);
    const json_t *run = json_array_get(runs, 0);
    CHECK(json_integer_value(json_array_get(run, 0)) == 2);
    CHECK(json_integer_value(json_array_get(run, 1)) == 2);
    CHECK(strlen(json_string_value(json_array_get(run, 2))) == (size_t)3 * 16);
    json_decref(line);
    kit_close(&kit);
}

TEST(words_of_others_do_not_break_a_line)
{
    struct kit kit;
    struct trace trace = {.life = 9};
    kit_open(&kit);
    kit_flush(&kit);
    state_complain(kit.raft, "a \"quote\", a \\, a \n and more: \x01 é");
    struct message propose = {.type = MESSAGE_PROPOSE, .propose = {SPAN_TEXT("no record")}};
    json_t *line =
        line_of(&kit, &trace, (struct raft_input){.kind = INPUT_PROPOSE, .message = &propose});
    const json_t *outs = json_object_get(line, "out");
    const json_t *out = json_array_get(outs, json_array_size(outs) - 1);
    CHECK(strcmp(text(out, "text"), "a .quote., a ., a . and more: . ..") == 0);
    CHECK(number(json_object_get(line, "in"), "records") == 0);
    json_decref(line);
    kit_close(&kit);
}

TEST(every_kind_of_input_has_its_word)
{
    struct kit kit;
    struct trace trace = {.life = 9};
    kit_open(&kit);
    for (int kind = 0; kind < INPUT_COUNT; kind++) {
        struct message message = kit_from(&kit, SLOT_2, 1, MESSAGE_MEMBERS_ASK);
        message.members_ask.ops.count = 3;
        json_t *line =
            line_of(&kit, &trace,
                    (struct raft_input){
                        .kind = (enum raft_input_kind)kind, .number = 4, .message = &message});
        const json_t *told = json_object_get(line, "in");
        CHECK(text(told, "kind")[0] != 0 && number(told, "ops") == 3);
        CHECK((kind == INPUT_LINK_DOWN) == (json_object_get(told, "peer") != NULL));
        CHECK((kind == INPUT_TRANSFER || kind == INPUT_DRAIN) ==
              (json_object_get(told, "number") != NULL));
        json_decref(line);
    }
    kit_close(&kit);
}

TEST(the_file_is_appended_to_and_must_be_writable)
{
    char folder[] = "/tmp/ca-trace.XXXXXX", path[64];
    struct tracefile file = {0};
    struct kit kit;
    CHECK(mkdtemp(folder) != NULL);
    kit_open(&kit);
    struct raft_input in = {.kind = INPUT_FLUSH};
    for (int life = 1; life <= 2; life++) {
        CHECK(tracefile_open(&file, folder, 5, (uint64_t)life) == ERR_NONE);
        tracefile_begin(&file);
        tracefile_end(&file, kit.raft, &in, &kit.out);
        tracefile_close(&file);
        CHECK(file.fd == 0);
    }
    snprintf(path, sizeof path, "%s/5.ndjson", folder);
    FILE *written = fopen(path, "r");
    char line[4096];
    int lines = 0;
    CHECK(written != NULL);
    while (fgets(line, sizeof line, written) != NULL)
        lines += line[0] == '{';
    fclose(written);
    CHECK(lines == 2);
    unlink(path);
    rmdir(folder);
    CHECK(tracefile_open(&file, folder, 5, 1) == ERR_CONFIG && file.fd == 0);
    tracefile_close(&file);
    kit_close(&kit);
}

TEST_MAIN(T(a_vote_and_its_ballot_can_be_read_from_the_lines),
          T(entries_are_told_by_index_term_and_hash), T(words_of_others_do_not_break_a_line),
          T(every_kind_of_input_has_its_word), T(the_file_is_appended_to_and_must_be_writable))
