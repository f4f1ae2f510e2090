/* excuses.c - rules of the core that a long run need not reach, each with its reason (K10). */
#include "tests/sim/tally.h"

#define PEER(type) (INPUT_COUNT + (MESSAGE_##type) - MESSAGE_MEET)

/* What cannot be: the rule is there so that no cell of the table is empty. */
static const char no_log[] = "cannot be: before record 1 there is no log, with it the role ends";
static const char leader_asks[] = "cannot be: a leader asked, and has record 1";
static const char no_timer[] = "cannot be: outside no timer runs";
static const char settled[] =
    "cannot be: it waits for no ballot, and what changes it ends the role";
static const char own_vote[] = "cannot be: its own vote was answered after it";

/* What needs two slow messages, or one and a crash within milliseconds: seen in some runs. */
static const char founding_slow[] = "rare: a slow message of the founding, that long after it";
static const char founding_again[] =
    "rare: a slow message to a leader, or one of its followers, that is blank again";
static const char not_behind[] =
    "rare: who gets a snapshot lacks entries, and is not elected until it is installed";

static const struct {
    enum raft_role role;
    uint32_t column;
    const char *why;
} excuses[] = {
    {ROLE_FOUNDING, INPUT_STORED, no_log},
    {ROLE_FOUNDING, INPUT_FETCHED, no_log},
    {ROLE_FOUNDING, INPUT_APPLIED, no_log},
    {ROLE_FOUNDING, INPUT_CUT, leader_asks},
    {ROLE_FOUNDING, INPUT_PART, leader_asks},
    {ROLE_OUTSIDE, INPUT_TICK, no_timer},
    {ROLE_PRECANDIDATE, INPUT_BALLOTED, settled},
    {ROLE_LEADER, INPUT_BALLOTED, settled},
    {ROLE_LEADER, INPUT_LOADED, own_vote},

    {ROLE_OUTSIDE, PEER(NOTE), founding_slow},
    {ROLE_PRECANDIDATE, PEER(NOTE), founding_slow},
    {ROLE_CANDIDATE, PEER(NOTE), founding_slow},
    {ROLE_LEADER, PEER(NOTE), founding_slow},
    {ROLE_OUTSIDE, PEER(NOTED), founding_slow},
    {ROLE_FOUNDING, PEER(ASK_MEMBERS), founding_again},
    {ROLE_FOUNDING, PEER(TELL_MEMBERS), founding_again},
    {ROLE_FOUNDING, PEER(TIMEOUT_NOW), founding_again},
    {ROLE_FOUNDING, PEER(INDEX_IS), founding_again},
    {ROLE_FOUNDING, PEER(SNAPSHOT_TAKEN), founding_again},
    {ROLE_CANDIDATE, INPUT_WRITTEN, not_behind},
    {ROLE_CANDIDATE, PEER(SNAPSHOT), not_behind},
    {ROLE_LEADER, INPUT_WRITTEN, not_behind},
    {ROLE_LEADER, PEER(SNAPSHOT), not_behind},
};

const char *excuse(enum raft_role role, uint32_t column)
{
    for (size_t i = 0; i < COUNT_OF(excuses); i++)
        if (excuses[i].role == role && excuses[i].column == column)
            return excuses[i].why;
    return NULL;
}
