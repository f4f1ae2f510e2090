#include "cmd/changeagent/intake.h"

#include "protocol/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void intake_open(struct intake *intake, FILE *file, const struct form *form)
{
    int first = form == NULL ? getc(file) : EOF;
    if (first != EOF)
        ungetc(first, file);
    intake->file = file;
    intake->lax = form != NULL;
    intake->form = form != NULL ? form : first == pack_mark[0] ? &form_binary : &form_lines;
}

void intake_close(struct intake *intake)
{
    bytes_free(intake->text);
    *intake = (struct intake){0};
}

static enum intake_verdict bad(struct intake *intake, enum err err, const char *wrong)
{
    intake->err = err;
    intake->wrong = wrong;
    return INTAKE_BAD;
}

static enum intake_verdict torn(struct intake *intake)
{
    if (ferror(intake->file))
        return bad(intake, ERR_IO, strerror(errno));
    intake->err = ERR_CORRUPT;
    intake->wrong = "the file is cut off here: its end is missing";
    return INTAKE_TORN;
}

/* ---- lines -----------------------------------------------------------------------------------
 */

static enum intake_verdict next_line(struct intake *intake, struct parse_line *line)
{
    const char *wrong;
    ssize_t size;
    do {
        size = getline(&intake->text, &intake->room, intake->file);
        if (size < 0)
            return ferror(intake->file) ? bad(intake, ERR_IO, strerror(errno)) : INTAKE_DONE;
        intake->number++;
        intake->at = intake->next;
        intake->next += (uint64_t)size;
    } while (size == 1 && intake->text[0] == '\n');
    if (intake->number == 1 && intake->text[0] != '{' && !intake->lax)
        return bad(intake, ERR_BAD_REQUEST,
                   "it is no dump: it begins neither with { nor with the mark of the binary form");
    if (!parse_open(line, intake->text, (size_t)size, &wrong))
        return bad(intake, ERR_BAD_REQUEST, wrong);
    intake->count++;
    return INTAKE_CHANGE;
}

/* ---- pieces ----------------------------------------------------------------------------------
 */

static struct ca_bytes lend(struct span span)
{
    return (struct ca_bytes){span.data, span.size};
}

static void fill_line(struct parse_line *line, const struct change *change)
{
    struct ca_row *row = &line->row;
    memcpy(line->hash, change->hash.data, sizeof line->hash);
    *row = (struct ca_row){.id = change->id,
                           .ts = change->ts,
                           .type = change->type,
                           .has_key = change->has_key,
                           .removes = change->removes,
                           .data_size = change->data.size,
                           .key = lend(change->key),
                           .ctype = lend(change->ctype),
                           .data = lend(change->data),
                           .hash = {line->hash, sizeof line->hash},
                           .headers = lend(change->headers),
                           .tags = line->tags,
                           .tag_count = change->tags.count};
    for (uint32_t i = 0; i < change->tags.count; i++)
        line->tags[i] = lend(change->tags.at[i]);
}

/* The body of a change is held to what an import may be, so the cluster has no more to say of it
 * than whether it follows. */
static enum intake_verdict take_change(struct intake *intake, struct parse_line *line)
{
    struct change_walk walk;
    struct change change;
    const char *wrong = "a change is cut short";
    uint32_t count;
    struct span body = bytes_span(&line->data);
    enum err err = change_body_check(body, CHANGE_IMPORT, &change_limits_default, &count, &wrong);
    if (err != ERR_NONE)
        return bad(intake, err, wrong);
    change_walk_begin(&walk, body);
    if (!change_walk_next(&walk, &change))
        return bad(intake, ERR_BAD_REQUEST, wrong);
    fill_line(line, &change);
    intake->whole = intake->next;
    intake->count++;
    return INTAKE_CHANGE;
}

/* The body goes behind the head of a body of changes (change.h), as if it were a put of one. */
static enum intake_verdict read_body(struct intake *intake, const struct pack *pack,
                                     struct parse_line *line, struct span *body)
{
    struct bytes *own = &line->data;
    const char *wrong;
    bytes_clear(own);
    change_body_begin(own, 1);
    size_t before = own->size;
    if (fread(bytes_reserve(own, pack->size), 1, pack->size, intake->file) != pack->size)
        return torn(intake);
    own->size = before + pack->size;
    *body = SPAN(own->data + before, pack->size);
    enum err err = pack_body(pack, *body, &wrong);
    if (err != ERR_NONE)
        return bad(intake, err, wrong);
    intake->next = intake->at + PACK_HEAD + pack->size;
    return INTAKE_CHANGE;
}

static enum intake_verdict read_piece(struct intake *intake, struct pack *pack,
                                      struct parse_line *line, struct span *body)
{
    uint8_t head[PACK_HEAD];
    const char *wrong = "here is no mark of a piece";
    intake->at = intake->next;
    size_t got = fread(head, 1, sizeof head, intake->file);
    if (got == 0 && (intake->has_end || intake->lax) && !ferror(intake->file))
        return INTAKE_DONE;
    intake->number++;
    if (got > 0 && intake->has_end)
        return bad(intake, ERR_CORRUPT, "there is more behind the end");
    if (got < sizeof head && memcmp(head, pack_mark, got < PACK_MARK ? got : PACK_MARK) == 0)
        return torn(intake);
    enum err err = got < sizeof head ? ERR_CORRUPT : pack_head(head, pack, &wrong);
    if (err != ERR_NONE)
        return bad(intake, err, wrong);
    return read_body(intake, pack, line, body);
}

/* A begin or an end: false where it does not belong. */
static bool take_frame(struct intake *intake, const struct pack *pack, struct span body)
{
    if (pack->kind == PACK_BEGIN) {
        intake->whole = intake->whole == 0 ? intake->next : intake->whole;
        return intake->number == 1 || intake->lax;
    }
    intake->has_end = !intake->lax;
    return intake->lax || load_u64(body.data) == intake->count;
}

static enum intake_verdict next_piece(struct intake *intake, struct parse_line *line)
{
    for (;;) {
        struct pack pack;
        struct span body;
        enum intake_verdict verdict = read_piece(intake, &pack, line, &body);
        if (verdict != INTAKE_CHANGE)
            return verdict;
        if (intake->number == 1 && pack.kind != PACK_BEGIN && !intake->lax)
            return bad(intake, ERR_CORRUPT, "the begin of the dump is missing");
        if (pack.kind == PACK_CHANGE)
            return take_change(intake, line);
        if (!take_frame(intake, &pack, body))
            return bad(intake, ERR_CORRUPT,
                       pack.kind == PACK_BEGIN ? "another dump begins here"
                                               : "the end tells another count of changes");
    }
}

/* ---- public ---------------------------------------------------------------------------------- */

enum intake_verdict intake_next(struct intake *intake, struct parse_line *line)
{
    return (intake->form == &form_binary ? next_piece : next_line)(intake, line);
}

void intake_skip(struct intake *intake)
{
    size_t found = 0;
    if (intake->form != &form_binary)
        return;
    intake->next = intake->at + 1;
    if (fseeko(intake->file, (off_t)intake->next, SEEK_SET) != 0)
        return;
    for (int byte; found < PACK_MARK && (byte = getc(intake->file)) != EOF; intake->next++)
        found = byte == pack_mark[found] ? found + 1 : byte == pack_mark[0];
    if (found == PACK_MARK) {
        intake->next -= PACK_MARK;
        if (fseeko(intake->file, (off_t)intake->next, SEEK_SET) != 0)
            return;
    }
}

void intake_place(const struct intake *intake, char text[INTAKE_PLACE_MAX])
{
    if (intake->form == &form_binary)
        snprintf(text, INTAKE_PLACE_MAX, "piece %" PRIu64 " (at byte %" PRIu64 ")", intake->number,
                 intake->at);
    else
        snprintf(text, INTAKE_PLACE_MAX, "line %" PRIu64, intake->number);
}

struct change intake_change(const struct ca_row *row)
{
    struct change change = {.type = row->type,
                            .has_key = row->has_key,
                            .removes = row->removes,
                            .key = SPAN(row->key.data, row->key.size),
                            .ctype = SPAN(row->ctype.data, row->ctype.size),
                            .data = SPAN(row->data.data, row->data.size),
                            .headers = SPAN(row->headers.data, row->headers.size)};
    for (uint32_t i = 0; i < row->tag_count && i < TEXTS_MAX; i++)
        change.tags.at[change.tags.count++] = SPAN(row->tags[i].data, row->tags[i].size);
    return change;
}

bool intake_follows(uint64_t id, const uint8_t hash[HASH_SIZE], const struct parse_line *line)
{
    struct change change = intake_change(&line->row);
    uint8_t own[HASH_SIZE];
    change_hash(hash, line->row.id, line->row.ts, &change, own);
    return line->row.id == id + 1 && memcmp(own, line->hash, sizeof own) == 0;
}
