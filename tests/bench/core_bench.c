/* core_bench.c - how many proposals a second one core of three takes: the leader's share of
 * the work, with acks and STORED played back at once. Prints one line. */
#include "common/clock.h"
#include "tests/unit/raft_kit.h"

#include <stdio.h>

enum { TURNS = 20000, BATCH = 16, BODY = 512 };

static void acknowledge(struct kit *kit, uint32_t slot)
{
    struct message message = kit_from(kit, slot, 2, MESSAGE_APPENDED);
    message.appended.ok = true;
    message.appended.round = kit->raft->round;
    message.appended.match_index = kit->raft->log.last;
    kit_peer(kit, slot, &message);
}

static void turn(struct kit *kit, struct message *propose)
{
    kit_tell(kit, INPUT_PROPOSE, propose);
    kit_flush(kit);
    struct message stored = {.type = MESSAGE_STORED};
    stored.stored.life = LIFE;
    stored.stored.ticket = kit->raft->ticket;
    stored.stored.term = 2;
    kit_tell(kit, INPUT_STORED, &stored);
    acknowledge(kit, SLOT_2);
    acknowledge(kit, SLOT_3);
    kit_flush(kit);
    struct message applied = {.type = MESSAGE_APPLIED};
    applied.applied.index = kit->raft->commit;
    kit_tell(kit, INPUT_APPLIED, &applied);
}

int main(void)
{
    struct kit kit;
    struct bytes records = {0};
    static uint8_t body[BODY];
    kit_lead(&kit);
    kit_flush(&kit);
    for (uint32_t i = 0; i < BATCH; i++)
        entry_encode(
            &(struct entry){.kind = ENTRY_DATA, .change_count = 1, .body = SPAN(body, BODY)},
            &records);
    struct message propose = {.type = MESSAGE_PROPOSE};
    propose.propose.records = bytes_span(&records);
    uint64_t begin = clock_now_us();
    for (int i = 0; i < TURNS; i++)
        turn(&kit, &propose);
    uint64_t spent = clock_now_us() - begin;
    printf("core: %d proposals of %d bytes in %llu us: %.0f per second, commit %llu\n",
           TURNS * BATCH, BODY, (unsigned long long)spent,
           (double)TURNS * BATCH * 1e6 / (double)spent, (unsigned long long)kit.raft->commit);
    bytes_close(&records);
    kit_close(&kit);
    return 0;
}
