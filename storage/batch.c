/* batch.c - whole records, walked by their own sizes. */
#include "storage/batch.h"

#include "protocol/entry.h"
#include "storage/ballot.h"

#include <assert.h>

enum {
    LOADED_TAIL_BYTES = 2 << 20,
    LOADED_CONFIG_BYTES = 256 << 10,
};

size_t batch_offset(struct span batch, uint64_t first)
{
    struct span rest = batch, record;
    while (entry_index_of(rest) < first)
        if (!entry_next(&rest, &record))
            assert(!"a batch holds whole records");
    return batch.size - rest.size;
}

void batch_drop(struct bytes *batch, size_t size)
{
    assert(size < batch->size);
    memmove(batch->data, batch->data + size, batch->size - size);
    batch->size -= size;
}

enum err batch_read(struct journal *journal, struct bytes *configs, struct bytes *tail)
{
    TRY(journal_configs(journal, configs));
    assert(configs->size <= LOADED_CONFIG_BYTES);
    return journal_tail(journal, LOADED_TAIL_BYTES, tail);
}

void batch_loaded(const struct storage_room *room, const struct journal *journal,
                  const struct bytes *configs, const struct bytes *tail, struct message *message)
{
    const struct ballot *ballot = journal->ballot;
    struct message_loaded *loaded = &message->loaded;
    loaded->life = room->life;
    loaded->incarnation = ballot->incarnation;
    loaded->may_vote = ballot_may_vote(ballot);
    loaded->term = ballot->term;
    loaded->vote = ballot->vote;
    loaded->note = bytes_span(&ballot->note);
    loaded->first_index = room->found->first_index;
    loaded->last_index = journal->last_index;
    loaded->last_term = journal->last_term;
    loaded->last_hash = SPAN(journal->last_hash, journal->last_index ? HASH_SIZE : 0);
    loaded->applied_index = journal->applied;
    loaded->configs = bytes_span(configs);
    loaded->tail = bytes_span(tail);
    loaded->state_lost = room->found->state_lost;
}
