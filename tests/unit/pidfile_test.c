/* pidfile_test.c - what is written is read again; a process is more than its number. */
#include "supervisor/pidfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
    snprintf(path, sizeof path, "/tmp/pidfile_test.XXXXXX");
    close(mkstemp(path));
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    return 0;
}

static struct pidfile example(void)
{
    return (struct pidfile){
        .name = "n\"1\\",
        .data = "/d",
        .run_dir = "/d/run",
        .supervisor = {"supervisor", 10, 100},
        .children = {{"storage", 11, 110}, {"consensus", 0, 0}, {"api", 12, 120}},
        .child_count = 3};
}

static void what_is_written_is_read_again(void **state)
{
    struct pidfile written = example(), read = {0};
    assert_true(pidfile_place(&written, "api", "tcp://127.0.0.1:1"));
    assert_int_equal(pidfile_write(&written, path), ERR_NONE);
    pidfile_read(&read, path);
    assert_int_equal(read.supervisor.pid, 10);
    assert_int_equal(read.supervisor.start, 100);
    assert_int_equal(read.child_count, 2); /* consensus does not run */
    assert_int_equal(read.children[0].pid, 11);
    assert_int_equal(read.children[1].start, 120);
}

static void values_are_escaped(void **state)
{
    struct pidfile written = example();
    char text[2048] = "";
    assert_int_equal(pidfile_write(&written, path), ERR_NONE);
    FILE *in = fopen(path, "r");
    size_t size = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    assert_true(size > 0);
    assert_non_null(strstr(text, "\"name\": \"n\\u00221\\u005c\""));
}

static void the_newest_place_counts_and_the_number_is_bounded(void **state)
{
    struct pidfile pidfile = example();
    char key[16], large[PIDFILE_TEXT_MAX + 1];
    memset(large, 'x', sizeof large);
    large[PIDFILE_TEXT_MAX] = '\0';
    assert_true(pidfile_place(&pidfile, "api", "a"));
    assert_true(pidfile_place(&pidfile, "api", "b"));
    assert_int_equal(pidfile.place_count, 1);
    assert_string_equal(pidfile.places[0].value, "b");
    assert_false(pidfile_place(&pidfile, "api", large));
    assert_false(pidfile_place(&pidfile, "a key that is too long", "b"));
    for (int i = 1; i < PIDFILE_PLACES_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_true(pidfile_place(&pidfile, key, "v"));
    }
    assert_false(pidfile_place(&pidfile, "more", "v"));
}

static void a_missing_or_damaged_file_has_no_processes(void **state)
{
    struct pidfile pidfile = example();
    FILE *out = fopen(path, "w");
    fputs("{\"supervisor\": {\"pid\": x, \"start\"", out);
    fclose(out);
    pidfile_read(&pidfile, path);
    assert_int_equal(pidfile.child_count, 0);
    assert_int_equal(pidfile.supervisor.pid, 0);
    unlink(path);
    pidfile_read(&pidfile, path);
    assert_int_equal(pidfile.child_count, 0);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    struct pidfile pidfile = example();
    assert_int_equal(pidfile_write(&pidfile, "/proc/no/such/place"), ERR_SYSTEM);
}

static void the_start_time_tells_processes_apart(void **state)
{
    struct pidfile_process self = {"self", getpid(), pidfile_start_of(getpid())};
    assert_true(self.start > 0);
    assert_true(pidfile_runs(&self));
    self.start++;
    assert_false(pidfile_runs(&self));
    assert_int_equal(pidfile_start_of(0x7ffffff), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_newest_place_counts_and_the_number_is_bounded, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_missing_or_damaged_file_has_no_processes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_start_time_tells_processes_apart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
