/* members_kit.h - a leader of three that is asked to change the members. */
#ifndef TESTS_UNIT_MEMBERS_KIT_H
#define TESTS_UNIT_MEMBERS_KIT_H

#include "tests/unit/raft_kit.h"

static inline void acknowledge(struct kit *kit, uint32_t slot, uint64_t match, uint64_t commit)
{
    struct message message = kit_appended(kit, slot, match);
    message.appended.commit_index = commit;
    kit_peer(kit, slot, &message);
}

/* Leads term 2 with log index 2 committed. */
static inline void lead(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    acknowledge(kit, SLOT_2, 2, 1);
    acknowledge(kit, SLOT_3, 2, 1);
    kit_flush(kit);
}

static inline const struct message_members_are *ask(struct kit *kit, const char *wish)
{
    struct message message = {.type = MESSAGE_MEMBERS_ASK};
    message.members_ask.ops.at[0] = SPAN_TEXT(wish);
    message.members_ask.ops.count = 1;
    kit_tell(kit, INPUT_MEMBERS, &message);
    const struct message *are = kit_out(kit, MESSAGE_MEMBERS_ARE, 0);
    CHECK(are != NULL);
    return &are->members_are;
}

#endif
