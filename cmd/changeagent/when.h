/* when.h - times as people write them: now, -2h, 2026-11-25, 2026-11-25T01:02:03.5+01:00,
 * @1700000000. */
#ifndef CMD_CHANGEAGENT_WHEN_H
#define CMD_CHANGEAGENT_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds since 1970; `now_ns` is the moment that words are counted from. A number alone is
 * nanoseconds, as answers give them. False: it is no time, or one before 1970. */
bool when_parse(const char *text, uint64_t now_ns, uint64_t *ns);

/* A length of time, in whole seconds: 90s, 1h30m, 2d. False: it is none, or 0. */
bool when_seconds(const char *text, uint64_t *seconds);

#endif
