#include "cmd/changeagent/mend.h"

#include "cmd/changeagent/intake.h"
#include "cmd/changeagent/verbs.h"
#include "common/progress.h"
#include "protocol/cursor.h"
#include "protocol/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { LOOK_BYTES = 1 << 20, SOMETHING_IS_MISSING = 113, TOLD_MAX = 50 };

/* A change behind a gap: whether it is what it claims is decided by the next one. */
struct held {
    struct parse_line line;
    char place[INTAKE_PLACE_MAX];
    bool there;
};

struct mend {
    struct intake intake;
    const struct form *form; /* of what is given back */
    struct bytes out;
    struct held held;
    uint64_t changes, bad, unproven, missing;
    uint64_t first_id, last_id; /* of the changes given back; 0: none */
    uint8_t hash[HASH_SIZE];    /* of the last one */
    bool weak;                  /* the last one was not proven, nor its hash by the next */
    bool failed;
};

/* Where a text begins, or the end. */
static size_t find(struct span head, const void *text, size_t size)
{
    const uint8_t *at = memmem(head.data, head.size, text, size);
    return at != NULL ? (size_t)(at - head.data) : head.size;
}

const struct form *mend_form(const char *path)
{
    static const char begin[] = "{\"id\":", database[] = "SQLite format 3";
    SCOPED(bytes) head = {0};
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(bytes_reserve(&head, LOOK_BYTES), 1, LOOK_BYTES, file) : 0;
    if (file != NULL)
        fclose(file);
    struct span all = SPAN(head.data, got);
    size_t line = find(all, begin, sizeof begin - 1), piece = find(all, pack_mark, PACK_MARK);
    if (find(all, database, sizeof database) == 0 || (line == got && piece == got))
        return NULL;
    return line < piece ? &form_lines : &form_binary;
}

static void complain(struct mend *mend, const char *place, const char *what)
{
    if (mend->bad++ < TOLD_MAX)
        fprintf(stderr, "%s: %s\n", place, what);
}

static void complain_here(struct mend *mend, const char *what)
{
    char place[INTAKE_PLACE_MAX];
    intake_place(&mend->intake, place);
    complain(mend, place, what);
}

static void flush(struct mend *mend)
{
    struct bytes *out = &mend->out;
    if (out->size > 0 && fwrite(out->data, 1, out->size, stdout) != out->size)
        mend->failed = true;
    bytes_clear(out);
}

static void give(struct mend *mend, const struct parse_line *line, bool proven)
{
    struct line_place place = {line->row.id, line->row.ts, SPAN(line->hash, HASH_SIZE)};
    struct change change = intake_change(&line->row);
    if (place.id > mend->last_id + 1) {
        fprintf(stderr, "missing: changes %" PRIu64 " to %" PRIu64 "\n", mend->last_id + 1,
                place.id - 1);
        mend->missing += place.id - 1 - mend->last_id;
    }
    mend->first_id = mend->first_id == 0 ? place.id : mend->first_id;
    mend->last_id = place.id;
    mend->weak = !proven;
    mend->unproven += !proven;
    memcpy(mend->hash, line->hash, sizeof mend->hash);
    mend->changes++;
    mend->form->append(&place, &change, &mend->out);
    flush(mend);
}

static void let_go(struct held *held)
{
    parse_close(&held->line);
    held->there = false;
}

static void give_held(struct mend *mend)
{
    give(mend, &mend->held.line, false);
    let_go(&mend->held);
}

static void drop_held(struct mend *mend)
{
    complain(mend, mend->held.place, "its id fits neither what is before nor what is behind");
    let_go(&mend->held);
}

/* Takes the line over. */
static void hold_line(struct mend *mend, struct parse_line *line)
{
    mend->held.line = *line; /* what it lends from goes with it */
    mend->held.line.row.tags = mend->held.line.tags;
    intake_place(&mend->intake, mend->held.place);
    mend->held.there = true;
    *line = (struct parse_line){0};
}

/* Settles what is held, by what comes behind it. */
static void settle_held(struct mend *mend, const struct parse_line *line)
{
    const struct parse_line *held = &mend->held.line;
    if (!mend->held.there)
        return;
    bool leads_here = intake_follows(held->row.id, held->hash, line);
    bool is_passed_by =
        intake_follows(mend->last_id, mend->hash, line) || line->row.id <= held->row.id;
    if (!leads_here && is_passed_by && line->row.id > mend->last_id)
        drop_held(mend);
    else if (line->row.id > held->row.id)
        give_held(mend);
}

static void judge(struct mend *mend, struct parse_line *line)
{
    settle_held(mend, line);
    if (line->row.id <= mend->last_id || mend->held.there)
        complain_here(mend, "its id was given before");
    else if (intake_follows(mend->last_id, mend->hash, line))
        give(mend, line, true);
    else if (line->row.id == mend->last_id + 1 && !mend->weak)
        complain_here(mend, "its hash does not follow from the change before");
    else
        hold_line(mend, line);
}

/* False: there is no more, or no more can be read. */
static bool take_next(struct mend *mend)
{
    struct parse_line line = {0};
    enum intake_verdict verdict = intake_next(&mend->intake, &line);
    if (verdict == INTAKE_CHANGE) {
        judge(mend, &line);
    } else if (verdict != INTAKE_DONE) {
        complain_here(mend, mend->intake.wrong);
        intake_skip(&mend->intake);
    }
    parse_close(&line);
    return verdict != INTAKE_DONE && mend->intake.err != ERR_IO;
}

static int report(const struct mend *mend)
{
    char hash[2 * HASH_SIZE + 1];
    bool whole = mend->bad == 0 && mend->missing == 0 && mend->changes > 0;
    cursor_hex(mend->hash, HASH_SIZE, hash);
    fprintf(stderr, "%" PRIu64 " changes, ids %" PRIu64 " to %" PRIu64 ", hash %s\n", mend->changes,
            mend->first_id, mend->last_id, hash);
    if (mend->unproven > 0)
        fprintf(stderr, "%" PRIu64 " of them cannot be proven: the change before each is missing\n",
                mend->unproven);
    fprintf(stderr, "%s: %" PRIu64 " %s are damaged, %" PRIu64 " changes are not there\n",
            whole ? "nothing is missing" : "missing", mend->bad,
            mend->intake.form == &form_binary ? "places" : "lines", mend->missing);
    if (mend->failed) {
        fprintf(stderr, "changeagent: salvage: cannot write: %s\n", strerror(errno));
        return EXIT_SYSTEM;
    }
    return whole ? EXIT_OK : SOMETHING_IS_MISSING;
}

static void mend_close(struct mend *mend)
{
    intake_close(&mend->intake);
    let_go(&mend->held);
    bytes_close(&mend->out);
}

int mend_dump(const char *path, const struct form *from, const struct form *to)
{
    SCOPED(mend) mend = {0};
    struct progress progress = {0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "changeagent: salvage: %s: %s\n", path, strerror(errno));
        return EXIT_SYSTEM;
    }
    intake_open(&mend.intake, file, from);
    mend.form = to;
    mend.form->begin(&mend.out);
    while (!mend.failed && take_next(&mend))
        progress_show(&progress, mend.changes, 0, "changes");
    progress_wipe(&progress);
    if (mend.held.there)
        give_held(&mend);
    mend.form->end(mend.changes, &mend.out);
    flush(&mend);
    fclose(file);
    mend.failed = fflush(stdout) != 0 || mend.failed;
    return report(&mend);
}
