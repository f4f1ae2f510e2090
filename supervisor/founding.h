/* founding.h - `changeagentd --init`: founds a cluster of one, and ends.
 *
 * It is no setting of a running node: a directory that holds anything but keys is
 * refused (X8), so it can only happen once. Whether somebody else is there already
 * is asked by consensus. */
#ifndef SUPERVISOR_FOUNDING_H
#define SUPERVISOR_FOUNDING_H

#include "common/err.h"

#include <stdint.h>

/* Zeroed: nothing is to be founded. */
struct founding {
    bool wanted, done;
    uint64_t late_ms;
};

/* ERR_CONFIG: something is in the directory; the log says what. */
MUST_USE enum err founding_begin(struct founding *founding, const char *data);

/* A child announced something. True: it was the founding, and the node may end. */
bool founding_hears(struct founding *founding, const char *key, const char *value);

/* True, once: it takes too long, and the node is to end. */
bool founding_is_late(struct founding *founding);

/* The exit code of the node: what was to be founded and was not is no success. */
int founding_code(const struct founding *founding, int code);

#endif
