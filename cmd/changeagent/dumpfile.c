/* dumpfile.c - the end of the file is found first; then pages of the log go behind it. */
#include "cmd/changeagent/dumpfile.h"

#include "cmd/changeagent/args.h"
#include "common/err.h"
#include "common/progress.h"
#include "protocol/change.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_ROWS = 10000, PAGE_BYTES = 4 << 20, TAIL_STEP = 1 << 16 };

static int refuse(const struct dumpfile *dump, const char *what, const char *about)
{
    fprintf(stderr, "changeagent: %s: %s: %s\n", dump->verb, about, what);
    return EXIT_USAGE;
}

/* A path that is wrong is one thing, a disk that is full another. */
static int failed(const struct dumpfile *dump, const char *about)
{
    bool wrong = errno == ENOENT || errno == EACCES || errno == ENOTDIR || errno == EISDIR;
    (void)refuse(dump, strerror(errno), about);
    return wrong ? EXIT_USAGE : EXIT_SYSTEM;
}

/* ---- going on with a file ---------------------------------------------------------------------
 */

/* Reads the last whole line of the file; `whole`: where it ends. */
static bool read_last_line(FILE *file, struct bytes *line, uint64_t *whole)
{
    long end, from;
    if (fseek(file, 0, SEEK_END) != 0 || (end = from = ftell(file)) < 0)
        return false;
    for (;;) {
        const uint8_t *last, *before;
        size_t size = (size_t)((from > TAIL_STEP ? TAIL_STEP : from) + (end - from));
        from = end - (long)size;
        bytes_clear(line);
        if (fseek(file, from, SEEK_SET) != 0 ||
            fread(bytes_reserve(line, size + 1), 1, size, file) != size)
            return false;
        last = memrchr(line->data, '\n', size);
        before = last != NULL ? memrchr(line->data, '\n', (size_t)(last - line->data)) : NULL;
        if (before == NULL && from > 0)
            continue;
        size_t begin = before != NULL ? (size_t)(before + 1 - line->data) : 0;
        size_t behind = last != NULL ? (size_t)(last + 1 - line->data) : 0;
        memmove(line->data, line->data + begin, behind - begin);
        line->size = behind - begin;
        *whole = (uint64_t)from + behind;
        return true;
    }
}

static void note(struct dumpfile *dump, const struct parse_line *line)
{
    dump->since = line->row.id;
    memcpy(dump->hash, line->hash, sizeof dump->hash);
    dump->has_hash = true;
}

/* A file of one line that is torn is no more than the begin of this. */
static bool begins_as_line(FILE *file)
{
    static const char begin[] = "{\"id\":";
    char got[sizeof begin];
    rewind(file);
    size_t size = fread(got, 1, sizeof begin - 1, file);
    rewind(file);
    return memcmp(got, begin, size) == 0;
}

static int take_up_lines(struct dumpfile *dump, const char *path)
{
    struct parse_line line = {0};
    SCOPED(bytes) text = {0};
    const char *wrong;
    if (!read_last_line(dump->file, &text, &dump->whole))
        return refuse(dump, strerror(errno), path);
    if (text.size == 0)
        return EXIT_OK;
    bool fine = parse_open(&line, (const char *)text.data, text.size, &wrong);
    if (fine)
        note(dump, &line);
    parse_close(&line);
    return fine ? EXIT_OK : refuse(dump, "the last line is not of a dump", path);
}

/* True if it is the next one, or the first of a file that begins anywhere. */
static bool goes_on(struct dumpfile *dump, const struct parse_line *line)
{
    bool fine = !dump->has_hash || line->row.id == dump->since + 1;
    dump->first = dump->first == 0 ? line->row.id : dump->first;
    note(dump, line);
    return fine;
}

static enum intake_verdict read_pieces(struct dumpfile *dump, struct intake *intake, uint64_t all)
{
    struct progress progress = {0};
    enum intake_verdict verdict = INTAKE_CHANGE;
    while (verdict == INTAKE_CHANGE) {
        struct parse_line line = {0};
        verdict = intake_next(intake, &line);
        if (verdict == INTAKE_CHANGE && !goes_on(dump, &line)) {
            intake->err = ERR_GAP;
            intake->wrong = "changes are missing before this one; dump anew";
            verdict = INTAKE_BAD;
        }
        parse_close(&line);
        progress_show(&progress, intake->next, all, "bytes read");
    }
    progress_wipe(&progress);
    return verdict;
}

/* A power cut can leave a file longer than what was written to it. No dump ends so. */
static bool ends_in_zeros(FILE *file)
{
    uint8_t last[16], zeros[sizeof last] = {0};
    return fseek(file, -(long)sizeof last, SEEK_END) == 0 &&
           fread(last, 1, sizeof last, file) == sizeof last &&
           memcmp(last, zeros, sizeof last) == 0;
}

/* What is damaged is not gone on with: nobody would look there again. */
static int take_up_pieces(struct dumpfile *dump, const char *path, struct intake *intake,
                          uint64_t all)
{
    char place[INTAKE_PLACE_MAX], about[INTAKE_PLACE_MAX + 200];
    enum intake_verdict verdict = read_pieces(dump, intake, all);
    dump->whole = intake->whole;
    dump->count = intake->count;
    dump->ended = verdict == INTAKE_DONE;
    if (verdict != INTAKE_BAD || (intake->err == ERR_CORRUPT && ends_in_zeros(dump->file)))
        return EXIT_OK;
    intake_place(intake, place);
    snprintf(about, sizeof about, "%s: %s: %s", place, err_name(intake->err), intake->wrong);
    refuse(dump, about, path);
    if (intake->err == ERR_CORRUPT)
        fprintf(stderr, "changeagent: `changeagent salvage` gives what is whole in it\n");
    return EXIT_USAGE;
}

/* What the file holds so far tells where to go on, and in which form. Nothing is cut off before a
 * node has said that it is the same log: see begin(). */
int dumpfile_take_up(struct dumpfile *dump, const char *path)
{
    SCOPED(intake) intake = {0};
    dump->first = dump->whole = dump->count = 0;
    dump->ended = false;
    dump->file = fopen(path, "a+e");
    if (dump->file == NULL || fseek(dump->file, 0, SEEK_END) != 0)
        return failed(dump, path);
    long size = ftell(dump->file);
    if (size <= 0)
        return size == 0 ? EXIT_OK : failed(dump, path);
    bool is_line = begins_as_line(dump->file);
    intake_open(&intake, dump->file, NULL);
    if (!is_line && intake.form == &form_lines)
        return refuse(dump, "it is no dump; take another file, or a new one", path);
    if (dump->form != NULL && dump->form != intake.form)
        return refuse(
            dump, "the file is of the other form; leave out --format, or take another file", path);
    dump->form = intake.form;
    return dump->form == &form_binary ? take_up_pieces(dump, path, &intake, (uint64_t)size)
                                      : take_up_lines(dump, path);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

int dumpfile_go_on(struct dumpfile *dump, const char *path)
{
    dumpfile_close(dump);
    dump->first = dump->whole = dump->count = 0;
    dump->file = fopen(path, "w+xe");
    return dump->file != NULL ? EXIT_OK : failed(dump, path);
}

static int unwritten(const struct dumpfile *dump)
{
    fprintf(stderr, "changeagent: %s: cannot write: %s\n", dump->verb, strerror(errno));
    return EXIT_SYSTEM;
}

/* The end goes for good before anything is in its place: a file that has one and more behind it is
 * no dump. */
static bool cut_off_end(const struct dumpfile *dump)
{
    int fd = fileno(dump->file);
    return fflush(dump->file) == 0 && ftruncate(fd, (off_t)dump->whole) == 0 && fsync(fd) == 0 &&
           fseek(dump->file, 0, SEEK_END) == 0;
}

/* What stands before the first change; of a file, behind what is whole of it. */
static bool begin(struct dumpfile *dump, struct bytes *out)
{
    bool fine = dump->file == stdout || cut_off_end(dump);
    if (dump->whole == 0)
        dump->form->begin(out);
    dump->begun = true;
    dump->ended = false;
    return fine;
}

static bool put_out(struct dumpfile *dump, const struct bytes *out)
{
    return out->size == 0 || fwrite(out->data, 1, out->size, dump->file) == out->size;
}

/* A node may have been given another history since the last page. Before the first change of a log
 * stand zeros; what is before the first of a dump that begins later is not known. */
static bool follows(const struct dumpfile *dump, const struct ca_row *row,
                    const struct change *change)
{
    uint8_t hash[HASH_SIZE];
    if (row->id != dump->since + 1 || row->hash.size != sizeof hash)
        return false;
    change_hash(dump->hash, row->id, row->ts, change, hash);
    bool known = dump->has_hash || dump->since == 0;
    return !known || memcmp(hash, row->hash.data, sizeof hash) == 0;
}

/* Writes the rows up to `until`. */
static int write_page(struct dumpfile *dump, const struct ca_page *page, uint64_t until)
{
    SCOPED(bytes) out = {0};
    int code = EXIT_OK;
    if (!dump->begun && !begin(dump, &out))
        return unwritten(dump);
    for (uint32_t i = 0; i < ca_page_count(page) && ca_page_row(page, i)->id <= until; i++) {
        const struct ca_row *row = ca_page_row(page, i);
        struct change change = intake_change(row);
        struct line_place place = {row->id, row->ts, SPAN(row->hash.data, row->hash.size)};
        if (!follows(dump, row, &change)) {
            (void)refuse(dump, "it does not follow from what is written; is this another history?",
                         "a change that the node gives");
            code = EXIT_REFUSED;
            break;
        }
        dump->form->append(&place, &change, &out);
        dump->first = dump->first == 0 ? row->id : dump->first;
        dump->since = row->id;
        dump->has_hash = true;
        memcpy(dump->hash, row->hash.data, sizeof dump->hash);
        dump->written++;
        dump->count++;
    }
    dump->whole += out.size;
    return put_out(dump, &out) ? code : unwritten(dump);
}

static bool sync_file(const struct dumpfile *dump)
{
    return fflush(dump->file) == 0 && (dump->file == stdout || fsync(fileno(dump->file)) == 0);
}

int dumpfile_sync(const struct dumpfile *dump)
{
    return sync_file(dump) ? EXIT_OK : unwritten(dump);
}

int dumpfile_end(struct dumpfile *dump)
{
    SCOPED(bytes) out = {0};
    if (!dump->begun && !begin(dump, &out))
        return unwritten(dump);
    dump->form->end(dump->count, &out);
    dump->begun = false;
    dump->ended = put_out(dump, &out) && sync_file(dump);
    return dump->ended ? EXIT_OK : unwritten(dump);
}

void dumpfile_close(struct dumpfile *dump)
{
    if (dump->file != NULL && dump->file != stdout)
        fclose(dump->file);
    dump->file = NULL;
    dump->begun = dump->ended = false;
}

/* The cursor behind what is written: the node checks that its log has this change. */
static bool cursor_of(const struct dumpfile *dump, const struct ca_head *head,
                      char text[CURSOR_TEXT_MAX])
{
    struct cursor cursor;
    if (cursor_parse(SPAN_TEXT(head->cursor), &cursor) != ERR_NONE)
        return false;
    cursor.id = dump->since;
    memcpy(cursor.hash, dump->hash, sizeof cursor.hash);
    cursor_print(&cursor, text);
    return true;
}

int dumpfile_check(const struct dumpfile *dump, struct ca *ca, const struct ca_head *head)
{
    char cursor[CURSOR_TEXT_MAX];
    struct ca_query query = {.cursor = cursor, .limit = 1};
    struct ca_page *page = NULL;
    if (!dump->has_hash)
        return EXIT_OK;
    if (!cursor_of(dump, head, cursor))
        return refuse(dump, "is no cursor of this version", head->cursor);
    enum ca_code code = ca_list(ca, &query, &page);
    ca_page_close(page);
    return code == CA_OK ? EXIT_OK : args_fail(ca_last_error(ca));
}

int dumpfile_write(struct dumpfile *dump, struct ca *ca, const struct ca_head *head,
                   uint64_t bytes_max)
{
    struct ca_query query = {.since = dump->since, .limit = PAGE_ROWS, .bytes = PAGE_BYTES};
    struct progress progress = {0};
    int code = EXIT_OK;
    while (code == EXIT_OK && dump->whole < bytes_max && dump->since < head->id) {
        struct ca_page *page = NULL;
        query.since = dump->since;
        enum ca_code said = ca_list(ca, &query, &page);
        code = said == CA_OK ? write_page(dump, page, head->id) : args_fail(ca_last_error(ca));
        ca_page_close(page);
        progress_show(&progress, dump->since, head->id, "changes");
    }
    progress_wipe(&progress);
    return code;
}
