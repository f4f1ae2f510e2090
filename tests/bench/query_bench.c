/* query_bench.c - what a query costs in a log of N changes on this disk, sealed as a node seals it:
 *
 *   query_bench DIR CHANGES
 *
 * One change a record, two tags of 10 000 each (less in a small log), and twenty rare tags that are
 * used ten times in the whole log. `cold`: no index and no segment is open yet, and the page cache
 * of the machine is as it is. `warm`: the same question again. The call is query_read, without the
 * way through the sockets. */
#include "common/clock.h"
#include "common/log.h"
#include "storage/apply.h"
#include "storage/query.h"
#include "storage/sealer.h"

#include <stdio.h>
#include <stdlib.h>

enum { TAGS = 10000, RARE = 20, HITS = 10, ROUNDS = 40, DATA = 100 };

struct bench {
    const char *directory;
    uint64_t count, tags, last, ts;
    uint64_t close_us, hash_us, index_us; /* of sealing */
    uint8_t hash[HASH_SIZE];
    struct apply apply;
    struct shelf shelf;
    struct sealer sealer;
    struct segment *segment;
    struct query_buffers buffers;
    struct bytes body, record, effects;
    struct storage_segment *found;
    uint32_t found_count;
};

static void must(enum err err, const char *what)
{
    if (err == ERR_NONE)
        return;
    fprintf(stderr, "query_bench: %s: %s\n", what, err_name(err));
    exit(1);
}

static uint64_t mixed(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    return (number ^ number >> 27) * 0x94d049bb133111ebu >> 8;
}

/* ---- building ---------------------------------------------------------------------------------
 */

static void begin_segment(struct bench *bench)
{
    char path[256], name[SEGMENT_NAME_MAX];
    segment_name(bench->found_count + 1, 7, name);
    snprintf(path, sizeof path, "%s/%s", bench->directory, name);
    bench->segment = bytes_zeroed(1, sizeof *bench->segment);
    must(segment_open(bench->segment, path), path);
    must(store_begin(&bench->segment->store), "begin");
    shelf_add(&bench->shelf, path, bench->last + 1);
    bench->found = bytes_resize(bench->found, bench->found_count + 1, sizeof *bench->found);
    char *copy = bytes_zeroed(1, strlen(path) + 1);
    memcpy(copy, path, strlen(path));
    bench->found[bench->found_count++] =
        (struct storage_segment){.path = copy, .first = bench->last + 1};
}

static void end_segment(struct bench *bench, bool seal)
{
    struct storage_segment *found = &bench->found[bench->found_count - 1];
    must(store_commit(&bench->segment->store), "commit");
    found->last = bench->last;
    found->sealed = found->indexed = seal;
    if (!seal) {
        segment_free(bench->segment);
        return;
    }
    struct shelf_part *part = bench->shelf.parts[bench->shelf.count - 1];
    part->last = bench->last;
    shelf_take(&bench->shelf, bench->segment);
    while (sealer_due(&bench->sealer, &bench->shelf, bench->last, 1)) {
        uint64_t begin = clock_now_us();
        bool open = !part->sealed;
        must(sealer_step(&bench->sealer, &bench->shelf, 1), "seal");
        uint64_t *us = open ? &bench->close_us : part->indexed ? &bench->index_us : &bench->hash_us;
        *us += clock_now_us() - begin;
    }
}

static void make_body(struct bench *bench, uint64_t n)
{
    static const uint8_t data[DATA];
    char tags[3][32];
    uint64_t step = bench->count / HITS;
    struct change change = {.data = SPAN(data, sizeof data)};
    snprintf(tags[0], sizeof tags[0], "a/%u", (unsigned)(mixed(n) % bench->tags));
    snprintf(tags[1], sizeof tags[1], "b/%u", (unsigned)(mixed(n + 77) % bench->tags));
    snprintf(tags[2], sizeof tags[2], "rare/%u", (unsigned)(n % step));
    for (int i = 0; i < (n % step < RARE ? 3 : 2); i++)
        change.tags.at[change.tags.count++] = SPAN_TEXT(tags[i]);
    bytes_clear(&bench->body);
    change_body_begin(&bench->body, 1);
    change_body_add(&bench->body, &change);
}

static enum err no_outcome(void *owner, uint64_t index, struct outcome *out)
{
    return ERR_NOT_FOUND;
}

static void add(struct bench *bench, struct entry *entry)
{
    const struct apply_source source = {no_outcome, bench};
    struct effect effect;
    bytes_clear(&bench->record);
    bytes_clear(&bench->effects);
    entry_encode(entry, &bench->record);
    bench->ts += 1000;
    entry_stamp(bench->record.data, ++bench->last, 1, bench->ts, bench->hash);
    struct span record = bytes_span(&bench->record);
    memcpy(bench->hash, entry_hash_of(record), HASH_SIZE);
    must(segment_append(bench->segment, record), "append");
    must(entry_decode(record, entry), "decode");
    must(apply_entry(&bench->apply, entry, &source, &bench->effects), "apply");
    struct span rest = bytes_span(&bench->effects);
    while (effect_next(&rest, &effect))
        must(shelf_add_changes(&bench->shelf, &effect), "index");
    shelf_advance(&bench->shelf, bench->last);
    if (segment_full(bench->segment)) {
        end_segment(bench, true);
        begin_segment(bench);
    }
}

static void build(struct bench *bench)
{
    const struct storage_found nothing = {.first_index = 1};
    uint8_t key[HASH_KEY_SIZE] = {1}, note[40] = "the cluster id..";
    must(shelf_open(&bench->shelf, &nothing), "shelf");
    apply_open(&bench->apply, key);
    begin_segment(bench);
    struct entry founding = {.kind = ENTRY_FOUNDING, .body = SPAN(note, sizeof note)};
    add(bench, &founding);
    for (uint64_t n = 1; n <= bench->count; n++) {
        struct entry entry = {.kind = ENTRY_DATA, .change_count = 1, .born = bench->ts};
        make_body(bench, n);
        entry.body = bytes_span(&bench->body);
        save_u64(entry.txid, n);
        add(bench, &entry);
    }
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static enum err first_use(void *owner, struct span tag, uint64_t *id)
{
    *id = 1;
    return ERR_NONE;
}

static enum err newest(void *owner, struct span key, uint64_t *id)
{
    *id = 0;
    return ERR_NONE;
}

static double ask(struct bench *bench, const struct message_read *read, uint64_t wanted)
{
    const struct query_tags tags = {first_use, newest, bench};
    struct message_page page;
    uint64_t begin = clock_now_us();
    query_read(&bench->shelf, &tags, read, &bench->buffers, &page);
    double took = (double)(clock_now_us() - begin) / 1000;
    if (page.error.size > 0 || page.count != wanted) {
        fprintf(stderr, "query_bench: %llu rows, not %llu %.*s\n", (unsigned long long)page.count,
                (unsigned long long)wanted, (int)page.error.size, (const char *)page.error.data);
        exit(1);
    }
    return took;
}

/* No index and no reader is open. */
static void cool(struct bench *bench)
{
    for (uint32_t slot = 0; slot < bench->shelf.count; slot++)
        shelf_rest(bench->shelf.parts[slot]);
}

static int by_size(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void report(const char *what, double *cold, double *warm)
{
    qsort(cold, ROUNDS, sizeof *cold, by_size);
    qsort(warm, ROUNDS, sizeof *warm, by_size);
    printf("%-34s  cold p50 %7.3f max %7.3f   warm p50 %7.3f max %7.3f ms\n", what,
           cold[ROUNDS / 2], cold[ROUNDS - 1], warm[ROUNDS / 2], warm[ROUNDS - 1]);
}

typedef uint64_t make_read(struct bench *bench, uint64_t chance, struct message_read *read);

static struct span tag_of(const char *kind, uint64_t number)
{
    static char texts[8][32];
    static unsigned at;
    char *text = texts[at++ % 8];
    snprintf(text, sizeof texts[0], "%s/%llu", kind, (unsigned long long)number);
    return SPAN_TEXT(text);
}

static uint64_t read_rare(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->limit = HITS;
    read->tags.at[read->tags.count++] = tag_of("rare", 1 + chance % (RARE - 1));
    return HITS;
}

static uint64_t read_common(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->limit = HITS;
    read->since = chance % (bench->count / 2);
    read->tags.at[read->tags.count++] = tag_of("a", chance % bench->tags);
    return HITS;
}

static uint64_t read_path(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->limit = HITS;
    read->since = chance % (bench->count / 2);
    read->tags.at[read->tags.count++] = SPAN_TEXT("rare/*");
    return HITS;
}

static uint64_t read_last(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->limit = HITS;
    read->last = true;
    read->tags.at[read->tags.count++] = tag_of("b", chance % bench->tags);
    return HITS;
}

static uint64_t read_time(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->limit = 1;
    read->since_time = 2000 + chance % (bench->count * 1000);
    return 1;
}

static uint64_t read_id(struct bench *bench, uint64_t chance, struct message_read *read)
{
    read->exact = true;
    read->since = chance % bench->count;
    return 1;
}

static void measure(struct bench *bench, const char *what, make_read *make)
{
    double cold[ROUNDS], warm[ROUNDS];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct message_read read = {0};
        uint64_t wanted = make(bench, mixed(round + 1), &read);
        cool(bench);
        cold[round] = ask(bench, &read, wanted);
        warm[round] = ask(bench, &read, wanted);
    }
    report(what, cold, warm);
}

/* Other ids each time, with every file open: what stays is the walk through the files. */
static void measure_ids(struct bench *bench, const char *what, uint64_t span)
{
    enum { ASKS = 4000 };
    double *took = bytes_zeroed(ASKS, sizeof *took);
    uint64_t begin = 0;
    for (uint64_t round = 0; round < 2 * ASKS; round++) {
        struct message_read read = {0};
        read_id(bench, bench->count - span + mixed(round + 1) % span, &read);
        if (round == ASKS)
            begin = clock_now_us();
        took[round % ASKS] = ask(bench, &read, 1);
    }
    double mean = (double)(clock_now_us() - begin) / 1000 / ASKS;
    qsort(took, ASKS, sizeof *took, by_size);
    printf("%-34s  mean %7.4f p50 %7.4f p99 %7.4f ms\n", what, mean, took[ASKS / 2],
           took[ASKS * 99 / 100]);
    bytes_free(took);
}

int main(int argc, char **argv)
{
    if (argc != 3 || strtoull(argv[2], NULL, 10) < 100000) {
        fprintf(stderr, "query_bench DIR CHANGES (at least 100000)\n");
        return 2;
    }
    struct bench *bench = bytes_zeroed(1, sizeof *bench);
    bench->directory = argv[1];
    bench->count = strtoull(argv[2], NULL, 10);
    bench->tags = bench->count / 200 < TAGS ? bench->count / 200 : TAGS; /* each is hit often */
    log_open("query_bench", LOG_ERROR);
    uint64_t begin = clock_now_us();
    build(bench);
    printf("%llu changes in %u files, built in %.0f s\n", (unsigned long long)bench->count,
           bench->shelf.count, (double)(clock_now_us() - begin) / 1e6);
    if (bench->shelf.count > 1)
        printf(
            "sealing one file: %llu ms to leave WAL mode, %llu for its hash, %llu for its index\n",
            (unsigned long long)bench->close_us / (bench->shelf.count - 1) / 1000,
            (unsigned long long)bench->hash_us / (bench->shelf.count - 1) / 1000,
            (unsigned long long)bench->index_us / (bench->shelf.count - 1) / 1000);
    must(store_commit(&bench->segment->store), "commit");
    measure(bench, "10 hits of a tag used 10 times", read_rare);
    measure(bench, "10 hits of 1 of 10000 tags", read_common);
    measure(bench, "the last 10 of 1 of 10000 tags", read_last);
    measure(bench, "10 hits below a path", read_path);
    measure(bench, "the first change at a time", read_time);
    measure(bench, "one change by id", read_id);
    measure_ids(bench, "any of the last 100000, files open", 100000);
    measure_ids(bench, "any of all, files open", bench->count);
    return 0;
}
