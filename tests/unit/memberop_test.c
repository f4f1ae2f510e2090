/* memberop_test.c - the words of a wish: what each means, and what is said where one is wrong. */
#include "consensus/memberop.h"

#include "common/keys.h"
#include "tests/unit/test.h"

#include <stdio.h>

#define KEY "0123456789012345678901234567890123456789" /* Z85 */

static enum err parse(const char *text, struct memberop *op, char why[MEMBEROP_WHY_MAX])
{
    why[0] = 0;
    return memberop_parse(SPAN_TEXT(text), op, why);
}

TEST(every_word_of_a_wish_arrives)
{
    struct memberop op;
    char why[MEMBEROP_WHY_MAX];
    uint8_t key[MEMBERS_KEY_SIZE];
    CHECK(keys_parse(SPAN_TEXT(KEY), key) == ERR_NONE);
    CHECK(parse("add  peer=tcp://a:1 api=tcp://b:65535 name=four key=" KEY " role=replica", &op,
                why) == ERR_NONE);
    CHECK(op.kind == MEMBEROP_ADD && strcmp(op.endpoint, "tcp://a:1") == 0);
    CHECK(strcmp(op.api, "tcp://b:65535") == 0 && strcmp(op.name, "four") == 0);
    CHECK(op.has_key && memcmp(op.key, key, sizeof key) == 0);
    CHECK(op.has_role && op.role == MEMBER_REPLICA && op.node == 0);
    CHECK(parse("set node=5 role=voter", &op, why) == ERR_NONE);
    CHECK(op.kind == MEMBEROP_SET && op.node == 5 && op.has_role && op.role == MEMBER_VOTER);
    CHECK(parse("promote key=" KEY, &op, why) == ERR_NONE);
    CHECK(op.kind == MEMBEROP_SET && op.has_key && op.has_role && op.role == MEMBER_VOTER);
    CHECK(parse("remove key=" KEY, &op, why) == ERR_NONE && op.kind == MEMBEROP_REMOVE);
    CHECK(parse("cancel", &op, why) == ERR_NONE && op.kind == MEMBEROP_CANCEL);
    CHECK(parse("cancel ", &op, why) == ERR_NONE);
}

/* Each of these alone is something to set. */
TEST(a_set_needs_one_thing_to_set)
{
    static const char *const more[] = {"peer=tcp://a:1", "api=tcp://a:1", "name=x", "role=voter"};
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        struct memberop op;
        char why[MEMBEROP_WHY_MAX], text[128];
        snprintf(text, sizeof text, "set node=5 %s", more[i]);
        CHECK(parse(text, &op, why) == ERR_NONE);
        snprintf(text, sizeof text, "set %s", more[i]);
        CHECK(parse(text, &op, why) == ERR_BAD_REQUEST && strstr(why, "who is meant"));
        snprintf(text, sizeof text, "remove node=5 %s", more[i]);
        CHECK(parse(text, &op, why) == ERR_BAD_REQUEST && strstr(why, "remove takes"));
        snprintf(text, sizeof text, "cancel %s", more[i]);
        CHECK(parse(text, &op, why) == ERR_BAD_REQUEST && strstr(why, "stands alone"));
    }
}

TEST(what_is_wrong_is_said_with_the_word)
{
    static const struct {
        const char *text, *word, *why;
    } bad[] = {
        {"", "''", "add, remove, set"},
        {"dance", "'dance'", "add, remove, set"},
        {"add key=" KEY, "'add key=", "add needs peer= and key="},
        {"add peer=tcp://a:1", "'add peer=", "add needs peer= and key="},
        {"remove", "'remove'", "who is meant"},
        {"set node=5", "'set node=5'", "nothing is to be set"},
        {"cancel node=5", "'cancel node=5'", "stands alone"},
        {"set node", "'node'", "name=value is expected"},
        {"set node=0 name=x", "'node=0'", "not a node id"},
        {"set node=zzzzzzzzzzzzzz name=x", "'node=", "not a node id"},
        {"set key=short name=x", "'key=short'", "40 characters"},
        {"set node=5 role=king", "'role=king'", "voter or replica"},
        {"set node=5 crown=gold", "'crown=gold'", "no such name"},
        {"set node=5 name=", "'name='", "1 to 63 bytes"},
        {"set node=5 peer=ipc://x", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=", "'peer='", "tcp://HOST:PORT"},
        {"set node=5 api=tcp://a", "'api=tcp://a'", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://:1", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://a:", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://a:0", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://a:65536", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://a:123456", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 peer=tcp://a:1x", "'peer=", "tcp://HOST:PORT"},
        {"set node=5 name=x\n", "'\n'", "a byte that has no place"},
        {"set node=5 name=x\x7f", "'\x7f'", "a byte that has no place"},
    };
    struct memberop op;
    char why[MEMBEROP_WHY_MAX];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(parse(bad[i].text, &op, why) == ERR_BAD_REQUEST);
        if (strstr(why, bad[i].word) == NULL || strstr(why, bad[i].why) == NULL)
            printf("%s: %s\n", bad[i].text, why);
        CHECK(strstr(why, bad[i].word) != NULL && strstr(why, bad[i].why) != NULL);
    }
}

TEST(texts_have_their_bounds)
{
    struct memberop op;
    char why[MEMBEROP_WHY_MAX], text[512], long_name[MEMBERS_NAME_MAX + 1];
    memset(long_name, 'n', sizeof long_name);
    snprintf(text, sizeof text, "set node=5 name=%.*s", MEMBERS_NAME_MAX - 1, long_name);
    CHECK(parse(text, &op, why) == ERR_NONE && strlen(op.name) == MEMBERS_NAME_MAX - 1);
    snprintf(text, sizeof text, "set node=5 name=%.*s", MEMBERS_NAME_MAX, long_name);
    CHECK(parse(text, &op, why) == ERR_BAD_REQUEST && strstr(why, "1 to 63 bytes"));
    snprintf(text, sizeof text, "set node=5 peer=tcp://%0200d:1", 0);
    CHECK(parse(text, &op, why) == ERR_BAD_REQUEST);
    CHECK(strlen(why) < MEMBEROP_WHY_MAX && strstr(why, "tcp://HOST:PORT")); /* word cut at 100 */
}

TEST_MAIN(T(every_word_of_a_wish_arrives), T(a_set_needs_one_thing_to_set),
          T(what_is_wrong_is_said_with_the_word), T(texts_have_their_bounds))
