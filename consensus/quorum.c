/* quorum.c - a majority is more than half. */
#include "consensus/quorum.h"

uint32_t quorum_size(uint32_t voters)
{
    return voters / 2 + 1;
}

bool quorum_reached(uint32_t yes, uint32_t voters)
{
    return voters > 0 && yes >= quorum_size(voters);
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
