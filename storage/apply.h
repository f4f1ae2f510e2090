/* apply.h - PURE: what a committed entry does to the state.
 *
 * The same entries give the same ids, outcomes, hashes and effects on every
 * node, for ever: no clock, no chance, no disk, no local setting (I19). Apply
 * is total: a body that is no body gives a refusal by name, never a stop.
 * Where the state goes afterwards is not known here: see keeper.h. */
#ifndef STORAGE_APPLY_H
#define STORAGE_APPLY_H

#include "protocol/change.h"
#include "protocol/entry.h"
#include "protocol/holders.h"
#include "protocol/rules.h"
#include "protocol/settings.h"
#include "storage/outcomes.h"
#include "storage/overlay.h"
#include "storage/tagmap.h"

/* Where the state stands: all of it that is not a table. Before the first entry it is that of
 * apply_begin. */
struct apply_mark {
    uint64_t index, term, ts; /* of the last entry applied */
    uint64_t last_id;         /* newest change id */
    uint64_t change_ts;       /* time of that change; an imported one is older than its entry */
    uint64_t floor;           /* outcome_floor */
    uint64_t history;
    uint64_t parent;  /* the history that this one goes on from; 0: it is the cluster's first */
    uint64_t fork_id; /* newest change id when it began */
    uint8_t cluster[16];
    uint8_t hash[HASH_SIZE];     /* change hash at last_id; zeros at 0 */
    bool founded;                /* record 1 was applied */
    uint64_t first_id;           /* first change kept; last_id + 1 if none is */
    uint64_t keep_index;         /* log entries from here on stay on every node */
    uint8_t cut_hash[HASH_SIZE]; /* change hash at first_id - 1 */
    struct settings settings;
    struct holders holders;
    struct rules rules;
    uint64_t settings_index; /* of the entry that changed one of these three last; 0: never */
};

/* The fingerprint of a txid that comes soon. */
struct apply_called {
    uint8_t txid[TXID_SIZE];
    uint64_t print;
    bool set;
};

struct apply {
    struct apply_mark at;
    struct change_limits limits; /* of at.settings: see apply_settle */
    struct outcomes outcomes;
    struct tagmap tags;
    uint64_t *heads; /* last change id of each tag, by its number */
    uint32_t head_room;
    struct apply_called called[2]; /* by the last bit of the log index */
};

/* Reads the outcome that stands at a log index: a fingerprint is believed only when verified.
 * An error stops the node. */
struct apply_source {
    enum err (*outcome)(void *owner, uint64_t index, struct outcome *out);
    void *owner;
};

/* `key` is chance of this process; it decides nothing but where a hash table puts things. */
void apply_open(struct apply *apply, const uint8_t key[HASH_KEY_SIZE]);
void apply_close(struct apply *apply);

/* The state of an empty log. */
struct apply_mark apply_begin(void);

/* `at` was loaded: makes the rest follow. */
void apply_settle(struct apply *apply);

/* Sets the last id of a tag; for loading. */
void apply_set_head(struct apply *apply, struct span tag, uint64_t id);

/* Applies the entry behind apply->at.index and appends its effect, if it is a write.
 * The effect of a duplicate is the first outcome, index included, without changes and body.
 * ERR_VERSION: an unknown kind, or a feature level above what this version knows.  ERR_GAP: not the
 * next entry. ERR_CORRUPT: no founding note, or a second one that does not begin a new history of
 * this cluster.  Else an error of the source. On an
 * error the node stops; the state is not to be used. */
MUST_USE enum err apply_entry(struct apply *apply, const struct entry *entry,
                              const struct apply_source *source, struct bytes *effects);

/* The entry of this record comes soon: what it will need of memory is called for. */
void apply_call_for(struct apply *apply, struct span record);

/* The outcome of a txid; ERR_NOT_FOUND: it did not take effect, or too long ago. */
MUST_USE enum err apply_outcome(const struct apply *apply, const uint8_t txid[TXID_SIZE],
                                const struct apply_source *source, struct outcome *out);

/* True if the effect brings new changes: not a refusal and not a duplicate. */
static inline bool apply_is_commit(const struct effect *effect)
{
    return effect->err == ERR_NONE && effect->links.size > 0;
}

#endif
