#include "storage/refound.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/state.h"

#include <stdio.h>

enum { PATH_BYTES_MAX = 4096 };

static bool is_self(const struct refound *refound, const struct member *member)
{
    return memcmp(member->key, refound->keys.public_key, KEY_SIZE) == 0 &&
           member->node == refound->keys.node_id &&
           member->incarnation == refound->recovery.ballot.incarnation;
}

static bool is_alone(const struct refound *refound)
{
    const struct members *members = &refound->members;
    bool votes = false;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        if (member_lives(member) && !is_self(refound, member))
            return false;
        votes = votes || (is_self(refound, member) && member_votes(member));
    }
    return votes && ballot_may_vote(&refound->recovery.ballot);
}

static enum err read_members(struct refound *refound)
{
    SCOPED(bytes) records = {0};
    struct span rest, record, newest = {0};
    struct entry entry;
    TRY(journal_configs(&refound->journal, &records));
    rest = bytes_span(&records);
    while (entry_next(&rest, &record))
        newest = record;
    if (newest.size == 0)
        return ERR_NOT_FOUND;
    TRY(entry_decode(newest, &entry));
    return members_decode(entry.body, &refound->members) == ERR_NONE ? ERR_NONE : ERR_CORRUPT;
}

/* A log that was cut is of no use without the state that it goes on from. */
static enum err read_state(struct refound *refound)
{
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/state.db", refound->recovery.home);
    bool there = state_look(path, &refound->mark);
    bool cut = refound->recovery.found.first_index > 1;
    return there || !cut ? ERR_NONE : ERR_CORRUPT;
}

enum err refound_open(struct refound *refound, const char *data_dir)
{
    TRY(keys_read(&refound->keys, data_dir));
    TRY(recovery_run(&refound->recovery, data_dir));
    journal_open(&refound->journal, &refound->recovery, NULL);
    TRY(read_members(refound));
    TRY(read_state(refound));
    refound->alone = is_alone(refound);
    return ERR_NONE;
}

void refound_close(struct refound *refound)
{
    journal_close(&refound->journal);
    recovery_close(&refound->recovery);
    keys_close(&refound->keys);
    *refound = (struct refound){0};
}

/* ---- the record ------------------------------------------------------------------------------ */

/* One voter: this node, as it was called before if the log knows it. */
static struct members succeed(const struct refound *refound, uint64_t incarnation)
{
    const struct members *before = &refound->members;
    struct members members = {.history = chance_u64(), .parent = before->history};
    struct member self = {0};
    int known = members_find(before, refound->keys.public_key);
    if (known >= 0)
        self = before->at[known];
    memcpy(members.cluster, before->cluster, sizeof members.cluster);
    memset(self.endpoint, 0, sizeof self.endpoint); /* consensus knows it from its file */
    memcpy(self.key, refound->keys.public_key, KEY_SIZE);
    self.node = refound->keys.node_id;
    self.incarnation = incarnation;
    self.now = self.next = self.wish = MEMBER_VOTER;
    self.changed = refound->journal.last_index + 1;
    members_add(&members, &self);
    return members;
}

/* Log time never falls, and the last record may be in a file that is sealed, and applied. */
static enum err next_ts(struct refound *refound, uint64_t *ts)
{
    SCOPED(bytes) tail = {0};
    struct span rest, record;
    uint64_t last = refound->mark.ts, now = clock_wall_ns(NULL);
    TRY(journal_tail(&refound->journal, 1, &tail));
    rest = bytes_span(&tail);
    while (entry_next(&rest, &record))
        if (entry_ts_of(record) > last)
            last = entry_ts_of(record);
    *ts = now > last ? now : last + 1;
    return ERR_NONE;
}

static enum err write_record(struct refound *refound, const struct members *members, uint64_t term)
{
    SCOPED(bytes) body = {0};
    SCOPED(bytes) record = {0};
    uint64_t ts, first;
    size_t taken;
    members_encode(members, &body);
    entry_encode(&(struct entry){.kind = ENTRY_FOUNDING, .body = bytes_span(&body)}, &record);
    TRY(next_ts(refound, &ts));
    entry_stamp(record.data, refound->journal.last_index + 1, term, ts, refound->journal.last_hash);
    return journal_write(&refound->journal, bytes_span(&record), &taken, &first);
}

enum err refound_write(struct refound *refound, uint64_t *history)
{
    struct ballot *ballot = &refound->recovery.ballot;
    const char *data_dir = refound->recovery.data_dir;
    uint64_t incarnation = chance_u64(), last = refound->journal.last_term;
    uint64_t term = (ballot->term > last ? ballot->term : last) + 1;
    struct members members = succeed(refound, incarnation);
    TRY(witness_forget_place(data_dir));
    TRY(witness_write_incarnation(data_dir, incarnation));
    TRY(ballot_renew(ballot, term, incarnation, ballot->generation, ballot->newest));
    TRY(write_record(refound, &members, term));
    TRY(journal_save_mark(&refound->journal));
    *history = members.history;
    return ERR_NONE;
}
