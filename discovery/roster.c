/* roster.c - replaces, merges, compares. */
#include "discovery/roster.h"

#include "common/keys.h"

#include <assert.h>
#include <stdlib.h>

enum { PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

static bool fail(const char **reason, const char *why)
{
    *reason = why;
    return false;
}

static bool check_port(struct span port)
{
    uint32_t number = 0;
    if (port.size == 0 || port.size > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < port.size; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
        number = number * 10 + (port.data[i] - '0');
    }
    return number > 0 && number <= PORT_MAX;
}

static bool check_endpoint(struct span endpoint, const char **reason)
{
    static const char scheme[] = "tcp://";
    size_t scheme_size = sizeof scheme - 1, colon = endpoint.size;
    if (endpoint.size <= scheme_size || memcmp(endpoint.data, scheme, scheme_size) != 0)
        return fail(reason, "an endpoint is written tcp://HOST:PORT");
    while (colon > scheme_size && endpoint.data[colon - 1] != ':')
        colon--;
    if (colon <= scheme_size + 1 || !check_port(SPAN(endpoint.data + colon, endpoint.size - colon)))
        return fail(reason, "a host and a port from 1 to 65535 are wanted");
    for (size_t i = scheme_size; i < endpoint.size; i++)
        if (endpoint.data[i] <= ' ' || endpoint.data[i] >= 127 || endpoint.data[i] == '/')
            return fail(reason, "a host has only printable characters and no slash");
    return true;
}

bool source_check(struct span line, struct sighting *sighting, const char **reason)
{
    uint8_t key[KEY_SIZE];
    const uint8_t *blank = line.size > 0 ? memchr(line.data, ' ', line.size) : NULL;
    size_t endpoint_size = blank != NULL ? (size_t)(blank - line.data) : line.size;
    if (line.size > SIGHTING_MAX)
        return fail(reason, "longer than 255 bytes");
    if (!check_endpoint(SPAN(line.data, endpoint_size), reason))
        return false;
    if (blank != NULL &&
        keys_parse(SPAN(blank + 1, line.size - endpoint_size - 1), key) != ERR_NONE)
        return fail(reason, "behind one space a public key of 40 characters is wanted");
    memcpy(sighting->text, line.data, line.size);
    sighting->text[line.size] = '\0';
    sighting->endpoint_size = (uint32_t)endpoint_size;
    return true;
}

static bool same_endpoint(const struct sighting *a, const struct sighting *b)
{
    return span_equal(SPAN(a->text, a->endpoint_size), SPAN(b->text, b->endpoint_size));
}

/* The first sighting of an endpoint counts. */
static void add(struct roster_list *list, const struct sighting *sighting)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (same_endpoint(&list->at[i], sighting))
            return;
    if (list->count == ROSTER_HINTS_MAX)
        list->dropped++;
    else
        list->at[list->count++] = *sighting;
}

static bool same(const struct roster_list *a, const struct roster_list *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->at[i].text, b->at[i].text) != 0)
            return false;
    return true;
}

static void merge(struct roster *roster, struct roster_list *hints)
{
    hints->count = hints->dropped = 0;
    for (uint32_t source = 0; source < SOURCE_COUNT; source++)
        for (uint32_t i = 0; i < roster->seen[source].count; i++)
            add(hints, &roster->seen[source].at[i]);
}

static void finish(struct roster *roster, enum source source, struct roster_output *out)
{
    static struct roster_list merged; /* too large for a stack; filled anew each time */
    roster->seen[source] = roster->round[source];
    merge(roster, &merged);
    if (!same(&merged, &roster->hints)) {
        roster->hints = merged;
        out->send = roster->link_up;
    }
}

void roster_step(struct roster *roster, const struct roster_input *in, struct roster_output *out)
{
    out->send = false;
    switch (in->kind) {
    case ROSTER_ROUND:
        roster->round[in->source].count = roster->round[in->source].dropped = 0;
        break;
    case ROSTER_SIGHTED:
        add(&roster->round[in->source], in->sighting);
        break;
    case ROSTER_DONE:
        finish(roster, in->source, out);
        break;
    case ROSTER_LINK_UP:
        roster->link_up = true;
        out->send = true;
        break;
    case ROSTER_INPUT_COUNT:
        assert(!"no such input");
    }
    roster_assert(roster);
}

void roster_assert(const struct roster *roster)
{
    assert(roster->hints.count <= ROSTER_HINTS_MAX);
    for (uint32_t i = 0; i < roster->hints.count; i++)
        for (uint32_t j = 0; j < i; j++)
            assert(!same_endpoint(&roster->hints.at[i], &roster->hints.at[j]));
}
