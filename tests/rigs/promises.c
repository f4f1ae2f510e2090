/* promises.c - what storage says, held against all that it ever promised. */
#include "tests/rigs/drive.h"

#include <stdio.h>
#include <unistd.h>

_Noreturn void promises_broken(const struct drive *drive, const char *what, uint64_t a, uint64_t b)
{
    printf("FAULT %s: %llu, %llu (acked %llu, sent %llu, life %llu of the drive)\n", what,
           (unsigned long long)a, (unsigned long long)b, (unsigned long long)drive->acked,
           (unsigned long long)drive->last, (unsigned long long)drive->lives);
    fflush(stdout);
    _exit(1);
}

void promises_hold(const struct drive *drive, bool promise, const char *what, uint64_t a,
                   uint64_t b)
{
    if (!promise)
        promises_broken(drive, what, a, b);
}

static bool was_replaced(const struct drive *drive, uint64_t index, const uint8_t *hash)
{
    for (uint32_t i = 0; i < drive->replaced_count; i++)
        if (drive->replaced[i].index == index &&
            memcmp(drive->replaced[i].hash, hash, HASH_SIZE) == 0)
            return true;
    return false;
}

/* A record that storage holds: what was promised, or, above that, what was once sent. */
static void promises_judge(struct drive *drive, struct span record)
{
    uint64_t index = entry_index_of(record);
    promises_hold(drive, entry_intact(record), "a record is damaged", index, 0);
    struct sent *known = &drive->sent[index];
    if (drive->looks &&
        !drive->votes) /* it has lost its end, and will be told anew what stood there */
        return;
    if (index <= drive->last && memcmp(known->hash, entry_hash_of(record), HASH_SIZE) == 0)
        return;
    promises_hold(drive, index > drive->acked, "a promised record is another", index,
                  entry_term_of(record));
    promises_hold(drive, was_replaced(drive, index, entry_hash_of(record)), "a record is unknown",
                  index, entry_term_of(record));
    memcpy(known->hash, entry_hash_of(record), HASH_SIZE); /* it is the version that counts now */
    known->term = entry_term_of(record);
}

static void judge_tail(struct drive *drive, const struct message_loaded *loaded)
{
    struct span rest = loaded->tail, record;
    uint64_t last = 0;
    promises_hold(drive, rest.size > 0 || loaded->last_index == 0, "the tail is empty",
                  loaded->last_index, 0);
    drive->tail_first = rest.size > 0 ? entry_index_of(rest) : 1;
    while (entry_next(&rest, &record)) {
        promises_judge(drive, record);
        last = entry_index_of(record);
    }
    promises_hold(drive, last == loaded->last_index && rest.size == 0, "the tail ends early", last,
                  loaded->last_index);
    if (last > 0)
        promises_hold(drive, memcmp(loaded->last_hash.data, drive->sent[last].hash, HASH_SIZE) == 0,
                      "the last hash", last, 0);
}

static void judge_ballot(struct drive *drive, const struct message_loaded *loaded)
{
    promises_hold(drive, loaded->may_vote, "it must not vote any more", loaded->last_index,
                  loaded->term);
    if (drive->lives > 0)
        promises_hold(drive, loaded->incarnation == drive->incarnation, "another incarnation",
                      loaded->incarnation, drive->incarnation);
    promises_hold(drive, loaded->term >= drive->term_promised && loaded->term <= drive->term,
                  "the term", loaded->term, drive->term_promised);
    if (loaded->term == drive->term_promised)
        promises_hold(drive, loaded->vote == drive->vote_promised, "the vote", loaded->vote,
                      drive->vote_promised);
}

static enum err on_loaded(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    const struct message_loaded *loaded = &message->loaded;
    drive->votes = loaded->may_vote;
    if (drive->looks && !loaded->may_vote) {
        drive->loaded_last = loaded->last_index;
        drive->life = loaded->life;
        drive->loaded = true;
        return ERR_NONE;
    }
    judge_ballot(drive, loaded);
    promises_hold(drive, loaded->last_index >= drive->acked, "promised entries are gone",
                  loaded->last_index, drive->acked);
    if (!drive->looks) /* a damaged state is made anew from the log */
        promises_hold(drive, loaded->applied_index >= drive->durable, "a durable state is gone",
                      loaded->applied_index, drive->durable);
    promises_hold(drive, loaded->applied_index <= drive->committed,
                  "what nobody committed is applied", loaded->applied_index, drive->committed);
    judge_tail(drive, loaded);
    drive->incarnation = loaded->incarnation;
    drive->life = loaded->life;
    drive->term = drive->term_promised = loaded->term;
    drive->vote = drive->vote_promised = loaded->vote;
    drive->loaded_last = loaded->last_index;
    drive->loaded = true;
    return ERR_NONE;
}

static enum err on_balloted(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    if (message->balloted.life != drive->life || message->balloted.ticket != drive->ballot_ticket)
        return ERR_NONE;
    drive->balloted = true;
    drive->term_promised = drive->term;
    drive->vote_promised = drive->vote;
    return ERR_NONE;
}

static enum err on_stored(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    const struct message_stored *stored = &message->stored;
    if (stored->life != drive->life)
        return ERR_NONE;
    drive->answered = stored->ticket; /* also of a term that has passed: it is in flight no more */
    if (stored->term != drive->term)
        return ERR_NONE;
    promises_hold(drive, stored->last_index <= drive->last, "more is stored than sent",
                  stored->last_index, drive->last);
    if (stored->last_index > drive->acked)
        drive->acked = stored->last_index;
    return ERR_NONE;
}

static enum err on_applied(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    promises_hold(drive, message->applied.index <= drive->committed, "applied above the commit",
                  message->applied.index, drive->committed);
    drive->told_applied = message->applied.index;
    if (message->applied.durable_index > drive->durable)
        drive->durable = message->applied.durable_index;
    return ERR_NONE;
}

static enum err on_fetched(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    struct span rest = message->fetched.entries, record;
    promises_hold(drive, message->fetched.error.size == 0 || drive->looks, "the log cannot be read",
                  drive->verified + 1, 0);
    drive->refused += message->fetched.error.size > 0;
    while (entry_next(&rest, &record)) {
        promises_hold(drive, entry_index_of(record) == drive->verified + 1, "a hole",
                      entry_index_of(record), drive->verified);
        promises_judge(drive, record);
        drive->verified++;
    }
    drive->fetched = true;
    return ERR_NONE;
}

static enum err on_page(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    bytes_clear(&drive->row);
    if (message->page.error.size == 0)
        bytes_append_span(&drive->row, message->page.rows);
    else
        drive->refused++;
    drive->has_page = true;
    return ERR_NONE;
}

link_handler *const promises_handlers[MESSAGE_TYPE_MAX] = {
    ON(LOADED, on_loaded),   ON(BALLOTED, on_balloted), ON(STORED, on_stored),
    ON(APPLIED, on_applied), ON(FETCHED, on_fetched),   ON(PAGE, on_page),
};
