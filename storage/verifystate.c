/* verifystate.c - state.db against the log; see verify.h. */
#include "storage/verify.h"

#include <inttypes.h>
#include <stdio.h>

/* All that is not a table. */
static bool same_mark(const struct apply_mark *a, const struct apply_mark *b)
{
    return a->index == b->index && a->term == b->term && a->ts == b->ts &&
           a->last_id == b->last_id && a->change_ts == b->change_ts && a->floor == b->floor &&
           a->history == b->history && a->founded == b->founded && a->parent == b->parent &&
           a->fork_id == b->fork_id && memcmp(a->cluster, b->cluster, sizeof a->cluster) == 0 &&
           memcmp(a->hash, b->hash, HASH_SIZE) == 0;
}

void verify_mark(struct verify *verify)
{
    if (!verify->has_state || verify->apply.at.index != verify->mark.index)
        return;
    verify->seen_mark = true;
    if (!same_mark(&verify->apply.at, &verify->mark))
        verify_blame(verify, "state.db", ERR_CORRUPT,
                     "at log entry %" PRIu64 " it is not what the log makes", verify->mark.index);
}

static enum err compare_outcome(void *owner, const struct outcome *row)
{
    struct verify *verify = owner;
    const struct outcome *own = overlay_find(&verify->overlay, row->index);
    if (!verify->seen_mark || !verify->exact)
        return ERR_NONE;
    bool same = own != NULL && own->first_id == row->first_id && own->ts == row->ts &&
                own->err == row->err && own->change_count == row->change_count &&
                own->body_hash == row->body_hash &&
                memcmp(own->txid, row->txid, sizeof row->txid) == 0;
    if (!same)
        verify_blame(verify, "state.db", ERR_CORRUPT,
                     "the outcome of log entry %" PRIu64 " is another", row->index);
    return ERR_NONE;
}

static enum err pass_tag(void *owner, struct span tag, const struct state_tag *known)
{
    struct verify *verify = owner;
    if (known->first == 0 || known->first > known->last || known->last > verify->mark.last_id)
        verify_blame(verify, "state.db", ERR_CORRUPT, "the tag %.*s has impossible ids",
                     (int)(tag.size < 64 ? tag.size : 64), (const char *)tag.data);
    return ERR_NONE;
}

void verify_state(struct verify *verify)
{
    uint64_t before = verify->faults;
    if (!verify->has_state)
        return;
    if (verify->mark.index > verify->last_index)
        verify_blame(verify, "state.db", ERR_CORRUPT,
                     "it has applied log entry %" PRIu64 ", the log ends at %" PRIu64,
                     verify->mark.index, verify->last_index);
    enum err err = state_outcomes(&verify->state, 0, compare_outcome, verify);
    if (err == ERR_NONE)
        err = state_tags(&verify->state, SPAN(NULL, 0), pass_tag, verify);
    if (err != ERR_NONE)
        verify_blame(verify, "state.db", err, "a row is damaged");
    if (verify->faults == before)
        printf("ok   state.db: applied up to log entry %" PRIu64 "%s\n", verify->mark.index,
               verify->seen_mark ? ", as the log says" : "");
}
