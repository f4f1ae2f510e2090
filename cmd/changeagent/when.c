/* when.c - reads times. */
#include "cmd/changeagent/when.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS 1000000000ull

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", SECOND_NS},
    {"m", 60 * SECOND_NS},
    {"h", 3600 * SECOND_NS},
    {"d", 86400 * SECOND_NS},
    {"w", 604800 * SECOND_NS},
};

static bool read_digits(const char **at, uint64_t *number)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    errno = 0;
    *number = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static bool read_unit(const char **at, uint64_t *ns)
{
    size_t size = strspn(*at, "numshdw");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i].name) == size && memcmp(units[i].name, *at, size) == 0) {
            *at += size;
            *ns = units[i].ns;
            return true;
        }
    return false;
}

/* "2h", "1h30m", up to the end of the text. */
static bool read_duration(const char *at, uint64_t *ns)
{
    *ns = 0;
    do {
        uint64_t number, unit, part;
        if (!read_digits(&at, &number) || !read_unit(&at, &unit) ||
            __builtin_mul_overflow(number, unit, &part) || __builtin_add_overflow(*ns, part, ns))
            return false;
    } while (*at != 0);
    return true;
}

/* ".5" is 500 000 000 ns; nothing is 0. */
static bool read_fraction(const char **at, uint64_t *ns)
{
    uint64_t digit = SECOND_NS / 10;
    *ns = 0;
    if (**at != '.')
        return true;
    if (!isdigit((unsigned char)*++*at))
        return false;
    for (; isdigit((unsigned char)**at); ++*at, digit /= 10)
        *ns += (uint64_t)(**at - '0') * digit;
    return true;
}

static bool read_seconds(const char *at, uint64_t *ns)
{
    uint64_t seconds, fraction;
    return read_digits(&at, &seconds) && read_fraction(&at, &fraction) && *at == 0 &&
           !__builtin_mul_overflow(seconds, SECOND_NS, ns) &&
           !__builtin_add_overflow(*ns, fraction, ns);
}

/* "Z", nothing (UTC as well), "+01:00". */
static bool read_zone(const char *at, int64_t *seconds)
{
    int hours, minutes, used = 0;
    char sign;
    *seconds = 0;
    if (*at == 0 || strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    if (sscanf(at, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || at[used] != 0 ||
        (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        return false;
    *seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool read_date(const char *text, uint64_t *ns)
{
    struct tm date = {0};
    uint64_t fraction = 0;
    int64_t zone = 0;
    const char *at = strptime(text, "%Y-%m-%d", &date);
    if (at == NULL)
        return false;
    if (*at == 'T' || *at == 't' || *at == ' ') {
        at = strptime(at + 1, "%H:%M:%S", &date);
        if (at == NULL || !read_fraction(&at, &fraction) || !read_zone(at, &zone))
            return false;
    } else if (*at != 0) {
        return false;
    }
    int64_t seconds = (int64_t)timegm(&date) - zone;
    if (seconds < 0 || seconds > INT64_MAX / 1000000000)
        return false;
    *ns = (uint64_t)seconds * SECOND_NS + fraction;
    return true;
}

bool when_parse(const char *text, uint64_t now_ns, uint64_t *ns)
{
    uint64_t duration;
    const char *at = text;
    if (strcmp(text, "now") == 0) {
        *ns = now_ns;
        return true;
    }
    if (*text == '-' || *text == '+') {
        if (!read_duration(text + 1, &duration) || (*text == '-' && duration > now_ns))
            return false;
        *ns = *text == '-' ? now_ns - duration : now_ns + duration;
        return true;
    }
    if (*text == '@')
        return read_seconds(text + 1, ns);
    return (read_digits(&at, ns) && *at == 0) || read_date(text, ns);
}

bool when_seconds(const char *text, uint64_t *seconds)
{
    uint64_t ns;
    bool fine = read_duration(text, &ns) && ns % SECOND_NS == 0;
    *seconds = fine ? ns / SECOND_NS : 0;
    return *seconds > 0;
}
