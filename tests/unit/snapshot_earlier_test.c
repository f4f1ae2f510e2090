/* snapshot_earlier_test.c - a snapshot as builds before manifest form 2 made it: BLAKE2b-256 of
 * each file and of each slice. A backup of then is still restored. */
#include "common/log.h"
#include "snapshot_kit.h"

static struct kit_snapshot *earlier;

static struct span stream_of(const struct kit_snapshot *snapshot, struct bytes *all)
{
    for (uint32_t i = 0; i < snapshot->count; i++)
        bytes_append_span(all, bytes_span(&snapshot->slices[i].data));
    return bytes_span(all);
}

/* Its files with digests of the older kind, under the older title. */
static void write_head(const struct kit_snapshot *snapshot, struct span all, struct bytes *head)
{
    SCOPED(manifest) manifest = {0};
    const uint8_t *at = all.data + snapshot->head;
    CHECK(manifest_decode(SPAN(all.data, snapshot->head), &manifest) == ERR_NONE);
    CHECK(manifest.form == 2);
    manifest.form = 1;
    for (uint32_t i = 0; i < manifest.count; i++) {
        struct manifest_file *file = &manifest.files[i];
        CHECK(digest_fits(digest_span(&file->digest), SPAN(at, file->size)));
        file->digest = digest_of(SPAN(at, file->size), HASH_SIZE);
        at += file->size;
    }
    manifest_encode(&manifest, head);
    CHECK(at == all.data + all.size);
}

/* Another head in front of the same files, cut into slices anew. */
static void make_earlier(struct kit_snapshot *snapshot)
{
    SCOPED(bytes) all = {0};
    SCOPED(bytes) stream = {0};
    write_head(snapshot, stream_of(snapshot, &all), &stream);
    struct digest id = digest_of(bytes_span(&stream), HASH_SIZE);
    memcpy(snapshot->id, id.bytes, HASH_SIZE);
    size_t head = stream.size;
    bytes_append(&stream, all.data + snapshot->head, all.size - snapshot->head);
    snapshot->head = head;
    snapshot->size = stream.size;
    for (uint32_t i = 0; i < snapshot->count; i++)
        bytes_close(&snapshot->slices[i].data);
    snapshot->count = 0;
    for (size_t at = 0; at < stream.size; at += KIT_SLICE) {
        struct kit_slice *slice = &snapshot->slices[snapshot->count++];
        size_t left = stream.size - at;
        slice->offset = at;
        bytes_append(&slice->data, stream.data + at, left < KIT_SLICE ? left : KIT_SLICE);
        slice->digest = digest_of(bytes_span(&slice->data), HASH_SIZE);
    }
}

TEST(a_snapshot_of_an_earlier_build_is_installed)
{
    struct kit kit = kit_make();
    SCOPED(recovery) recovery = {0};
    CHECK(kit_life(kit.dir, earlier) == ERR_NONE);
    CHECK(recovery_run(&recovery, kit.dir) == ERR_NONE);
    CHECK(recovery.found.last_index == earlier->index);
    CHECK(memcmp(recovery.last_hash, earlier->log.hash, HASH_SIZE) == 0);
    kit_drop(&kit);
}

TEST(a_damaged_slice_of_it_is_refused)
{
    struct kit kit = kit_make();
    SCOPED(incoming) incoming = {0};
    SCOPED(bytes) bad = {0};
    CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
    struct incoming_slice slice = kit_slice_at(earlier, 0);
    bytes_append_span(&bad, slice.data);
    bad.data[earlier->head + 70] ^= 1; /* of a file that goes on behind this slice */
    slice.data = bytes_span(&bad);
    CHECK(incoming_write(&incoming, &slice) == ERR_CORRUPT);
    CHECK(incoming.offset == 0);
    kit_drop(&kit);
}

/* The slice is right, and the file is not. */
TEST(a_damaged_file_of_it_comes_again)
{
    struct kit kit = kit_make();
    SCOPED(incoming) incoming = {0};
    SCOPED(bytes) bad = {0};
    enum err err = ERR_NONE;
    CHECK(incoming_open(&incoming, kit.dir, 0) == ERR_NONE);
    for (uint32_t i = 0; err == ERR_NONE; i++) {
        struct incoming_slice slice = kit_slice_at(earlier, i);
        struct digest digest;
        if (i == 0) {
            bytes_append_span(&bad, slice.data);
            bad.data[earlier->head + 5000] ^= 1;
            slice.data = bytes_span(&bad);
            digest = digest_of(slice.data, HASH_SIZE);
            slice.digest = digest_span(&digest);
        }
        err = incoming_write(&incoming, &slice);
    }
    CHECK(err == ERR_CORRUPT);
    CHECK(incoming.offset == earlier->head);
    CHECK(kit_receive(&incoming, earlier) == ERR_NONE);
    kit_drop(&kit);
}

static int setup(void **state)
{
    log_open("snapshot_earlier_test", LOG_ERROR);
    earlier = kit_snapshot_make(2, 2000);
    make_earlier(earlier);
    return 0;
}

static int teardown(void **state)
{
    kit_snapshot_drop(earlier);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_snapshot_of_an_earlier_build_is_installed),
        T(a_damaged_slice_of_it_is_refused),
        T(a_damaged_file_of_it_comes_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
