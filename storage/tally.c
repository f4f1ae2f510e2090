#include "storage/tally.h"

void tally_send(const struct wire_counter *counters, uint32_t count, struct link *link,
                uint32_t neighbour)
{
    struct message answer = {.type = MESSAGE_TALLIED};
    SCOPED(bytes) map = {0};
    wire_pack_counters(&map, counters, count);
    answer.tallied.counters = bytes_span(&map);
    link_tell(link, neighbour, &answer);
}
