/* recovery_test.c - what a start makes of a directory: whole, wiped, copied, damaged. */
#include "storage/journal.h"
#include "storage/recovery.h"
#include "tests/unit/storage_kit.h"

#include <unistd.h>

static struct recovery *start(const struct kit *kit)
{
    struct recovery *recovery = bytes_zeroed(1, sizeof *recovery);
    CHECK(recovery_run(recovery, kit->dir) == ERR_NONE);
    return recovery;
}

static void end(struct recovery *recovery)
{
    recovery_close(recovery);
    bytes_free(recovery);
}

/* A directory with `count` entries of term 3, each its own commit, cleanly shut. */
static struct kit furnished(uint32_t count)
{
    struct kit kit = kit_make();
    struct recovery *recovery = start(&kit);
    struct journal journal = {0};
    SCOPED(bytes) record = {0};
    size_t taken;
    uint64_t first;
    journal_open(&journal, recovery, NULL);
    CHECK(ballot_vote(journal.ballot, 3, 1, SPAN("", 0)) == ERR_NONE);
    for (uint32_t i = 0; i < count; i++) {
        bytes_clear(&record);
        kit_add(&kit, ENTRY_DATA, 3, 200, &record);
        CHECK(journal_write(&journal, bytes_span(&record), &taken, &first) == ERR_NONE);
    }
    CHECK(journal_save_mark(&journal) == ERR_NONE);
    /* crash: copied while open, so that the WAL holds the commits */
    kit_shell("mkdir %s/crash && cd %s && cp -a ballot.db* identity log crash/", kit.dir, kit.dir);
    journal_close(&journal);
    end(recovery);
    kit_shell("cd %s && rm -rf ballot.db* identity log && mv crash/* . && rmdir %s/crash", kit.dir,
              kit.dir);
    return kit;
}

static void expect_vote(const struct kit *kit, bool may_vote, uint64_t last_index)
{
    struct recovery *recovery = start(kit);
    CHECK(recovery->found.may_vote == may_vote);
    CHECK(recovery->found.last_index == last_index);
    CHECK((recovery->found.damage == NULL) == may_vote);
    end(recovery);
}

/* Damage gives another incarnation, once, and is not forgotten by the next start. */
static void expect_damage(const struct kit *kit, uint64_t before, uint64_t last_index)
{
    struct recovery *recovery = start(kit);
    uint64_t incarnation = recovery->found.incarnation;
    CHECK(!recovery->found.may_vote);
    CHECK(incarnation != before);
    CHECK(recovery->found.last_index == last_index);
    end(recovery);
    recovery = start(kit);
    CHECK(!recovery->found.may_vote);
    CHECK(recovery->found.incarnation == incarnation);
    end(recovery);
}

static uint64_t incarnation_of(const struct kit *kit)
{
    uint64_t incarnation = 0;
    CHECK(witness_read_incarnation(kit->dir, &incarnation) == ERR_NONE);
    return incarnation;
}

TEST(an_empty_directory_gets_a_fresh_ballot)
{
    struct kit kit = kit_make();
    struct recovery *recovery = start(&kit);
    CHECK(recovery->found.may_vote);
    CHECK(recovery->found.last_index == 0);
    CHECK(recovery->found.first_index == 1);
    CHECK(recovery->writer_count == 1);
    CHECK(recovery->found.incarnation == incarnation_of(&kit));
    end(recovery);
    expect_vote(&kit, true, 0);
    kit_drop(&kit);
}

TEST(a_crashed_directory_is_whole)
{
    struct kit kit = furnished(30);
    expect_vote(&kit, true, 30);
    expect_vote(&kit, true, 30);
    kit_drop(&kit);
}

TEST(a_second_storage_is_locked_out)
{
    struct kit kit = kit_make();
    struct recovery *recovery = start(&kit);
    SCOPED(recovery) other = {0};
    CHECK(recovery_run(&other, kit.dir) == ERR_LOCKED);
    end(recovery);
    kit_drop(&kit);
}

TEST(a_missing_ballot_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    kit_shell("rm %s/ballot.db*%s", kit.dir, "");
    expect_damage(&kit, before, 10);
    kit_drop(&kit);
}

TEST(a_wiped_voter_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    kit_shell("rm -rf %s/ballot.db* %s/log", kit.dir, kit.dir);
    expect_damage(&kit, before, 0);
    kit_drop(&kit);
}

TEST(an_unreadable_ballot_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    kit_shell("rm %s/ballot.db-wal; head -c 4096 /dev/urandom > %s/ballot.db", kit.dir, kit.dir);
    expect_damage(&kit, before, 10);
    kit_drop(&kit);
}

TEST(a_restored_directory_is_another_incarnation)
{
    struct kit kit = furnished(10);
    CHECK(witness_write_incarnation(kit.dir, 4711) == ERR_NONE);
    expect_damage(&kit, 4711, 10);
    kit_drop(&kit);
}

TEST(a_missing_newest_segment_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    kit_shell("rm %s/log/*%s", kit.dir, "");
    expect_damage(&kit, before, 0);
    kit_drop(&kit);
}

TEST(a_missing_wal_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    kit_shell("rm %s/log/*-wal%s", kit.dir, "");
    struct recovery *recovery = start(&kit);
    CHECK(!recovery->found.may_vote);
    CHECK(recovery->found.incarnation != before);
    end(recovery);
    kit_drop(&kit);
}

TEST(a_missing_wal_of_the_ballot_is_damage)
{
    struct kit kit = furnished(10);
    kit_shell("rm %s/ballot.db-wal%s", kit.dir, "");
    expect_vote(&kit, false, 10);
    kit_drop(&kit);
}

TEST(a_flipped_bit_in_the_wal_is_damage)
{
    struct kit kit = furnished(40);
    kit_shell("f=$(ls %s/log/*-wal%s); python3 -c \"import sys;f=open(sys.argv[1],'r+b');"
              "f.seek(60000);b=f.read(1);f.seek(60000);f.write(bytes([b[0]^1]))\" $f",
              kit.dir, "");
    struct recovery *recovery = start(&kit);
    CHECK(!recovery->found.may_vote);
    CHECK(recovery->found.last_index < 40);
    end(recovery);
    kit_drop(&kit);
}

TEST(a_log_that_ends_below_its_mark_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    struct witness_mark mark = {11, 3};
    CHECK(witness_write_mark(kit.dir, &mark) == ERR_NONE);
    expect_damage(&kit, before, 10);
    kit_drop(&kit);
}

TEST(another_term_at_the_mark_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t before = incarnation_of(&kit);
    struct witness_mark mark = {10, 2};
    CHECK(witness_write_mark(kit.dir, &mark) == ERR_NONE);
    expect_damage(&kit, before, 10);
    kit_drop(&kit);
}

TEST(a_term_below_the_log_is_damage)
{
    struct kit kit = furnished(10);
    uint64_t incarnation = incarnation_of(&kit);
    struct ballot ballot = {0};
    SCOPED(logdir) logdir = {0};
    CHECK(logdir_open(&logdir, kit.dir) == ERR_NONE);
    kit_shell("rm %s/ballot.db*%s", kit.dir, "");
    CHECK(ballot_open(&ballot, kit_path(&kit, "ballot.db"), incarnation) == ERR_NONE);
    CHECK(ballot_name(&ballot, logdir.files[0].name) == ERR_NONE);
    CHECK(ballot_vote(&ballot, 2, 1, SPAN("", 0)) == ERR_NONE);
    ballot_close(&ballot);
    logdir_close(&logdir);
    expect_damage(&kit, incarnation, 10);
    kit_drop(&kit);
}

TEST(a_damaged_record_is_cut_off)
{
    struct kit kit = furnished(10);
    struct recovery *recovery = start(&kit);
    uint64_t before = recovery->found.incarnation;
    CHECK(store_run(&recovery->writers[0]->store,
                    "UPDATE log SET record = substr(record, 1, 300) || zeroblob(28) "
                    "WHERE idx = 7") == ERR_NONE);
    end(recovery);
    expect_damage(&kit, before, 6);
    kit_drop(&kit);
}

TEST_MAIN(T(an_empty_directory_gets_a_fresh_ballot), T(a_crashed_directory_is_whole),
          T(a_second_storage_is_locked_out), T(a_missing_ballot_is_damage),
          T(a_wiped_voter_is_damage), T(an_unreadable_ballot_is_damage),
          T(a_restored_directory_is_another_incarnation), T(a_missing_newest_segment_is_damage),
          T(a_missing_wal_is_damage), T(a_missing_wal_of_the_ballot_is_damage),
          T(a_flipped_bit_in_the_wal_is_damage), T(a_log_that_ends_below_its_mark_is_damage),
          T(another_term_at_the_mark_is_damage), T(a_term_below_the_log_is_damage),
          T(a_damaged_record_is_cut_off))
