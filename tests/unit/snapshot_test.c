/* snapshot_test.c - made while the node works, sent in slices, resumed, checked, installed. */
#include "common/log.h"
#include "snapshot_kit.h"
#include "storage/late.h"
#include "storage/snapshot.h"

#include <fcntl.h>

static struct kit_snapshot *made; /* two sealed segments and one that is written */

/* What a node has after the install: the log up to the snapshot, the state, an index. */
static void expect_installed(const char *dir, const struct kit_snapshot *snapshot)
{
    SCOPED(recovery) recovery = {0};
    SCOPED(shelf) shelf = {0};
    SCOPED(late) late = {0};
    uint8_t hash[HASH_SIZE];
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    CHECK(recovery.found.may_vote);
    CHECK(recovery.found.last_index == snapshot->index);
    CHECK(recovery.found.applied_index == snapshot->index);
    CHECK(memcmp(recovery.last_hash, snapshot->log.hash, HASH_SIZE) == 0);
    CHECK(late_open(&late, recovery.found.home, &recovery.found) == ERR_NONE);
    CHECK(late_join(&late, &shelf, &recovery.found) == ERR_NONE);
    CHECK(late.written == snapshot->index);
    CHECK(shelf.last_id == snapshot->index - 1);
    CHECK(shelf.count >= 3);
    CHECK(shelf.parts[0]->indexed);
    late_close(&late);
    kit_hash_state(recovery.found.home, hash);
    CHECK(memcmp(hash, snapshot->state_hash, HASH_SIZE) == 0);
}

TEST(a_snapshot_becomes_the_data_of_an_empty_node)
{
    struct kit kit = kit_make();
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    expect_installed(kit.dir, made);
    CHECK(access(kit_path(&kit, "log"), F_OK) != 0); /* the old generation is gone */
    CHECK(access(kit_path(&kit, "incoming"), F_OK) != 0);
    expect_installed(kit.dir, made);
    kit_drop(&kit);
}

static uint64_t begun; /* bytes that the kernel was told to write soon */

/* In place of that of libc. */
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags)
{
    CHECK(fd > 0 && at >= 0 && flags == SYNC_FILE_RANGE_WRITE);
    begun += (uint64_t)size;
    return 0;
}

TEST(what_comes_is_written_as_it_comes)
{
    struct kit kit = kit_make();
    begun = 0;
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    const struct incoming_slice last = kit_slice_at(made, made->count - 1);
    CHECK(begun == last.size - last.head);
    kit_drop(&kit);
}

TEST(an_interrupted_transfer_goes_on_where_it_was)
{
    struct kit kit = kit_make();
    CHECK(made->count > 20);
    for (uint32_t upto = 0; upto <= made->count; upto += 1 + upto / 4) {
        SCOPED(incoming) incoming = {0};
        CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
        uint64_t before = incoming.offset;
        for (uint32_t i = 0; i < upto; i++) {
            const struct incoming_slice slice = kit_slice_at(made, i);
            CHECK(incoming_write(&incoming, &slice) == ERR_NONE);
        }
        CHECK(incoming.offset >= before);
        CHECK(upto < 2 ||
              incoming.offset == made->slices[upto - 1].offset + made->slices[upto - 1].data.size);
        uint64_t bytes = incoming.bytes;
        CHECK(upto < 8 || before > 0);
        CHECK(bytes == incoming.offset - before || before == 0); /* nothing was sent twice */
    }
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    expect_installed(kit.dir, made);
    kit_drop(&kit);
}

TEST(what_is_damaged_on_the_way_is_refused)
{
    struct kit kit = kit_make();
    SCOPED(incoming) incoming = {0};
    SCOPED(bytes) bad = {0};
    struct digest digest;
    CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
    struct incoming_slice slice = kit_slice_at(made, 0);
    slice.id = SPAN(slice.id.data, 31);
    CHECK(incoming_write(&incoming, &slice) == ERR_BAD_REQUEST);
    slice = kit_slice_at(made, 0);
    slice.head = made->size + 1;
    CHECK(incoming_write(&incoming, &slice) == ERR_BAD_REQUEST);
    slice = kit_slice_at(made, 0);
    bytes_append_span(&bad, slice.data);
    bad.data[made->head + 70] ^= 1; /* of a file that goes on behind this slice */
    slice.data = bytes_span(&bad);
    CHECK(incoming_write(&incoming, &slice) == ERR_CORRUPT); /* by the digest of the slice */
    CHECK(incoming.offset == 0);
    bad.data[70] ^= 1;
    digest = digest_of(slice.data, DIGEST_SIZE);
    slice.digest = digest_span(&digest);
    CHECK(incoming_write(&incoming, &slice) == ERR_CORRUPT); /* by the id of the snapshot */
    CHECK(incoming.offset == 0);
    kit_drop(&kit);
}

/* Bits that rotted on the sender's disk: each slice is right, the file is not. */
TEST(a_file_with_another_digest_comes_again_from_its_start)
{
    struct kit kit = kit_make();
    SCOPED(incoming) incoming = {0};
    SCOPED(bytes) bad = {0};
    struct digest digest;
    CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
    uint32_t i = 0;
    for (;; i++) {
        struct incoming_slice slice = kit_slice_at(made, i);
        if (i == 0) { /* the manifest, and the first bytes of state.db */
            bytes_append_span(&bad, slice.data);
            bad.data[made->head + 5000] ^= 1;
            slice.data = bytes_span(&bad);
            digest = digest_of(slice.data, DIGEST_SIZE);
            slice.digest = digest_span(&digest);
        }
        enum err err = incoming_write(&incoming, &slice);
        if (err == ERR_CORRUPT)
            break;
        CHECK(err == ERR_NONE);
    }
    CHECK(incoming.offset == made->head); /* behind the manifest, before state.db */
    CHECK(kit_receive(&incoming, made) == ERR_NONE);
    kit_drop(&kit);
}

TEST(slices_out_of_order_change_nothing)
{
    struct kit kit = kit_make();
    SCOPED(incoming) incoming = {0};
    CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
    struct incoming_slice slice = kit_slice_at(made, 0);
    CHECK(incoming_write(&incoming, &slice) == ERR_NONE);
    uint64_t offset = incoming.offset;
    slice = kit_slice_at(made, 5);
    CHECK(incoming_write(&incoming, &slice) == ERR_NONE);
    CHECK(incoming.offset == offset);
    slice = kit_slice_at(made, 0);
    CHECK(incoming_write(&incoming, &slice) == ERR_NONE);
    CHECK(incoming.offset == offset);
    slice = kit_slice_at(made, 1);
    slice.data = SPAN(NULL, 0); /* a question */
    CHECK(incoming_write(&incoming, &slice) == ERR_NONE);
    CHECK(incoming.offset == offset);
    kit_drop(&kit);
}

/* ---- I16 ------------------------------------------------------------------------------------ */

/* A node whose log has the first `count` records of `log`, whatever state it has. */
static void write_log(const char *dir, struct span records, uint64_t term)
{
    SCOPED(recovery) recovery = {0};
    SCOPED(journal) journal = {0};
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    journal_open(&journal, &recovery, NULL);
    CHECK(ballot_vote(journal.ballot, term, 0, SPAN("", 0)) == ERR_NONE);
    while (records.size > 0) {
        size_t taken;
        uint64_t first;
        CHECK(journal_write(&journal, records, &taken, &first) == ERR_NONE);
        records = SPAN(records.data + taken, records.size - taken);
    }
    CHECK(journal_save_mark(&journal) == ERR_NONE);
}

static void expect_last(const char *dir, uint64_t last, const uint8_t hash[HASH_SIZE])
{
    SCOPED(recovery) recovery = {0};
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    CHECK(recovery.found.may_vote);
    CHECK(recovery.found.last_index == last);
    CHECK(memcmp(recovery.last_hash, hash, HASH_SIZE) == 0);
}

TEST(a_tail_that_follows_from_the_snapshot_is_kept)
{
    struct kit kit = kit_make();
    struct log_kit log = {.term = KIT_TERM, .ts = made->log.ts, .last = made->log.last};
    memcpy(log.hash, made->log.hash, HASH_SIZE);
    bytes_append_span(&log.records, bytes_span(&made->log.records));
    for (int i = 0; i < 500; i++)
        kit_put(&log, log.last + 1, 1, 1, "late", "acknowledged, and not in the snapshot");
    write_log(kit.dir, bytes_span(&log.records), KIT_TERM);
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    expect_last(kit.dir, log.last, log.hash);
    expect_last(kit.dir, log.last, log.hash);
    kit_close(&log);
    kit_drop(&kit);
}

/* Each file that another one comes before, too: it may be the oldest one day. */
static void expect_bases(const char *dir, uint32_t files)
{
    SCOPED(recovery) recovery = {0};
    CHECK(recovery_run(&recovery, dir) == ERR_NONE);
    CHECK(recovery.writer_count == files);
    for (uint32_t i = 1; i < files; i++) {
        SCOPED(bytes) end = {0};
        SCOPED(segment_base) base = {0};
        struct segment *before = recovery.writers[i - 1];
        uint64_t last;
        CHECK(segment_base(recovery.writers[i], &base) == ERR_NONE);
        CHECK(base.index == before->last);
        CHECK(segment_read(before, before->last, before->last, 1, &end, &last) == ERR_NONE);
        CHECK(base.term == entry_term_of(bytes_span(&end)));
        CHECK(memcmp(base.hash, entry_hash_of(bytes_span(&end)), HASH_SIZE) == 0);
        CHECK(entry_kind_of(bytes_span(&base.configs)) == ENTRY_FOUNDING);
    }
}

TEST(a_tail_of_several_files_says_in_each_what_it_goes_on_from)
{
    enum { BIG = 3 << 20, BIGS = 24 }; /* a file is full with 64 MiB */
    struct kit kit = kit_make();
    struct log_kit log = {.term = KIT_TERM, .ts = made->log.ts, .last = made->log.last};
    char *text = bytes_zeroed(1, BIG + 1);
    memset(text, 'x', BIG);
    memcpy(log.hash, made->log.hash, HASH_SIZE);
    bytes_append_span(&log.records, bytes_span(&made->log.records));
    for (int i = 0; i < BIGS; i++)
        kit_put(&log, log.last + 1, 1, 1, "late", text);
    write_log(kit.dir, bytes_span(&log.records), KIT_TERM);
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    expect_last(kit.dir, log.last, log.hash);
    expect_bases(kit.dir, 2);
    bytes_free(text);
    kit_close(&log);
    kit_drop(&kit);
}

TEST(a_tail_of_another_term_ends_at_the_snapshot)
{
    struct kit kit = kit_make();
    struct log_kit log = {.term = 2, .ts = 1};
    kit_founding(&log);
    while (log.last < made->index + 100)
        kit_put(&log, log.last + 1, 1, 1, "old", "of a leader that was not followed");
    write_log(kit.dir, bytes_span(&log.records), 2);
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    expect_last(kit.dir, made->index, made->log.hash);
    kit_close(&log);
    kit_drop(&kit);
}

TEST(a_snapshot_behind_the_state_is_not_installed)
{
    struct kit kit = kit_make();
    CHECK(kit_life(kit.dir, made) == ERR_NONE);
    CHECK(kit_life(kit.dir, made) == ERR_BAD_REQUEST);
    expect_installed(kit.dir, made);
    kit_drop(&kit);
}

TEST(a_ballot_of_an_older_term_comes_first)
{
    struct kit kit = kit_make();
    SCOPED(recovery) recovery = {0};
    SCOPED(journal) journal = {0};
    const struct install install = {1, 10, KIT_TERM, "00000001-0000000000000001.db"};
    CHECK(recovery_run(&recovery, kit.dir) == ERR_NONE);
    journal_open(&journal, &recovery, NULL);
    CHECK(install_generation(&journal, &install) == ERR_NOT_READY);
    CHECK(recovery.ballot.generation == 0);
    journal_close(&journal);
    kit_drop(&kit);
}

/* Who installed it could go on nowhere, and would ask for it again, for ever. */
TEST(a_snapshot_that_ends_before_the_kept_log_is_made_anew)
{
    struct snapshot snapshot = {.phase = SNAPSHOT_READY, .used_ms = 1000};
    struct snapshot_place place = {.applied = 60, .first_index = 50};
    struct artefact *ready = NULL;
    snapshot.ready.manifest.index = 50;
    CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, 1001, &ready) == ERR_NONE);
    CHECK(ready == &snapshot.ready);
    place.first_index = 51;
    CHECK(snapshot_ask(&snapshot, SPAN(snapshot.ready.id, HASH_SIZE), &place, 1002, &ready) ==
          ERR_NONE); /* who reads it comes to an end */
    CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, 1003, &ready) == ERR_NOT_READY);
    CHECK(snapshot.phase == SNAPSHOT_STATE);
}

TEST(a_snapshot_ends_where_it_is_wanted_to_or_later)
{
    const uint64_t now = 1000000, idle = now - SNAPSHOT_IN_USE_MS;
    const struct {
        uint64_t least, used_ms;
        enum err err;
        bool stays;
    } rows[] = {
        {5000, idle, ERR_NONE, true},
        {5001, idle, ERR_NOT_READY, false},
        {5001, now - 1, ERR_NOT_READY, true}, /* its reader first */
        {6001, idle, ERR_NOT_READY, true},    /* another one made now would be too old, too */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct snapshot snapshot = {.phase = SNAPSHOT_READY, .used_ms = rows[i].used_ms};
        const struct snapshot_place place = {6000, 1, 6000, rows[i].least};
        struct artefact *ready = NULL;
        snapshot.ready.manifest.index = 5000;
        CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, now, &ready) == rows[i].err);
        CHECK((snapshot.phase == SNAPSHOT_READY) == rows[i].stays);
    }
}

/* ---- manifest ------------------------------------------------------------------------------- */

/* Nobody waits half a minute for a backup because somebody took one just now. */
TEST(a_snapshot_that_was_read_to_its_end_soon_gives_way)
{
    const uint64_t now = 1000000;
    struct snapshot snapshot = {.phase = SNAPSHOT_READY, .used_ms = now};
    struct snapshot_place place = {
        .applied = 60, .first_index = 1, .written = 60, .least_index = 60};
    struct artefact *ready = NULL;
    snapshot.ready.manifest.index = 50;
    CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, now + SNAPSHOT_READ_MS, &ready) ==
          ERR_NOT_READY);
    CHECK(snapshot.phase == SNAPSHOT_READY); /* somebody is in the middle of it */
    snapshot_was_read(&snapshot, now);
    CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, now + SNAPSHOT_READ_MS - 1, &ready) ==
          ERR_NOT_READY);
    CHECK(snapshot.phase == SNAPSHOT_READY); /* whoever else reads it asks within this time */
    CHECK(snapshot_ask(&snapshot, SPAN(NULL, 0), &place, now + SNAPSHOT_READ_MS, &ready) ==
          ERR_NOT_READY);
    CHECK(snapshot.phase == SNAPSHOT_STATE);
}

TEST(a_manifest_says_exactly_one_thing)
{
    SCOPED(bytes) text = {0};
    SCOPED(bytes) again = {0};
    const struct incoming_slice first = kit_slice_at(made, 0);
    struct manifest manifest = {0};
    const struct span head = SPAN(first.data.data, made->head);
    CHECK(manifest_decode(head, &manifest) == ERR_NONE);
    CHECK(manifest.index == made->index);
    CHECK(manifest.count == 6); /* the state, two sealed segments with an index, one without */
    CHECK(manifest.first_index == 1);
    manifest_encode(&manifest, &again);
    CHECK(span_equal(bytes_span(&again), head));
    manifest_close(&manifest);
    for (size_t at = 0; at < head.size; at++) { /* every byte counts */
        bytes_clear(&text);
        bytes_append_span(&text, head);
        text.data[at] ^= 0x15;
        enum err err = manifest_decode(bytes_span(&text), &manifest);
        bool in_hash = err == ERR_NONE; /* another digit is another digest: told by the id */
        CHECK(in_hash || err == ERR_CORRUPT || err == ERR_VERSION);
        manifest_close(&manifest);
        CHECK(manifest_decode(SPAN(head.data, at), &manifest) == ERR_CORRUPT);
        manifest_close(&manifest);
    }
}

static void add_like(struct manifest *manifest, const char *name, const struct manifest_file *like)
{
    struct manifest_file *file = manifest_add(manifest, name);
    file->size = like->size;
    file->digest = like->digest;
}

TEST(a_manifest_leads_nowhere_else)
{
    static const char *const names[] = {
        "../state.db", "log/../../x",
        "/etc/passwd", "log/00000001-0000000000000001.db/x",
        "log/",        "ballot.db",
        "log/1-1.db",  "log/00000001-0000000000000001.db.index.index"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        SCOPED(bytes) text = {0};
        SCOPED(manifest) manifest = {.index = 1, .first_index = 1};
        SCOPED(manifest) out = {0};
        const struct manifest_file like = {.size = 1,
                                           .digest = digest_of(SPAN("", 0), DIGEST_SIZE)};
        add_like(&manifest, "state.db", &like);
        add_like(&manifest, names[i], &like);
        manifest_encode(&manifest, &text);
        CHECK(manifest_decode(bytes_span(&text), &out) == ERR_CORRUPT);
    }
}

static int setup(void **state)
{
    log_open("snapshot_test", LOG_ERROR);
    made = kit_snapshot_make(2, 2000);
    return 0;
}

static int teardown(void **state)
{
    kit_snapshot_drop(made);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_snapshot_becomes_the_data_of_an_empty_node),
        T(what_comes_is_written_as_it_comes),
        T(an_interrupted_transfer_goes_on_where_it_was),
        T(what_is_damaged_on_the_way_is_refused),
        T(a_file_with_another_digest_comes_again_from_its_start),
        T(slices_out_of_order_change_nothing),
        T(a_tail_that_follows_from_the_snapshot_is_kept),
        T(a_tail_of_several_files_says_in_each_what_it_goes_on_from),
        T(a_tail_of_another_term_ends_at_the_snapshot),
        T(a_snapshot_behind_the_state_is_not_installed),
        T(a_ballot_of_an_older_term_comes_first),
        T(a_snapshot_that_ends_before_the_kept_log_is_made_anew),
        T(a_snapshot_ends_where_it_is_wanted_to_or_later),
        T(a_snapshot_that_was_read_to_its_end_soon_gives_way),
        T(a_manifest_says_exactly_one_thing),
        T(a_manifest_leads_nowhere_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
