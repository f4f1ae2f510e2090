#include "cmd/changeagent/mend.h"

#include "cmd/changeagent/parse.h"
#include "cmd/changeagent/verbs.h"
#include "common/progress.h"
#include "protocol/change.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { LOOK_BYTES = 1 << 20, SOMETHING_IS_MISSING = 113, TOLD_MAX = 50 };

/* A line behind a gap: whether it is what it claims is decided by the next one. */
struct held {
    struct parse_line line;
    struct bytes text;
    uint64_t number;
    bool there;
};

struct mend {
    struct held held;
    uint64_t line, changes, bad, unproven, missing;
    uint64_t first_id, last_id; /* of the lines given back; 0: none */
    uint8_t hash[HASH_SIZE];    /* of the last one */
    bool weak;                  /* the last one was not proven, nor its hash by the next */
    bool failed;
};

bool mend_is_dump(const char *path)
{
    static const char begin[] = "{\"id\":";
    SCOPED(bytes) head = {0};
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(bytes_reserve(&head, LOOK_BYTES), 1, LOOK_BYTES, file) : 0;
    if (file != NULL)
        fclose(file);
    bool is_database = got >= 16 && memcmp(head.data, "SQLite format 3", 16) == 0;
    return got > 0 && !is_database && memmem(head.data, got, begin, sizeof begin - 1) != NULL;
}

static struct change change_of(const struct ca_row *row)
{
    struct change change = {.type = row->type,
                            .has_key = row->has_key,
                            .key = SPAN(row->key.data, row->key.size),
                            .ctype = SPAN(row->ctype.data, row->ctype.size),
                            .data = SPAN(row->data.data, row->data.size),
                            .headers = SPAN(row->headers.data, row->headers.size)};
    for (uint32_t i = 0; i < row->tag_count && i < TEXTS_MAX; i++)
        change.tags.at[change.tags.count++] = SPAN(row->tags[i].data, row->tags[i].size);
    return change;
}

/* Is it the next one after a change with this id and hash? */
static bool follows(uint64_t id, const uint8_t before[HASH_SIZE], const struct parse_line *line)
{
    struct change change = change_of(&line->row);
    uint8_t hash[HASH_SIZE];
    change_hash(before, line->row.id, line->row.ts, &change, hash);
    return line->row.id == id + 1 && memcmp(hash, line->hash, sizeof hash) == 0;
}

static void complain(struct mend *mend, uint64_t number, const char *what)
{
    if (mend->bad++ < TOLD_MAX)
        fprintf(stderr, "line %" PRIu64 ": %s\n", number, what);
}

static void give(struct mend *mend, const struct parse_line *line, struct span text, bool proven)
{
    uint64_t id = line->row.id;
    if (id > mend->last_id + 1) {
        fprintf(stderr, "missing: changes %" PRIu64 " to %" PRIu64 "\n", mend->last_id + 1, id - 1);
        mend->missing += id - 1 - mend->last_id;
    }
    mend->first_id = mend->first_id == 0 ? id : mend->first_id;
    mend->last_id = id;
    mend->weak = !proven;
    mend->unproven += !proven;
    memcpy(mend->hash, line->hash, sizeof mend->hash);
    mend->changes++;
    mend->failed = mend->failed || fwrite(text.data, 1, text.size, stdout) != text.size;
}

static void let_go(struct held *held)
{
    parse_close(&held->line);
    bytes_clear(&held->text);
    held->there = false;
}

static void give_held(struct mend *mend)
{
    give(mend, &mend->held.line, bytes_span(&mend->held.text), false);
    let_go(&mend->held);
}

static void drop_held(struct mend *mend)
{
    complain(mend, mend->held.number, "its id fits neither the line before nor the one behind");
    let_go(&mend->held);
}

/* Takes the line over. */
static void hold_line(struct mend *mend, struct parse_line *line, struct span text)
{
    bytes_append_span(&mend->held.text, text);
    mend->held.line = *line; /* what it lends from goes with it */
    mend->held.line.row.tags = mend->held.line.tags;
    mend->held.number = mend->line;
    mend->held.there = true;
    *line = (struct parse_line){0};
}

/* Settles what is held, by what comes behind it. */
static void settle_held(struct mend *mend, const struct parse_line *line)
{
    const struct parse_line *held = &mend->held.line;
    if (!mend->held.there)
        return;
    bool leads_here = follows(held->row.id, held->hash, line);
    bool is_passed_by = follows(mend->last_id, mend->hash, line) || line->row.id <= held->row.id;
    if (!leads_here && is_passed_by && line->row.id > mend->last_id)
        drop_held(mend);
    else if (line->row.id > held->row.id)
        give_held(mend);
}

static void judge_line(struct mend *mend, struct parse_line *line, struct span text)
{
    settle_held(mend, line);
    if (line->row.id <= mend->last_id || mend->held.there)
        complain(mend, mend->line, "its id was given before");
    else if (follows(mend->last_id, mend->hash, line))
        give(mend, line, text, true);
    else if (line->row.id == mend->last_id + 1 && !mend->weak)
        complain(mend, mend->line, "its hash does not follow from the line before");
    else
        hold_line(mend, line, text);
}

static void take_line(struct mend *mend, const char *text, size_t size)
{
    struct parse_line line = {0};
    const char *wrong = "it is cut off";
    mend->line++;
    if (size == 0 || (size == 1 && text[0] == '\n'))
        return;
    if (text[size - 1] == '\n' && parse_open(&line, text, size, &wrong))
        judge_line(mend, &line, SPAN(text, size));
    else
        complain(mend, mend->line, wrong);
    parse_close(&line);
}

static int report(const struct mend *mend)
{
    char hash[2 * HASH_SIZE + 1];
    bool whole = mend->bad == 0 && mend->missing == 0 && mend->changes > 0;
    cursor_hex(mend->hash, HASH_SIZE, hash);
    fprintf(stderr, "%" PRIu64 " changes, ids %" PRIu64 " to %" PRIu64 ", hash %s\n", mend->changes,
            mend->first_id, mend->last_id, hash);
    if (mend->unproven > 0)
        fprintf(stderr, "%" PRIu64 " of them cannot be proven: the line before each is missing\n",
                mend->unproven);
    fprintf(stderr, "%s: %" PRIu64 " lines are damaged, %" PRIu64 " changes are not there\n",
            whole ? "nothing is missing" : "missing", mend->bad, mend->missing);
    if (mend->failed) {
        fprintf(stderr, "changeagent: salvage: cannot write: %s\n", strerror(errno));
        return EXIT_SYSTEM;
    }
    return whole ? EXIT_OK : SOMETHING_IS_MISSING;
}

int mend_dump(const char *path)
{
    struct mend mend = {0};
    struct progress progress = {0};
    char *text = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "changeagent: salvage: %s: %s\n", path, strerror(errno));
        return EXIT_SYSTEM;
    }
    for (ssize_t size; !mend.failed && (size = getline(&text, &room, file)) >= 0;) {
        take_line(&mend, text, (size_t)size);
        progress_show(&progress, mend.changes, 0, "changes");
    }
    progress_wipe(&progress);
    if (ferror(file))
        complain(&mend, mend.line, strerror(errno));
    if (mend.held.there)
        give_held(&mend);
    bytes_close(&mend.held.text);
    bytes_free(text); /* getline's */
    fclose(file);
    mend.failed = fflush(stdout) != 0 || mend.failed;
    return report(&mend);
}
