/* session.c - a hash table by txid whose entries also stand in order of arrival. */
#include "api/session.h"

#include <assert.h>

enum { BUCKETS = 16384 };

/* A txid is random, or its sender harms only himself: the table is bounded. */
static struct session_write **bucket_of(struct session *session, const uint8_t txid[TXID_SIZE])
{
    return &session->buckets[(load_u64(txid) ^ load_u64(txid + 8)) % BUCKETS];
}

void session_open(struct session *session)
{
    assert(session->buckets == NULL);
    session->buckets = bytes_zeroed(BUCKETS, sizeof(struct session_write *));
}

void session_close(struct session *session)
{
    while (session->oldest != NULL)
        session_remove(session, session->oldest);
    bytes_free(session->buckets);
    *session = (struct session){0};
}

struct session_write *session_find(struct session *session, const uint8_t txid[TXID_SIZE])
{
    struct session_write *write = *bucket_of(session, txid);
    while (write != NULL && memcmp(write->txid, txid, TXID_SIZE) != 0)
        write = write->chain;
    return write;
}

static enum err add_waiter(struct session_write *write, const struct session_waiter *waiter)
{
    if (write->waiter_count == SESSION_WAITERS_MAX)
        return ERR_BUSY;
    write->waiters[write->waiter_count++] = *waiter;
    return ERR_NONE;
}

static void append(struct session *session, struct session_write *write)
{
    struct session_write **bucket = bucket_of(session, write->txid);
    write->chain = *bucket;
    *bucket = write;
    write->older = session->newest;
    if (session->newest != NULL)
        session->newest->newer = write;
    else
        session->oldest = write;
    session->newest = write;
    session->count++;
    session->bytes += write->record.size;
}

enum err session_add(struct session *session, const struct entry *entry,
                     const struct session_waiter *waiter, uint64_t now_ms,
                     struct session_write **added)
{
    *added = NULL;
    struct session_write *write = session_find(session, entry->txid);
    if (write != NULL)
        return add_waiter(write, waiter);
    if (session->count == SESSION_WRITES_MAX ||
        session->bytes + ENTRY_HEADER_SIZE + entry->body.size > SESSION_BYTES_MAX)
        return ERR_BUSY;
    write = bytes_zeroed(1, sizeof *write);
    memcpy(write->txid, entry->txid, TXID_SIZE);
    entry_encode(entry, &write->record);
    write->since_ms = now_ms;
    append(session, write);
    *added = write;
    return add_waiter(write, waiter);
}

void session_remove(struct session *session, struct session_write *write)
{
    struct session_write **at = bucket_of(session, write->txid);
    while (*at != write)
        at = &(*at)->chain;
    *at = write->chain;
    if (write->older != NULL)
        write->older->newer = write->newer;
    else
        session->oldest = write->newer;
    if (write->newer != NULL)
        write->newer->older = write->older;
    else
        session->newest = write->older;
    assert(session->count > 0);
    session->count--;
    session->bytes -= write->record.size;
    bytes_close(&write->record);
    bytes_free(write);
}

struct session_write *session_expired(struct session *session, uint64_t now_ms)
{
    struct session_write *oldest = session->oldest;
    return oldest != NULL && now_ms - oldest->since_ms >= SESSION_KEEP_MS ? oldest : NULL;
}
