/* message_test.c - the table is sound, and every message survives its codec. */
#include "protocol/message.h"

#include "protocol/wire.h"
#include "tests/unit/test.h"

static const uint8_t sample[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t sample_raw[] = {0x92, 1, 0xa1, 'x'};

static void *place(struct message *message, const struct message_field *field)
{
    return (uint8_t *)message + field->offset;
}

static void fill(struct message *message, const struct message_info *info)
{
    uint64_t number = 300;
    for (const struct message_field *field = info->fields; field->name != NULL; field++) {
        void *at = place(message, field);
        struct texts texts = {.count = 2, .at = {SPAN("one", 3), SPAN("two", 3)}};
        switch (field->kind) {
        case FIELD_U64:
            *(uint64_t *)at = number++;
            break;
        case FIELD_FLAG:
            *(bool *)at = true;
            break;
        case FIELD_TEXT:
            *(struct span *)at = SPAN("text", 4);
            break;
        case FIELD_TEXTS:
            memcpy(at, &texts, sizeof texts);
            break;
        case FIELD_RAW:
            *(struct span *)at = SPAN(sample_raw, sizeof sample_raw);
            break;
        default:
            *(struct span *)at = SPAN(sample, sizeof sample);
        }
    }
}

static bool same_texts(const struct texts *a, const struct texts *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = span_equal(a->at[i], b->at[i]);
    return same;
}

static bool same(struct message *a, struct message *b, const struct message_info *info)
{
    for (const struct message_field *field = info->fields; field->name != NULL; field++) {
        void *left = place(a, field), *right = place(b, field);
        bool equal;
        if (field->kind == FIELD_U64)
            equal = *(uint64_t *)left == *(uint64_t *)right;
        else if (field->kind == FIELD_FLAG)
            equal = *(bool *)left == *(bool *)right;
        else if (field->kind == FIELD_TEXTS)
            equal = same_texts(left, right);
        else
            equal = span_equal(*(struct span *)left, *(struct span *)right);
        if (!equal)
            return false;
    }
    return true;
}

static bool is_client(const struct message_info *info)
{
    return info->from == PROCESS_CLIENT || info->to == PROCESS_CLIENT;
}

TEST(every_message_survives_the_codec)
{
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX; type++) {
        const struct message_info *info = message_info(type);
        SCOPED(bytes) out = {0};
        struct message message = {.type = (enum message_type)type, .request = 77}, back;
        if (info->name == NULL)
            continue;
        fill(&message, info);
        message.peer = (struct peer_head){{9}, type % 2 ? 7 : 0, 1, 2, 3, 4, 5};
        if (is_client(info)) {
            message_encode_map(&message, &out);
            CHECK(message_decode_map(bytes_span(&out), &back, NULL) == ERR_NONE);
            CHECK(back.request == 77);
        } else {
            message_encode(&message, &out);
            CHECK(message_decode(bytes_span(&out), &back) == ERR_NONE);
        }
        CHECK(back.type == type);
        CHECK(same(&message, &back, info));
        if (info->from == PROCESS_PEER || info->to == PROCESS_PEER)
            CHECK(memcmp(&back.peer, &message.peer, sizeof back.peer) == 0);
    }
}

/* Every cut and every flipped byte gives an error or a message, never a crash. */
TEST(damaged_messages_are_refused_or_harmless)
{
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX; type++) {
        const struct message_info *info = message_info(type);
        SCOPED(bytes) out = {0};
        struct message message = {.type = (enum message_type)type}, back;
        if (info->name == NULL)
            continue;
        fill(&message, info);
        if (is_client(info))
            message_encode_map(&message, &out);
        else
            message_encode(&message, &out);
        for (size_t size = 0; size < out.size; size++) {
            struct span cut = SPAN(out.data, size);
            CHECK(message_decode(cut, &back) != ERR_NONE);
            CHECK(message_decode_map(cut, &back, NULL) != ERR_NONE);
        }
        for (size_t at = 0; at < out.size; at++) {
            for (unsigned flip = 1; flip < 256; flip += 37) {
                out.data[at] ^= (uint8_t)flip;
                enum err one = message_decode(bytes_span(&out), &back);
                enum err two = message_decode_map(bytes_span(&out), &back, NULL);
                CHECK(one < ERR_COUNT && two < ERR_COUNT);
                out.data[at] ^= (uint8_t)flip;
            }
        }
    }
}

/* Asks run downstream, answers run back (the style guide, section 10). */
static int floor_of(enum message_process process)
{
    static const int floors[PROCESS_COUNT] = {
        [PROCESS_CLIENT] = 0,    [PROCESS_API] = 1,     [PROCESS_DISCOVERY] = 1,
        [PROCESS_CONSENSUS] = 2, [PROCESS_STORAGE] = 3, [PROCESS_PEER] = 3,
    };
    return floors[process];
}

TEST(asks_run_downstream_and_answers_run_back)
{
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX; type++) {
        const struct message_info *info = message_info(type);
        if (info->name == NULL || info->from == PROCESS_ANY)
            continue;
        if (info->is_ask)
            CHECK(floor_of(info->from) < floor_of(info->to));
        else
            CHECK(floor_of(info->from) > floor_of(info->to));
    }
}

TEST(fields_a_newer_version_appended_are_skipped)
{
    SCOPED(bytes) out = {0};
    struct message back;
    wire_pack_array(&out, 5);
    wire_pack_u64(&out, MESSAGE_COMMIT);
    wire_pack_u64(&out, 11);
    wire_pack_u64(&out, 12);
    wire_pack_text(&out, SPAN("new", 3));
    wire_pack_array(&out, 0);
    CHECK(message_decode(bytes_span(&out), &back) == ERR_NONE);
    CHECK(back.commit.index == 11 && back.commit.term == 12);
}

TEST(fields_an_older_version_lacks_are_zero)
{
    SCOPED(bytes) out = {0};
    struct message back;
    wire_pack_array(&out, 2);
    wire_pack_u64(&out, MESSAGE_COMMIT);
    wire_pack_u64(&out, 11);
    memset(&back, 0xff, sizeof back);
    CHECK(message_decode(bytes_span(&out), &back) == ERR_NONE);
    CHECK(back.commit.index == 11 && back.commit.term == 0);
}

TEST(a_wrong_client_field_is_named)
{
    SCOPED(bytes) out = {0};
    struct message back;
    const char *field;
    wire_pack_map(&out, 3);
    wire_pack_text(&out, SPAN("verb", 4));
    wire_pack_text(&out, SPAN("get", 3));
    wire_pack_counter(&out, "req", 5);
    wire_pack_text(&out, SPAN("id", 2));
    wire_pack_text(&out, SPAN("seven", 5));
    CHECK(message_decode_map(bytes_span(&out), &back, &field) == ERR_BAD_REQUEST);
    CHECK(strcmp(field, "id") == 0 && back.request == 5);
}

TEST(an_unknown_verb_keeps_its_request_number)
{
    SCOPED(bytes) out = {0};
    struct message back;
    wire_pack_map(&out, 2);
    wire_pack_counter(&out, "req", 6);
    wire_pack_text(&out, SPAN("verb", 4));
    wire_pack_text(&out, SPAN("fly", 3));
    CHECK(message_decode_map(bytes_span(&out), &back, NULL) == ERR_UNKNOWN_VERB);
    CHECK(back.request == 6);
}

/* As an array it could look like one of a peer: a small number, then a bin. */
TEST(what_a_client_says_is_no_array)
{
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX; type++) {
        const struct message_info *info = message_info(type);
        SCOPED(bytes) out = {0};
        struct message message = {.type = (enum message_type)type}, back;
        if (info->name == NULL || !is_client(info))
            continue;
        message_encode(&message, &out);
        CHECK(message_decode(bytes_span(&out), &back) != ERR_NONE);
    }
}

TEST(a_peer_of_another_version_is_told_apart)
{
    SCOPED(bytes) out = {0};
    struct message message = {.type = MESSAGE_MEET}, back;
    message_encode(&message, &out);
    out.data[1] = 2; /* the protocol version */
    CHECK(message_decode(bytes_span(&out), &back) == ERR_VERSION);
}

TEST_MAIN(T(every_message_survives_the_codec), T(damaged_messages_are_refused_or_harmless),
          T(asks_run_downstream_and_answers_run_back),
          T(fields_a_newer_version_appended_are_skipped), T(fields_an_older_version_lacks_are_zero),
          T(a_wrong_client_field_is_named), T(an_unknown_verb_keeps_its_request_number),
          T(what_a_client_says_is_no_array), T(a_peer_of_another_version_is_told_apart))
