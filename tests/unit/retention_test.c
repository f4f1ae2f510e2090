/* retention: what may go, from settings, ages, bytes and the other servers; both rules together. */
#include "storage/retention.h"

#include "test.h"

enum { FILES = 4, FILE_IDS = 1000 };

/* Ten thousand changes, one to an entry; the four oldest files are sealed, 1000 bytes each. */
struct log {
    struct settings settings;
    struct retention_part parts[FILES];
    struct retention_facts facts;
};

static struct log *make(struct log *log)
{
    *log = (struct log){.settings = settings_preset};
    for (uint64_t i = 0; i < FILES; i++)
        log->parts[i] = (struct retention_part){(i + 1) * FILE_IDS, (i + 1) * FILE_IDS + 1, 1000};
    log->settings.peer_records = 5000;
    log->facts = (struct retention_facts){.settings = &log->settings,
                                          .first_id = 1,
                                          .last_id = 10000,
                                          .young_id = 1,
                                          .last_index = 10000,
                                          .live_index = 10000,
                                          .down_index = 10000,
                                          .parts = log->parts,
                                          .part_count = FILES,
                                          .bytes = 10000};
    return log;
}

static uint64_t first_of(const struct log *log)
{
    struct retention_cut cut = {0};
    retention_wish(&log->facts, &cut);
    return cut.first_id;
}

static uint64_t keep_of(const struct log *log)
{
    struct retention_cut cut = {0};
    retention_wish(&log->facts, &cut);
    return cut.keep_index;
}

static bool worth(const struct log *log)
{
    struct retention_cut cut = {0};
    retention_wish(&log->facts, &cut);
    return retention_is_worth(&log->facts, &cut);
}

TEST(nothing_is_said_so_nothing_goes)
{
    struct log log;
    CHECK(first_of(make(&log)) == 1 && !worth(&log));
    log.facts.young_id = 10001; /* all is old, but nobody asked */
    CHECK(first_of(&log) == 1);
}

TEST(records_and_age_must_both_allow_it)
{
    struct log log;
    make(&log)->settings.min_records = 3000;
    CHECK(first_of(&log) == 7001 && worth(&log));
    log.settings.min_age_s = 60;
    log.facts.young_id = 5000;
    CHECK(first_of(&log) == 5000);
    log.facts.young_id = 9000;
    CHECK(first_of(&log) == 7001);
    log.settings.min_records = 0;
    CHECK(first_of(&log) == 9000);
    log.facts.young_id = 10001;
    CHECK(first_of(&log) == 10001 && worth(&log)); /* everything is old */
    log.settings.min_records = 20000;
    CHECK(first_of(&log) == 1);
}

TEST(a_holder_keeps_what_it_needs_but_not_from_a_full_disk)
{
    struct log log;
    make(&log)->facts.hold_id = 4000;
    CHECK(first_of(&log) == 1); /* a hold lets nothing go that was not to go */
    log.settings.min_records = 3000;
    CHECK(first_of(&log) == 4000);
    log.facts.hold_id = 9000;
    CHECK(first_of(&log) == 7001);
    log.facts.hold_id = 10;
    log.facts.first_id = 50; /* never back */
    CHECK(first_of(&log) == 50);
    log.facts.first_id = 1;
    log.facts.hold_id = 1500;
    log.settings.max_bytes = 8500;
    CHECK(first_of(&log) == 2001);
    log.facts.hold_id = 0;
    CHECK(first_of(&log) == 7001);
}

TEST(the_rule_of_a_tag_keeps_what_the_others_would_let_go)
{
    struct log log;
    make(&log)->facts.rule_id = 4000;
    CHECK(first_of(&log) == 1); /* it lets nothing go that was not to go */
    log.settings.min_records = 3000;
    CHECK(first_of(&log) == 4000);
    log.facts.hold_id = 5000;
    CHECK(first_of(&log) == 4000);
    log.facts.hold_id = 3000;
    CHECK(first_of(&log) == 3000);
    log.facts.rule_id = 9000;
    log.facts.hold_id = 0;
    CHECK(first_of(&log) == 7001);
    log.facts.rule_id = 1500;
    log.settings.max_bytes = 8500;
    CHECK(first_of(&log) == 2001);
}

TEST(too_many_bytes_override_both)
{
    struct log log;
    make(&log)->settings.max_bytes = 8500;
    CHECK(first_of(&log) == 2001 && worth(&log));
    log.settings.min_records = 20000;
    log.settings.min_age_s = 1000000;
    CHECK(first_of(&log) == 2001);
    log.settings.max_bytes = 10000;
    CHECK(first_of(&log) == 1);
    log.settings.max_bytes = 1; /* the file that is written stays */
    CHECK(first_of(&log) == 4001);
}

TEST(what_a_server_lacks_stays_within_its_limit)
{
    struct log log;
    make(&log)->settings.min_records = 1;
    CHECK(keep_of(&log) == 10000);
    log.facts.live_index = 7000;
    CHECK(keep_of(&log) == 7000);
    log.facts.down_index = 6000;
    CHECK(keep_of(&log) == 6000);
    log.facts.down_index = 0; /* not known: no further back than the limit */
    CHECK(keep_of(&log) == 5000);
    log.settings.max_bytes =
        9000; /* the disk goes before one that is down, not before one that is up */
    CHECK(keep_of(&log) == 7000);
    log.facts.live_index = 10;
    CHECK(keep_of(&log) == 5000);
    log.facts.keep_index = 9000; /* never back */
    CHECK(keep_of(&log) == 9000);
}

/* Ids may be hidden long before the files can go; when they can, that is worth an entry. */
TEST(a_file_that_can_go_now_is_worth_an_entry)
{
    struct log log;
    make(&log)->settings.min_records = 10000 - 2 * FILE_IDS - 5;
    log.settings.peer_records = 20000;
    log.facts.first_id = 2 * FILE_IDS + 6;
    log.facts.keep_index = 500;
    log.facts.live_index = 999;
    CHECK(!worth(&log));
    log.facts.live_index = 1000; /* entry 1000 itself is still needed, for its term */
    CHECK(!worth(&log));
    log.facts.live_index = 1001;
    CHECK(worth(&log));
    log.facts.keep_index = 1001;
    CHECK(!worth(&log));
}

TEST(a_few_changes_are_not_worth_an_entry)
{
    struct log log;
    make(&log)->settings.min_records = 800;
    log.facts.part_count = 0;
    log.facts.first_id = 10001 - 899;
    CHECK(first_of(&log) == 9201 && !worth(&log));
    log.facts.first_id = 10001 - 900;
    CHECK(worth(&log));
}

TEST(the_record_is_read_back_and_garbage_is_not)
{
    SCOPED(bytes) body = {0};
    struct retention_cut cut = {.first_id = 7, .keep_index = 8, .settings_index = 9}, back;
    memset(cut.hash, 5, sizeof cut.hash);
    retention_encode(&cut, &body);
    CHECK(retention_decode(bytes_span(&body), &back) == ERR_NONE);
    CHECK(memcmp(&cut, &back, sizeof cut) == 0);
    CHECK(retention_decode(SPAN(body.data, body.size - 1), &back) == ERR_BAD_MESSAGE);
    CHECK(retention_decode(SPAN(NULL, 0), &back) == ERR_BAD_MESSAGE);
}

TEST_MAIN(T(nothing_is_said_so_nothing_goes), T(records_and_age_must_both_allow_it),
          T(a_holder_keeps_what_it_needs_but_not_from_a_full_disk),
          T(the_rule_of_a_tag_keeps_what_the_others_would_let_go), T(too_many_bytes_override_both),
          T(what_a_server_lacks_stays_within_its_limit),
          T(a_file_that_can_go_now_is_worth_an_entry), T(a_few_changes_are_not_worth_an_entry),
          T(the_record_is_read_back_and_garbage_is_not))
