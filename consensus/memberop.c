/* memberop.c - words, and name=value. */
#include "consensus/memberop.h"

#include "common/keys.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_word_byte(uint8_t byte)
{
    return byte > ' ' && byte != 0x7f;
}

/* Takes the next word off `*rest`; empty at the end. */
static struct span next_word(struct span *rest)
{
    while (rest->size > 0 && *rest->data == ' ')
        *rest = SPAN(rest->data + 1, rest->size - 1);
    size_t size = 0;
    while (size < rest->size && is_word_byte(rest->data[size]))
        size++;
    struct span word = SPAN(rest->data, size);
    *rest = SPAN(rest->data + size, rest->size - size);
    return word;
}

static enum err blame(char why[MEMBEROP_WHY_MAX], struct span word, const char *text)
{
    int size = word.size < 100 ? (int)word.size : 100;
    snprintf(why, MEMBEROP_WHY_MAX, "'%.*s': %s", size, (const char *)word.data, text);
    return ERR_BAD_REQUEST;
}

static bool copy_text(struct span value, char *to, size_t room)
{
    if (value.size == 0 || value.size >= room)
        return false;
    memcpy(to, value.data, value.size);
    to[value.size] = 0;
    return true;
}

/* tcp://HOST:PORT, with a port that can be connected to. */
static bool copy_endpoint(struct span value, char to[MEMBERS_ENDPOINT_MAX])
{
    if (!copy_text(value, to, MEMBERS_ENDPOINT_MAX) || strncmp(to, "tcp://", 6) != 0)
        return false;
    const char *colon = strrchr(to, ':');
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != 0)
        return false;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    return colon > to + 6 && port > 0 && port < 65536;
}

static enum err read_pair(struct span word, struct memberop *op, char why[MEMBEROP_WHY_MAX])
{
    const uint8_t *equals = memchr(word.data, '=', word.size);
    if (equals == NULL)
        return blame(why, word, "name=value is expected");
    struct span name = SPAN(word.data, (size_t)(equals - word.data));
    struct span value = SPAN(equals + 1, word.size - name.size - 1);
    if (span_is(name, "peer"))
        return copy_endpoint(value, op->endpoint)
                   ? ERR_NONE
                   : blame(why, word, "an endpoint is tcp://HOST:PORT");
    if (span_is(name, "api"))
        return copy_endpoint(value, op->api) ? ERR_NONE
                                             : blame(why, word, "an endpoint is tcp://HOST:PORT");
    if (span_is(name, "name"))
        return copy_text(value, op->name, sizeof op->name)
                   ? ERR_NONE
                   : blame(why, word, "a name has 1 to 63 bytes");
    if (span_is(name, "key")) {
        op->has_key = true;
        return keys_parse(value, op->key) == ERR_NONE
                   ? ERR_NONE
                   : blame(why, word, "a public key has 40 characters (Z85)");
    }
    if (span_is(name, "node"))
        return node_id_parse(value, &op->node) == ERR_NONE && op->node != 0
                   ? ERR_NONE
                   : blame(why, word, "not a node id");
    if (!span_is(name, "role"))
        return blame(why, word, "there is no such name");
    op->has_role = true;
    op->role = span_is(value, "replica") ? MEMBER_REPLICA : MEMBER_VOTER;
    return span_is(value, "replica") || span_is(value, "voter")
               ? ERR_NONE
               : blame(why, word, "a role is voter or replica");
}

static enum err check(const struct memberop *op, struct span text, char why[MEMBEROP_WHY_MAX])
{
    bool named = op->has_key || op->node != 0;
    bool changes = op->endpoint[0] || op->api[0] || op->name[0] || op->has_role;
    if (op->kind == MEMBEROP_ADD && (!op->has_key || !op->endpoint[0]))
        return blame(why, text, "add needs peer= and key=");
    if ((op->kind == MEMBEROP_REMOVE || op->kind == MEMBEROP_SET) && !named)
        return blame(why, text, "node= or key= must say who is meant");
    if (op->kind == MEMBEROP_SET && !changes)
        return blame(why, text, "nothing is to be set");
    if (op->kind == MEMBEROP_REMOVE && changes)
        return blame(why, text, "remove takes node= or key= only");
    if (op->kind == MEMBEROP_CANCEL && (named || changes))
        return blame(why, text, "cancel stands alone");
    return ERR_NONE;
}

enum err memberop_parse(struct span text, struct memberop *op, char why[MEMBEROP_WHY_MAX])
{
    static const struct {
        const char *verb;
        enum memberop_kind kind;
    } verbs[] = {{"add", MEMBEROP_ADD},
                 {"remove", MEMBEROP_REMOVE},
                 {"set", MEMBEROP_SET},
                 {"promote", MEMBEROP_SET},
                 {"cancel", MEMBEROP_CANCEL}};
    struct span rest = text, word = next_word(&rest);
    size_t at = 0;
    *op = (struct memberop){.role = MEMBER_VOTER};
    while (at < COUNT_OF(verbs) && !span_is(word, verbs[at].verb))
        at++;
    if (at == COUNT_OF(verbs))
        return blame(why, word, "add, remove, set, promote or cancel is expected");
    op->kind = verbs[at].kind;
    op->has_role = span_is(word, "promote");
    while ((word = next_word(&rest)).size > 0)
        TRY(read_pair(word, op, why));
    return rest.size == 0 ? check(op, text, why)
                          : blame(why, rest, "a byte that has no place here");
}
