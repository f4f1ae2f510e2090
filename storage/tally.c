#include "storage/tally.h"

#include "protocol/wire.h"

void tally_send(const struct counter *counters, uint32_t count, struct link *link,
                uint32_t neighbour)
{
    struct message answer = {.type = MESSAGE_TALLIED};
    SCOPED(bytes) map = {0};
    wire_pack_map(&map, count);
    for (uint32_t i = 0; i < count; i++)
        wire_pack_counter(&map, counters[i].name, counters[i].value);
    answer.tallied.counters = bytes_span(&map);
    link_tell(link, neighbour, &answer);
}
