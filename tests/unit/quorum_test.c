/* quorum_test.c - majorities of small clusters. */
#include "consensus/quorum.h"
#include "tests/unit/test.h"

TEST(a_majority_is_more_than_half)
{
    CHECK(quorum_size(1) == 1);
    CHECK(quorum_size(2) == 2);
    CHECK(quorum_size(3) == 2);
    CHECK(quorum_size(4) == 3);
    CHECK(quorum_size(5) == 3);
    CHECK(!quorum_reached(2, 4));
    CHECK(quorum_reached(3, 4));
}

TEST(nobody_is_no_quorum)
{
    CHECK(!quorum_reached(0, 0));
    CHECK(quorum_value(NULL, 0) == 0);
}

TEST(the_value_is_what_a_majority_reached)
{
    CHECK(quorum_value((uint64_t[]){7}, 1) == 7);
    CHECK(quorum_value((uint64_t[]){7, 3}, 2) == 3);
    CHECK(quorum_value((uint64_t[]){0, 9, 4}, 3) == 4);
    CHECK(quorum_value((uint64_t[]){5, 5, 1, 1}, 4) == 1);
    CHECK(quorum_value((uint64_t[]){1, 2, 3, 4, 5}, 5) == 3);
}

TEST_MAIN(T(a_majority_is_more_than_half), T(nobody_is_no_quorum),
          T(the_value_is_what_a_majority_reached))
