/* local.c - from an endpoint to a listening socket, to its process, to the supervisor above it.
 *
 * All of /proc was written by others and may change while it is read: a line that does not parse
 * and a process that has gone are passed over. */
#include "cmd/changeagent/local.h"
#include "cmd/changeagent/proctext.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUPERVISOR "changeagentd"

struct search {
    uint64_t inodes[LOCAL_SERVERS_MAX];
    bool found[LOCAL_SERVERS_MAX];
    uint32_t count;
};

/* ---- processes ------------------------------------------------------------------------------- */

static bool read_process(long pid, struct process *process)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return false;
    text[size] = 0;
    return proctext_process(text, process);
}

/* 0 behind the last one. */
static long next_process(DIR *proc)
{
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0)
            return pid;
    }
    return 0;
}

static void add_server(struct local *local, long pid, uint64_t start, bool alone)
{
    for (uint32_t i = 0; i < local->count; i++)
        if (local->servers[i].pid == pid)
            return;
    if (local->count < LOCAL_SERVERS_MAX)
        local->servers[local->count++] =
            (struct local_server){.pid = pid, .start = start, .alone = alone};
}

static void add_child(struct local *local, long parent, long pid)
{
    for (uint32_t i = 0; i < local->count; i++) {
        struct local_server *server = &local->servers[i];
        if (server->pid == parent && !server->alone && server->child_count < LOCAL_CHILDREN_MAX)
            server->children[server->child_count++] = pid;
    }
}

static void list_children(struct local *local)
{
    struct process process;
    DIR *proc = opendir("/proc");
    for (uint32_t i = 0; i < local->count; i++)
        local->servers[i].child_count = 0;
    if (proc == NULL)
        return;
    for (long pid; (pid = next_process(proc)) > 0;)
        if (read_process(pid, &process))
            add_child(local, process.parent, pid);
    closedir(proc);
}

/* A child that ends passes its ticks on to the supervisor that waits for it, so the sum of all only
 * grows. The supervisor is read first: a child that ends in between is missed, not counted twice.
 */
static bool read_ticks(const struct local_server *server, uint64_t *ticks)
{
    struct process process;
    if (!read_process(server->pid, &process) || process.start != server->start ||
        process.state == 'Z' || process.state == 'X')
        return false;
    *ticks = process.own + (server->alone ? 0 : process.reaped);
    for (uint32_t i = 0; i < server->child_count; i++)
        if (read_process(server->children[i], &process) && process.parent == server->pid)
            *ticks += process.own + process.reaped;
    return true;
}

/* ---- from endpoints to supervisors ----------------------------------------------------------- */

static bool find_in(const char *path, const uint8_t *address, uint32_t port, uint64_t *inode)
{
    char line[512];
    struct listener listener;
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = proctext_listener(line, &listener) && proctext_covers(&listener, address, port);
    if (file != NULL)
        fclose(file);
    if (found)
        *inode = listener.inode;
    return found;
}

static void want(struct search *search, uint64_t inode)
{
    for (uint32_t i = 0; i < search->count; i++)
        if (search->inodes[i] == inode)
            return;
    if (search->count < LOCAL_SERVERS_MAX)
        search->inodes[search->count++] = inode;
}

/* Only an address of this machine can be bound. */
static bool is_here(const struct addrinfo *info)
{
    struct sockaddr_storage address = {0};
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    if (info->ai_family == AF_INET)
        ((struct sockaddr_in *)&address)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&address)->sin6_port = 0;
    int fd = socket(info->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool here = fd >= 0 && bind(fd, (struct sockaddr *)&address, info->ai_addrlen) == 0;
    if (fd >= 0)
        close(fd);
    return here;
}

static bool find_listener(const struct addrinfo *info, uint64_t *inode)
{
    uint8_t address[PROCTEXT_ADDRESS];
    uint32_t port;
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)info->ai_addr;
        proctext_map_v4(address, &v4->sin_addr);
        port = ntohs(v4->sin_port);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)info->ai_addr;
        memcpy(address, &v6->sin6_addr, PROCTEXT_ADDRESS);
        port = ntohs(v6->sin6_port);
    }
    return find_in("/proc/net/tcp", address, port, inode) ||
           find_in("/proc/net/tcp6", address, port, inode);
}

/* False: the endpoint is not on this machine. */
static bool want_endpoint(struct search *search, const char *endpoint)
{
    char host[PROCTEXT_HOST], port[PROCTEXT_PORT];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *infos;
    bool here = false, found = false;
    uint64_t inode;
    if (!proctext_endpoint(endpoint, host, port) || getaddrinfo(host, port, &hints, &infos) != 0)
        return false;
    for (const struct addrinfo *info = infos; info != NULL && !found; info = info->ai_next) {
        bool is_ip = info->ai_family == AF_INET || info->ai_family == AF_INET6;
        if (is_ip && is_here(info)) {
            here = true;
            found = find_listener(info, &inode);
        }
    }
    freeaddrinfo(infos);
    if (found)
        want(search, inode);
    return here;
}

/* Adds the supervisor above this process; false if there is none. */
static bool add_supervisor(struct local *local, long pid)
{
    struct process process, parent;
    if (!read_process(pid, &process) || !read_process(process.parent, &parent) ||
        strcmp(parent.name, SUPERVISOR) != 0)
        return false;
    add_server(local, process.parent, parent.start, false);
    return true;
}

static void search_process(struct search *search, struct local *local, long pid)
{
    char path[64], link[64];
    uint64_t inode;
    snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *fds = opendir(path);
    if (fds == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        ssize_t size = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
        link[size > 0 ? size : 0] = 0;
        if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
            continue;
        for (uint32_t i = 0; i < search->count; i++)
            if (search->inodes[i] == inode && add_supervisor(local, pid))
                search->found[i] = true;
    }
    closedir(fds);
}

/* False: a listener belongs to nobody we can see, or to no supervisor. */
static bool search_all(struct search *search, struct local *local)
{
    bool all = true;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return false;
    for (long pid; (pid = next_process(proc)) > 0;)
        search_process(search, local, pid);
    closedir(proc);
    for (uint32_t i = 0; i < search->count; i++)
        all = all && search->found[i];
    return all;
}

/* ---- for the verbs --------------------------------------------------------------------------- */

void local_name(struct local *local, const char *pids)
{
    struct process process;
    for (const char *at = pids; *at != 0;) {
        char *end;
        long pid = strtol(at, &end, 10);
        if (end == at)
            return;
        if (read_process(pid, &process))
            add_server(local, pid, process.start, true);
        at = *end == ',' ? end + 1 : end;
    }
}

void local_find(struct local *local, const char *const *endpoints, uint32_t count)
{
    struct search search = {0};
    bool all = true;
    for (uint32_t i = 0; i < count && all; i++)
        all = want_endpoint(&search, endpoints[i]);
    if (!all || !search_all(&search, local))
        local->count = 0;
    list_children(local);
}

/* The children are those of local_find: to walk through /proc here would hold up the puts that
 * are under way. */
void local_begin(struct local *local)
{
    for (uint32_t i = 0; i < local->count; i++)
        if (!read_ticks(&local->servers[i], &local->servers[i].ticks))
            local->servers[i--] = local->servers[--local->count];
}

double local_end(struct local *local)
{
    uint64_t sum = 0, ticks;
    bool any = false;
    list_children(local);
    for (uint32_t i = 0; i < local->count; i++) {
        const struct local_server *server = &local->servers[i];
        if (!read_ticks(server, &ticks))
            continue;
        any = true;
        sum += ticks > server->ticks ? ticks - server->ticks : 0;
    }
    return any ? (double)sum / (double)sysconf(_SC_CLK_TCK) : NAN;
}
