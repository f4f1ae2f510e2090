/* place_test.c - a directory in its place, moved, copied, and with an older ballot. */
#include "supervisor/place.h"

#include "tests/unit/test.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char base[64];

static void shell(const char *format)
{
    char command[512];
    snprintf(command, sizeof command, "cd %s && %s", base, format);
    CHECK(system(command) == 0);
}

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

/* In a container /var/tmp is on a file system that may give a file another number. */
static bool keeps_numbers(const char *path)
{
    struct statfs info;
    CHECK(statfs(path, &info) == 0);
    return info.f_type != OVERLAYFS_SUPER_MAGIC;
}

/* A directory that storage has opened: its witness and its ballot are there. */
static void furnish(void)
{
    snprintf(base, sizeof base, "%s/place_test.XXXXXX",
             keeps_numbers("/var/tmp") ? "/var/tmp" : "/dev/shm");
    CHECK(mkdtemp(base) != NULL);
    shell("mkdir -p a/identity && echo witness > a/identity/incarnation && echo ballot > "
          "a/ballot.db");
    CHECK(place_check(path_of("a")) == ERR_NONE);
    place_note(path_of("a"));
}

static void drop(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    CHECK(system(command) == 0);
}

/* True if the witness still stands after a start at this path. */
static bool stands(const char *name)
{
    char witness[64];
    struct stat info;
    CHECK(place_check(path_of(name)) == ERR_NONE);
    place_note(path_of(name));
    snprintf(witness, sizeof witness, "%s/identity/incarnation", name);
    CHECK(stat(path_of(witness), &info) == 0);
    return info.st_size > 0;
}

TEST(a_directory_that_was_restarted_is_itself)
{
    furnish();
    CHECK(stands("a"));
    shell("echo more >> a/ballot.db && touch -d 2001-01-01 a/identity/place a/ballot.db");
    CHECK(stands("a"));
    drop();
}

TEST(a_directory_under_another_name_is_itself)
{
    furnish();
    shell("mv a b");
    CHECK(stands("b"));
    drop();
}

TEST(a_copy_is_told_and_the_original_is_not)
{
    furnish();
    shell("cp -a a b");
    CHECK(!stands("b"));
    CHECK(stands("a"));
    drop();
}

TEST(a_copy_is_told_once)
{
    furnish();
    shell("cp -a a b");
    CHECK(!stands("b"));
    shell("echo of the new incarnation > b/identity/incarnation"); /* as storage does */
    CHECK(stands("b"));
    drop();
}

TEST(a_restored_archive_is_a_copy)
{
    furnish();
    shell("tar cf a.tar a && tar xf a.tar");
    CHECK(!stands("a"));
    drop();
}

TEST(an_older_ballot_put_back_is_told)
{
    furnish();
    shell("cp -a a/ballot.db old && rm a/ballot.db && cp -a old a/ballot.db");
    CHECK(!stands("a"));
    drop();
}

TEST(the_identity_of_one_with_the_data_of_another_is_told)
{
    furnish();
    shell("mkdir -p b/identity && echo witness > b/identity/incarnation && echo b > b/ballot.db");
    place_note(path_of("b"));
    shell("mv a/identity c && mv b/identity a/identity && mv c b/identity");
    CHECK(!stands("a"));
    CHECK(!stands("b"));
    drop();
}

/* Storage has a rule of its own for a ballot that is missing. */
TEST(a_missing_ballot_and_a_torn_note_void_nothing)
{
    furnish();
    shell("rm a/ballot.db");
    CHECK(stands("a"));
    shell("truncate -s 9 a/identity/place");
    CHECK(stands("a"));
    shell("echo garbage > a/identity/place");
    CHECK(stands("a"));
    shell("rm a/identity/place");
    CHECK(stands("a"));
    drop();
}

TEST_MAIN(T(a_directory_that_was_restarted_is_itself), T(a_directory_under_another_name_is_itself),
          T(a_copy_is_told_and_the_original_is_not), T(a_copy_is_told_once),
          T(a_restored_archive_is_a_copy), T(an_older_ballot_put_back_is_told),
          T(the_identity_of_one_with_the_data_of_another_is_told),
          T(a_missing_ballot_and_a_torn_note_void_nothing))
