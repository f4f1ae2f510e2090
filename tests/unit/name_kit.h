/* name_kit.h - does this machine know its own name? A bare image may have no /etc/hosts. */
#ifndef TESTS_UNIT_NAME_KIT_H
#define TESTS_UNIT_NAME_KIT_H

#include "tests/unit/test.h"

#include <netdb.h>

/* Skips the test where nobody here knows who localhost is. */
static inline void needs_localhost(void)
{
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo("localhost", "80", &hints, &found) != 0)
        skip();
    freeaddrinfo(found);
}

#endif
