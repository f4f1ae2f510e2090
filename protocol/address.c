/* address.c - endpoints by getaddrinfo. */
#include "protocol/address.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

enum { AWAIT_S = 10 };

struct address_lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[ADDRESS_TEXT_MAX], port[8];
    struct address_lookup *next; /* of those that are left behind */
};

/* ---- endpoints ------------------------------------------------------------------------------- */

static bool is_ipc(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0;
}

/* The C library would take 70000 for 4464, and blanks. */
static bool take_port(const char *text, char port[8])
{
    size_t digits = strspn(text, "0123456789");
    bool any = strcmp(text, "*") == 0;
    unsigned long number = any ? 0 : strtoul(text, NULL, 10);
    snprintf(port, 8, "%u", (uint16_t)number);
    return any || (digits > 0 && text[digits] == '\0' && number <= UINT16_MAX);
}

/* HOST:PORT, with the brackets of IPv6 taken off. */
static bool take_apart(const char *endpoint, char host[ADDRESS_TEXT_MAX], char port[8])
{
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, "tcp://", 6) != 0 || colon < endpoint + 6)
        return false;
    const char *from = endpoint + 6;
    size_t size = (size_t)(colon - from);
    if (size >= 2 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    if (size == 0 || size >= ADDRESS_TEXT_MAX)
        return false;
    snprintf(host, ADDRESS_TEXT_MAX, "%.*s", (int)size, from);
    return strpbrk(host, "[]/ \t") == NULL && take_port(colon + 1, port);
}

static enum err parse_ipc(const char *endpoint, struct address *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t size = strlen(endpoint + 6);
    if (size == 0 || size >= sizeof local.sun_path)
        return ERR_CONFIG;
    memcpy(local.sun_path, endpoint + 6, size + 1);
    memcpy(&address->at, &local, sizeof local);
    address->size = sizeof local;
    return ERR_NONE;
}

static void copy_address(struct address *address, const struct addrinfo *info)
{
    assert(info->ai_addrlen <= sizeof address->at);
    memcpy(&address->at, info->ai_addr, info->ai_addrlen);
    address->size = info->ai_addrlen;
}

enum err address_parse(const char *endpoint, bool listens, struct address *address)
{
    char host[ADDRESS_TEXT_MAX], port[8];
    struct addrinfo *found,
        hints = {.ai_family = AF_UNSPEC,
                 .ai_socktype = SOCK_STREAM,
                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | (listens ? AI_PASSIVE : 0)};
    *address = (struct address){0};
    if (is_ipc(endpoint))
        return parse_ipc(endpoint, address);
    if (!take_apart(endpoint, host, port))
        return ERR_CONFIG;
    bool any = strcmp(host, "*") == 0;
    if (!listens && (any || strcmp(port, "0") == 0))
        return ERR_CONFIG; /* the C library would take * for this machine */
    int rc = getaddrinfo(any ? "0.0.0.0" : host, port, &hints, &found);
    if (rc == EAI_NONAME)
        return ERR_NOT_FOUND;
    if (rc != 0)
        return ERR_CONFIG;
    copy_address(address, found);
    freeaddrinfo(found);
    return ERR_NONE;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Lookups that were closed under way: a thread of the C library still writes to them. Whoever
 * looks up or closes next, in whatever thread, frees those that are done. (They could be called
 * off, but then the C library forgets to free what it noted of them.) */
static struct address_lookup *left_behind; /* atomic */

static void leave_behind(struct address_lookup *lookup)
{
    lookup->next = __atomic_load_n(&left_behind, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&left_behind, &lookup->next, lookup, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        continue;
}

static void free_or_leave(struct address_lookup *lookup)
{
    if (gai_error(&lookup->request) == EAI_INPROGRESS) {
        leave_behind(lookup);
        return;
    }
    if (lookup->request.ar_result != NULL)
        freeaddrinfo(lookup->request.ar_result);
    bytes_free(lookup);
}

static void sweep(void)
{
    struct address_lookup *at = __atomic_exchange_n(&left_behind, NULL, __ATOMIC_ACQUIRE);
    while (at != NULL) {
        struct address_lookup *next = at->next;
        free_or_leave(at);
        at = next;
    }
}

struct address_lookup *address_look_up(const char *endpoint)
{
    sweep();
    struct bytes memory = {.soft = true}; /* also for a guest in another's process */
    struct address_lookup *lookup = (void *)bytes_reserve(&memory, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    *lookup = (struct address_lookup){
        .hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}};
    lookup->request.ar_name = lookup->host;
    lookup->request.ar_service = lookup->port;
    lookup->request.ar_request = &lookup->hints;
    struct gaicb *list[] = {&lookup->request};
    if (take_apart(endpoint, lookup->host, lookup->port) &&
        getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
        return lookup;
    bytes_free(lookup);
    return NULL;
}

enum err address_found(struct address_lookup *lookup, struct address found[ADDRESSES_MAX],
                       uint32_t *count)
{
    int rc = gai_error(&lookup->request);
    *count = 0;
    if (rc == EAI_INPROGRESS)
        return ERR_BUSY;
    const struct addrinfo *at = rc == 0 ? lookup->request.ar_result : NULL;
    for (; at != NULL && *count < ADDRESSES_MAX; at = at->ai_next)
        copy_address(&found[(*count)++], at);
    return *count > 0 ? ERR_NONE : ERR_NOT_FOUND;
}

enum err address_await(struct address_lookup *lookup, struct address found[ADDRESSES_MAX])
{
    const struct gaicb *list[] = {&lookup->request};
    const struct timespec longest = {.tv_sec = AWAIT_S};
    uint32_t count;
    (void)gai_suspend(list, 1, &longest);
    return address_found(lookup, found, &count);
}

void address_lookup_close(struct address_lookup *lookup)
{
    sweep();
    if (lookup != NULL)
        free_or_leave(lookup);
}

uint32_t address_left_behind(void)
{
    sweep();
    uint32_t count = 0;
    struct address_lookup *at = __atomic_exchange_n(&left_behind, NULL, __ATOMIC_ACQUIRE);
    while (at != NULL) {
        struct address_lookup *next = at->next;
        leave_behind(at);
        at = next;
        count++;
    }
    return count;
}

void address_print(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    char host[64], port[8];
    text[0] = '\0';
    if (address->at.ss_family == AF_UNIX) {
        struct sockaddr_un local;
        memcpy(&local, &address->at, sizeof local);
        snprintf(text, ADDRESS_TEXT_MAX, "ipc://%.*s", (int)sizeof local.sun_path, local.sun_path);
        return;
    }
    if (getnameinfo((const struct sockaddr *)&address->at, address->size, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool six = address->at.ss_family == AF_INET6;
    snprintf(text, ADDRESS_TEXT_MAX, "tcp://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}
