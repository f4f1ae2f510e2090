/* transcript.c - runs a script of commands against whole nodes and compares the trace.
 *
 *   transcript FILE…             each trace must be what stands behind the line `---`
 *   transcript --rewrite FILE…   writes it there
 *
 * Commands, nodes counted from 1 (* for all):
 *   nodes N [F]                  first: how many; only the first F found, the others wait
 *   disk I TERM VOTE T1 T2 …     before the start: a ballot, and a log of entries of these terms
 *   start I | crash I | crash-consensus I | crash-storage I | wipe I | stall I MS
 *   cut I K | isolate I | heal   the network; cut is one way
 *   link-down I K                node I is told that its link to K is gone
 *   run MS | wait-leader MS      lets time pass
 *   campaign I                   its election timeout is now
 *   propose I COUNT              puts at a node
 *   transfer I K                 node I is asked to let K lead; K 0: any
 *   read I                       node I wants a read index
 *   disk-state I N               its storage says: 0 enough, 1 low, 2 full
 *   appended FROM TO TERM MATCH ROUND  a stray acknowledgement; ROUND: of which append, or 0
 *   members I WISH [; WISH]      node I is asked: add K, replica K, remove K, address K PORT,
 *                                promote K, cancel; nothing: only tell
 *   status I | log I | list I    a line each in the trace */
#include "common/keys.h"
#include "protocol/entry.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static struct world world;
static struct bytes trace;

static void add_line(struct world *unused, const char *line)
{
    bytes_append(&trace, line, strlen(line));
    bytes_append(&trace, "\n", 1);
}

static void open_world(uint32_t count, uint32_t founders)
{
    world = (struct world){.seed = 1,
                           .count = count,
                           .founders = founders,
                           .delay_min = 1,
                           .delay_max = 1,
                           .disk_min = 1,
                           .disk_max = 1,
                           .tail_bytes = 1 << 20,
                           .tail_told = 100,
                           .heartbeat_ms = 100,
                           .election_min_ms = 500,
                           .election_max_ms = 1000,
                           .trace = add_line};
    world_open(&world);
    for (uint32_t i = 0; i < count; i++) {
        world.nodes[i].disk.exists = world.nodes[i].disk.may_vote = true;
        world.nodes[i].disk.incarnation = 1000 + i;
    }
}

static void make_note(struct bytes *out)
{
    struct members note = {.cluster = "transcript", .history = 1};
    for (uint32_t i = 0; i < (world.founders ? world.founders : world.count); i++) {
        struct member member = {.node = world.nodes[i].id,
                                .endpoint = "tcp://sim",
                                .incarnation = world.nodes[i].disk.incarnation};
        memcpy(member.key, world.nodes[i].key, RAFT_KEY_SIZE);
        members_add(&note, &member);
    }
    members_encode(&note, out);
}

static void craft_record(struct disk *disk, uint64_t term, uint8_t hash[HASH_SIZE])
{
    struct bytes record = {0}, note = {0};
    struct entry entry = {.kind = ENTRY_NOOP};
    uint64_t index = disk->count + 1;
    make_note(&note);
    if (index == 1)
        entry = (struct entry){.kind = ENTRY_FOUNDING, .body = bytes_span(&note)};
    entry_encode(&entry, &record);
    entry_stamp(record.data, index, term, 1000 * index, hash);
    memcpy(hash, record.data + 96, HASH_SIZE);
    disk->records = bytes_resize(disk->records, index, sizeof *disk->records);
    disk->records[disk->count++] = record;
    disk->room = disk->count;
    bytes_close(&note);
}

static void craft_disk(uint32_t at, char *rest)
{
    struct disk *disk = &world.nodes[at].disk;
    uint8_t hash[HASH_SIZE] = {0};
    disk->term = strtoull(rest, &rest, 10);
    uint64_t vote = strtoull(rest, &rest, 10);
    disk->vote = vote ? world.nodes[vote - 1].id : 0;
    make_note(&disk->note);
    for (uint64_t term; (term = strtoull(rest, &rest, 10)) != 0;)
        craft_record(disk, term, hash);
}

static void tell_status(uint32_t at)
{
    struct raft_status status;
    if (!world.nodes[at].up) {
        world_trace(&world, "%u down", at + 1);
        return;
    }
    raft_status(world.nodes[at].raft, &status);
    uint64_t leader = status.leader ? status.leader - 99 : 0;
    world_trace(&world, "%u is %s term=%llu leader=%llu commit=%llu last=%llu%s%s", at + 1,
                status.role_name, (unsigned long long)status.term, (unsigned long long)leader,
                (unsigned long long)status.commit_index, (unsigned long long)status.last_index,
                status.waits_for[0] ? " waits for " : "", status.waits_for);
}

static void tell_log(uint32_t at)
{
    char line[400];
    const struct disk *disk = &world.nodes[at].disk;
    size_t used = (size_t)snprintf(line, sizeof line, "%u log", at + 1);
    for (uint64_t i = 1; i <= disk->count && used < sizeof line - 24; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, " %llu",
                                 (unsigned long long)entry_term_of(disk_record(disk, i)));
    world_trace(&world, "%s", line);
}

/* Who is what, by number: v votes, l learns, r replica, - removed; joint: now>next; !: wishes for
 * something else. */
static void tell_list(uint32_t at)
{
    static const char letters[] = "vlr-";
    char line[200];
    const struct members *members = state_members(world.nodes[at].raft);
    size_t used = (size_t)snprintf(line, sizeof line, "%u list", at + 1);
    for (uint32_t k = 0; k < world.count; k++) {
        int i = members_find(members, world.nodes[k].key);
        if (i < 0)
            continue;
        const struct member *member = &members->at[i];
        used +=
            (size_t)snprintf(line + used, sizeof line - used, " %u%c", k + 1, letters[member->now]);
        if (member->next != member->now)
            used += (size_t)snprintf(line + used, sizeof line - used, ">%c", letters[member->next]);
        if (member->wish != member->next)
            used += (size_t)snprintf(line + used, sizeof line - used, "!");
    }
    world_trace(&world, "%s%s", line, members->joint ? " joint" : "");
}

/* One wish of the script as a wish of memberop.h. */
static void make_wish(const char *text, char out[256])
{
    char verb[16] = "", key[KEY_TEXT_SIZE] = "";
    unsigned k = 0, port = 0;
    sscanf(text, "%15s %u %u", verb, &k, &port);
    if (k > 0 && k <= world.count)
        keys_print(world.nodes[k - 1].key, key);
    if (strcmp(verb, "add") == 0 || strcmp(verb, "replica") == 0)
        snprintf(out, 256, "add peer=tcp://sim:%u key=%s%s", 1000 + k, key,
                 verb[0] == 'r' ? " role=replica" : "");
    else if (strcmp(verb, "address") == 0)
        snprintf(out, 256, "set key=%s peer=tcp://sim:%u", key, port);
    else if (k > 0)
        snprintf(out, 256, "%s key=%s", verb, key);
    else
        snprintf(out, 256, "%s", verb);
}

static void ask_members(uint32_t at, char *rest)
{
    char texts[8][256], *save = NULL;
    const char *wishes[9] = {NULL};
    uint32_t count = 0;
    for (char *part = strtok_r(rest, ";", &save); part && count < 8;
         part = strtok_r(NULL, ";", &save)) {
        make_wish(part, texts[count]);
        wishes[count] = texts[count];
        count++;
    }
    node_members(&world, at, wishes);
}

static void isolate(uint32_t at)
{
    for (uint32_t i = 0; i < world.count; i++)
        world.cut[at][i] = world.cut[i][at] = i != at;
}

static void stray(uint32_t from, uint32_t to, uint64_t term, uint64_t match, uint64_t round)
{
    struct message message = {.type = MESSAGE_APPENDED};
    struct raft *raft = world.nodes[to].raft;
    memcpy(message.peer.cluster, state_members(raft)->cluster, CLUSTER_ID_SIZE);
    message.peer.from = world.nodes[from].id;
    message.peer.from_incarnation = world.nodes[from].disk.incarnation;
    message.peer.to = world.nodes[to].id;
    message.peer.to_incarnation = world.nodes[to].disk.incarnation;
    message.peer.term = term;
    message.appended.ok = true;
    message.appended.round = round;
    message.appended.wall_ns = world.wall_ns + world.now * 1000000;
    message.appended.match_index = match;
    struct raft_input in = {.kind = INPUT_PEER,
                            .message = &message,
                            .slot = (uint32_t)raft_slot_of(raft, world.nodes[from].key)};
    node_step(&world, to, in);
}

static bool run_on_node(const char *verb, uint32_t at, uint64_t number)
{
    if (strcmp(verb, "start") == 0)
        node_start(&world, at);
    else if (strcmp(verb, "crash") == 0)
        node_crash(&world, at);
    else if (strcmp(verb, "crash-consensus") == 0)
        node_crash_consensus(&world, at);
    else if (strcmp(verb, "crash-storage") == 0)
        node_crash_storage(&world, at);
    else if (strcmp(verb, "wipe") == 0)
        node_wipe(&world, at);
    else if (strcmp(verb, "stall") == 0)
        world.nodes[at].store.stalled_until = world.now + number;
    else if (strcmp(verb, "isolate") == 0)
        isolate(at);
    else if (strcmp(verb, "campaign") == 0)
        world.nodes[at].raft->election_due_ms = world.now;
    else if (strcmp(verb, "propose") == 0)
        node_propose(&world, at, (uint32_t)number, 10);
    else if (strcmp(verb, "transfer") == 0)
        node_transfer(&world, at, (int)number - 1);
    else if (strcmp(verb, "read") == 0)
        reads_ask(&world, at);
    else if (strcmp(verb, "disk-state") == 0)
        node_disk_is(&world, at, number);
    else if (strcmp(verb, "status") == 0)
        tell_status(at);
    else if (strcmp(verb, "log") == 0)
        tell_log(at);
    else if (strcmp(verb, "list") == 0)
        tell_list(at);
    else
        return false;
    return true;
}

static bool run_line(const char *line)
{
    char verb[32] = "", who[8] = "", rest[200] = "";
    unsigned long long a = 0, b = 0, c = 0, d = 0;
    sscanf(line, "%31s %7s %199[^\n]", verb, who, rest);
    sscanf(rest, "%llu %llu %llu %llu", &a, &b, &c, &d);
    uint64_t first = strtoull(who, NULL, 10);
    world_trace(&world, "# %s", line);
    if (strcmp(verb, "nodes") == 0)
        open_world((uint32_t)first, (uint32_t)a);
    else if (strcmp(verb, "run") == 0)
        world_run(&world, first);
    else if (strcmp(verb, "wait-leader") == 0)
        world_trace(&world, "%s", world_run_to_leader(&world, first) ? "led" : "nobody leads");
    else if (strcmp(verb, "heal") == 0)
        memset(world.cut, 0, sizeof world.cut);
    else if (strcmp(verb, "cut") == 0)
        world.cut[first - 1][a - 1] = true;
    else if (strcmp(verb, "link-down") == 0)
        node_link_down(&world, (uint32_t)first - 1, (uint32_t)a - 1);
    else if (strcmp(verb, "disk") == 0)
        craft_disk((uint32_t)first - 1, rest);
    else if (strcmp(verb, "members") == 0)
        ask_members((uint32_t)first - 1, rest);
    else if (strcmp(verb, "appended") == 0)
        stray((uint32_t)first - 1, (uint32_t)a - 1, b, c, d);
    else if (who[0] == '*')
        for (uint32_t i = 0; i < world.count; i++)
            run_on_node(verb, i, a);
    else if (first == 0 || first > world.count || !run_on_node(verb, (uint32_t)first - 1, a))
        return false;
    return true;
}

static bool read_file(const char *path, struct bytes *text)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    for (int c; (c = fgetc(file)) != EOF;)
        bytes_append(text, &(char){(char)c}, 1);
    bytes_append(text, "", 1);
    fclose(file);
    return true;
}

static bool write_file(const char *path, const char *script, size_t script_size)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    fprintf(file, "%.*s---\n%.*s", (int)script_size, script, (int)trace.size,
            (const char *)trace.data);
    return fclose(file) == 0;
}

static bool run_script(const char *path, const char *script, size_t size)
{
    char line[256];
    const char *end = script + size;
    while (script < end) {
        size_t length = strcspn(script, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, script);
        script += length + 1;
        if (line[0] == 0 || line[0] == '#')
            continue;
        if (!run_line(line)) {
            printf("%s: no such command: %s\n", path, line);
            return false;
        }
    }
    return true;
}

static bool run_file(const char *path, bool rewrite)
{
    struct bytes text = {0};
    bytes_clear(&trace);
    if (!read_file(path, &text)) {
        printf("%s: cannot be read\n", path);
        return false;
    }
    char *script = (char *)text.data, *mark = strstr(script, "---\n");
    size_t size = mark ? (size_t)(mark - script) : strlen(script);
    bool fine = run_script(path, script, size) && world.violations == 0;
    world_close(&world);
    if (fine && rewrite)
        fine = write_file(path, script, size);
    else if (fine)
        fine = mark && span_equal(SPAN_TEXT(mark + 4), bytes_span(&trace));
    if (!fine)
        printf("%s: the trace is another:\n%.*s", path, (int)trace.size, (const char *)trace.data);
    bytes_close(&text);
    return fine;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int failed = 0;
    for (int i = rewrite ? 2 : 1; i < argc; i++)
        failed += !run_file(argv[i], rewrite);
    printf("%d passed, %d failed\n", argc - (rewrite ? 2 : 1) - failed, failed);
    bytes_close(&trace);
    return failed == 0 ? 0 : 1;
}
