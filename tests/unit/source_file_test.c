/* source_file_test.c - a file that is missing, filled, full of nonsense. */
#include "discovery/source_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

static void fill(const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int set_up(void **state)
{
    snprintf(path, sizeof path, "/tmp/source_file_test.XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    unlink(path);
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    return 0;
}

static void a_missing_file_is_empty_and_may_come_later(void **state)
{
    SCOPED(source_file) file = {.path = path};
    struct sighting sighting;
    uint32_t line = 0;
    assert_true(source_file_look(&file)); /* the first look always counts */
    struct span rest = bytes_span(&file.content);
    assert_false(source_file_next(&file, &rest, &line, &sighting));
    assert_false(source_file_look(&file));
    fill("tcp://a:1\n");
    assert_true(source_file_look(&file));
    rest = bytes_span(&file.content);
    assert_true(source_file_next(&file, &rest, &line, &sighting));
    assert_string_equal(sighting.text, "tcp://a:1");
    unlink(path);
    assert_true(source_file_look(&file));
    assert_int_equal(file.content.size, 0);
}

static void a_change_of_the_same_size_is_seen(void **state)
{
    SCOPED(source_file) file = {.path = path};
    fill("tcp://a:1\n");
    assert_true(source_file_look(&file));
    fill("tcp://a:2\n");
    assert_true(source_file_look(&file));
}

static void nonsense_is_skipped_and_lines_are_counted(void **state)
{
    SCOPED(source_file) file = {.path = path};
    struct sighting sighting;
    uint32_t line = 0;
    fill("# servers\n\n  tcp://a:1 \r\n\x01\xff nonsense\ntcp://b:2");
    assert_true(source_file_look(&file));
    struct span rest = bytes_span(&file.content);
    assert_true(source_file_next(&file, &rest, &line, &sighting));
    assert_string_equal(sighting.text, "tcp://a:1");
    assert_int_equal(line, 3);
    assert_true(source_file_next(&file, &rest, &line, &sighting));
    assert_string_equal(sighting.text, "tcp://b:2");
    assert_int_equal(line, 5);
    assert_false(source_file_next(&file, &rest, &line, &sighting));
}

static void a_huge_file_is_cut(void **state)
{
    SCOPED(source_file) file = {.path = path};
    FILE *out = fopen(path, "w");
    for (int i = 0; i < 3 * SOURCE_FILE_MAX; i++)
        fputc('x', out);
    fclose(out);
    assert_true(source_file_look(&file));
    assert_int_equal(file.content.size, SOURCE_FILE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missing_file_is_empty_and_may_come_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_the_same_size_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_skipped_and_lines_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_huge_file_is_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
