/* vectors_test.c - the hex lines of docs/protocol.md are what our own code writes. */
#include "protocol/change.h"
#include "protocol/cursor.h"
#include "protocol/form.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

/* The hex behind "    NAME " in the document. */
static void read_vector(const char *name, char *hex, size_t room)
{
    char line[4096];
    size_t size = strlen(name);
    FILE *file = fopen("docs/protocol.md", "re");
    hex[0] = 0;
    assert_non_null(file);
    while (hex[0] == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "    ", 4) == 0 && strncmp(line + 4, name, size) == 0 &&
            line[4 + size] == ' ')
            snprintf(hex, room, "%.*s", (int)strcspn(line + 5 + size, "\n"), line + 5 + size);
    fclose(file);
}

static void check_vector(const char *name, struct span bytes)
{
    char wanted[4096], got[4096];
    read_vector(name, wanted, sizeof wanted);
    CHECK(wanted[0] != 0 && 2 * bytes.size < sizeof got);
    cursor_hex(bytes.data, bytes.size, got);
    assert_string_equal(got, wanted);
}

static struct change sample(void)
{
    struct change change = {
        .type = 1, .has_key = true, .key = SPAN("k", 1), .data = SPAN("hello", 5)};
    change.tags.at[change.tags.count++] = SPAN("red", 3);
    return change;
}

TEST(a_put_is_encoded_as_in_the_document)
{
    SCOPED(bytes) body = {0};
    SCOPED(bytes) frame = {0};
    struct change change = sample();
    struct message message = {.type = MESSAGE_PUT, .request = 1};
    uint8_t txid[16];
    for (uint8_t i = 0; i < sizeof txid; i++)
        txid[i] = i;
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    check_vector("body", bytes_span(&body));
    message.put.txid = SPAN(txid, sizeof txid);
    message.put.born = 1700000000000000000;
    message.put.attempt = 1;
    message.put.body = bytes_span(&body);
    message_encode_map(&message, &frame);
    check_vector("put", bytes_span(&frame));
}

TEST(the_change_hash_and_the_answer_are_as_in_the_document)
{
    static const uint8_t start[HASH_SIZE];
    SCOPED(bytes) frame = {0};
    struct change change = sample();
    struct cursor cursor = {.history = 0xa1, .id = 1};
    struct message message = {.type = MESSAGE_PUT_DONE, .request = 1};
    char text[CURSOR_TEXT_MAX];
    for (uint8_t i = 0; i < sizeof cursor.cluster; i++)
        cursor.cluster[i] = i;
    change_hash(start, 1, 1700000000000000001, &change, cursor.hash);
    check_vector("hash", SPAN(cursor.hash, HASH_SIZE));
    cursor_print(&cursor, text);
    message.put_done = (struct message_put_done){
        .id = 1,
        .last_id = 1,
        .ts = 1700000000000000001,
        .hash = SPAN(cursor.hash, HASH_SIZE),
        .history = SPAN_TEXT("00000000000000a1"),
        .cursor = SPAN_TEXT(text),
        .born = 1700000000000000001,
        .ack = SPAN_TEXT("quorum"),
    };
    message_encode_map(&message, &frame);
    check_vector("put_done", bytes_span(&frame));
}

TEST(a_dump_is_written_as_in_the_document)
{
    static const uint8_t start[HASH_SIZE];
    SCOPED(bytes) dump = {0};
    uint8_t hash[HASH_SIZE];
    struct change change = sample();
    change_hash(start, 1, 1700000000000000001, &change, hash);
    form_binary.begin(&dump);
    form_binary.append(&(struct line_place){1, 1700000000000000001, SPAN(hash, HASH_SIZE)}, &change,
                       &dump);
    form_binary.end(1, &dump);
    check_vector("dump", bytes_span(&dump));
}

TEST_MAIN(T(a_put_is_encoded_as_in_the_document),
          T(the_change_hash_and_the_answer_are_as_in_the_document),
          T(a_dump_is_written_as_in_the_document))
