/* writer.c - puts of random size in batches, several in flight; now and then a new term that
 * replaces the end of the log which is not committed; COMMIT behind, at random distance. */
#include "common/clock.h"
#include "tests/rigs/drive.h"

#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT_MAX = 4, BATCH_MAX = 48, BODY_BYTES_MAX = 900 };

static uint64_t draw(struct drive *drive, uint64_t below)
{
    uint64_t z = (drive->seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % below;
}

static void send_ballot(struct drive *drive)
{
    struct message message = {.type = MESSAGE_BALLOT};
    drive->term++;
    drive->vote = 1 + draw(drive, 3);
    drive->ballot_ticket = ++drive->ballots; /* of their own: they must not count as in flight */
    message.ballot.life = drive->life;
    message.ballot.ticket = drive->ballot_ticket;
    message.ballot.term = drive->term;
    message.ballot.vote = drive->vote;
    message.ballot.note = SPAN("note", 4);
    drive->balloted = false;
    talk_say(drive, &drive->journal, &message);
}

/* The end of the log from `index` on is promised to nobody any more. */
static void replace_from(struct drive *drive, uint64_t index)
{
    uint32_t more = (uint32_t)(drive->last + 1 - index);
    drive->replaced = realloc(drive->replaced, (drive->replaced_count + more + 1) *
                                                   sizeof *drive->replaced); /* NOLINT */
    for (uint64_t at = index; at <= drive->last; at++) {
        struct replaced *old = &drive->replaced[drive->replaced_count++];
        old->index = at;
        memcpy(old->hash, drive->sent[at].hash, HASH_SIZE);
    }
    drive->acked = drive->acked < index ? drive->acked : index - 1;
    drive->overwrites += more > 0;
}

static void append(struct drive *drive, struct log_kit *kit)
{
    char data[BODY_BYTES_MAX + 1], tag[16];
    size_t size = 1 + draw(drive, BODY_BYTES_MAX);
    memset(data, 'a' + (int)draw(drive, 26), size);
    data[size] = '\0';
    snprintf(tag, sizeof tag, "t%u", (unsigned)draw(drive, 40));
    struct span record = kit->last == 0 ? kit_founding(kit)
                                        : kit_put(kit, ++drive->txid, kit->ts,
                                                  1 + (uint32_t)draw(drive, 3), tag, data);
    promises_hold(drive, kit->last < DRIVE_INDEX_MAX, "the drive has no room left", kit->last, 0);
    memcpy(drive->sent[kit->last].hash, entry_hash_of(record), HASH_SIZE);
    drive->sent[kit->last].term = kit->term;
}

static void send_store(struct drive *drive, uint64_t from, uint32_t count)
{
    struct message message = {.type = MESSAGE_STORE};
    struct log_kit kit = {.last = from - 1, .term = drive->term, .ts = drive->ts};
    if (from > 1)
        memcpy(kit.hash, drive->sent[from - 1].hash, HASH_SIZE);
    for (uint32_t i = 0; i < count; i++)
        append(drive, &kit);
    drive->ts = kit.ts;
    drive->last = kit.last;
    message.store.life = drive->life;
    message.store.ticket = ++drive->ticket;
    message.store.term = drive->term;
    message.store.entries = bytes_span(&kit.records);
    talk_say(drive, &drive->journal, &message);
    kit_close(&kit);
    drive->stores++;
}

static void commit(struct drive *drive)
{
    if (drive->acked <= drive->committed || draw(drive, 4) == 0)
        return;
    drive->committed += 1 + draw(drive, drive->acked - drive->committed);
    talk_commit(drive);
}

void writer_turn(struct drive *drive)
{
    if (!talk_stands(drive) || !drive->balloted)
        return;
    uint64_t from = drive->last + 1;
    if (drive->term == 0 || draw(drive, drive->mortal ? 6 : 60) == 0) {
        send_ballot(drive);
        return;
    }
    if (drive->sent[drive->last].term < drive->term && drive->last > drive->committed &&
        draw(drive, 2) == 0) {
        from = drive->committed + 1 + draw(drive, drive->last - drive->committed);
        replace_from(drive, from);
    }
    if (drive->ticket - drive->answered < IN_FLIGHT_MAX || from <= drive->last) {
        send_store(drive, from, 1 + (uint32_t)draw(drive, BATCH_MAX));
        drive->left -= drive->left > 0;
        drive->writing = !drive->mortal || drive->left > 0;
    }
    commit(drive);
}

/* The last batch of a life was sent: all of it shall be stored, committed, applied. */
void writer_rest(struct drive *drive)
{
    uint64_t begin = clock_now_ms();
    while (drive->told_applied < drive->last) {
        loop_turn(&drive->loop, DRIVE_TURN_MS);
        if (talk_stands(drive))
            commit(drive);
        if (talk_interrupted())
            return;
        promises_hold(drive, clock_now_ms() - begin < DRIVE_PATIENCE_MS, "storage comes to no rest",
                      drive->told_applied, drive->committed);
    }
    printf("done\n");
    fflush(stdout);
}
