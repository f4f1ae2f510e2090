/* proctext.c - PURE: texts of the kernel into numbers. */
#include "cmd/changeagent/proctext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TCP_LISTEN = 10 };

void proctext_map_v4(uint8_t address[PROCTEXT_ADDRESS], const void *v4)
{
    memset(address, 0, PROCTEXT_ADDRESS);
    memset(address + 10, 0xff, 2);
    memcpy(address + 12, v4, 4);
}

/* The kernel prints each four bytes as one number of this machine. */
static bool parse_address(const char *hex, uint8_t address[PROCTEXT_ADDRESS])
{
    uint32_t words[4] = {0};
    size_t count = strlen(hex) / 8;
    if (strlen(hex) != 8 && strlen(hex) != 32)
        return false;
    for (size_t i = 0; i < count; i++)
        if (sscanf(hex + 8 * i, "%8" SCNx32, &words[i]) != 1)
            return false;
    if (count == 1)
        proctext_map_v4(address, words);
    else
        memcpy(address, words, PROCTEXT_ADDRESS);
    return true;
}

bool proctext_listener(const char *line, struct listener *listener)
{
    char hex[33];
    uint32_t state;
    return sscanf(line,
                  " %*u: %32[0-9A-Fa-f]:%4" SCNx32 " %*[0-9A-Fa-f]:%*x %2" SCNx32
                  " %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
                  hex, &listener->port, &state, &listener->inode) == 4 &&
           state == TCP_LISTEN && parse_address(hex, listener->address);
}

bool proctext_covers(const struct listener *listener, const uint8_t *address, uint32_t port)
{
    static const uint8_t any[PROCTEXT_ADDRESS], none[4];
    uint8_t any_v4[PROCTEXT_ADDRESS];
    proctext_map_v4(any_v4, none);
    if (listener->port != port)
        return false;
    return memcmp(listener->address, address, PROCTEXT_ADDRESS) == 0 ||
           memcmp(listener->address, any, PROCTEXT_ADDRESS) == 0 ||
           (memcmp(listener->address, any_v4, PROCTEXT_ADDRESS) == 0 &&
            memcmp(address, any_v4, PROCTEXT_ADDRESS - 4) == 0);
}

/* The name may hold anything, spaces and brackets too. */
bool proctext_process(const char *text, struct process *process)
{
    uint64_t user, system, reaped_user, reaped_system;
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close < open)
        return false;
    snprintf(process->name, sizeof process->name, "%.*s", (int)(close - open - 1), open + 1);
    if (sscanf(close + 1,
               " %c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %*d %*d %*d %*d %" SCNu64,
               &process->state, &process->parent, &user, &system, &reaped_user, &reaped_system,
               &process->start) != 7)
        return false;
    process->own = user + system;
    process->reaped = reaped_user + reaped_system;
    return true;
}

bool proctext_endpoint(const char *endpoint, char host[PROCTEXT_HOST], char port[PROCTEXT_PORT])
{
    if (strncmp(endpoint, "tcp://", 6) != 0)
        return false;
    const char *begin = endpoint + 6, *colon = strrchr(begin, ':');
    if (colon == NULL || strlen(colon + 1) >= PROCTEXT_PORT)
        return false;
    const char *end = colon;
    if (*begin == '[' && end[-1] == ']') {
        begin++;
        end--;
    }
    if (end <= begin || end - begin >= PROCTEXT_HOST)
        return false;
    snprintf(host, PROCTEXT_HOST, "%.*s", (int)(end - begin), begin);
    snprintf(port, PROCTEXT_PORT, "%s", colon + 1);
    return true;
}
