/* request_test.c - which asks are allowed, and who waits for which write. */
#include "api/request.h"

#include "api/session.h"
#include "tests/unit/test.h"

static struct standing good(void)
{
    struct standing standing = {.storage_up = true,
                                .consensus_up = true,
                                .synced = true,
                                .ts = 100,
                                .last_id = 5,
                                .history = 3,
                                .founded = true,
                                .settings = settings_preset};
    memset(standing.cluster, 0xab, sizeof standing.cluster);
    return standing;
}

static struct bytes body;

static struct message_put put_of(uint64_t born)
{
    static const uint8_t txid[TXID_SIZE] = {1};
    struct change change = {.data = SPAN("d", 1)};
    bytes_clear(&body);
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    return (struct message_put){
        .txid = SPAN(txid, sizeof txid), .born = born, .attempt = 1, .body = bytes_span(&body)};
}

TEST(a_put_becomes_a_record_and_is_given_a_born)
{
    struct standing standing = good();
    struct message_put put = put_of(0);
    struct entry entry;
    CHECK(request_put(&standing, &put, &entry).err == ERR_NONE);
    CHECK(entry.kind == ENTRY_DATA && entry.change_count == 1 && entry.born == 100);
    put.born = 42;
    CHECK(request_put(&standing, &put, &entry).err == ERR_NONE && entry.born == 42);
    bytes_close(&body);
}

TEST(a_put_is_refused_by_name)
{
    struct standing standing = good();
    struct message_put put = put_of(1), bad = put;
    struct entry entry;
    bad.import = true; /* its change has no place */
    CHECK(request_put(&standing, &bad, &entry).err == ERR_BAD_REQUEST);
    bad = put;
    bad.txid.size = 15;
    CHECK(request_put(&standing, &bad, &entry).err == ERR_BAD_REQUEST);
    bad = put;
    bad.body = SPAN("\xff", 1);
    CHECK(request_put(&standing, &bad, &entry).err == ERR_BAD_REQUEST);
    standing.behind_ms = REQUEST_BEHIND_MS + 1;
    CHECK(request_put(&standing, &put, &entry).err == ERR_BEHIND);
    standing = good();
    standing.consensus_up = false;
    CHECK(request_put(&standing, &put, &entry).err == ERR_NOT_READY);
    standing = good();
    standing.ts = 0;
    CHECK(request_put(&standing, &put, &entry).err == ERR_NOT_READY);
    standing = good();
    standing.removed = true; /* it would never learn what became of it */
    CHECK(request_put(&standing, &put, &entry).err == ERR_NO_LEADER);
    bytes_close(&body);
}

TEST(a_list_starts_at_a_number_a_cursor_or_now)
{
    struct standing standing = good();
    struct message_list list = {.since = 2};
    struct request_read out;
    char text[CURSOR_TEXT_MAX];
    uint8_t hash[HASH_SIZE] = {9};
    CHECK(request_list(&standing, &list, &out).err == ERR_NONE && out.read.since == 2);
    CHECK(out.read.limit == REQUEST_LIMIT_DEFAULT && out.read.bytes == REQUEST_BYTES_DEFAULT);
    list.now = true;
    CHECK(request_list(&standing, &list, &out).err == ERR_NONE && out.read.since == 5);
    list = (struct message_list){0};
    list.cursor = SPAN(text, request_cursor(&standing, 4, hash, text));
    CHECK(request_list(&standing, &list, &out).err == ERR_NONE);
    CHECK(out.read.since == 4 && out.has_since_hash && out.since_hash[0] == 9 && out.wait_for == 4);
    list.before = list.cursor;
    CHECK(request_list(&standing, &list, &out).err == ERR_BAD_REQUEST);
    list.cursor = (struct span){0};
    CHECK(request_list(&standing, &list, &out).err == ERR_NONE && out.read.before == 4);
}

TEST(how_old_an_answer_may_be_goes_with_bounded_alone)
{
    static const struct {
        const char *consistency;
        uint64_t max_lag_ms;
        enum err err;
    } rows[] = {
        {"", 0, ERR_NONE},
        {"local", 0, ERR_NONE},
        {"linearizable", 0, ERR_NONE},
        {"bounded", 1, ERR_NONE},
        {"bounded", 3600000, ERR_NONE},
        {"bounded", 0, ERR_BAD_REQUEST},
        {"bounded", 3600001, ERR_BAD_REQUEST},
        {"linearizable", 1, ERR_BAD_REQUEST},
        {"local", 1, ERR_BAD_REQUEST},
        {"", 1, ERR_BAD_REQUEST},
        {"Bounded", 1, ERR_BAD_REQUEST},
    };
    struct standing standing = good();
    struct request_read out;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message_head head = {.consistency = SPAN_TEXT(rows[i].consistency),
                                    .max_lag_ms = rows[i].max_lag_ms};
        CHECK(request_head(&standing, &head, &out).err == rows[i].err);
    }
    struct message_get get = {.id = 1, .consistency = SPAN_TEXT("bounded"), .max_lag_ms = 7};
    CHECK(request_get(&standing, &get, &out).err == ERR_NONE);
    CHECK(out.linearizable && out.max_lag_ms == 7);
}

TEST(an_estimate_is_checked_like_a_list)
{
    struct standing standing = good();
    struct message_estimate estimate = {.since = 2, .until = 4, .min_id = 3, .exact = true};
    struct request_read out;
    estimate.tags.at[estimate.tags.count++] = SPAN_TEXT("a/*");
    CHECK(request_estimate(&standing, &estimate, &out).err == ERR_NONE);
    CHECK(out.weighs && out.exact && out.read.since == 2 && out.read.until == 4);
    CHECK(out.wait_for == 3 && out.read.tags.count == 1 && !out.linearizable);
    estimate.consistency = SPAN_TEXT("linearizable");
    CHECK(request_estimate(&standing, &estimate, &out).err == ERR_NONE && out.linearizable);
    estimate.consistency = SPAN_TEXT("some");
    CHECK(request_estimate(&standing, &estimate, &out).err == ERR_BAD_REQUEST);
    estimate = (struct message_estimate){.no_tags = {{SPAN_TEXT("")}, 1}};
    CHECK(request_estimate(&standing, &estimate, &out).err == ERR_BAD_REQUEST);
    standing.synced = false;
    CHECK(request_estimate(&standing, &(struct message_estimate){0}, &out).err == ERR_NOT_READY);
}

TEST(a_cursor_of_another_log_is_refused)
{
    struct standing standing = good(), other = good();
    struct message_list list = {0};
    struct request_read out;
    char text[CURSOR_TEXT_MAX];
    const uint8_t hash[HASH_SIZE] = {0};
    other.history = 4;
    list.cursor = SPAN(text, request_cursor(&other, 1, hash, text));
    CHECK(request_list(&standing, &list, &out).err == ERR_HISTORY);
    other = good();
    other.cluster[0] = 0;
    list.cursor = SPAN(text, request_cursor(&other, 1, hash, text));
    CHECK(request_list(&standing, &list, &out).err == ERR_HISTORY);
    standing.log_history = 4; /* its beginning is in the log, and not applied */
    CHECK(request_list(&standing, &list, &out).err == ERR_NOT_READY);
    standing.log_history = 3;
    list.cursor = SPAN("nonsense", 8);
    CHECK(request_list(&standing, &list, &out).err == ERR_BAD_REQUEST);
}

TEST(limits_of_a_list_are_named)
{
    struct standing standing = good();
    struct request_read out;
    struct message_list list = {.limit = REQUEST_LIMIT_MAX + 1};
    CHECK(request_list(&standing, &list, &out).err == ERR_LIMIT);
    list = (struct message_list){.bytes = REQUEST_BYTES_MAX + 1};
    CHECK(request_list(&standing, &list, &out).err == ERR_LIMIT);
    list = (struct message_list){.block_ms = REQUEST_BLOCK_MAX_MS + 1};
    CHECK(request_list(&standing, &list, &out).err == ERR_LIMIT);
    standing.synced = false;
    list = (struct message_list){0};
    CHECK(request_list(&standing, &list, &out).err == ERR_NOT_READY);
}

static struct entry entry_of(uint64_t number)
{
    struct entry entry = {.kind = ENTRY_DATA, .body = SPAN("b", 1)};
    save_u64(entry.txid, number);
    return entry;
}

TEST(writes_stand_in_order_and_are_found_by_their_txid)
{
    struct session session = {0};
    struct session_waiter waiter = {.request = 1};
    struct session_write *write, *again;
    session_open(&session);
    for (uint64_t i = 1; i <= 100; i++) {
        struct entry entry = entry_of(i);
        CHECK(session_add(&session, &entry, &waiter, i, &write) == ERR_NONE && write != NULL);
    }
    struct entry entry = entry_of(50);
    CHECK(session_add(&session, &entry, &waiter, 200, &again) == ERR_NONE && again == NULL);
    write = session_find(&session, entry.txid);
    CHECK(write != NULL && write->waiter_count == 2);
    session_remove(&session, write);
    CHECK(session_find(&session, entry.txid) == NULL && session.count == 99);
    uint64_t expected = 1;
    for (write = session.oldest; write != NULL; write = write->newer, expected++) {
        expected += expected == 50;
        CHECK(load_u64(write->txid) == expected);
    }
    session_close(&session);
}

TEST(a_write_expires_after_its_time_and_too_many_are_refused)
{
    struct session session = {0};
    struct session_waiter waiter = {0};
    struct session_write *write;
    enum err err = ERR_NONE;
    session_open(&session);
    struct entry entry = entry_of(1);
    CHECK(session_add(&session, &entry, &waiter, 1000, &write) == ERR_NONE);
    CHECK(session_expired(&session, 1000 + SESSION_KEEP_MS - 1) == NULL);
    CHECK(session_expired(&session, 1000 + SESSION_KEEP_MS) == write);
    for (uint64_t i = 2; err == ERR_NONE; i++) {
        entry = entry_of(i);
        err = session_add(&session, &entry, &waiter, 1000, &write);
    }
    CHECK(err == ERR_BUSY && session.count <= SESSION_WRITES_MAX);
    session_close(&session);
}

TEST(limits_and_settings_are_those_of_the_cluster)
{
    struct standing standing = good();
    struct message_put put = put_of(1);
    struct entry entry;
    standing.settings.put_bytes = put.body.size - 1;
    struct refusal refusal = request_put(&standing, &put, &entry);
    CHECK(refusal.err == ERR_LIMIT && strstr(refusal.detail, "limits.put_bytes") != NULL);
    put.settings = true; /* changes are no settings */
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
    bytes_clear(&body);
    settings_encode(&settings_preset, &body);
    put.body = bytes_span(&body);
    CHECK(request_put(&standing, &put, &entry).err == ERR_NONE);
    CHECK(entry.kind == ENTRY_SETTINGS && entry.change_count == 0);
    put.import = true;
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
}

TEST(a_holder_is_checked_before_the_log)
{
    struct standing standing = good();
    struct message_put put = put_of(1);
    struct entry entry;
    put.holder = true; /* changes are no holder */
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
    bytes_clear(&body);
    holders_encode_body(SPAN_TEXT("c"), 7, HOLDER_S_MAX + 1, &body);
    put.body = bytes_span(&body);
    struct refusal refusal = request_put(&standing, &put, &entry);
    CHECK(refusal.err == ERR_LIMIT && strstr(refusal.detail, "for_s") != NULL);
    bytes_clear(&body);
    holders_encode_body(SPAN_TEXT("c"), 7, 60, &body);
    put.body = bytes_span(&body);
    CHECK(request_put(&standing, &put, &entry).err == ERR_NONE);
    CHECK(entry.kind == ENTRY_HOLDER && entry.change_count == 0);
    put.settings = true;
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
}

TEST(a_rule_is_checked_before_the_log)
{
    struct standing standing = good();
    struct message_put put = put_of(1);
    struct entry entry;
    put.rule = true; /* changes are no rule */
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
    bytes_clear(&body);
    rules_encode_body(SPAN_TEXT("c"), RULE_KEEP_S_MAX + 1, 1, 1, &body);
    put.body = bytes_span(&body);
    struct refusal refusal = request_put(&standing, &put, &entry);
    CHECK(refusal.err == ERR_LIMIT && strstr(refusal.detail, "keep_s") != NULL);
    bytes_clear(&body);
    rules_encode_body(SPAN_TEXT("c"), 7, 60, RULE_UNCHANGED, &body);
    put.body = bytes_span(&body);
    CHECK(request_put(&standing, &put, &entry).err == ERR_NONE);
    CHECK(entry.kind == ENTRY_RULE && entry.change_count == 0);
    put.holder = true;
    CHECK(request_put(&standing, &put, &entry).err == ERR_BAD_REQUEST);
}

TEST_MAIN(T(limits_and_settings_are_those_of_the_cluster), T(a_holder_is_checked_before_the_log),
          T(a_rule_is_checked_before_the_log), T(a_put_becomes_a_record_and_is_given_a_born),
          T(a_put_is_refused_by_name), T(a_list_starts_at_a_number_a_cursor_or_now),
          T(how_old_an_answer_may_be_goes_with_bounded_alone),
          T(an_estimate_is_checked_like_a_list), T(a_cursor_of_another_log_is_refused),
          T(limits_of_a_list_are_named), T(writes_stand_in_order_and_are_found_by_their_txid),
          T(a_write_expires_after_its_time_and_too_many_are_refused))
