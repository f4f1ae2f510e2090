/* quorum.c - a majority is more than half. */
#include "consensus/quorum.h"

uint32_t quorum_size(uint32_t voters)
{
    return voters / 2 + 1;
}

uint64_t quorum_value(uint64_t *values, uint32_t voters)
{
    if (voters == 0)
        return 0;
    for (uint32_t i = 1; i < voters; i++) { /* few values: sort by insertion, highest first */
        uint64_t value = values[i];
        uint32_t at = i;
        for (; at > 0 && values[at - 1] < value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return values[quorum_size(voters) - 1];
}

/* Of one majority: those who vote now, or those who vote next. */
static uint64_t value_of(const struct members *members, const uint64_t values[MEMBERS_MAX],
                         bool next)
{
    uint64_t counted[MEMBERS_MAX];
    uint32_t voters = 0;
    for (uint32_t i = 0; i < members->count; i++)
        if ((next ? members->at[i].next : members->at[i].now) == MEMBER_VOTER)
            counted[voters++] = values[i];
    return quorum_value(counted, voters);
}

uint64_t quorum_agreed(const struct members *members, const uint64_t values[MEMBERS_MAX])
{
    uint64_t value = value_of(members, values, false);
    uint64_t other = members->joint ? value_of(members, values, true) : value;
    return value < other ? value : other;
}

bool quorum_agrees(const struct members *members, uint32_t yes)
{
    uint64_t values[MEMBERS_MAX] = {0};
    for (uint32_t i = 0; i < members->count; i++)
        values[i] = yes >> i & 1;
    return quorum_agreed(members, values) == 1;
}
