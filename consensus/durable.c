/* durable.c - what storage said is the truth; what it has not said is a hope. */
#include "consensus/durable.h"

#include "consensus/bootstrap.h"
#include "consensus/standing.h"
#include "protocol/entry.h"

#include <assert.h>

static void ask_load(struct raft *raft)
{
    raft->load_asked = true;
    raft->load_next = 0;
    raft->load_due_ms = raft->now_ms + RAFT_RETRY_MS;
    state_ask(raft, MESSAGE_LOAD);
}

static void ask_page(struct raft *raft)
{
    raft->load_ticket = ++raft->ticket;
    raft->load_due_ms = raft->now_ms + RAFT_RETRY_MS;
    struct message *message = state_ask(raft, MESSAGE_FETCH);
    message->fetch.ticket = raft->load_ticket;
    message->fetch.from = raft->load_next;
    message->fetch.to = raft->load_upto;
    message->fetch.bytes = RAFT_STORE_BYTES;
}

void durable_up(struct raft *raft, const struct raft_input *in)
{
    ask_load(raft);
}

void durable_tick(struct raft *raft, const struct raft_input *in)
{
    if (raft->now_ms < raft->load_due_ms)
        return;
    if (raft->load_asked)
        ask_load(raft);
    else if (raft->load_next > 0)
        ask_page(raft);
}

static void stay_outside(struct raft *raft, const char *why)
{
    raft->role = ROLE_OUTSIDE;
    raft->outside = why;
    raft->barred = true;
    raft->stands = raft->inside = false;
    state_complain(raft, "this node is no voter: %s", why);
}

static const char waits_to_join[] =
    "this node founds nothing: start it with --join tcp://HOST:PORT, or clear its directory and "
    "found a cluster with `changeagent node init`";

static void wait_to_join(struct raft *raft)
{
    raft->role = ROLE_OUTSIDE;
    raft->outside = raft->may_vote ? waits_to_join : standing_damaged;
}

static void load_configs(struct raft *raft)
{
    struct span rest = bytes_span(&raft->load_configs), record;
    raft->config_count = 0;
    while (entry_next(&rest, &record))
        if (entry_index_of(record) <= raft->log.last)
            state_add_config(raft, record);
}

static bool is_alone(const struct raft *raft)
{
    return raft->self >= 0 && members_count(state_members(raft), MEMBER_VOTER) == 1;
}

/* Everything is here: restart from what the disk says. */
static void finish_load(struct raft *raft)
{
    struct span rest = bytes_span(&raft->load_tail), record;
    while (entry_next(&rest, &record)) {
        if (entry_index_of(record) != raft->log.last + 1 ||
            entry_term_of(record) < raftlog_last_term(&raft->log) || !entry_intact(record)) {
            state_fatal(raft, "storage told a log with a hole behind index %llu",
                        (unsigned long long)raft->log.last);
            return;
        }
        raftlog_append(&raft->log, record);
    }
    raft->load_next = 0;
    bytes_close(&raft->load_tail);
    raft->emitted = raft->stored = raft->log.last;
    raft->commit = raft->applied = raft->load_applied;
    if (raft->state_lost) /* the entry itself is cut, and nobody would apply it */
        raft->commit_emitted = raft->commit;
    if (raft->leader_commit < raft->commit)
        raft->leader_commit = raft->commit;
    load_configs(raft);
    if (raft->broken)
        return;
    raft->role = raft->config_count > 0 ? ROLE_FOLLOWER : ROLE_FOUNDING;
    raft->meet_due_ms = raft->now_ms;
    raft->dirty = true;
    state_restart_election(raft);
    standing_refresh(raft);
    if (is_alone(raft)) /* nobody can lead already */
        raft->election_due_ms = raft->now_ms;
    if (raft->load_lost)
        stay_outside(raft, "what was applied is no longer in the log");
    else if (raft->term < raftlog_last_term(&raft->log))
        stay_outside(raft, "the ballot is older than the log");
    else if (raft->role == ROLE_FOUNDING && (raft->joins || !raft->may_vote) && !raft->has_note)
        wait_to_join(raft);
    else if (raft->role == ROLE_FOUNDING)
        bootstrap_begin(raft);
}

static void take_ballot(struct raft *raft, const struct message_loaded *loaded)
{
    raft->barred = raft->stands = raft->inside = false;
    raft->outside = NULL;
    raft->told_removed = 0;
    raft->life = loaded->life;
    raft->incarnation = loaded->incarnation;
    raft->may_vote = loaded->may_vote;
    raft->term = raft->durable_term = loaded->term;
    raft->vote = loaded->vote;
    raft->ballot_dirty = false;
    raft->balloted = raft->ballot_ticket;
    raft->has_note = loaded->note.size > 0;
    raft->note = (struct members){0};
    if (raft->has_note && members_decode(loaded->note, &raft->note))
        state_fatal(raft, "the founding note in the ballot cannot be read");
}

void durable_loaded(struct raft *raft, const struct raft_input *in)
{
    const struct message_loaded *loaded = &in->message->loaded;
    if (!raft->load_asked)
        return;
    raft->load_asked = false;
    take_ballot(raft, loaded);
    bytes_clear(&raft->load_tail);
    bytes_append_span(&raft->load_tail, loaded->tail);
    bytes_clear(&raft->load_configs);
    bytes_append_span(&raft->load_configs, loaded->configs);
    raft->load_applied = loaded->applied_index;
    raft->first_index = loaded->first_index;
    raft->incoming_size = 0;
    raft->state_lost = loaded->state_lost;
    bool has_tail = loaded->tail.size >= ENTRY_HEADER_SIZE;
    uint64_t base = has_tail ? entry_index_of(loaded->tail) - 1 : loaded->last_index;
    raft->load_lost = loaded->applied_index > loaded->last_index;
    if (raft->load_lost) {
        raft->load_applied = loaded->last_index;
    }
    /* Terms are needed of all that may still conflict, so from the applied index on; the
     * hash of the last entry comes with it. */
    uint64_t first = loaded->first_index > 1 ? loaded->first_index : 1;
    uint64_t from = raft->load_applied > first ? raft->load_applied : first;
    if (from > base && (has_tail || base == 0)) {
        raftlog_reset(&raft->log, base);
        finish_load(raft);
        return;
    }
    raftlog_reset(&raft->log, from - 1);
    raft->load_next = from;
    raft->load_upto = base;
    ask_page(raft);
}

void durable_fetched(struct raft *raft, const struct raft_input *in)
{
    const struct message_fetched *fetched = &in->message->fetched;
    if (raft->load_next == 0 || fetched->ticket != raft->load_ticket)
        return;
    struct span rest = fetched->entries, record;
    while (raft->load_next <= raft->load_upto && entry_next(&rest, &record)) {
        if (entry_index_of(record) != raft->load_next || !entry_intact(record) ||
            entry_term_of(record) < raftlog_last_term(&raft->log))
            return; /* asked again when the time has come */
        raftlog_skip(&raft->log, record);
        raft->load_next++;
    }
    if (raft->load_next > raft->load_upto)
        finish_load(raft);
    else if (fetched->entries.size > 0)
        ask_page(raft);
}

void durable_lost(struct raft *raft, const struct raft_input *in)
{
    state_step_down(raft);
    state_set_leader(raft, RAFT_NOBODY);
    raft->role = ROLE_LOADING;
    raft->disk = DISK_ENOUGH;
    raft->load_asked = false;
    raft->load_next = 0;
    raft->store_count = 0;
    raft->ballot_dirty = false;
    raft->balloted = raft->ballot_ticket;
    raft->commit_emitted = 0;
    raft->verified = 0;
    raft->ack_owed = raft->nack_owed = raft->noted.owed = raft->drawn = false;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        raft->peers.at[i].vote.owed = false;
    bytes_clear(&raft->forward);
}

void durable_balloted(struct raft *raft, const struct raft_input *in)
{
    const struct message_balloted *balloted = &in->message->balloted;
    if (balloted->life != raft->life || balloted->ticket <= raft->balloted ||
        balloted->ticket > raft->ballot_ticket)
        return;
    raft->balloted = balloted->ticket;
    if (raft->balloted == raft->ballot_ticket)
        raft->durable_term = raft->term;
    raft->dirty = true;
}

void durable_disk(struct raft *raft, const struct raft_input *in)
{
    uint64_t state = in->message->disk_is.state;
    enum raft_disk disk = state < DISK_FULL ? (enum raft_disk)state : DISK_FULL;
    if (disk > raft->disk)
        state_complain(raft, "the disk of this node is %s: %llu bytes are free",
                       disk == DISK_FULL ? "full" : "low",
                       (unsigned long long)in->message->disk_is.free_bytes);
    raft->disk = disk;
}

void durable_applied(struct raft *raft, const struct raft_input *in)
{
    uint64_t index = in->message->applied.index;
    if (index <= raft->applied || index > raft->log.last)
        return;
    raft->applied = index;
    if (index > raft->commit) /* storage outlived us and knows more: applied is committed */
        raft->commit = index;
}

bool durable_stored(struct raft *raft, const struct message_stored *stored)
{
    if (stored->life != raft->life)
        return false;
    uint64_t before = raft->stored;
    while (raft->store_count > 0) {
        struct store_mark *mark = &raft->stores[raft->store_first];
        if (mark->ticket > stored->ticket)
            break;
        if (mark->ticket == stored->ticket && mark->term != stored->term)
            break;
        if (mark->last > raft->stored)
            raft->stored = mark->last;
        raft->store_first = (raft->store_first + 1) % RAFT_STORES_MAX;
        raft->store_count--;
    }
    raft->dirty = true;
    return raft->stored > before;
}

bool durable_hangs(const struct raft *raft)
{
    return raft->store_count > 0 &&
           raft->now_ms >= raft->stores[raft->store_first].sent_ms + raft->election_max_ms;
}

bool durable_stalls(const struct raft *raft)
{
    return raft->disk == DISK_FULL || durable_hangs(raft);
}

bool durable_is_low(const struct raft *raft)
{
    return raft->disk != DISK_ENOUGH;
}

/* As Nagle's rule (RFC 896): while a STORE is on its way, only one that is as large follows. What
 * comes meanwhile goes with the next in one transaction, so batches grow with the load. */
static bool must_wait(const struct raft *raft)
{
    if (raft->store_count == 0 || raft->store_count == RAFT_STORES_MAX)
        return raft->store_count > 0;
    uint64_t flying = raftlog_bytes(&raft->log, raft->stored + 1, raft->emitted);
    uint64_t waiting = raftlog_bytes(&raft->log, raft->emitted + 1, raft->log.last);
    return waiting < flying && waiting < RAFT_STORE_BYTES;
}

static void emit_store(struct raft *raft)
{
    if (raft->emitted == raft->log.last || must_wait(raft))
        return;
    uint64_t last;
    struct span entries = raftlog_records(&raft->log, raft->emitted + 1, RAFT_STORE_BYTES,
                                          &raft->store_scratch, &last);
    struct store_mark mark = {++raft->ticket, raft->term, last, raft->now_ms};
    raft->stores[(raft->store_first + raft->store_count++) % RAFT_STORES_MAX] = mark;
    raft->emitted = last;
    struct message *message = state_ask(raft, MESSAGE_STORE);
    message->store.life = raft->life;
    message->store.ticket = mark.ticket;
    message->store.term = mark.term;
    message->store.entries = entries;
    raft->counters.stores++;
    raft->counters.store_bytes += entries.size;
    if (raft->emitted < raft->log.last)
        raft->dirty = true;
}

void durable_flush(struct raft *raft)
{
    uint64_t safe = raft->stored < raft->commit ? raft->stored : raft->commit;
    if (safe > 0)
        raftlog_evict(&raft->log, safe - 1, raft->tail_bytes);
    if (!state_settled(raft))
        return; /* the ballot goes before the first entry of its term */
    emit_store(raft);
    if (raft->commit > raft->commit_emitted) {
        raft->commit_emitted = raft->commit;
        struct message *message = state_ask(raft, MESSAGE_COMMIT);
        message->commit.index = raft->commit;
        message->commit.term = raftlog_term(&raft->log, raft->commit);
    }
}
