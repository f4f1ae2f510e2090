/* catchup_receiver_test.c - a snapshot from the leader: taken slice by slice, or refused, and the
 * answer (I16, I17). */
#include "tests/unit/catchup_kit.h"

static struct message slice_of(struct kit *kit, uint64_t term, uint64_t index)
{
    struct message message = kit_from(kit, SLOT_2, term, MESSAGE_SNAPSHOT);
    message.snapshot.id = SPAN(id, HASH_SIZE);
    message.snapshot.index = index;
    message.snapshot.head = 1000;
    message.snapshot.size = SNAPSHOT_BYTES;
    message.snapshot.data = SPAN(bytes_of_slice, sizeof bytes_of_slice);
    message.snapshot.hash = SPAN(hash, HASH_SIZE);
    return message;
}

TEST(a_slice_goes_to_storage_and_its_answer_to_the_leader)
{
    struct kit kit;
    kit_open(&kit);
    struct message slice = slice_of(&kit, 1, 40);
    kit_peer(&kit, SLOT_2, &slice);
    const struct message *write = kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0);
    CHECK(write != NULL && span_equal(write->snapshot_write.data, slice.snapshot.data));
    CHECK(kit.raft->leader == SLOT_2);
    struct message written = {.type = MESSAGE_SNAPSHOT_WRITTEN};
    written.snapshot_written.id = SPAN(id, HASH_SIZE);
    written.snapshot_written.offset = 7;
    written.snapshot_written.size = SNAPSHOT_BYTES;
    kit_tell(&kit, INPUT_WRITTEN, &written);
    const struct message *taken = kit_out(&kit, MESSAGE_SNAPSHOT_TAKEN, 0);
    CHECK(taken != NULL && taken->peer.to == 2 && taken->snapshot_taken.offset == 7);
    kit_close(&kit);
}

TEST(a_snapshot_behind_the_commit_is_not_taken)
{
    struct kit kit;
    kit_open(&kit);
    kit.raft->commit = 1;
    struct message slice = slice_of(&kit, 1, 1);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) == NULL);
    const struct message *taken = kit_out(&kit, MESSAGE_SNAPSHOT_TAKEN, 0);
    CHECK(taken != NULL && taken->snapshot_taken.installed);
    kit_close(&kit);
}

TEST(a_node_without_its_state_takes_a_snapshot_of_what_is_committed)
{
    struct kit kit;
    kit_open(&kit);
    kit.raft->commit = 1;
    kit.raft->state_lost = true;
    struct message slice = slice_of(&kit, 1, 1);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) != NULL);
    CHECK(state_drained(kit.raft)); /* somebody else shall lead */
    struct message append = kit_append(&kit, SLOT_2, 1, SPAN(NULL, 0));
    kit_peer(&kit, SLOT_2, &append);
    kit_flush(&kit);
    const struct message *answer = kit_out(&kit, MESSAGE_APPENDED, 0);
    CHECK(answer != NULL && answer->appended.state_lost && answer->appended.drained);
    kit_close(&kit);
}

/* The log begins at 3, and what was before is in no state: it was committed all the same. */
TEST(a_log_without_its_beginning_and_without_a_state_is_loaded)
{
    struct kit kit = {0};
    struct bytes note = {0}, configs = {0};
    struct message loaded = {.type = MESSAGE_LOADED};
    kit_make_members(&kit);
    kit_open_core(&kit);
    members_encode(&kit.members, &note);
    kit_record(&configs, 1, 1, ENTRY_FOUNDING, bytes_span(&note), kit.hash);
    kit_record(&kit.log, 3, 2, ENTRY_NOOP, (struct span){0}, kit.hash);
    kit_record(&kit.log, 4, 2, ENTRY_NOOP, (struct span){0}, kit.hash);
    loaded.loaded.life = LIFE;
    loaded.loaded.incarnation = 11;
    loaded.loaded.may_vote = loaded.loaded.state_lost = true;
    loaded.loaded.term = 2;
    loaded.loaded.first_index = 3;
    loaded.loaded.last_index = 4;
    loaded.loaded.applied_index = 2;
    loaded.loaded.tail = bytes_span(&kit.log);
    loaded.loaded.configs = bytes_span(&configs);
    kit_tell(&kit, INPUT_LOADED, &loaded);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 4 && kit.raft->commit == 2);
    CHECK(kit_out(&kit, MESSAGE_COMMIT, 0) == NULL); /* its term is not known here */
    CHECK(kit.raft->role == ROLE_FOLLOWER && state_votes(kit.raft) && state_drained(kit.raft));
    kit_close(&kit);
    bytes_close(&note);
    bytes_close(&configs);
}

TEST(the_term_is_on_disk_before_the_first_slice)
{
    struct kit kit;
    kit_open(&kit);
    struct message slice = slice_of(&kit, 5, 40);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit.raft->term == 5);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) == NULL);
    kit_balloted(&kit);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) != NULL);
    kit_close(&kit);
}

TEST(a_leader_of_the_past_has_no_say)
{
    struct kit kit;
    kit_open(&kit);
    struct message slice = slice_of(&kit, 0, 40);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) == NULL);
    CHECK(kit.raft->leader == RAFT_NOBODY);
    kit_close(&kit);
}

TEST(two_leaders_of_a_term_are_fatal_by_a_snapshot_too)
{
    struct kit kit;
    kit_lead(&kit);
    struct message slice = slice_of(&kit, 2, 40);
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    kit_close(&kit);
    kit_lead(&kit);
    slice = slice_of(&kit, 3, 40);
    kit_peer(&kit, SLOT_2, &slice); /* a later one is just the next leader */
    CHECK(kit.raft->role == ROLE_FOLLOWER && kit_count(&kit, OUTPUT_FATAL) == 0);
    kit_close(&kit);
}

TEST(a_broken_slice_or_a_barred_directory_takes_nothing)
{
    struct kit kit;
    kit_open(&kit);
    struct message slice = slice_of(&kit, 1, 40);
    slice.snapshot.id.size--;
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) == NULL);
    slice.snapshot.id.size++;
    kit.raft->barred = true;
    kit_peer(&kit, SLOT_2, &slice);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_WRITE, 0) == NULL);
    kit_close(&kit);
}

/* Storage wrote a slice of who led before: the leader of now is told nothing of it. */
TEST(how_far_it_is_goes_to_the_leader_that_sends)
{
    struct kit kit;
    kit_open(&kit);
    struct message slice = slice_of(&kit, 1, 40), written = {.type = MESSAGE_SNAPSHOT_WRITTEN};
    kit_peer(&kit, SLOT_2, &slice);
    written.snapshot_written.id = SPAN(id, HASH_SIZE);
    struct message append = kit_append(&kit, SLOT_3, 2, (struct span){0});
    kit_peer(&kit, SLOT_3, &append);
    kit_balloted(&kit);
    kit_tell(&kit, INPUT_WRITTEN, &written);
    CHECK(kit_out(&kit, MESSAGE_SNAPSHOT_TAKEN, 0) == NULL);
    kit_close(&kit);
}

TEST_MAIN(T(a_slice_goes_to_storage_and_its_answer_to_the_leader),
          T(a_snapshot_behind_the_commit_is_not_taken),
          T(a_node_without_its_state_takes_a_snapshot_of_what_is_committed),
          T(a_log_without_its_beginning_and_without_a_state_is_loaded),
          T(the_term_is_on_disk_before_the_first_slice), T(a_leader_of_the_past_has_no_say),
          T(two_leaders_of_a_term_are_fatal_by_a_snapshot_too),
          T(a_broken_slice_or_a_barred_directory_takes_nothing),
          T(how_far_it_is_goes_to_the_leader_that_sends))
