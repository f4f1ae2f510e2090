/* txid.c - a page of random bytes that a fork wipes. */
#include "client/txid.h"

#include "common/clock.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE_SIZE = 4096, HELD = PAGE_SIZE - 8 };

struct txid_pool {
    uint64_t left; /* of the bytes; a wiped page has none */
    uint8_t bytes[HELD];
};

struct txid_pool *txid_open(void)
{
    void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, PAGE_SIZE, MADV_WIPEONFORK) == 0)
        return page;
    munmap(page, PAGE_SIZE);
    return NULL;
}

void txid_close(struct txid_pool *pool)
{
    if (pool != NULL)
        munmap(pool, PAGE_SIZE);
}

void txid_draw(struct txid_pool *pool, uint8_t *txid, size_t size)
{
    if (pool == NULL || size > HELD) {
        chance_fill(txid, size);
        return;
    }
    if (pool->left < size) {
        chance_fill(pool->bytes, HELD);
        pool->left = HELD;
    }
    pool->left -= size;
    memcpy(txid, pool->bytes + pool->left, size);
}
