/* identity_test.c - one lock per directory, private places, an identity that stays. */
#include "supervisor/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char base[64], data[128];

static int set_up(void **state)
{
    snprintf(base, sizeof base, "/tmp/identity_test.XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(data, sizeof data, "%s/a/b", base);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static void the_second_one_is_refused_and_told_who_holds_it(void **state)
{
    SCOPED(identity) first = {0}, second = {0};
    assert_int_equal(identity_lock(&first, data, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_lock(&second, data, 0, NULL, NULL), ERR_LOCKED);
    assert_int_equal(second.holder, getpid());
}

static void a_lock_ends_with_its_holder(void **state)
{
    struct identity first = {0};
    SCOPED(identity) second = {0};
    assert_int_equal(identity_lock(&first, data, 0, NULL, NULL), ERR_NONE);
    identity_close(&first);
    assert_int_equal(identity_lock(&second, data, 0, NULL, NULL), ERR_NONE);
}

static bool never(void *owner)
{
    ++*(int *)owner;
    return false;
}

static void waiting_can_be_ended(void **state)
{
    SCOPED(identity) first = {0}, second = {0};
    int asked = 0;
    assert_int_equal(identity_lock(&first, data, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_lock(&second, data, 60000, never, &asked), ERR_CLOSED);
    assert_int_equal(asked, 1);
}

static void a_place_that_cannot_be_is_an_error(void **state)
{
    SCOPED(identity) identity = {0};
    assert_int_equal(identity_lock(&identity, "/proc/no/place", 0, NULL, NULL), ERR_CONFIG);
    SCOPED(identity) nameless = {0};
    assert_int_equal(identity_lock(&nameless, "", 0, NULL, NULL), ERR_CONFIG);
}

static void the_run_directory_is_private(void **state)
{
    SCOPED(identity) identity = {0};
    struct stat st;
    assert_int_equal(identity_lock(&identity, data, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_make_run_dir(&identity, NULL), ERR_NONE);
    assert_int_equal(stat(identity.run_dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(identity.run_dir, 0755), 0);
    assert_int_equal(identity_make_run_dir(&identity, NULL), ERR_DENIED);
}

static void a_long_path_gets_a_short_private_directory(void **state)
{
    SCOPED(identity) identity = {0};
    char deep[300], name[101];
    memset(name, 'x', sizeof name - 1);
    name[100] = '\0';
    snprintf(deep, sizeof deep, "%s/%s", data, name);
    assert_int_equal(identity_lock(&identity, deep, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_make_run_dir(&identity, NULL), ERR_NONE);
    assert_true(strlen(identity.run_dir) < 60);
    assert_int_equal(strncmp(identity.run_dir, "/tmp/changeagent-", 17), 0);
    assert_int_equal(rmdir(identity.run_dir), 0);
}

static void the_identity_is_made_once(void **state)
{
    uint8_t key[KEY_SIZE];
    uint64_t id;
    struct identity first = {0};
    assert_int_equal(identity_lock(&first, data, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_keys(&first), ERR_NONE);
    id = first.keys.node_id;
    memcpy(key, first.keys.public_key, sizeof key);
    identity_close(&first);
    SCOPED(identity) second = {0};
    assert_int_equal(identity_lock(&second, data, 0, NULL, NULL), ERR_NONE);
    assert_int_equal(identity_keys(&second), ERR_NONE);
    assert_true(id == second.keys.node_id);
    assert_memory_equal(key, second.keys.public_key, sizeof key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_second_one_is_refused_and_told_who_holds_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lock_ends_with_its_holder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_can_be_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_cannot_be_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_run_directory_is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_path_gets_a_short_private_directory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_identity_is_made_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
