/* ballot_test.c - a vote is given once, and never forgotten. */
#include "storage/ballot.h"
#include "tests/unit/storage_kit.h"

static void open_ballot(struct ballot *ballot, const struct kit *kit)
{
    CHECK(ballot_open(ballot, kit_path(kit, "ballot.db"), 77) == ERR_NONE);
}

TEST(a_fresh_ballot_knows_its_incarnation_only)
{
    struct kit kit = kit_make();
    SCOPED(ballot) ballot = {0};
    open_ballot(&ballot, &kit);
    CHECK(ballot.incarnation == 77);
    CHECK(ballot.term == 0);
    CHECK(ballot_may_vote(&ballot));
    ballot_close(&ballot);
    CHECK(ballot_open(&ballot, kit_path(&kit, "ballot.db"), 78) == ERR_NONE);
    CHECK(ballot.incarnation == 77);
    kit_drop(&kit);
}

TEST(term_vote_and_note_survive_a_restart)
{
    struct kit kit = kit_make();
    SCOPED(ballot) ballot = {0};
    open_ballot(&ballot, &kit);
    CHECK(ballot_vote(&ballot, 5, UINT64_MAX, SPAN_TEXT("a note")) == ERR_NONE);
    CHECK(ballot_name(&ballot, "00000003-00000000000000aa.db") == ERR_NONE);
    ballot_close(&ballot);
    open_ballot(&ballot, &kit);
    CHECK(ballot.term == 5);
    CHECK(ballot.vote == UINT64_MAX);
    CHECK(span_is(bytes_span(&ballot.note), "a note"));
    CHECK(strcmp(ballot.newest, "00000003-00000000000000aa.db") == 0);
    kit_drop(&kit);
}

TEST(a_vote_is_given_once_per_term)
{
    struct kit kit = kit_make();
    SCOPED(ballot) ballot = {0};
    open_ballot(&ballot, &kit);
    CHECK(ballot_vote(&ballot, 5, 0, SPAN("", 0)) == ERR_NONE);
    CHECK(ballot_vote(&ballot, 5, 2, SPAN("", 0)) == ERR_NONE);
    CHECK(ballot_vote(&ballot, 5, 2, SPAN("", 0)) == ERR_NONE);
    CHECK(ballot_vote(&ballot, 5, 3, SPAN("", 0)) == ERR_BAD_REQUEST);
    CHECK(ballot_vote(&ballot, 5, 0, SPAN("", 0)) == ERR_BAD_REQUEST);
    CHECK(ballot_vote(&ballot, 4, 2, SPAN("", 0)) == ERR_BAD_REQUEST);
    CHECK(ballot.vote == 2);
    CHECK(ballot_vote(&ballot, 6, 3, SPAN("", 0)) == ERR_NONE);
    kit_drop(&kit);
}

TEST(a_damaged_directory_never_votes_again_by_itself)
{
    struct kit kit = kit_make();
    SCOPED(ballot) ballot = {0};
    open_ballot(&ballot, &kit);
    CHECK(ballot_vote(&ballot, 5, 2, SPAN("", 0)) == ERR_NONE);
    CHECK(ballot_damage(&ballot, "test", 99, 8, "") == ERR_NONE);
    CHECK(ballot_vote(&ballot, 9, 0, SPAN("", 0)) == ERR_NONE);
    ballot_close(&ballot);
    open_ballot(&ballot, &kit);
    CHECK(!ballot_may_vote(&ballot));
    CHECK(ballot.incarnation == 99);
    CHECK(ballot.term == 9);
    kit_drop(&kit);
}

TEST(a_row_with_a_wrong_checksum_is_refused)
{
    struct kit kit = kit_make();
    struct ballot ballot = {0};
    open_ballot(&ballot, &kit);
    CHECK(store_run(&ballot.store, "UPDATE ballot SET term = 9") == ERR_NONE);
    ballot_close(&ballot);
    CHECK(ballot_open(&ballot, kit_path(&kit, "ballot.db"), 1) == ERR_CORRUPT);
    ballot_close(&ballot);
    kit_drop(&kit);
}

TEST_MAIN(T(a_fresh_ballot_knows_its_incarnation_only), T(term_vote_and_note_survive_a_restart),
          T(a_vote_is_given_once_per_term), T(a_damaged_directory_never_votes_again_by_itself),
          T(a_row_with_a_wrong_checksum_is_refused))
