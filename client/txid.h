/* txid.h - random names for writes, drawn by the hundred: a call of the kernel for each would cost
 * more than all else that the library does for a write. */
#ifndef CLIENT_TXID_H
#define CLIENT_TXID_H

#include <stddef.h>
#include <stdint.h>

struct txid_pool;

/* NULL: the system has no such memory; txid_draw asks the kernel each time then. */
struct txid_pool *txid_open(void);
void txid_close(struct txid_pool *pool); /* NULL is fine */

/* Two processes never draw the same: after a fork the child's pool is empty. */
void txid_draw(struct txid_pool *pool, uint8_t *txid, size_t size);

#endif
