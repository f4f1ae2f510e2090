/* route.h - the way back to a client: its connection, and the envelope of its ask. */
#ifndef PROTOCOL_ROUTE_H
#define PROTOCOL_ROUTE_H

#include <stdint.h>

enum { DOOR_ROUTE_MAX = 64, DOOR_FRAMES_MAX = 4 };

struct door_route {
    uint64_t conn;
    uint8_t bytes[DOOR_ROUTE_MAX];
    uint8_t sizes[DOOR_FRAMES_MAX];
    uint8_t frames;
};

#endif
