/* raft_kit.h - one core of three, the other two and the disk played by the test. */
#ifndef TESTS_UNIT_RAFT_KIT_H
#define TESTS_UNIT_RAFT_KIT_H

#include "protocol/members.h"
#include "consensus/raft.h"
#include "consensus/state.h"
#include "protocol/entry.h"
#include "tests/unit/test.h"

enum { LIFE = 77, SLOT_2 = 0, SLOT_3 = 1 };

struct kit {
    struct raft *raft;
    struct raft_outputs out;
    struct bytes log; /* records as some node would have them */
    uint64_t now, wall, count;
    uint8_t hash[HASH_SIZE];
    struct members members;
};

static inline void kit_step(struct kit *kit, struct raft_input in)
{
    in.now_ms = kit->now;
    in.wall_ns = kit->wall;
    raft_step(kit->raft, &in, &kit->out);
}

static inline void kit_tell(struct kit *kit, enum raft_input_kind kind, struct message *message)
{
    kit_step(kit, (struct raft_input){.kind = kind, .message = message});
}

static inline void kit_flush(struct kit *kit)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_FLUSH});
}

static inline void kit_tick(struct kit *kit, uint64_t ms)
{
    kit->now += ms;
    kit_step(kit, (struct raft_input){.kind = INPUT_TICK});
}

/* A message of the node behind `slot`, as it would come in. */
static inline struct message kit_from(struct kit *kit, uint32_t slot, uint64_t term,
                                      enum message_type type)
{
    struct message message = {.type = type};
    memcpy(message.peer.cluster, kit->members.cluster, CLUSTER_ID_SIZE);
    message.peer.from = slot + 2;
    message.peer.from_incarnation = 12 + slot;
    message.peer.to = 1;
    message.peer.to_incarnation = 11;
    message.peer.term = term;
    return message;
}

static inline void kit_peer(struct kit *kit, uint32_t slot, struct message *message)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_PEER, .slot = slot, .message = message});
}

/* The peer has everything up to `match`, and hears this round; not yet sent. */
static inline struct message kit_appended(struct kit *kit, uint32_t slot, uint64_t match)
{
    struct message message = kit_from(kit, slot, kit->raft->term, MESSAGE_APPENDED);
    message.appended.round = kit->raft->round;
    message.appended.ok = true;
    message.appended.match_index = match;
    return message;
}

static inline void kit_acknowledge(struct kit *kit, uint32_t slot, uint64_t match)
{
    struct message message = kit_appended(kit, slot, match);
    kit_peer(kit, slot, &message);
}

/* The n-th output message of a type in the last step, counted from 0; NULL: none. */
static inline const struct message *kit_out(const struct kit *kit, enum message_type type,
                                            uint32_t n)
{
    for (uint32_t i = 0; i < kit->out.count; i++)
        if (kit->out.at[i].message.type == type && n-- == 0)
            return &kit->out.at[i].message;
    return NULL;
}

static inline uint32_t kit_count(const struct kit *kit, enum raft_output_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < kit->out.count; i++)
        count += kit->out.at[i].kind == kind;
    return count;
}

/* Appends a stamped record to `out`, chained to `hash`. */
static inline void kit_record(struct bytes *out, uint64_t index, uint64_t term,
                              enum entry_kind kind, struct span body, uint8_t hash[HASH_SIZE])
{
    struct bytes record = {0};
    struct entry entry = {.kind = kind, .body = body};
    entry_encode(&entry, &record);
    entry_stamp(record.data, index, term, 1000 * index, hash);
    memcpy(hash, record.data + 96, HASH_SIZE);
    bytes_append_span(out, bytes_span(&record));
    bytes_close(&record);
}

static inline void kit_make_members(struct kit *kit)
{
    kit->members = (struct members){.cluster = "kit", .history = 5};
    for (uint8_t i = 1; i <= 3; i++) {
        struct member member = {.node = i, .incarnation = 10u + i, .endpoint = "tcp://x"};
        memset(member.key, i, sizeof member.key);
        members_add(&kit->members, &member);
    }
}

static inline void kit_open_core(struct kit *kit)
{
    struct raft_voter voters[3] = {{.endpoint = "a"}, {.endpoint = "b"}, {.endpoint = "c"}};
    for (int i = 0; i < 3; i++)
        memset(voters[i].key, i + 1, RAFT_KEY_SIZE);
    struct raft_options options = {.node = 1,
                                   .endpoint = "a",
                                   .voters = voters,
                                   .voter_count = 3,
                                   .seed = 1,
                                   .history = 5,
                                   .cluster = "kit"};
    memset(options.key, 1, RAFT_KEY_SIZE);
    kit->now = 1000;
    kit->wall = 1000000;
    assert_int_equal(raft_open(&kit->raft, &options, kit->now), ERR_NONE);
    kit_step(kit, (struct raft_input){.kind = INPUT_STORAGE_UP});
}

/* Loads a ballot of `term` and a log of entries with these terms; record 1 is the founding. */
static inline void kit_load(struct kit *kit, uint64_t term, const uint64_t *terms, uint64_t count,
                            bool may_vote)
{
    struct bytes note = {0};
    members_encode(&kit->members, &note);
    for (uint64_t i = 0; i < count; i++)
        kit_record(&kit->log, i + 1, terms[i], i == 0 ? ENTRY_FOUNDING : ENTRY_NOOP,
                   i == 0 ? bytes_span(&note) : (struct span){0}, kit->hash);
    struct message message = {.type = MESSAGE_LOADED};
    message.loaded.life = LIFE;
    message.loaded.incarnation = 11;
    message.loaded.may_vote = may_vote;
    message.loaded.term = term;
    message.loaded.note = bytes_span(&note);
    message.loaded.last_index = count;
    message.loaded.tail = bytes_span(&kit->log);
    message.loaded.configs = SPAN(kit->log.data, entry_size(bytes_span(&kit->log)));
    kit->count = count;
    kit_tell(kit, INPUT_LOADED, &message);
    bytes_close(&note);
}

/* Loaded with term 1 and record 1: a follower. */
static inline void kit_open(struct kit *kit)
{
    *kit = (struct kit){0};
    kit_make_members(kit);
    kit_open_core(kit);
    kit_load(kit, 1, (uint64_t[]){1}, 1, true);
}

static inline void kit_close(struct kit *kit)
{
    raft_close(&kit->raft);
    raft_outputs_close(&kit->out);
    bytes_close(&kit->log);
}

/* Answers the newest BALLOT. */
static inline void kit_balloted(struct kit *kit)
{
    struct message message = {.type = MESSAGE_BALLOTED};
    message.balloted.life = LIFE;
    message.balloted.ticket = kit->raft->ballot_ticket;
    kit_tell(kit, INPUT_BALLOTED, &message);
}

/* Answers the STORE that was emitted in the last step. */
static inline void kit_stored(struct kit *kit, uint64_t life, uint64_t term)
{
    struct message message = {.type = MESSAGE_STORED};
    message.stored.life = life;
    message.stored.ticket = kit->raft->ticket;
    message.stored.term = term;
    message.stored.last_index = kit->raft->emitted;
    kit_tell(kit, INPUT_STORED, &message);
}

static inline void kit_vote(struct kit *kit, uint32_t slot, uint64_t term, bool pre)
{
    struct message message = kit_from(kit, slot, pre ? term - 1 : term, MESSAGE_VOTED);
    message.voted.pre = pre;
    message.voted.candidate_term = term;
    message.voted.granted = true;
    kit_peer(kit, slot, &message);
}

/* Elected in term 2 with the vote of node 2. */
static inline void kit_lead(struct kit *kit)
{
    kit_open(kit);
    kit_tick(kit, 2000);
    kit_vote(kit, SLOT_2, 2, true);
    kit_balloted(kit);
    kit_vote(kit, SLOT_2, 2, false);
    assert_int_equal(kit->raft->role, ROLE_LEADER);
}

/* An append of a leader in `slot`, with one entry of `term` behind record 1 if `with`. */
static inline struct message kit_append(struct kit *kit, uint32_t slot, uint64_t term,
                                        struct span entries)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_APPEND);
    message.append.round = 1;
    message.append.prev_index = 1;
    message.append.prev_term = 1;
    message.append.entries = entries;
    return message;
}

static inline void kit_propose(struct kit *kit, uint32_t count, uint32_t size, enum entry_kind kind)
{
    struct bytes records = {0};
    uint8_t *body = bytes_zeroed(1, size + 1);
    struct entry entry = {.kind = kind, .change_count = 1, .body = SPAN(body, size)};
    for (uint32_t i = 0; i < count; i++)
        entry_encode(&entry, &records);
    struct message message = {.type = MESSAGE_PROPOSE};
    message.propose.records = bytes_span(&records);
    kit_tell(kit, INPUT_PROPOSE, &message);
    bytes_close(&records);
    bytes_free(body);
}

/* Leads term 2 with log index 2, which is on its own disk and on the others'. */
static inline void kit_lead_together(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_acknowledge(kit, SLOT_2, 2);
    kit_acknowledge(kit, SLOT_3, 2);
    kit_flush(kit);
}

/* How the step answered a hand-over; ERR_COUNT: not at all. */
static inline enum err kit_kept(const struct kit *kit)
{
    for (uint32_t i = 0; i < kit->out.count; i++)
        if (kit->out.at[i].kind == OUTPUT_KEPT)
            return kit->out.at[i].err;
    return ERR_COUNT;
}

#endif
