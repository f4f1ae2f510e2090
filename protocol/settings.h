/* settings.h - PURE: what the whole cluster agrees on, the same on every node: limits, and
 * how long changes are kept.
 *
 * They are replicated state, never a configuration file: an entry changes some of them, in the
 * order of the log. The body of such an entry, and of the ask that brings it, is a msgpack map
 * name -> number of those that change. What follows from a setting is decided where it is used. */
#ifndef PROTOCOL_SETTINGS_H
#define PROTOCOL_SETTINGS_H

#include "common/bytes.h"
#include "common/err.h"
#include "protocol/change.h"

#define SETTINGS_MAX_BYTES_MIN (UINT64_C(1) << 26)
#define SETTINGS_HUGE          (UINT64_C(1) << 60)

/* What this version can apply. A log in which a higher level was switched on stops it. */
#define SETTINGS_FEATURE_LEVEL 1

/* Columns: field, name, preset, least, most, 1 if 0 is allowed below the least, what a wrong value
 * is told, sentence. Rows are only ever appended: the order is that of the state on disk. */
#define SETTINGS_TABLE(X)                                                                     \
    X(min_records, "retention.min_records", 0, 0, SETTINGS_HUGE, 0,                           \
      "retention.min_records: a number of changes, at most 2^60",                             \
      "changes that are kept at least; 0: no matter how many")                                \
    X(min_age_s, "retention.min_age_s", 0, 0, 3153600000, 0,                                  \
      "retention.min_age_s: seconds, at most 3153600000 (a hundred years)",                   \
      "seconds that a change is kept at least; 0: no matter how old")                         \
    X(max_bytes, "retention.max_bytes", 0, SETTINGS_MAX_BYTES_MIN, SETTINGS_HUGE, 1,          \
      "retention.max_bytes: 0, or at least 67108864 bytes (one segment), at most 2^60",       \
      "bytes of the log beyond which the oldest go, whatever the two above say; 0: no bound") \
    X(peer_records, "retention.peer_records", 1000000, 1000, SETTINGS_HUGE, 0,                \
      "retention.peer_records: log entries, 1000 to 2^60",                                    \
      "log entries that are kept for a server that is down; beyond, it needs a snapshot")     \
    X(change_bytes, "limits.change_bytes", 1 << 20, 1 << 10, 1 << 20, 0,                      \
      "limits.change_bytes: 1024 to 1048576 bytes", "bytes of one change")                    \
    X(put_bytes, "limits.put_bytes", 4 << 20, 1 << 10, 4 << 20, 0,                            \
      "limits.put_bytes: 1024 to 4194304 bytes", "bytes of one put with all its changes")     \
    X(changes, "limits.changes", 1024, 1, 1024, 0, "limits.changes: 1 to 1024",               \
      "changes of one put")                                                                   \
    X(tags, "limits.tags", 64, 0, 64, 0, "limits.tags: at most 64", "tags of one change")     \
    X(feature_level, "cluster.feature_level", 1, 1, SETTINGS_FEATURE_LEVEL, 0,                \
      "cluster.feature_level: never lower, and not above what this version knows (1)",        \
      "what every server of the cluster must be able to apply; it only rises")

struct settings {
#define SETTINGS_FIELD(field, name, preset, least, most, zero, rule, sentence) uint64_t field;
    SETTINGS_TABLE(SETTINGS_FIELD)
#undef SETTINGS_FIELD
};

#define SETTINGS_COUNT_ONE(field, name, preset, least, most, zero, rule, sentence) +1
enum { SETTINGS_COUNT = 0 SETTINGS_TABLE(SETTINGS_COUNT_ONE), SETTINGS_BODY_MAX = 4096 };
#undef SETTINGS_COUNT_ONE

extern const struct settings settings_preset;

/* Takes over what the body names; all of it or nothing.
 * ERR_BAD_REQUEST: not such a map, empty, an unknown name, no number.  ERR_LIMIT: a value that
 * the setting cannot have. `detail` (may be NULL) lends a constant sentence on the error. */
MUST_USE enum err settings_merge(struct settings *settings, struct span body, const char **detail);

/* The feature level that a body switches on; 0: none. Of a body that is none: 0. */
uint64_t settings_level_in(struct span body);

/* Appends the map of all. */
void settings_encode(const struct settings *settings, struct bytes *out);

/* One row, for who shows them: false behind the last. Lends constants. */
bool settings_row(const struct settings *settings, uint32_t row, const char **name, uint64_t *value,
                  const char **sentence);

/* True, and its place in the table, if there is a setting of this name. */
bool settings_find(struct span name, uint32_t *row);

/* As numbers in the order of the table: between our processes, and on disk. What a shorter list
 * lacks keeps its preset. ERR_BAD_MESSAGE: not such a list. */
void settings_save(const struct settings *settings, uint8_t out[SETTINGS_COUNT * 8]);
MUST_USE enum err settings_load(struct span saved, struct settings *settings);

/* The limits of a put that follow. */
struct change_limits settings_limits(const struct settings *settings);

#endif
