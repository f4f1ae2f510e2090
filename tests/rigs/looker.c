/* looker.c - what a storage serves whose files were damaged: what was learned, or nothing. */
#include "common/clock.h"
#include "tests/rigs/drive.h"

#include <stdio.h>
#include <stdlib.h>

/* One change, as a client reads it: what was learned, or nothing. */
static bool read_change(struct drive *drive, uint64_t id)
{
    struct message message = {.type = MESSAGE_READ};
    message.read.since = id - 1;
    message.read.limit = 1;
    message.read.bytes = 1;
    message.read.exact = true;
    drive->has_page = false;
    talk_say(drive, &drive->keeper, &message);
    if (!talk_await(drive, &drive->has_page, "storage does not serve"))
        return false;
    struct span row = bytes_span(&drive->row);
    if (row.size > 0) {
        promises_hold(drive, span_equal(row, bytes_span(&drive->learned[id])),
                      "a wrong byte is served", id, 0);
        drive->served++;
    }
    return true;
}

/* Everything that was committed is to be applied again: as far as storage can. */
void looker_commit(struct drive *drive)
{
    struct message message = {.type = MESSAGE_COMMIT};
    uint64_t begin = clock_now_ms();
    message.commit.index = drive->committed;
    message.commit.term = drive->sent[drive->committed].term;
    drive->told_applied = 0;
    link_tell(&drive->view, 0, &message);
    while (drive->told_applied < drive->committed && clock_now_ms() - begin < 300) {
        loop_turn(&drive->loop, DRIVE_TURN_MS);
        if (talk_interrupted())
            return;
    }
}

/* The log in pieces: after a refusal it goes on behind. */
static bool look_at_log(struct drive *drive)
{
    uint64_t last = drive->loaded_last < drive->last ? drive->loaded_last : drive->last;
    for (uint64_t from = 1; from <= last; from = drive->verified + 1) {
        uint64_t before = drive->refused;
        struct message message = {.type = MESSAGE_FETCH};
        message.fetch.from = from;
        message.fetch.to = last;
        message.fetch.bytes = DRIVE_CHECK_BYTES;
        drive->verified = from - 1;
        drive->fetched = false;
        talk_say(drive, &drive->keeper, &message);
        if (!talk_await(drive, &drive->fetched, "storage does not read"))
            return false;
        if (drive->refused > before || drive->verified < from)
            drive->verified = from + 15;
    }
    return true;
}

void looker_look(struct drive *drive)
{
    uint64_t acked = drive->acked, last = drive->last;
    talk_close(drive);
    talk_open(drive);
    drive->looks = drive->mortal = true;
    drive->served = drive->refused = 0;
    bool fine = talk_load(drive);
    drive->acked = acked; /* what is damaged now is whole again next time */
    drive->last = last;
    if (fine)
        looker_commit(drive);
    fine = fine && look_at_log(drive);
    for (uint64_t id = 1; fine && id <= drive->learned_count; id++)
        fine = read_change(drive, id);
    drive->looks = false;
    if (fine)
        printf("look %d %llu %llu\n", drive->votes, (unsigned long long)drive->served,
               (unsigned long long)drive->refused);
    else
        printf("interrupted\n");
}

void looker_learn(struct drive *drive)
{
    drive->learned_count = 0;
    for (uint64_t id = 1;; id++) {
        drive->learned = realloc(drive->learned, (id + 1) * sizeof *drive->learned); /* NOLINT */
        drive->learned[id] = (struct bytes){0};
        struct message message = {.type = MESSAGE_READ};
        message.read.since = id - 1;
        message.read.limit = message.read.bytes = 1;
        drive->has_page = false;
        talk_say(drive, &drive->keeper, &message);
        talk_await(drive, &drive->has_page, "storage does not serve");
        if (drive->row.size == 0)
            break;
        bytes_append_span(&drive->learned[id], bytes_span(&drive->row));
        drive->learned_count = id;
    }
    printf("learned %llu\n", (unsigned long long)drive->learned_count);
}
