/* cutting_test.c - the leader asks whether a cut is due, says how far the others are, and logs it.
 */
#include "consensus/cutting.h"
#include "tests/unit/raft_kit.h"

/* Leads term 2 with log index 2, committed; both others have it. */
static void lead(struct kit *kit)
{
    struct message applied = {.type = MESSAGE_APPLIED, .applied = {.index = 2}};
    kit_lead_together(kit);
    kit_tell(kit, INPUT_APPLIED, &applied);
}

/* Lets `ms` pass; SLOT_2 answers all the time. Lends the last MAY_CUT, or NULL. */
static bool wait_for_ask(struct kit *kit, uint64_t ms, struct message_may_cut *ask)
{
    bool found = false;
    for (uint64_t passed = 0; passed < ms; passed += kit->raft->heartbeat_ms) {
        kit_tick(kit, kit->raft->heartbeat_ms);
        const struct message *message = kit_out(kit, MESSAGE_MAY_CUT, 0);
        if (message != NULL) {
            *ask = message->may_cut;
            found = true;
        }
        kit_flush(kit);
        kit_acknowledge(kit, SLOT_2, kit->raft->stored);
    }
    return found;
}

static bool decided(struct kit *kit)
{
    uint64_t before = kit->raft->log.last;
    struct message at = {.type = MESSAGE_CUT_AT, .cut_at = {SPAN("the body", 8)}};
    kit_tell(kit, INPUT_CUT, &at);
    if (kit->raft->log.last == before)
        return false;
    struct span record = raftlog_record(&kit->raft->log, before + 1);
    CHECK(entry_kind_of(record) == ENTRY_CUT && record.size == ENTRY_HEADER_SIZE + 8);
    return true;
}

TEST(the_others_are_measured_by_whether_they_answer)
{
    struct kit kit;
    struct message_may_cut ask;
    lead(&kit);
    CHECK(wait_for_ask(&kit, RAFT_CUT_MS, &ask));
    CHECK(ask.last_index == 2 && ask.live_index == 2 && ask.down_index == 2);
    kit_propose(&kit, 3, 10, ENTRY_DATA);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    CHECK(wait_for_ask(&kit, RAFT_CUT_MS, &ask)); /* SLOT_3 lags, but not long enough to be down */
    CHECK(ask.last_index == 5 && ask.live_index == 2 && ask.down_index == 5);
    CHECK(wait_for_ask(&kit, RAFT_LIVE_MS, &ask));
    CHECK(ask.live_index == 5 && ask.down_index == 2);
    CHECK(ask.ts > 0);
    kit_close(&kit);
}

/* I17: where it ends it will go on by the log; until that is known, from where it is. */
TEST(who_gets_a_snapshot_keeps_the_log_behind_its_end)
{
    struct kit kit;
    struct message_may_cut ask;
    lead(&kit);
    kit_propose(&kit, 3, 10, ENTRY_DATA);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    struct catchup *catchup = &kit.raft->peers.at[SLOT_3].catchup;
    *catchup = (struct catchup){.running = true, .index = 4};
    CHECK(wait_for_ask(&kit, RAFT_CUT_MS, &ask));
    CHECK(ask.live_index == 2);
    *catchup = (struct catchup){.running = true, .index = 4, .size = 1000};
    CHECK(wait_for_ask(&kit, RAFT_CUT_MS, &ask));
    CHECK(ask.live_index == 4);
    kit_close(&kit);
}

TEST(one_cut_at_a_time_and_none_while_leadership_moves)
{
    struct kit kit;
    struct message_may_cut ask;
    struct message applied = {.type = MESSAGE_APPLIED, .applied = {.index = 3}};
    struct message nothing = {.type = MESSAGE_CUT_AT};
    lead(&kit);
    kit_tell(&kit, INPUT_CUT, &nothing);
    CHECK(kit.raft->log.last == 2);
    CHECK(decided(&kit) && kit.raft->log.last == 3);
    CHECK(!decided(&kit)); /* of a state that does not know of the first one */
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    CHECK(!wait_for_ask(&kit, 2 * RAFT_CUT_MS, &ask));
    kit_acknowledge(&kit, SLOT_2, 3);
    kit_tell(&kit, INPUT_APPLIED, &applied);
    CHECK(wait_for_ask(&kit, 2 * RAFT_CUT_MS, &ask));
    kit_step(&kit, (struct raft_input){.kind = INPUT_TRANSFER, .number = 2});
    CHECK(!decided(&kit));
    kit_close(&kit);
}

/* S8: what makes room is logged while clients are refused. */
/* Before that a leader does not know what is committed (I27). */
TEST(nothing_is_cut_before_an_entry_of_the_own_term_is_committed)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    CHECK(kit.raft->commit < kit.raft->term_first && !decided(&kit));
    kit_acknowledge(&kit, SLOT_2, 2);
    CHECK(kit.raft->commit == kit.raft->term_first && decided(&kit));
    kit_close(&kit);
}

TEST(a_low_disk_does_not_keep_the_log_from_being_cut)
{
    struct kit kit;
    struct message disk = {.type = MESSAGE_DISK_IS, .disk_is = {1, 1000}};
    lead(&kit);
    kit_tell(&kit, INPUT_DISK, &disk);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 0) != NULL);
    CHECK(decided(&kit));
    uint64_t last = kit.raft->log.last; /* nor from being told to keep less */
    kit_propose(&kit, 1, 10, ENTRY_SETTINGS);
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 0) == NULL && kit.raft->log.last == last + 1);
    kit_close(&kit);
}

TEST(a_follower_logs_nothing)
{
    struct kit kit;
    kit_open(&kit);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    CHECK(!decided(&kit));
    kit_close(&kit);
}

TEST_MAIN(T(the_others_are_measured_by_whether_they_answer),
          T(who_gets_a_snapshot_keeps_the_log_behind_its_end),
          T(one_cut_at_a_time_and_none_while_leadership_moves),
          T(nothing_is_cut_before_an_entry_of_the_own_term_is_committed),
          T(a_low_disk_does_not_keep_the_log_from_being_cut), T(a_follower_logs_nothing))
