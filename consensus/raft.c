/* raft.c - the table of rules, and what the shell may look at. */
#include "consensus/raft.h"

#include "consensus/bootstrap.h"
#include "consensus/catchup.h"
#include "consensus/cutting.h"
#include "consensus/durable.h"
#include "consensus/election.h"
#include "consensus/follow.h"
#include "consensus/heads.h"
#include "consensus/proposals.h"
#include "consensus/readindex.h"
#include "consensus/replication.h"
#include "consensus/standing.h"
#include "consensus/state.h"
#include "consensus/transfer.h"
#include "consensus/wishes.h"

#include <assert.h>

static void ignore(struct raft *raft, const struct raft_input *in)
{
}

/* A storage that comes up anew without having been reported lost was lost all the same. */
static void reload(struct raft *raft, const struct raft_input *in)
{
    durable_lost(raft, in);
    durable_up(raft, in);
}

static void flush_outside(struct raft *raft, const struct raft_input *in)
{
    raft->dirty = false;
}

/* clang-format off */
static raft_rule *const rules[ROLE_COUNT][ON_COUNT] = {
    [ROLE_LOADING] = {
        [ON_TICK] = durable_tick,      [ON_STORAGE_UP] = durable_up,      [ON_LOADED] = durable_loaded,
        [ON_BALLOTED] = ignore,        [ON_STORED] = ignore,              [ON_FETCHED] = durable_fetched,
        [ON_APPLIED] = ignore,         [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
         [ON_PROPOSE] = follow_refuse,
        [ON_LINK_DOWN] = ignore,       [ON_HINT] = bootstrap_hint,        [ON_FLUSH] = flush_outside,
        [ON_MEET] = ignore,            [ON_MET] = ignore,                 [ON_NOTE] = ignore,
        [ON_NOTED] = ignore,           [ON_VOTE] = ignore,                [ON_VOTED] = ignore,
        [ON_APPEND] = ignore,          [ON_APPENDED] = ignore,            [ON_FORWARD] = ignore,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_refuse, [ON_ASK_INDEX] = ignore, [ON_INDEX_IS] = ignore,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_unknown, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = ignore, [ON_SNAPSHOT] = ignore, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_FOUNDING] = {
        [ON_TICK] = bootstrap_tick,    [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = follow_stored,    [ON_FETCHED] = ignore,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
        [ON_PROPOSE] = follow_propose,
        [ON_LINK_DOWN] = ignore,       [ON_HINT] = bootstrap_hint,        [ON_FLUSH] = follow_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = bootstrap_met,          [ON_NOTE] = bootstrap_note,
        [ON_NOTED] = bootstrap_noted,  [ON_VOTE] = election_weigh,        [ON_VOTED] = election_tally,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = ignore,            [ON_FORWARD] = follow_turn_away,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_refuse, [ON_ASK_INDEX] = readindex_turn_away, [ON_INDEX_IS] = readindex_told,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_forward, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = catchup_written, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_OUTSIDE] = {
        [ON_TICK] = ignore,            [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = follow_stored,    [ON_FETCHED] = ignore,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,     [ON_STORAGE_LOST] = durable_lost,
         [ON_PROPOSE] = follow_propose,
        [ON_LINK_DOWN] = election_link_down, [ON_HINT] = bootstrap_hint,  [ON_FLUSH] = follow_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = ignore,                 [ON_NOTE] = ignore,
        [ON_NOTED] = ignore,           [ON_VOTE] = election_weigh,        [ON_VOTED] = ignore,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = ignore,            [ON_FORWARD] = follow_turn_away,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_refuse, [ON_ASK_INDEX] = readindex_turn_away, [ON_INDEX_IS] = ignore,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_forward, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = catchup_written, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_FOLLOWER] = {
        [ON_TICK] = election_tick,     [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = follow_stored,    [ON_FETCHED] = ignore,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
        [ON_PROPOSE] = follow_propose,
        [ON_LINK_DOWN] = election_link_down, [ON_HINT] = bootstrap_hint,  [ON_FLUSH] = follow_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = ignore,                 [ON_NOTE] = bootstrap_again,
        [ON_NOTED] = ignore,           [ON_VOTE] = election_weigh,        [ON_VOTED] = election_tally,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = ignore,            [ON_FORWARD] = follow_turn_away,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = transfer_timeout_now,
        [ON_READ_INDEX] = readindex_pass, [ON_ASK_INDEX] = readindex_turn_away, [ON_INDEX_IS] = readindex_told,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_forward, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = catchup_written, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_PRECANDIDATE] = {
        [ON_TICK] = election_tick,     [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = follow_stored,    [ON_FETCHED] = ignore,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
        [ON_PROPOSE] = follow_propose,
        [ON_LINK_DOWN] = ignore,       [ON_HINT] = bootstrap_hint,        [ON_FLUSH] = follow_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = ignore,                 [ON_NOTE] = bootstrap_again,
        [ON_NOTED] = bootstrap_noted,  [ON_VOTE] = election_weigh,        [ON_VOTED] = election_tally,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = ignore,            [ON_FORWARD] = follow_turn_away,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_pass, [ON_ASK_INDEX] = readindex_turn_away, [ON_INDEX_IS] = readindex_told,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_forward, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = catchup_written, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_CANDIDATE] = {
        [ON_TICK] = election_tick,     [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = follow_stored,    [ON_FETCHED] = ignore,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
        [ON_PROPOSE] = follow_propose,
        [ON_LINK_DOWN] = ignore,       [ON_HINT] = bootstrap_hint,        [ON_FLUSH] = follow_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = ignore,                 [ON_NOTE] = bootstrap_again,
        [ON_NOTED] = ignore,           [ON_VOTE] = election_weigh,        [ON_VOTED] = election_tally,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = ignore,            [ON_FORWARD] = follow_turn_away,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_refused, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_pass, [ON_ASK_INDEX] = readindex_turn_away, [ON_INDEX_IS] = readindex_told,
        [ON_CUT] = ignore,
        [ON_MEMBERS] = wishes_forward, [ON_ASK_MEMBERS] = ignore, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = ignore,  [ON_WRITTEN] = catchup_written, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = ignore,
    },
    [ROLE_LEADER] = {
        [ON_TICK] = replication_tick,  [ON_STORAGE_UP] = reload,          [ON_LOADED] = ignore,
        [ON_BALLOTED] = durable_balloted, [ON_STORED] = replication_stored, [ON_FETCHED] = replication_fetched,
        [ON_APPLIED] = durable_applied, [ON_DISK] = durable_disk,      [ON_STORAGE_LOST] = durable_lost,
        [ON_PROPOSE] = proposals_propose,
        [ON_LINK_DOWN] = replication_link_down, [ON_HINT] = bootstrap_hint, [ON_FLUSH] = replication_flush,
        [ON_MEET] = bootstrap_meet,    [ON_MET] = wishes_met,                 [ON_NOTE] = bootstrap_again,
        [ON_NOTED] = ignore,           [ON_VOTE] = election_weigh,        [ON_VOTED] = election_tally,
        [ON_APPEND] = follow_append,   [ON_APPENDED] = replication_appended, [ON_FORWARD] = proposals_forward,
        [ON_FORWARD_REFUSED] = follow_forward_refused, [ON_TRANSFER] = transfer_asked, [ON_DRAIN] = transfer_drain, [ON_TIMEOUT_NOW] = ignore,
        [ON_READ_INDEX] = readindex_ask, [ON_ASK_INDEX] = readindex_asked, [ON_INDEX_IS] = readindex_told,
        [ON_CUT] = cutting_decided,
        [ON_MEMBERS] = wishes_asked, [ON_ASK_MEMBERS] = wishes_asked_by_peer, [ON_TELL_MEMBERS] = wishes_told,
        [ON_PART] = catchup_part,  [ON_WRITTEN] = ignore, [ON_SNAPSHOT] = catchup_snapshot, [ON_SNAPSHOT_TAKEN] = catchup_taken,
    },
};
/* clang-format on */

static const enum raft_column columns[INPUT_COUNT] = {
    [INPUT_TICK] = ON_TICK,
    [INPUT_STORAGE_UP] = ON_STORAGE_UP,
    [INPUT_LOADED] = ON_LOADED,
    [INPUT_BALLOTED] = ON_BALLOTED,
    [INPUT_STORED] = ON_STORED,
    [INPUT_FETCHED] = ON_FETCHED,
    [INPUT_APPLIED] = ON_APPLIED,
    [INPUT_DISK] = ON_DISK,
    [INPUT_STORAGE_LOST] = ON_STORAGE_LOST,
    [INPUT_PROPOSE] = ON_PROPOSE,
    [INPUT_PEER] = ON_COUNT,
    [INPUT_LINK_DOWN] = ON_LINK_DOWN,
    [INPUT_HINT] = ON_HINT,
    [INPUT_TRANSFER] = ON_TRANSFER,
    [INPUT_DRAIN] = ON_DRAIN,
    [INPUT_READ_INDEX] = ON_READ_INDEX,
    [INPUT_CUT] = ON_CUT,
    [INPUT_MEMBERS] = ON_MEMBERS,
    [INPUT_PART] = ON_PART,
    [INPUT_WRITTEN] = ON_WRITTEN,
    [INPUT_FLUSH] = ON_FLUSH,
};

static enum raft_column column_of_peer(enum message_type type)
{
    if (type == MESSAGE_TIMEOUT_NOW)
        return ON_TIMEOUT_NOW;
    if (type == MESSAGE_ASK_INDEX || type == MESSAGE_INDEX_IS)
        return type == MESSAGE_ASK_INDEX ? ON_ASK_INDEX : ON_INDEX_IS;
    if (type == MESSAGE_ASK_MEMBERS || type == MESSAGE_TELL_MEMBERS)
        return type == MESSAGE_ASK_MEMBERS ? ON_ASK_MEMBERS : ON_TELL_MEMBERS;
    if (type == MESSAGE_SNAPSHOT || type == MESSAGE_SNAPSHOT_TAKEN)
        return type == MESSAGE_SNAPSHOT ? ON_SNAPSHOT : ON_SNAPSHOT_TAKEN;
    bool known = type >= MESSAGE_MEET && type <= MESSAGE_FORWARD_REFUSED;
    return known ? (enum raft_column)(ON_MEET + (type - MESSAGE_MEET)) : ON_COUNT;
}

_Static_assert(ON_FORWARD_REFUSED - ON_MEET == MESSAGE_FORWARD_REFUSED - MESSAGE_MEET,
               "the columns of peer messages stand in the order of their numbers");

static enum raft_column column_of(struct raft *raft, const struct raft_input *in)
{
    if (in->kind != INPUT_PEER)
        return columns[in->kind];
    assert(in->slot < raft->peers.count);
    enum raft_column column = column_of_peer(in->message->type);
    if (column == ON_COUNT || raft->role == ROLE_LOADING || !heads_fit(raft, in))
        return ON_COUNT;
    return column;
}

/* What was kept back for the ballot leaves as soon as nothing of it waits. */
static void finish(struct raft *raft)
{
    transfer_settle(raft);
    readindex_settle(raft);
    if (!raft->config_settled && raft->commit >= state_config_index(raft))
        standing_refresh(raft);
    state_emit_ballot(raft);
    if (raft->role == ROLE_LOADING || !state_settled(raft))
        return;
    election_release(raft);
    bootstrap_release(raft);
    state_emit_ballot(raft);
}

static bool named_twice(const struct raft_options *options)
{
    for (uint32_t i = 0; i < options->voter_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (memcmp(options->voters[i].key, options->voters[j].key, RAFT_KEY_SIZE) == 0)
                return true;
    return false;
}

const char *raft_wrong_option(const struct raft *raft, const struct raft_options *options)
{
    uint32_t listed = raft->peers.count + 1;
    if (raft->node == 0)
        return "node: this node has no id";
    if (options->voter_count > RAFT_VOTERS_MAX + 1 || listed > RAFT_VOTERS_MAX)
        return "member: there may be 9, this node included";
    if (named_twice(options))
        return "member: two of them have the same key";
    if (raft->expect < listed || raft->expect > RAFT_VOTERS_MAX)
        return "expect: fewer than the members listed and this node, which must have its own key "
               "among them, or more than 9";
    if (raft->heartbeat_ms == 0 || raft->heartbeat_ms * 2 > raft->election_min_ms)
        return "heartbeat_ms: more than half of election_min_ms";
    if (raft->election_min_ms > raft->election_max_ms)
        return "election_min_ms: more than election_max_ms";
    return NULL;
}

static void take_options(struct raft *raft, const struct raft_options *options)
{
    raft->node = options->node;
    memcpy(raft->key, options->key, RAFT_KEY_SIZE);
    const char *endpoint = options->endpoint ? options->endpoint : "";
    members_copy_endpoint(raft->endpoint, endpoint, strlen(endpoint));
    raft->heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : 100;
    raft->election_min_ms = options->election_min_ms ? options->election_min_ms : 500;
    raft->election_max_ms = options->election_max_ms ? options->election_max_ms : 1000;
    raft->catchup_rate = options->catchup_rate;
    raft->catchup_entries =
        options->catchup_entries ? options->catchup_entries : CATCHUP_ENTRIES_PRESET;
    raft->chance = options->seed;
    memcpy(raft->chance_cluster, options->cluster, CLUSTER_ID_SIZE);
    raft->chance_history = options->history;
    raft->joins = options->joins;
    for (uint32_t i = 0; i < options->voter_count && i <= RAFT_VOTERS_MAX; i++) {
        const struct raft_voter *voter = &options->voters[i];
        if (memcmp(voter->key, raft->key, RAFT_KEY_SIZE) == 0)
            continue;
        int slot = peers_add(&raft->peers, voter->key, voter->endpoint);
        raft->peers.at[slot].listed = true;
    }
    raft->expect = options->expect ? options->expect : raft->peers.count + 1;
}

void raft_outputs_close(struct raft_outputs *outputs)
{
    bytes_free(outputs->at);
    *outputs = (struct raft_outputs){0};
}

enum err raft_open(struct raft **out, const struct raft_options *options, uint64_t now_ms)
{
    struct raft *raft = bytes_zeroed(1, sizeof *raft);
    *out = raft;
    raft->now_ms = now_ms;
    raft->leader = RAFT_NOBODY;
    raft->self = -1;
    raft->role = ROLE_LOADING;
    raft->tail_bytes = RAFT_TAIL_BYTES;
    raftlog_reset(&raft->log, 0);
    take_options(raft, options);
    return raft_wrong_option(raft, options) != NULL ? ERR_CONFIG : ERR_NONE;
}

void raft_close(struct raft **out)
{
    struct raft *raft = *out;
    if (raft == NULL)
        return;
    raftlog_close(&raft->log);
    peers_close(&raft->peers);
    bytes_close(&raft->texts);
    bytes_close(&raft->txids);
    bytes_close(&raft->note_sent);
    bytes_close(&raft->rows);
    bytes_close(&raft->load_tail);
    bytes_close(&raft->load_configs);
    bytes_close(&raft->store_scratch);
    bytes_close(&raft->forward);
    bytes_close(&raft->forward_sent);
    bytes_close(&raft->transfer.held);
    bytes_free(raft);
    *out = NULL;
}

void raft_step(struct raft *raft, const struct raft_input *in, struct raft_outputs *outputs)
{
    outputs->count = 0;
    if (raft->broken)
        return;
    raft->out = outputs;
    raft->wall_ns = in->wall_ns;
    raft->wall_error_ns = in->wall_error_ns;
    if (in->now_ms > raft->now_ms)
        raft->now_ms = in->now_ms;
    bytes_clear(&raft->texts);
    bytes_clear(&raft->txids);
    enum raft_column column = column_of(raft, in);
    if (column != ON_COUNT)
        rules[raft->role][column](raft, in);
    if (raft->broken)
        return;
    finish(raft);
    raft_assert(raft);
}

raft_rule *raft_rule_at(enum raft_role role, enum raft_column column)
{
    return rules[role][column];
}
