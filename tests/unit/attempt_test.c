/* attempt_test.c - retries, and what may be said about a write. */
#include "client/attempt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

static const struct attempt_refusal no_leader = {ERR_NO_LEADER, true, ERR_OUTCOME_NONE, 40};
static const struct attempt_refusal open_answer = {ERR_OPEN, true, ERR_OUTCOME_OPEN, 0};
static const struct attempt_refusal bad_request = {ERR_BAD_REQUEST, false, ERR_OUTCOME_NONE, 0};
static const struct attempt_refusal reused = {ERR_TXID_REUSED, false, ERR_OUTCOME_FINAL, 0};
static const struct attempt_refusal expired = {ERR_OUTCOME_EXPIRED, false, ERR_OUTCOME_OPEN, 0};

static struct attempt a_write(void)
{
    struct attempt attempt;
    attempt_begin(&attempt, true, 1000, 30000);
    return attempt;
}

static void silence_asks_another_node_under_the_same_name(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_tick(&attempt, 2499);
    CHECK(attempt.state == ATTEMPT_SENT);
    attempt_tick(&attempt, 2500);
    CHECK(attempt.state == ATTEMPT_READY);
    CHECK(attempt.other_node);
    CHECK(attempt.count == 1);
}

static void a_refusal_of_the_only_send_is_not_done(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &bad_request, 1001, 0);
    CHECK(attempt.state == ATTEMPT_FAILED);
    CHECK(attempt.error == ERR_BAD_REQUEST);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
}

static void a_refusal_after_an_unanswered_send_stays_open(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_tick(&attempt, 2500);
    attempt_sent(&attempt, 2500, 1500);
    attempt_refused(&attempt, 2, &bad_request, 2501, 0);
    CHECK(attempt.state == ATTEMPT_FAILED);
    CHECK(attempt.outcome == ERR_OUTCOME_OPEN);
}

static void a_late_refusal_of_the_first_send_settles_it(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_tick(&attempt, 2500);
    attempt_sent(&attempt, 2500, 1500);
    attempt_refused(&attempt, 1, &no_leader, 2501, 0);
    CHECK(attempt.state == ATTEMPT_SENT); /* the second one goes on */
    attempt_refused(&attempt, 2, &bad_request, 2502, 0);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
}

/* What the call before has sent is not known: only a final word settles a name that was used. */
static void a_name_from_an_earlier_call_stays_open(void **state)
{
    struct attempt attempt = a_write();
    attempt_doubt(&attempt);
    CHECK(attempt_is_open(&attempt));
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &no_leader, 1001, 0);
    attempt_tick(&attempt, 31000);
    CHECK(attempt.state == ATTEMPT_FAILED && attempt.outcome == ERR_OUTCOME_OPEN);
    attempt = a_write();
    attempt_doubt(&attempt);
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &reused, 1001, 0);
    CHECK(attempt.outcome == ERR_OUTCOME_FINAL);
}

static void a_final_refusal_settles_every_send(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_tick(&attempt, 2500);
    attempt_sent(&attempt, 2500, 1500);
    attempt_refused(&attempt, 2, &reused, 2501, 0);
    CHECK(attempt.outcome == ERR_OUTCOME_FINAL);
    CHECK(attempt.error == ERR_TXID_REUSED);
}

static void open_is_asked_again_and_never_forgotten(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &open_answer, 1100, 0);
    CHECK(attempt.state == ATTEMPT_PAUSED);
    attempt_tick(&attempt, 2000);
    CHECK(attempt.state == ATTEMPT_READY);
    attempt_sent(&attempt, 2000, 1500);
    attempt_refused(&attempt, 2, &bad_request, 2001, 0);
    CHECK(attempt.outcome == ERR_OUTCOME_OPEN);
}

static void an_expired_outcome_is_open(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &expired, 1100, 0);
    CHECK(attempt.state == ATTEMPT_FAILED);
    CHECK(attempt.error == ERR_OUTCOME_EXPIRED);
    CHECK(attempt.outcome == ERR_OUTCOME_OPEN);
}

static void a_pause_is_what_the_server_asked_for(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &no_leader, 1000, 0);
    attempt_tick(&attempt, 1039);
    CHECK(attempt.state == ATTEMPT_PAUSED);
    attempt_tick(&attempt, 1040);
    CHECK(attempt.state == ATTEMPT_READY);
    CHECK(attempt.other_node);
}

static void the_deadline_tells_what_the_server_said_last(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &no_leader, 1000, 0);
    attempt_tick(&attempt, 31000);
    CHECK(attempt.state == ATTEMPT_FAILED);
    CHECK(attempt.error == ERR_NO_LEADER);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
}

static void the_deadline_of_a_send_without_answer_is_open(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 60000);
    attempt_tick(&attempt, 31000);
    CHECK(attempt.error == ERR_OPEN);
    CHECK(attempt.outcome == ERR_OUTCOME_OPEN);
}

static void what_was_never_sent_was_not_done(void **state)
{
    struct attempt attempt = a_write();
    attempt_tick(&attempt, 31000);
    CHECK(attempt.error == ERR_TIMEOUT);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
}

static void cancelling_does_not_undo_a_send(void **state)
{
    struct attempt attempt = a_write();
    attempt_cancel(&attempt);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
    attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_cancel(&attempt);
    CHECK(attempt.outcome == ERR_OUTCOME_OPEN);
}

static void a_lost_connection_is_not_an_answer(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_lost(&attempt);
    CHECK(attempt.state == ATTEMPT_READY);
    CHECK(attempt_is_open(&attempt));
}

/* One that was never answered, and more behind it than are tracked. */
static void more_sends_than_are_tracked_stay_open(void **state)
{
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_tick(&attempt, 2500);
    for (uint32_t send = 2; send <= 3 * ATTEMPT_TRACKED_MAX; send++) {
        attempt_sent(&attempt, 2500, 1500);
        attempt_refused(&attempt, send, &no_leader, 2500, 0);
        attempt_tick(&attempt, 3000);
        CHECK(attempt_is_open(&attempt));
    }
    attempt_refused(&attempt, 1, &no_leader, 3000, 0); /* too late to be told apart */
    CHECK(attempt_is_open(&attempt));
}

/* However often: a server may say for half a minute that nothing comes in. */
static void what_every_server_refused_is_not_open(void **state)
{
    struct attempt attempt = a_write();
    for (uint32_t send = 1; send <= 3 * ATTEMPT_TRACKED_MAX; send++) {
        attempt_sent(&attempt, 1000, 1500);
        CHECK(attempt_is_open(&attempt));
        attempt_refused(&attempt, send, &no_leader, 1000, 0);
        CHECK(!attempt_is_open(&attempt));
        attempt_tick(&attempt, 2000);
    }
    attempt_sent(&attempt, 2000, 1500); /* this one nobody answers; what was settled stays so */
    attempt_refused(&attempt, 1, &no_leader, 2000, 0);
    CHECK(attempt_is_open(&attempt));
    attempt_refused(&attempt, attempt.count, &no_leader, 2000, 0);
    CHECK(!attempt_is_open(&attempt));
}

/* Each node counts for itself: who went elsewhere would get around it. */
static void a_quota_is_waited_for_at_the_same_node(void **state)
{
    static const struct attempt_refusal quota = {ERR_QUOTA, true, ERR_OUTCOME_NONE, 200};
    struct attempt attempt = a_write();
    attempt_sent(&attempt, 1000, 1500);
    attempt_refused(&attempt, 1, &quota, 1001, 49); /* to the millisecond: it is its turn */
    CHECK(attempt.state == ATTEMPT_PAUSED && attempt.same_node && attempt.due_ms == 1201);
    attempt_tick(&attempt, 31000);
    CHECK(attempt.state == ATTEMPT_FAILED && attempt.error == ERR_QUOTA);
    CHECK(attempt.outcome == ERR_OUTCOME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_asks_another_node_under_the_same_name),
        cmocka_unit_test(a_refusal_of_the_only_send_is_not_done),
        cmocka_unit_test(a_refusal_after_an_unanswered_send_stays_open),
        cmocka_unit_test(a_late_refusal_of_the_first_send_settles_it),
        cmocka_unit_test(a_name_from_an_earlier_call_stays_open),
        cmocka_unit_test(a_final_refusal_settles_every_send),
        cmocka_unit_test(open_is_asked_again_and_never_forgotten),
        cmocka_unit_test(an_expired_outcome_is_open),
        cmocka_unit_test(a_pause_is_what_the_server_asked_for),
        cmocka_unit_test(the_deadline_tells_what_the_server_said_last),
        cmocka_unit_test(the_deadline_of_a_send_without_answer_is_open),
        cmocka_unit_test(what_was_never_sent_was_not_done),
        cmocka_unit_test(cancelling_does_not_undo_a_send),
        cmocka_unit_test(a_lost_connection_is_not_an_answer),
        cmocka_unit_test(more_sends_than_are_tracked_stay_open),
        cmocka_unit_test(what_every_server_refused_is_not_open),
        cmocka_unit_test(a_quota_is_waited_for_at_the_same_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
