/* catchup_test.c - a snapshot for a peer, on the side of the leader: asked of storage, sent, lost,
 * sent again (I16, I17). */
#include "tests/unit/catchup_kit.h"

/* Leads term 2; node 3 lacks what is no longer there. */
static void lead_with_cut_log(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_acknowledge(kit, SLOT_2, 2);
    kit_propose(kit, 50, 10, ENTRY_DATA);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_acknowledge(kit, SLOT_2, 52);
    kit_flush(kit);
    kit->raft->peers.at[SLOT_3].fetch_ticket = 4711;
    struct message message = {.type = MESSAGE_FETCHED};
    message.fetched.ticket = 4711;
    message.fetched.from = 1;
    message.fetched.error = SPAN_TEXT("E_TRUNCATED");
    kit_tell(kit, INPUT_FETCHED, &message);
    kit_flush(kit);
}

/* Storage answers the n-th ask of the last step. */
static struct message part_for(const struct message *ask, const char *error)
{
    struct message part = {.type = MESSAGE_SNAPSHOT_PART};
    uint64_t left = SNAPSHOT_BYTES - ask->snapshot_read.offset;
    part.snapshot_part.ticket = ask->snapshot_read.ticket;
    part.snapshot_part.offset = ask->snapshot_read.offset;
    part.snapshot_part.id = SPAN(id, HASH_SIZE);
    part.snapshot_part.index = 40;
    part.snapshot_part.term = 2;
    part.snapshot_part.head = 1000;
    part.snapshot_part.size = SNAPSHOT_BYTES;
    part.snapshot_part.data =
        SPAN(bytes_of_slice, left < CATCHUP_SLICE_BYTES ? left : CATCHUP_SLICE_BYTES);
    part.snapshot_part.hash = SPAN(hash, HASH_SIZE);
    part.snapshot_part.error = SPAN_TEXT(error);
    return part;
}

static void take(struct kit *kit, uint64_t offset, const char *error)
{
    struct message message = kit_from(kit, SLOT_3, kit->raft->term, MESSAGE_SNAPSHOT_TAKEN);
    message.snapshot_taken.id = SPAN(id, HASH_SIZE);
    message.snapshot_taken.offset = offset;
    message.snapshot_taken.error = SPAN_TEXT(error);
    kit_peer(kit, SLOT_3, &message);
}

static void take_installed(struct kit *kit)
{
    struct message message = kit_from(kit, SLOT_3, kit->raft->term, MESSAGE_SNAPSHOT_TAKEN);
    message.snapshot_taken.id = SPAN(id, HASH_SIZE);
    message.snapshot_taken.offset = SNAPSHOT_BYTES;
    message.snapshot_taken.installed = true;
    kit_peer(kit, SLOT_3, &message);
}

static uint32_t reads(const struct kit *kit)
{
    uint32_t count = 0;
    while (kit_out(kit, MESSAGE_SNAPSHOT_READ, count) != NULL)
        count++;
    return count;
}

static struct message first_read(const struct kit *kit)
{
    const struct message *ask = kit_out(kit, MESSAGE_SNAPSHOT_READ, 0);
    CHECK(ask != NULL);
    return *ask;
}

/* The first slice is at the peer, which had `offset` before: the window is open. */
static void begin(struct kit *kit, uint64_t offset)
{
    lead_with_cut_log(kit);
    struct message ask = first_read(kit);
    CHECK(reads(kit) == 1);
    CHECK(ask.snapshot_read.id.size == 0);
    struct message part = part_for(&ask, "");
    kit_tell(kit, INPUT_PART, &part);
    const struct message *slice = kit_out(kit, MESSAGE_SNAPSHOT, 0);
    CHECK(slice != NULL && slice->peer.to == 3 && slice->snapshot.offset == 0);
    kit_flush(kit);
    CHECK(reads(kit) == 0); /* until the peer says where it is, one slice is enough */
    take(kit, offset, "");
    kit_flush(kit);
}

TEST(who_needs_what_was_cut_gets_a_snapshot_in_a_bounded_window)
{
    struct kit kit;
    begin(&kit, CATCHUP_SLICE_BYTES);
    CHECK(reads(&kit) == CATCHUP_WINDOW_BYTES / CATCHUP_SLICE_BYTES);
    struct message ask = first_read(&kit);
    CHECK(ask.snapshot_read.offset == CATCHUP_SLICE_BYTES);
    CHECK(span_equal(ask.snapshot_read.id, SPAN(id, HASH_SIZE)));
    CHECK(kit_out(&kit, MESSAGE_FETCH, 0) == NULL);
    take(&kit, 2 * CATCHUP_SLICE_BYTES, "");
    kit_flush(&kit);
    CHECK(reads(&kit) == 1);
    CHECK(raft_peer(kit.raft, SLOT_3).catchup_taken == 2 * CATCHUP_SLICE_BYTES);
    kit_close(&kit);
}

TEST(a_receiver_that_has_some_of_it_gets_the_rest)
{
    struct kit kit;
    begin(&kit, 5 << 20);
    CHECK(first_read(&kit).snapshot_read.offset == 5 << 20);
    kit_close(&kit);
}

TEST(with_all_of_it_there_entries_go_on_behind_it)
{
    struct kit kit;
    begin(&kit, CATCHUP_SLICE_BYTES);
    take(&kit, SNAPSHOT_BYTES, "");
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT, 0) == NULL);
    kit_tick(&kit, CATCHUP_MAKING_MS);
    kit_flush(&kit);
    const struct message *question = kit_out(&kit, MESSAGE_SNAPSHOT, 0);
    CHECK(question != NULL && question->snapshot.data.size == 0);
    take_installed(&kit);
    CHECK(!kit.raft->peers.at[SLOT_3].catchup.running);
    CHECK(kit.raft->peers.at[SLOT_3].next == 41);
    kit_flush(&kit);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append != NULL && append->peer.to == 3 && append->append.prev_index == 40);
    kit_acknowledge(&kit, SLOT_3, 40);
    kit_flush(&kit);
    append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append != NULL && append->append.entries.size > 0);
    kit_close(&kit);
}

TEST(what_was_not_installed_after_all_comes_again)
{
    struct kit kit;
    begin(&kit, CATCHUP_SLICE_BYTES);
    take(&kit, SNAPSHOT_BYTES, "");
    CHECK(kit.raft->peers.at[SLOT_3].catchup.installing);
    take(&kit, 0, "");
    kit_flush(&kit);
    CHECK(first_read(&kit).snapshot_read.offset == 0);
    CHECK(reads(&kit) > 1);
    kit_close(&kit);
}

TEST(what_is_lost_is_sent_again_from_where_the_receiver_is)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    struct message stale = first_read(&kit);
    for (int i = 0; i < 6; i++) {
        kit_tick(&kit, 100);
        kit_acknowledge(&kit, SLOT_2, 52);
    }
    kit_flush(&kit);
    CHECK(reads(&kit) == 1); /* it may be in another life: first it says where it is */
    CHECK(first_read(&kit).snapshot_read.offset == 1 << 20);
    struct message part = part_for(&stale, "");
    kit_tell(&kit, INPUT_PART, &part);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT, 0) == NULL); /* of the try before */
    kit_close(&kit);
}

TEST(progress_grows_but_for_a_damaged_file)
{
    struct kit kit;
    begin(&kit, 2 << 20);
    take(&kit, 1 << 20, ""); /* late */
    CHECK(kit.raft->peers.at[SLOT_3].catchup.taken == 2 << 20);
    take(&kit, 1 << 20, "E_CORRUPT");
    kit_flush(&kit);
    CHECK(first_read(&kit).snapshot_read.offset == 1 << 20);
    kit_close(&kit);
}

TEST(a_snapshot_that_is_gone_is_replaced_by_another)
{
    struct kit kit;
    begin(&kit, 2 << 20);
    struct message ask = first_read(&kit), part = part_for(&ask, "E_NOT_FOUND");
    kit_tell(&kit, INPUT_PART, &part);
    kit_flush(&kit);
    ask = first_read(&kit);
    CHECK(ask.snapshot_read.id.size == 0);
    CHECK(ask.snapshot_read.offset == 0);
    kit_close(&kit);
}

TEST(while_it_is_made_it_is_asked_for_again)
{
    struct kit kit;
    lead_with_cut_log(&kit);
    struct message ask = first_read(&kit), part = part_for(&ask, "E_NOT_READY");
    kit_tell(&kit, INPUT_PART, &part);
    kit_flush(&kit);
    CHECK(reads(&kit) == 0);
    CHECK(raft_due_ms(kit.raft) <= kit.now + CATCHUP_MAKING_MS);
    kit_tick(&kit, CATCHUP_MAKING_MS);
    kit_flush(&kit);
    CHECK(reads(&kit) == 1);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 0);
    kit_close(&kit);
}

TEST(while_clients_write_it_travels_at_the_rate)
{
    struct kit kit;
    uint64_t asked = 0;
    begin(&kit, CATCHUP_SLICE_BYTES);
    kit.raft->catchup_rate = 4 << 20;
    for (uint64_t taken = CATCHUP_SLICE_BYTES, ms = 0; ms < 1000; ms += 10) {
        kit_propose(&kit, 1, 10, ENTRY_DATA);
        kit_acknowledge(&kit, SLOT_2, kit.raft->log.last);
        kit_tick(&kit, 10);
        take(&kit, taken += CATCHUP_SLICE_BYTES / 10, "");
        kit_flush(&kit);
        asked += reads(&kit);
        kit_stored(&kit, LIFE, 2);
    }
    CHECK(asked >= 10 && asked <= 20); /* 4 MiB a second are 16 slices */
    kit.raft->proposed_ms = 0;         /* nobody writes any more */
    kit_tick(&kit, 10);
    take(&kit, 6 << 20, "");
    const struct catchup *catchup = &kit.raft->peers.at[SLOT_3].catchup;
    kit_flush(&kit);
    CHECK(catchup->asked >= catchup->taken + CATCHUP_WINDOW_BYTES); /* as the window allows */
    kit_close(&kit);
}

/* Leads with a thousand entries, of which the first 899 are on disk only; gives node 3, which lacks
 * those from 300 on. */
static struct peer *lead_with_long_log(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_acknowledge(kit, SLOT_2, 2);
    kit_propose(kit, 1000, 10, ENTRY_DATA);
    struct peer *peer = &kit->raft->peers.at[SLOT_3];
    kit->raft->catchup_entries = 400;
    kit->raft->log.held = 900;
    peer->probing = false;
    peer->next = 300;
    return peer;
}

TEST(who_lacks_little_gets_entries)
{
    struct kit kit;
    struct peer *peer = lead_with_long_log(&kit);
    kit.raft->applied = kit.raft->log.last;
    CHECK(catchup_is_cheaper(kit.raft, peer));
    peer->next = 700; /* less than that */
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    peer->next = 550; /* less than half */
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    peer->next = 300;
    peer->probing = true; /* not known yet */
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    kit.raft->log.held = 3;
    kit_close(&kit);
}

/* A snapshot ends where the own state is. A new leader that has applied nothing waited for one for
 * ever; the peer, without which nothing could commit, got no entries (simulation, seed 13684). */
TEST(who_has_applied_little_sends_entries)
{
    struct kit kit;
    struct peer *peer = lead_with_long_log(&kit);
    CHECK(kit.raft->applied < 300 && !catchup_is_cheaper(kit.raft, peer));
    kit.raft->applied = 600;
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    kit.raft->applied = 900;
    CHECK(catchup_is_cheaper(kit.raft, peer));
    kit.raft->log.held = 3;
    kit_close(&kit);
}

/* It has its log, which goes on meanwhile: a majority may need its acknowledgements. */
TEST(who_lost_its_state_gets_a_snapshot_and_entries)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    kit_acknowledge(&kit, SLOT_2, 2);
    kit_flush(&kit);
    struct message lost = kit_from(&kit, SLOT_3, kit.raft->term, MESSAGE_APPENDED);
    lost.appended.round = kit.raft->round;
    lost.appended.ok = true;
    lost.appended.match_index = 2;
    lost.appended.drained = lost.appended.state_lost = true;
    kit_peer(&kit, SLOT_3, &lost);
    kit_flush(&kit);
    struct message ask = first_read(&kit);
    CHECK(ask.snapshot_read.id.size == 0);
    CHECK(ask.snapshot_read.least_index == 2 && kit.raft->commit == 2);
    kit_propose(&kit, 5, 10, ENTRY_DATA);
    kit_flush(&kit);
    const struct message *append = NULL;
    for (uint32_t i = 0; (append = kit_out(&kit, MESSAGE_APPEND, i)) && append->peer.to != 3; i++)
        ;
    CHECK(append != NULL && append->append.entries.size > 0);
    kit_close(&kit);
}

/* Storage may offer a snapshot it made earlier, and the peer may be past it: sent for the saving,
 * it would be sent for ever. */
TEST(a_snapshot_that_brought_nothing_is_not_tried_again)
{
    struct kit kit;
    lead_with_cut_log(&kit);
    struct peer *peer = &kit.raft->peers.at[SLOT_3];
    struct message ask = first_read(&kit), part = part_for(&ask, "");
    kit_tell(&kit, INPUT_PART, &part);
    take_installed(&kit); /* in answer to the first slice: it had all of that already */
    CHECK(!peer->catchup.running);
    peer->probing = false;
    peer->next = 2;
    uint64_t held = kit.raft->log.held;
    kit.raft->log.held = 50;
    kit.raft->catchup_entries = 40;
    kit.raft->applied = kit.raft->commit;
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    peers_begin_lead(peer, kit.raft->log.last, 0); /* another term, perhaps another snapshot */
    peer->probing = false;
    peer->next = 2;
    CHECK(catchup_is_cheaper(kit.raft, peer));
    kit.raft->log.held = held;
    kit_close(&kit);
}

TEST(who_leads_no_more_sends_nothing_more)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    struct message ask = first_read(&kit), part = part_for(&ask, "");
    struct message append = kit_from(&kit, SLOT_2, 3, MESSAGE_APPEND);
    append.append.prev_index = 52;
    append.append.prev_term = 2;
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_tell(&kit, INPUT_PART, &part);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT, 0) == NULL);
    CHECK(!kit.raft->peers.at[SLOT_3].catchup.running);
    kit_close(&kit);
}

static void part(struct kit *kit, const struct message *message)
{
    struct message copy = *message;
    kit_tell(kit, INPUT_PART, &copy);
}

static bool sends_slice(const struct kit *kit)
{
    return kit_out(kit, MESSAGE_SNAPSHOT, 0) != NULL;
}

/* An answer of storage that is late, or of another ask, or broken, is no slice for anybody. */
TEST(only_the_slice_that_was_asked_for_is_sent)
{
    struct kit kit;
    lead_with_cut_log(&kit);
    struct message ask = first_read(&kit), good = part_for(&ask, ""), bad = good;
    bad.snapshot_part.ticket = good.snapshot_part.ticket | 0xff; /* no such slot */
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    bad = good;
    bad.snapshot_part.ticket += 1 << 8; /* another attempt */
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    bad = good;
    bad.snapshot_part.ticket ^= SLOT_2 ^ SLOT_3; /* a peer that gets none */
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    bad = good;
    bad.snapshot_part.id.size--;
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    bad = good;
    bad.snapshot_part.size = 0;
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    part(&kit, &good);
    CHECK(sends_slice(&kit));
    bad = good;
    bad.snapshot_part.id = SPAN(hash, HASH_SIZE); /* of another snapshot than the first one */
    part(&kit, &bad);
    CHECK(!sends_slice(&kit));
    kit_close(&kit);
}

TEST(a_disk_that_cannot_give_it_is_complained_of_once)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    uint64_t taken = kit.raft->peers.at[SLOT_3].catchup.taken;
    for (int i = 0; i < 2; i++) {
        struct message ask = first_read(&kit), bad = part_for(&ask, "E_IO");
        part(&kit, &bad);
        CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == (i == 0));
        for (uint64_t ms = 0; ms < CATCHUP_FAILED_MS; ms += 100) {
            kit_flush(&kit);
            CHECK(reads(&kit) == 0);
            kit_tick(&kit, 100);
            kit_acknowledge(&kit, SLOT_2, 52); /* the others go on */
        }
        kit_flush(&kit);
        CHECK(first_read(&kit).snapshot_read.offset == taken);
    }
    kit_close(&kit);
}

static void take_as(struct kit *kit, uint64_t incarnation, uint64_t term, const uint8_t *of)
{
    struct message message = kit_from(kit, SLOT_3, term, MESSAGE_SNAPSHOT_TAKEN);
    message.peer.from_incarnation = incarnation;
    message.snapshot_taken.id = SPAN(of, HASH_SIZE);
    message.snapshot_taken.offset = 5 << 20;
    kit_peer(kit, SLOT_3, &message);
}

TEST(only_the_peer_that_gets_it_says_how_far_it_is)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    const struct catchup *catchup = &kit.raft->peers.at[SLOT_3].catchup;
    take_as(&kit, 999, 2, id); /* another directory (I11) */
    take_as(&kit, 13, 1, id);  /* of a term that has passed */
    take_as(&kit, 13, 2, hash);
    CHECK(catchup->taken == 1 << 20);
    take_as(&kit, 13, 2, id);
    CHECK(catchup->taken == 5 << 20);
    kit.raft->peers.at[SLOT_3].catchup = (struct catchup){.running = true};
    take_as(&kit, 13, 2, id); /* before the first slice went out nothing can be taken */
    CHECK(catchup->taken == 0);
    kit.raft->peers.at[SLOT_3].catchup = (struct catchup){0};
    take_as(&kit, 13, 2, id);
    CHECK(catchup->taken == 0);
    kit_close(&kit);
}

TEST(a_receiver_that_fails_holds_it_up_and_says_why)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    take(&kit, 1 << 20, "E_NOSPACE");
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_flush(&kit);
    CHECK(reads(&kit) == 0);
    kit_close(&kit);
}

/* It goes on from the end of the snapshot, or, if its own log is not that long, of its log. */
TEST(a_snapshot_longer_than_the_log_is_followed_by_what_there_is)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    kit.raft->peers.at[SLOT_3].catchup.index = 99;
    take_installed(&kit);
    CHECK(kit.raft->peers.at[SLOT_3].next == kit.raft->log.last + 1);
    kit_close(&kit);
}

TEST(one_that_waits_to_be_installed_is_asked_by_the_clock)
{
    struct kit kit;
    begin(&kit, CATCHUP_SLICE_BYTES);
    take(&kit, SNAPSHOT_BYTES, "");
    CHECK(catchup_due_ms(kit.raft) == kit.now + CATCHUP_MAKING_MS);
    kit_tick(&kit, CATCHUP_MAKING_MS / 2);
    take(&kit, SNAPSHOT_BYTES, ""); /* said twice: the clock does not start again */
    CHECK(catchup_due_ms(kit.raft) == kit.now + CATCHUP_MAKING_MS / 2);
    kit_close(&kit);
}

/* The rate alone holds it back: the clock says when there is enough of it. */
TEST(who_waits_for_the_rate_is_woken)
{
    struct kit kit;
    begin(&kit, CATCHUP_SLICE_BYTES);
    kit.raft->catchup_rate = CATCHUP_SLICE_BYTES;
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    kit.raft->catchup_budget = 0;
    take(&kit, 2 * CATCHUP_SLICE_BYTES, "");
    kit.raft->peers.at[SLOT_3].catchup.due_ms = 0;
    kit_flush(&kit);
    CHECK(reads(&kit) == 0 && catchup_due_ms(kit.raft) == kit.now + 1001);
    kit_stored(&kit, LIFE, 2);
    kit_tick(&kit, CATCHUP_CALM_MS / 2);
    kit_acknowledge(&kit, SLOT_2, 52);
    kit_tick(&kit, CATCHUP_CALM_MS / 2); /* nobody writes any more */
    kit.raft->catchup_budget = 0;
    kit_flush(&kit);
    CHECK(reads(&kit) > 0);
    kit_close(&kit);
}

TEST(who_gets_one_gets_no_second)
{
    struct kit kit;
    begin(&kit, 1 << 20);
    uint64_t catchups = kit.raft->counters.catchups;
    catchup_begin(kit.raft, SLOT_3, "asked twice");
    CHECK(kit.raft->counters.catchups == catchups);
    CHECK(kit.raft->peers.at[SLOT_3].catchup.taken == 1 << 20);
    struct peer *peer = &kit.raft->peers.at[SLOT_2]; /* has all there is */
    peer->probing = false;
    peer->next = kit.raft->log.last + 1;
    kit.raft->catchup_entries = 0;
    uint64_t held = kit.raft->log.held;
    kit.raft->log.held = kit.raft->log.last + 2;
    CHECK(!catchup_is_cheaper(kit.raft, peer));
    kit.raft->log.held = held;
    kit_close(&kit);
}

TEST_MAIN(T(who_needs_what_was_cut_gets_a_snapshot_in_a_bounded_window),
          T(a_receiver_that_has_some_of_it_gets_the_rest),
          T(with_all_of_it_there_entries_go_on_behind_it),
          T(what_was_not_installed_after_all_comes_again),
          T(what_is_lost_is_sent_again_from_where_the_receiver_is),
          T(progress_grows_but_for_a_damaged_file),
          T(a_snapshot_that_is_gone_is_replaced_by_another),
          T(while_it_is_made_it_is_asked_for_again), T(while_clients_write_it_travels_at_the_rate),
          T(who_lacks_little_gets_entries), T(who_has_applied_little_sends_entries),
          T(who_lost_its_state_gets_a_snapshot_and_entries),
          T(a_snapshot_that_brought_nothing_is_not_tried_again),
          T(who_leads_no_more_sends_nothing_more), T(only_the_slice_that_was_asked_for_is_sent),
          T(a_disk_that_cannot_give_it_is_complained_of_once),
          T(only_the_peer_that_gets_it_says_how_far_it_is),
          T(a_receiver_that_fails_holds_it_up_and_says_why),
          T(a_snapshot_longer_than_the_log_is_followed_by_what_there_is),
          T(one_that_waits_to_be_installed_is_asked_by_the_clock),
          T(who_waits_for_the_rate_is_woken), T(who_gets_one_gets_no_second))
