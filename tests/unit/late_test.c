/* late: state and log at a start, and what is taken in afterwards. */
#include "storage/late.h"

#include "storage/doubt.h"
#include "tests/unit/node_kit.h"

/* It is found while view loads it already; the next start makes it anew, from the whole log. */
static void a_state_that_disagrees_is_made_anew_by_the_next_start(void **state)
{
    struct node node;
    struct storage_segment segments[PARTS] = {0};
    struct late late = {0};
    node_open(&node, 2);
    node.flush.at.last_id++;
    flush_mark(&node.flush, &node.flush.at);
    write_state(&node);
    state_close(&node.state);
    const struct storage_found found = node_found(&node, segments);
    uint64_t last_id = node.apply.at.last_id;
    shelf_close(&node.shelf);
    assert_int_equal(late_open(&late, node.directory, &found), ERR_NONE);
    assert_int_equal(late.written, found.last_index);
    assert_int_equal(late_join(&late, &node.shelf, &found), ERR_IO);
    assert_true(doubt_is_there(node.state_path));
    late_close(&late);
    shelf_close(&node.shelf);
    assert_int_equal(late_open(&late, node.directory, &found), ERR_NONE);
    assert_int_equal(late.written, 0);
    assert_false(doubt_is_there(node.state_path));
    assert_int_equal(late_join(&late, &node.shelf, &found), ERR_NONE);
    assert_int_equal(node.shelf.last_id, 0);
    struct span rest = bytes_span(&node.kit.records), record;
    struct apply_source source = {find_waiting, &late.flush};
    struct bytes effects = {0};
    apply_close(&node.apply);
    apply_open(&node.apply, (const uint8_t[HASH_KEY_SIZE]){1});
    while (entry_next(&rest, &record)) {
        struct entry entry;
        assert_int_equal(entry_decode(record, &entry), ERR_NONE);
        assert_int_equal(apply_entry(&node.apply, &entry, &source, &effects), ERR_NONE);
        assert_int_equal(late_take(&late, &node.shelf, bytes_span(&effects)), ERR_NONE);
        shelf_advance(&node.shelf, entry.index);
        bytes_clear(&effects);
    }
    assert_int_equal(node.shelf.last_id, last_id);
    struct state_tag third;
    assert_int_equal(flush_tag(&late.flush, &late.state, SPAN_TEXT("third"), &third), ERR_NONE);
    assert_true(third.count > 1 && third.last > third.first && third.last <= last_id);
    bytes_close(&effects);
    late_close(&late);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_that_disagrees_is_made_anew_by_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
