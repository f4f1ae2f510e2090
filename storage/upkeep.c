#include "storage/upkeep.h"

#include "common/log.h"
#include "storage/doubt.h"
#include "storage/remover.h"

enum { MEND_STEPS = 4 };

void upkeep_close(struct upkeep *upkeep)
{
    sealer_close(&upkeep->sealer);
    scrub_close(&upkeep->scrub);
    mender_close(&upkeep->mender);
}

/* The .index anew, of what is whole in it. */
static enum err write_again(struct shelf_part *part)
{
    struct tagindex index = {0};
    shelf_rest(part);
    enum err err = seal_load(part->path, &index);
    if (err == ERR_NONE)
        err = seal_write(part->path, &index, &part->seal);
    tagindex_close(&index);
    return err;
}

/* A sealed file is mended beside those who read it. The rest is judged by a start: it makes an
 * index anew, or the state; where the damage is in what is still written, it cuts the log before it
 * and becomes another incarnation (I18). */
static enum err judge(enum scrub_finding finding, struct shelf_part *part, struct late *late)
{
    switch (finding) {
    case SCRUB_SEGMENT:
        log_error("segment_damaged", kv_text("path", part->path), kv_u64("first", part->first));
        part->damaged = true;
        return ERR_NONE;
    case SCRUB_INDEX:
        log_error("index_damaged", kv_text("path", part->path));
        TRY(seal_remove(part->path)); /* its segment was read just before, and is whole */
        return ERR_IO;
    case SCRUB_TIMES:
        log_error("index_times_damaged", kv_text("path", part->path));
        return write_again(part);
    case SCRUB_LOG:
        log_error("log_damaged", kv_text("path", part->path), kv_u64("first", part->first));
        return ERR_IO;
    case SCRUB_STATE:
        TRY(doubt_state(late->state.store.path));
        return ERR_IO;
    default:
        return ERR_NONE;
    }
}

static enum err look(struct upkeep *upkeep, struct shelf *shelf, struct late *late, uint64_t now_ms)
{
    enum scrub_finding finding;
    struct shelf_part *part;
    TRY(scrub_step(&upkeep->scrub, shelf, &late->state, now_ms, &finding, &part));
    return judge(finding, part, late);
}

enum err upkeep_work(struct upkeep *upkeep, struct shelf *shelf, struct late *late, uint64_t now_ms,
                     bool *worked)
{
    *worked = true;
    if (remover_due(shelf, late))
        return remover_step(shelf);
    if (sealer_due(&upkeep->sealer, shelf, late->durable, now_ms))
        return sealer_step(&upkeep->sealer, shelf, now_ms);
    if (mender_due(&upkeep->mender, shelf, now_ms))
        return mender_step(&upkeep->mender, shelf, now_ms);
    if (scrub_due(&upkeep->scrub, now_ms))
        return look(upkeep, shelf, late, now_ms);
    *worked = false;
    return ERR_NONE;
}

bool upkeep_wants_checkpoint(struct shelf *shelf, const struct late *late, uint64_t now_ms)
{
    return late_checkpoint_due(late, shelf, now_ms) || remover_waits(shelf, late, now_ms);
}

void upkeep_hurry(struct upkeep *upkeep, const char *event, uint64_t where)
{
    log_error(event, kv_u64("at", where));
    scrub_hurry(&upkeep->scrub);
}

void upkeep_forget(struct upkeep *upkeep, const char *path)
{
    sealer_forget(&upkeep->sealer, path);
}

enum err upkeep_mend(struct upkeep *upkeep, struct shelf *shelf, uint64_t now_ms,
                     const struct message *message, struct link *link, uint32_t neighbour)
{
    struct message answer = {.type = MESSAGE_MEND_AT};
    uint64_t from, to;
    TRY(mender_take(&upkeep->mender, message->mend.entries));
    /* A little further, so that the answer can say at once what is wanted next. */
    for (int i = 0; i < MEND_STEPS && mender_due(&upkeep->mender, shelf, now_ms); i++)
        TRY(mender_step(&upkeep->mender, shelf, now_ms));
    if (mender_wants(&upkeep->mender, &from, &to)) {
        answer.mend_at.from = from;
        answer.mend_at.to = to;
    }
    link_tell(link, neighbour, &answer);
    return ERR_NONE;
}
