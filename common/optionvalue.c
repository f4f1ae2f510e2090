/* optionvalue.c - texts become values of a kind. */
#include "common/optionvalue.h"

#include "common/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_BYTES_MAX = 4096 };

/* Texts handed out live as long as the process: one list, freed by options_release. */
static char **kept;
static size_t kept_count;

static const char *keep(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = bytes_zeroed(1, size);
    memcpy(copy, text, size);
    kept = bytes_resize(kept, kept_count + 1, sizeof *kept);
    kept[kept_count++] = copy;
    return copy;
}

void options_release(void)
{
    for (size_t i = 0; i < kept_count; i++)
        bytes_free(kept[i]);
    bytes_free(kept);
    kept = NULL;
    kept_count = 0;
}

static bool parse_u64(const char *text, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* libzmq would take port 99999 and listen at another one. */
static bool has_port(const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    return colon != NULL && colon > address && parse_u64(colon + 1, &port) && port >= 1 &&
           port <= UINT16_MAX;
}

static bool is_endpoint(const char *text)
{
    return (strncmp(text, "tcp://", 6) == 0 && has_port(text + 6)) ||
           (strncmp(text, "ipc://", 6) == 0 && text[6] != '\0');
}

static bool set_number(const struct option *option, void *at, const char *text, char *advice,
                       size_t size)
{
    uint64_t value;
    if (!parse_u64(text, &value) || value < option->min || value > option->max) {
        snprintf(advice, size, "'%.64s' is not a whole number from %llu to %llu", text,
                 (unsigned long long)option->min, (unsigned long long)option->max);
        return false;
    }
    *(uint64_t *)at = value;
    return true;
}

static bool set_flag(void *at, const char *text, char *advice, size_t size)
{
    bool yes = strcmp(text, "yes") == 0, no = strcmp(text, "no") == 0;
    if (!yes && !no) {
        snprintf(advice, size, "'%.64s' is neither yes nor no", text);
        return false;
    }
    *(bool *)at = yes;
    return true;
}

static bool set_endpoint(void *at, const char *text, char *advice, size_t size)
{
    if (!is_endpoint(text)) {
        snprintf(advice, size, "'%.64s' is no endpoint; write tcp://ADDRESS:PORT, port 1 to 65535",
                 text);
        return false;
    }
    *(const char **)at = keep(text);
    return true;
}

static bool add_to_list(struct option_list *list, const char *text, char *advice, size_t size)
{
    if (list->count == OPTION_LIST_MAX) {
        snprintf(advice, size, "stands there more than %d times", OPTION_LIST_MAX);
        return false;
    }
    list->at[list->count++] = keep(text);
    return true;
}

bool optionvalue_set(const struct option *option, void *target, const char *text, char *advice,
                     size_t size)
{
    void *at = (uint8_t *)target + option->offset;
    if (strlen(text) > TEXT_BYTES_MAX) {
        snprintf(advice, size, "is longer than %d bytes", TEXT_BYTES_MAX);
        return false;
    }
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)at = keep(text);
        return true;
    case OPTION_U64:
        return set_number(option, at, text, advice, size);
    case OPTION_FLAG:
        return set_flag(at, text, advice, size);
    case OPTION_ENDPOINT:
        return set_endpoint(at, text, advice, size);
    case OPTION_LIST:
        return add_to_list(at, text, advice, size);
    }
    return false;
}
