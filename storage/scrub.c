#include "storage/scrub.h"

#include "common/log.h"

enum { ROWS_BYTES = 256 << 10, STATE_ROWS = 4096 };

void scrub_close(struct scrub *scrub)
{
    filedigest_close(&scrub->digest);
    bytes_close(&scrub->tag);
    bytes_close(&scrub->rows);
    *scrub = (struct scrub){0};
}

void scrub_hurry(struct scrub *scrub)
{
    scrub->hurries = 2; /* what is left of this one, and a whole one */
    scrub->due_ms = 0;
}

bool scrub_due(const struct scrub *scrub, uint64_t now_ms)
{
    return now_ms >= scrub->due_ms;
}

/* ---- the log -------------------------------------------------------------------------------- */

static void next_part(struct scrub *scrub, const struct shelf_part *part)
{
    filedigest_close(&scrub->digest);
    scrub->part = part->last == UINT64_MAX ? UINT64_MAX : part->last + 1;
    scrub->phase = SCRUB_AT_PART;
}

/* The part that begins where the work is; the oldest one where that was cut. NULL: no more. */
static struct shelf_part *part_in_work(const struct scrub *scrub, struct shelf *shelf)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++)
        if (shelf->parts[slot]->first >= scrub->part)
            return shelf->parts[slot];
    return NULL;
}

static enum err begin_part(struct scrub *scrub, struct shelf_part *part)
{
    scrub->part = scrub->index = part->first;
    scrub->phase = part->indexed ? SCRUB_AT_FILE : SCRUB_AT_ROWS;
    if (!part->indexed)
        return ERR_NONE;
    if (part->damaged) { /* it is known, and being mended */
        next_part(scrub, part);
        return ERR_NONE;
    }
    return filedigest_begin(&scrub->digest, part->path, part->seal.file.size);
}

static enum err check_index(const struct shelf_part *part, enum scrub_finding *finding)
{
    struct tagindex index = {0};
    SCOPED(seal) seal = {0};
    enum err err = seal_load(part->path, &index);
    if (err == ERR_NONE)
        err = seal_read(part->path, &seal);
    tagindex_close(&index);
    if (err == ERR_CORRUPT || err == ERR_NOT_FOUND)
        *finding = SCRUB_INDEX;
    else if (err != ERR_NONE)
        return err;
    else if (seal.times_damaged)
        *finding = SCRUB_TIMES;
    return ERR_NONE;
}

static enum err check_file(struct scrub *scrub, struct shelf_part *part,
                           enum scrub_finding *finding)
{
    struct digest found;
    bool done;
    TRY(filedigest_step(&scrub->digest, &found, &done));
    if (!done)
        return ERR_NONE;
    if (!digest_equal(&found, &part->seal.file))
        *finding = SCRUB_SEGMENT;
    else
        TRY(check_index(part, finding));
    next_part(scrub, part);
    return ERR_NONE;
}

/* Rows that are applied; what is younger may still be replaced. */
static enum err check_rows(struct scrub *scrub, struct shelf *shelf, struct shelf_part *part,
                           enum scrub_finding *finding)
{
    uint64_t end = part->last < shelf->applied ? part->last : shelf->applied;
    uint32_t count = 0;
    if (scrub->index > end) {
        next_part(scrub, part);
        return ERR_NONE;
    }
    bytes_clear(&scrub->rows);
    enum err err = shelf_read(shelf, scrub->index, end, ROWS_BYTES, &scrub->rows);
    if (err == ERR_NONE)
        err = entry_count(bytes_span(&scrub->rows), &count);
    scrub->index += count;
    if (err == ERR_NONE)
        return ERR_NONE;
    next_part(scrub, part);
    if (err != ERR_CORRUPT && err != ERR_NOT_FOUND && err != ERR_BAD_MESSAGE)
        return err;
    *finding = SCRUB_LOG;
    return ERR_NONE;
}

static enum err check_log(struct scrub *scrub, struct shelf *shelf, enum scrub_finding *finding,
                          struct shelf_part **found)
{
    struct shelf_part *part = part_in_work(scrub, shelf);
    if (part == NULL) {
        scrub->phase = SCRUB_AT_OUTCOMES;
        scrub->index = 0;
        return ERR_NONE;
    }
    if (part->first != scrub->part) /* what was in work is cut */
        next_part(scrub, &(struct shelf_part){.last = part->first - 1});
    *found = part;
    switch (scrub->phase) {
    case SCRUB_AT_FILE:
        return check_file(scrub, part, finding);
    case SCRUB_AT_ROWS:
        return check_rows(scrub, shelf, part, finding);
    default:
        return begin_part(scrub, part);
    }
}

/* ---- the state ------------------------------------------------------------------------------ */

struct slice {
    struct scrub *scrub;
    uint32_t rows;
};

/* ERR_BUSY ends the walk: the slice is done. */
static enum err pass_outcome(void *owner, const struct outcome *outcome)
{
    struct slice *slice = owner;
    slice->scrub->index = outcome->index + 1;
    return ++slice->rows < STATE_ROWS ? ERR_NONE : ERR_BUSY;
}

static enum err pass_tag(void *owner, struct span tag, const struct state_tag *known)
{
    struct slice *slice = owner;
    bytes_clear(&slice->scrub->tag);
    bytes_append_span(&slice->scrub->tag, tag);
    return ++slice->rows < STATE_ROWS ? ERR_NONE : ERR_BUSY;
}

static void end_pass(struct scrub *scrub)
{
    bytes_clear(&scrub->tag);
    scrub->phase = SCRUB_AT_PART;
    scrub->part = 0;
    scrub->passes++;
    scrub->hurries -= scrub->hurries > 0;
}

static enum err check_state(struct scrub *scrub, struct state *state, enum scrub_finding *finding)
{
    struct slice slice = {.scrub = scrub};
    struct apply_mark mark;
    enum err err = state_mark(state, &mark);
    if (err == ERR_NONE && scrub->phase == SCRUB_AT_OUTCOMES)
        err = state_outcomes(state, scrub->index, pass_outcome, &slice);
    else if (err == ERR_NONE)
        err = state_tags(state, bytes_span(&scrub->tag), pass_tag, &slice);
    if (err == ERR_CORRUPT)
        *finding = SCRUB_STATE;
    if (err == ERR_BUSY)
        return ERR_NONE;
    if (scrub->phase == SCRUB_AT_OUTCOMES)
        scrub->phase = SCRUB_AT_TAGS;
    else
        end_pass(scrub);
    return err == ERR_CORRUPT ? ERR_NONE : err;
}

enum err scrub_step(struct scrub *scrub, struct shelf *shelf, struct state *state, uint64_t now_ms,
                    enum scrub_finding *finding, struct shelf_part **part)
{
    uint64_t passes = scrub->passes;
    *finding = SCRUB_FINE;
    *part = NULL;
    bool in_log = scrub->phase < SCRUB_AT_OUTCOMES;
    enum err err =
        in_log ? check_log(scrub, shelf, finding, part) : check_state(scrub, state, finding);
    scrub->slices++;
    scrub->damage += *finding != SCRUB_FINE;
    if (scrub->hurries > 0)
        scrub->due_ms = 0;
    else
        scrub->due_ms = now_ms + (scrub->passes != passes ? SCRUB_REST_MS : SCRUB_EVERY_MS);
    return err;
}
