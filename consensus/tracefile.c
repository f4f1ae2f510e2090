/* tracefile.c - lines into a file. */
#include "consensus/tracefile.h"

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum err tracefile_open(struct tracefile *file, const char *folder, uint64_t node, uint64_t life)
{
    char path[4096], name[NODE_ID_TEXT_SIZE];
    node_id_print(node, name);
    int size = snprintf(path, sizeof path, "%s/%s.ndjson", folder, name);
    bool fits = size > 0 && (size_t)size < sizeof path;
    int fd = fits ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || write(fd, "\n", 1) != 1) { /* what was cut off by a kill ends here */
        fprintf(stderr, "consensus/trace: a file in '%.200s' cannot be written: %s\n", folder,
                strerror(errno));
        if (fd >= 0)
            close(fd);
        return ERR_CONFIG;
    }
    *file = (struct tracefile){.fd = fd, .trace = {.life = life}};
    log_info("traced", kv_text("file", path));
    return ERR_NONE;
}

void tracefile_close(struct tracefile *file)
{
    if (file->fd > 0)
        close(file->fd);
    bytes_close(&file->line);
    *file = (struct tracefile){0};
}

void tracefile_begin(struct tracefile *file)
{
    file->taken_us = clock_now_us();
}

void tracefile_end(struct tracefile *file, const struct raft *raft, const struct raft_input *in,
                   const struct raft_outputs *out)
{
    struct trace_time time = {file->taken_us, clock_now_us()};
    bytes_clear(&file->line);
    trace_step(&file->trace, raft, in, out, time, &file->line);
    ssize_t written = write(file->fd, file->line.data, file->line.size);
    if (written == (ssize_t)file->line.size)
        return;
    log_warn("trace_ended", kv_text("cause", written < 0 ? strerror(errno) : "no room"));
    tracefile_close(file);
}
