/* confirm_test.c - how long what a majority confirmed is new enough. */
#include "api/shell.h"

#include "tests/unit/test.h"

static struct api *asked_at(uint64_t ms)
{
    struct api *api = bytes_zeroed(1, sizeof *api);
    api->base.loop.now_ms = ms;
    api->confirm = (struct confirm){.ticket = 5, .running = true, .asked_ms = ms};
    return api;
}

static void answered(struct api *api, uint64_t ms, uint64_t index, const char *error)
{
    struct message message = {.type = MESSAGE_READ_INDEX_IS};
    message.read_index_is.ticket = 5;
    message.read_index_is.index = index;
    message.read_index_is.error = SPAN_TEXT(error);
    api->base.loop.now_ms = ms;
    CHECK(confirm_told(api, 0, &message) == ERR_NONE);
}

static bool needed(const struct api *api, uint64_t max_lag_ms)
{
    return confirm_is_needed(
        api, &(struct request_read){.linearizable = true, .max_lag_ms = max_lag_ms});
}

TEST(what_was_confirmed_is_as_old_as_the_ask_for_it)
{
    struct api *api = asked_at(100);
    CHECK(needed(api, 0) && needed(api, 3600000));
    answered(api, 150, 10, "");
    api->standing.applied_index = 10;
    CHECK(!needed(api, 50) && needed(api, 49));
    api->base.loop.now_ms = 151;
    CHECK(needed(api, 50) && !needed(api, 51));
    CHECK(needed(api, 0)); /* a linearizable one is never served by an earlier answer */
    CHECK(!confirm_is_needed(api, &(struct request_read){0}));
    bytes_free(api);
}

TEST(what_is_not_applied_here_does_not_count)
{
    struct api *api = asked_at(100);
    answered(api, 100, 10, "");
    api->standing.applied_index = 9;
    CHECK(needed(api, 3600000));
    api->standing.applied_index = 10;
    CHECK(!needed(api, 3600000) && !needed(api, 1));
    CHECK(needed(api, 0)); /* also within one millisecond */
    bytes_free(api);
}

TEST(a_failure_and_an_answer_to_another_ask_confirm_nothing)
{
    struct api *api = asked_at(100);
    api->standing.applied_index = 10;
    answered(api, 101, 10, "E_NO_LEADER");
    CHECK(needed(api, 3600000));
    answered(api, 102, 10, ""); /* none is under way */
    CHECK(needed(api, 3600000));
    bytes_free(api);
}

TEST_MAIN(T(what_was_confirmed_is_as_old_as_the_ask_for_it),
          T(what_is_not_applied_here_does_not_count),
          T(a_failure_and_an_answer_to_another_ask_confirm_nothing))
