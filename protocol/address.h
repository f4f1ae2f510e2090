/* address.h - from the text of an endpoint to the address of a socket, and back.
 *
 * tcp://HOST:PORT (numbers, [IPv6], a name; * and port * or 0 to listen at) and ipc://PATH. Names
 * are looked up by the C library in a thread of its own (getaddrinfo_a): nothing here waits. */
#ifndef PROTOCOL_ADDRESS_H
#define PROTOCOL_ADDRESS_H

#include "common/bytes.h"
#include "common/err.h"

#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 256, ADDRESSES_MAX = 8 };

struct address {
    struct sockaddr_storage at;
    socklen_t size;
};

struct address_lookup;

/* ERR_NOT_FOUND: the host is a name, to be looked up.  ERR_CONFIG: this is no endpoint. */
MUST_USE enum err address_parse(const char *endpoint, bool listens, struct address *address);

/* Begins to look a name up; NULL: not now (no memory, no thread). */
struct address_lookup *address_look_up(const char *endpoint);

/* Once it is done, gives what was found. ERR_BUSY: not yet.  ERR_NOT_FOUND: nobody has that name.
 */
MUST_USE enum err address_found(struct address_lookup *lookup, struct address found[ADDRESSES_MAX],
                                uint32_t *count);
/* As above, but waits: for a process that begins. */
MUST_USE enum err address_await(struct address_lookup *lookup, struct address found[ADDRESSES_MAX]);
void address_lookup_close(struct address_lookup *lookup); /* NULL is fine */

/* How many that were closed under way are not freed yet. Those that are done by now are. */
uint32_t address_left_behind(void);

/* As an endpoint, numbers only. */
void address_print(const struct address *address, char text[ADDRESS_TEXT_MAX]);

#endif
