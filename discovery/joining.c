/* joining.c - one wish, asked until it is fulfilled. */
#include "discovery/joining.h"

#include "common/keys.h"
#include "common/probe.h"
#include "protocol/wire.h"

#include <stdio.h>

enum { DEAD_MS = 5000 };

void joining_begin(struct joining *joining, const char *bootstrap, const char *name)
{
    *joining = (struct joining){0};
    snprintf(joining->bootstrap, sizeof joining->bootstrap, "%s", bootstrap);
    snprintf(joining->name, sizeof joining->name, "%s", name);
    for (char *at = joining->name; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            *at = '_';
}

/* ---- the own address --------------------------------------------------------------------------
 */

static enum err refuse(struct joining *joining, const char *reason)
{
    joining->state = JOINING_REFUSED;
    snprintf(joining->reason, sizeof joining->reason, "%s", reason);
    return ERR_CONFIG;
}

static void print_endpoint(char *text, size_t size, const char *host, const char *port)
{
    bool v6 = strchr(host, ':') != NULL;
    snprintf(text, size, "tcp://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

enum err joining_know(struct joining *joining, struct span self, uint64_t incarnation,
                      const char *local)
{
    struct sighting told;
    const char *reason;
    char endpoint[SIGHTING_MAX + 1], host[128], port[8], text[SIGHTING_MAX + 128];
    if (!source_check(self, &told, &reason) || told.endpoint_size == self.size)
        return refuse(joining, "consensus/advertise: an address tcp://HOST:PORT is wanted, where "
                               "the other servers reach this one");
    snprintf(endpoint, sizeof endpoint, "%.*s", (int)told.endpoint_size, told.text);
    if (!probe_split(endpoint, host, port))
        return refuse(joining, "consensus/advertise: an address tcp://HOST:PORT is wanted");
    if (probe_is_any(endpoint) && local[0] == '\0')
        return refuse(joining,
                      "consensus/advertise: no way leads to the bootstrap node, so the own "
                      "address cannot be detected; set it");
    if (probe_is_any(endpoint))
        print_endpoint(endpoint, sizeof endpoint, local, port);
    if (probe_is_loopback(endpoint) && !probe_is_loopback(joining->bootstrap))
        return refuse(joining, "consensus/listen and advertise: the address is reached from this "
                               "machine only, and the cluster is elsewhere; set consensus/listen "
                               "to an address that its servers reach");
    snprintf(text, sizeof text, "%s%s", endpoint, told.text + told.endpoint_size);
    if (!source_check(SPAN_TEXT(text), &joining->self, &reason))
        return refuse(joining, reason);
    joining->incarnation = incarnation;
    if (joining->state == JOINING_UNKNOWN)
        joining->state = JOINING_ASKS;
    return ERR_NONE;
}

/* ---- the wish ---------------------------------------------------------------------------------
 */

static const char *own_key(const struct joining *joining)
{
    return joining->self.text + joining->self.endpoint_size + 1;
}

void joining_wish(const struct joining *joining, char wish[JOINING_WISH_MAX])
{
    wish[0] = '\0';
    if (!joining->told)
        return;
    if (joining->replaces[0] != '\0')
        snprintf(wish, JOINING_WISH_MAX, "remove key=%s", joining->replaces);
    else
        snprintf(wish, JOINING_WISH_MAX, "add peer=%.*s key=%s%s%s",
                 (int)joining->self.endpoint_size, joining->self.text, own_key(joining),
                 joining->name[0] != '\0' ? " name=" : "", joining->name);
}

/* ---- the answer -------------------------------------------------------------------------------
 */

/* What of a row is of use here. */
struct row {
    struct span peer, key, name, state;
    uint64_t silent_ms, incarnation;
};

static bool read_row(struct span *rest, struct row *row)
{
    struct wire_value map, name, value;
    *row = (struct row){0};
    if (!wire_next(rest, &map) || map.kind != WIRE_MAP)
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        struct span whole;
        if (!wire_next(rest, &name) || !wire_take(rest, &whole) || !wire_next(&whole, &value))
            return false;
        if (span_is(name.bytes, "peer"))
            row->peer = value.bytes;
        else if (span_is(name.bytes, "key"))
            row->key = value.bytes;
        else if (span_is(name.bytes, "name"))
            row->name = value.bytes;
        else if (span_is(name.bytes, "state"))
            row->state = value.bytes;
        else if (span_is(name.bytes, "silent_ms") && value.kind == WIRE_U64)
            row->silent_ms = value.number;
        else if (span_is(name.bytes, "incarnation") && value.kind == WIRE_U64)
            row->incarnation = value.number;
    }
    return true;
}

static void sight(struct joining *joining, const struct row *row)
{
    char text[SIGHTING_MAX + 128];
    const char *reason;
    struct sighting *sighting = &joining->members[joining->member_count];
    snprintf(text, sizeof text, "%.*s %.*s", (int)(row->peer.size < 200 ? row->peer.size : 200),
             (const char *)row->peer.data, (int)(row->key.size < 48 ? row->key.size : 48),
             (const char *)row->key.data);
    if (joining->member_count < JOINING_MEMBERS_MAX &&
        source_check(SPAN_TEXT(text), sighting, &reason))
        joining->member_count++;
}

/* This node as it was: dead for a while, with its name and its address, and another key. */
static bool is_predecessor(const struct joining *joining, const struct row *row)
{
    struct span endpoint = SPAN(joining->self.text, joining->self.endpoint_size);
    return span_equal(row->peer, endpoint) && span_is(row->name, joining->name) &&
           joining->name[0] != '\0' && !span_is(row->key, own_key(joining)) &&
           row->silent_ms >= DEAD_MS;
}

static void read_rows(struct joining *joining, struct span rest)
{
    struct wire_value array;
    struct row row;
    joining->member_count = 0;
    joining->replaces[0] = '\0';
    joining->listed = false;
    if (wire_check(rest) != ERR_NONE || !wire_next(&rest, &array) || array.kind != WIRE_ARRAY)
        return;
    for (uint64_t i = 0; i < array.number && read_row(&rest, &row); i++) {
        if (span_is(row.state, "removed"))
            continue;
        sight(joining, &row);
        if (span_is(row.key, own_key(joining)) && row.incarnation == joining->incarnation)
            joining->listed = true;
        if (is_predecessor(joining, &row))
            snprintf(joining->replaces, sizeof joining->replaces, "%.*s", (int)row.key.size,
                     (const char *)row.key.data);
    }
}

static void copy_reason(struct joining *joining, struct span error, struct span detail)
{
    snprintf(joining->reason, sizeof joining->reason, "%.*s%s%.*s", (int)error.size,
             (const char *)error.data, error.size > 0 && detail.size > 0 ? ": " : "",
             (int)(detail.size < 400 ? detail.size : 400), (const char *)detail.data);
}

void joining_answered(struct joining *joining, const struct joining_answer *answer)
{
    char before[sizeof joining->replaces];
    bool wished = joining->told, refused = answer->error.size > 0;
    if (joining->state != JOINING_ASKS)
        return;
    memcpy(before, joining->replaces, sizeof before);
    if (!refused)
        read_rows(joining, answer->rows);
    copy_reason(joining, answer->error, answer->detail);
    joining->told = !refused && joining->member_count > 0;
    bool same_wish = wished && !refused && strcmp(before, joining->replaces) == 0;
    /* A leader that heard this node a moment ago may not know yet that its disk is another one. */
    bool is_old = answer->done && !joining->listed;
    joining->since = same_wish && !is_old ? answer->since : 0;
    if (span_is(answer->error, "E_CLONE") || span_is(answer->error, "E_HISTORY"))
        joining->state = JOINING_REFUSED;
    else if (answer->done && joining->listed && same_wish && joining->replaces[0] == '\0')
        joining->state = JOINING_DONE;
}
