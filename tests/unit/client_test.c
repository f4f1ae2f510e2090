/* client_test.c - the library's asks, against small nodes that lose, lie still and die. */
#include "tests/unit/client_kit.h"

TEST(a_put_can_be_read_back)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    struct ca_page *page;
    struct ca_head head;
    CHECK(put_text(stage->ca, "one", "red", &result) == CA_OK);
    CHECK(result.id == 1 && result.attempts == 1 && result.write.born == 77);
    CHECK(ca_get(stage->ca, 1, &page) == CA_OK);
    CHECK(ca_page_count(page) == 1);
    const struct ca_row *row = ca_page_row(page, 0);
    CHECK(row->id == 1 && row->data.size == 3 && memcmp(row->data.data, "one", 3) == 0);
    CHECK(row->tag_count == 1 && memcmp(row->tags[0].data, "red", 3) == 0);
    CHECK(ca_page_row(page, 1) == NULL);
    ca_page_close(page);
    CHECK(ca_head(stage->ca, &head) == CA_OK && head.id == 1);
    CHECK(ca_get(stage->ca, 2, &page) == CA_NOT_FOUND && page == NULL);
    CHECK(strcmp(ca_last_error(stage->ca)->name, "E_NOT_FOUND") == 0);
    stage_close(stage);
}

TEST(a_list_gives_rows_in_order)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_query query = {.limit = 2};
    struct ca_page_info info;
    struct ca_page *page;
    CHECK(put_text(stage->ca, "one", "red", NULL) == CA_OK);
    CHECK(put_text(stage->ca, "two", "blue", NULL) == CA_OK);
    CHECK(put_text(stage->ca, "three", "red", NULL) == CA_OK);
    CHECK(ca_list(stage->ca, &query, &page) == CA_OK);
    ca_page_info(page, &info);
    CHECK(ca_page_count(page) == 2 && ca_page_row(page, 1)->id == 2 && !info.at_end);
    ca_page_close(page);
    const char *red = "red";
    query = (struct ca_query){.tags = &red, .tag_count = 1};
    CHECK(ca_list(stage->ca, &query, &page) == CA_OK);
    CHECK(ca_page_count(page) == 2 && ca_page_row(page, 1)->id == 3);
    ca_page_close(page);
    stage_close(stage);
}

TEST(a_count_is_summed_up_and_few_are_weighed_exactly)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_count count;
    const char *red = "red", *none = "none";
    for (int i = 0; i < 7; i++)
        CHECK(put_text(stage->ca, "text", i % 2 ? "blue" : "red", NULL) == CA_OK);
    struct ca_query query = {.tags = &red, .tag_count = 1};
    CHECK(ca_count(stage->ca, &query, &count) == CA_OK);
    CHECK(count.count == 4 && count.bytes == 40 && count.exact);
    CHECK(count.first_id == 1 && count.last_id == 7);
    query.since = 1;
    query.until = 5;
    CHECK(ca_count(stage->ca, &query, &count) == CA_OK && count.count == 2 && count.bytes == 20);
    query = (struct ca_query){.tags = &none, .tag_count = 1};
    CHECK(ca_count(stage->ca, &query, &count) == CA_OK && count.count == 0 && count.bytes == 0);
    const struct ca_query wrong[] = {{.limit = 1},   {.cursor = "c"}, {.before = "b"},
                                     {.last = true}, {.at_time = 1},  {.latest = true}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK(ca_count(stage->ca, &wrong[i], &count) == CA_USAGE && count.count == 0);
    query = (struct ca_query){.tags = &red, .tag_count = 65};
    CHECK(ca_count(stage->ca, &query, &count) == CA_USAGE);
    stage_close(stage);
}

TEST(an_unanswered_put_is_sent_to_another_node_and_done_once)
{
    struct stage *stage = stage_open(2, 5000);
    struct ca_result result;
    warm_up(stage, 2);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_OK);
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(put_text(stage->ca, "two", NULL, &result) == CA_OK);
    CHECK(put_text(stage->ca, "three", NULL, &result) == CA_OK);
    CHECK(result.id == 3 && stage->log.last_id == 3);
    stage_close(stage);
}

TEST(a_refusal_after_silence_is_open)
{
    struct stage *stage = stage_open(2, 5000);
    struct ca_result result;
    warm_up(stage, 2);
    atomic_store(&stage->nodes[0].mute_puts, true);
    atomic_store(&stage->nodes[1].refuse, ERR_DENIED);
    enum ca_code code = put_text(stage->ca, "one", NULL, &result);
    int seen = atomic_load(&stage->nodes[0].puts_seen);
    CHECK(code == (seen > 0 ? CA_OPEN : CA_REFUSED));
    CHECK(strcmp(result.error.name, "E_DENIED") == 0);
    CHECK(strcmp(result.error.detail, "as the test wants it") == 0);
    stage_close(stage);
}

TEST(a_refusal_is_told_with_its_words)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    atomic_store(&stage->nodes[0].refuse, ERR_DENIED);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_REFUSED);
    CHECK(result.attempts == 1);
    CHECK(strcmp(ca_last_error(stage->ca)->name, "E_DENIED") == 0);
    stage_close(stage);
}

TEST(no_leader_until_the_deadline_is_told_as_such)
{
    struct stage *stage = stage_open(2, 1500); /* long enough for an answer on a busy machine */
    struct ca_result result;
    warm_up(stage, 2);
    atomic_store(&stage->nodes[0].refuse, ERR_NO_LEADER);
    atomic_store(&stage->nodes[1].refuse, ERR_NO_LEADER);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_NO_LEADER);
    CHECK(result.attempts > 1);
    stage_close(stage);
}

/* Whichever is asked first: what one cannot read of its disk, another one gives; if none can, that
 * is told at once, after each was asked. */
TEST(a_read_that_one_node_cannot_do_goes_to_another)
{
    static const enum err damages[] = {ERR_CORRUPT, ERR_IO};
    struct stage *stage = stage_open(2, 30000);
    struct ca_result result;
    struct ca_page *page;
    warm_up(stage, 2);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_OK);
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        for (uint32_t bad = 0; bad < 2; bad++) {
            atomic_store(&stage->nodes[bad].refuse_reads, damages[i]);
            for (uint32_t turn = 0; turn < 3; turn++) {
                CHECK(ca_get(stage->ca, 1, &page) == CA_OK && ca_page_count(page) == 1);
                ca_page_close(page);
            }
            atomic_store(&stage->nodes[bad].refuse_reads, ERR_NONE);
        }
    }
    CHECK(atomic_load(&stage->nodes[0].reads_refused) +
              atomic_load(&stage->nodes[1].reads_refused) >
          0);
    int before =
        atomic_load(&stage->nodes[0].reads_refused) + atomic_load(&stage->nodes[1].reads_refused);
    atomic_store(&stage->nodes[0].refuse_reads, ERR_CORRUPT);
    atomic_store(&stage->nodes[1].refuse_reads, ERR_CORRUPT);
    CHECK(ca_get(stage->ca, 1, &page) == CA_REFUSED);
    CHECK(strcmp(ca_last_error(stage->ca)->name, "E_CORRUPT") == 0);
    CHECK(atomic_load(&stage->nodes[0].reads_refused) +
              atomic_load(&stage->nodes[1].reads_refused) ==
          before + 2);
    stage_close(stage);
}

/* Also by a handle that asks all nodes in turn. */
TEST(a_quota_is_waited_for_at_the_node_that_said_it)
{
    struct stage *stage = stage_open(2, 1000);
    const char *endpoints[] = {stage->nodes[0].ask_endpoint, stage->nodes[1].ask_endpoint};
    struct ca_options options = {.timeout_ms = 1000, .patience_ms = 200, .spread = true};
    struct ca_result result;
    ca_close(stage->ca);
    CHECK(ca_open(endpoints, 2, &options, &stage->ca) == CA_OK);
    warm_up(stage, 2);
    atomic_store(&stage->nodes[0].refuse, ERR_QUOTA);
    atomic_store(&stage->nodes[1].refuse, ERR_QUOTA);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_TIMEOUT && result.attempts > 3);
    CHECK(strcmp(result.error.name, "E_QUOTA") == 0);
    int first = atomic_load(&stage->nodes[0].puts_seen);
    int second = atomic_load(&stage->nodes[1].puts_seen);
    CHECK((first == 0) != (second == 0));
    stage_close(stage);
}

TEST(silence_until_the_deadline_is_open)
{
    struct stage *stage = stage_open(1, 1500);
    struct ca_result result;
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_OPEN);
    CHECK(result.attempts >= 2 && stage->log.last_id == 1);
    stage_close(stage);
}

TEST(without_a_node_nothing_was_written)
{
    const char *endpoint = "tcp://127.0.0.1:1";
    struct ca_options options = {.timeout_ms = 150};
    struct ca_result result;
    struct ca *ca;
    CHECK(ca_open(&endpoint, 1, &options, &ca) == CA_OK);
    CHECK(put_text(ca, "one", NULL, &result) == CA_TIMEOUT);
    CHECK(result.attempts == 0);
    ca_close(ca);
}

TEST(a_killed_node_is_left_before_patience_ends)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_result result;
    warm_up(stage, 2);
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "before", NULL, NULL) == CA_OK);
    bool first = atomic_load(&stage->nodes[0].puts_seen) > 0;
    fake_stop(&stage->nodes[first ? 0 : 1]);
    CHECK(put_text(stage->ca, "after", NULL, &result) == CA_OK);
    CHECK(result.id == 4 && stage->log.last_id == 4);
    stage_close(stage);
}

TEST(a_node_of_another_cluster_is_not_used)
{
    struct stage *stage = stage_open(2, 1000);
    atomic_store(&stage->nodes[1].foreign, true);
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "x", NULL, NULL) == CA_OK);
    int first = atomic_load(&stage->nodes[0].puts_seen);
    CHECK(first == 0 || first == 5); /* one of them, whichever said hello first */
    stage_close(stage);
}

TEST(pipelined_puts_come_back_with_their_tokens)
{
    struct stage *stage = stage_open(1, 5000);
    bool seen[100] = {0};
    uint32_t count = 0;
    struct ca_result result;
    for (uintptr_t i = 0; i < 100; i++) {
        struct ca_change change = {.data = {"x", 1}};
        CHECK(ca_put_begin(stage->ca, NULL, &change, 1, (void *)i, NULL) == CA_OK);
    }
    while (count < 100) {
        ca_poll(stage->ca, 100);
        while (ca_next(stage->ca, &result) == CA_OK) {
            CHECK(result.error.code == CA_OK && !seen[(uintptr_t)result.token]);
            CHECK(result.id == (uintptr_t)result.token + 1); /* the order of one connection */
            seen[(uintptr_t)result.token] = true;
            count++;
        }
    }
    CHECK(ca_outstanding(stage->ca) == 0);
    stage_close(stage);
}

TEST(results_that_come_in_between_delay_no_other_put)
{
    struct stage *stage = stage_open(1, 3000);
    struct ca_result result;
    uint32_t begun = 0, done = 0;
    while (done < 2000) {
        struct ca_change change = {.data = {"x", 1}};
        while (begun < 2000 && begun - done < 20) {
            CHECK(ca_put_begin(stage->ca, NULL, &change, 1, NULL, NULL) == CA_OK);
            begun++;
        }
        ca_poll(stage->ca, 100);
        for (; ca_next(stage->ca, &result) == CA_OK; done++)
            CHECK(result.error.code == CA_OK && result.attempts == 1);
    }
    stage_close(stage);
}

TEST(a_cancelled_put_that_was_sent_is_open)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    struct ca_change change = {.data = {"x", 1}};
    uint64_t number;
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(ca_put_begin(stage->ca, NULL, &change, 1, NULL, &number) == CA_OK);
    while (atomic_load(&stage->nodes[0].puts_seen) == 0)
        ca_poll(stage->ca, 10);
    CHECK(ca_cancel(stage->ca, number) == CA_OK);
    CHECK(ca_next(stage->ca, &result) == CA_OK && result.error.code == CA_OPEN);
    CHECK(ca_cancel(stage->ca, number) == CA_NOT_FOUND);
    stage_close(stage);
}

TEST(a_named_write_is_done_once_by_whomever)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_change change = {.data = {"x", 1}};
    struct ca_write write;
    struct ca_result result;
    CHECK(ca_write_new(stage->ca, &write) == CA_OK);
    CHECK(ca_put_named(stage->ca, &write, &change, 1, &result) == CA_OK && result.id == 1);
    CHECK(ca_put_named(stage->ca, &write, &change, 1, &result) == CA_OK && result.id == 1);
    CHECK(stage->log.last_id == 1);
    stage_close(stage);
}

TEST(wrong_parameters_are_not_sent)
{
    struct stage *stage = stage_open(1, 5000);
    const char *bad = "redis://x", *empty = "";
    struct ca_change change = {.tags = &empty, .tag_count = 1};
    struct ca *ca;
    CHECK(ca_open(&bad, 1, NULL, &ca) == CA_USAGE && ca == NULL);
    CHECK(ca_open(&bad, 0, NULL, &ca) == CA_USAGE);
    CHECK(ca_put(stage->ca, &change, 1, NULL) == CA_USAGE);
    CHECK(ca_put(stage->ca, &change, 0, NULL) == CA_USAGE);
    CHECK(ca_put_body(stage->ca, NULL, (struct ca_bytes){"\xc1", 1}, NULL, NULL) == CA_USAGE);
    CHECK(atomic_load(&stage->nodes[0].puts_seen) == 0);
    stage_close(stage);
}

TEST_MAIN(T(a_put_can_be_read_back), T(a_list_gives_rows_in_order),
          T(a_count_is_summed_up_and_few_are_weighed_exactly),
          T(an_unanswered_put_is_sent_to_another_node_and_done_once),
          T(a_refusal_after_silence_is_open), T(a_refusal_is_told_with_its_words),
          T(no_leader_until_the_deadline_is_told_as_such),
          T(a_read_that_one_node_cannot_do_goes_to_another),
          T(a_quota_is_waited_for_at_the_node_that_said_it), T(silence_until_the_deadline_is_open),
          T(without_a_node_nothing_was_written), T(a_killed_node_is_left_before_patience_ends),
          T(a_node_of_another_cluster_is_not_used), T(pipelined_puts_come_back_with_their_tokens),
          T(results_that_come_in_between_delay_no_other_put),
          T(a_cancelled_put_that_was_sent_is_open), T(a_named_write_is_done_once_by_whomever),
          T(wrong_parameters_are_not_sent))
