/* pidfile.c - JSON by hand: a dozen values, all checked or escaped. */
#include "supervisor/pidfile.h"

#include "common/bytes.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STAT_START_FIELD = 22, FILE_MAX = 16384 };

static void put(struct bytes *out, const char *text)
{
    bytes_append(out, text, strlen(text));
}

static void put_string(struct bytes *out, const char *text)
{
    char escaped[8];
    put(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == '"' || c == '\\')
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
        else
            snprintf(escaped, sizeof escaped, "%c", c);
        put(out, escaped);
    }
    put(out, "\"");
}

static void put_pair(struct bytes *out, const char *key, const char *value)
{
    put(out, ",\n ");
    put_string(out, key);
    put(out, ": ");
    put_string(out, value);
}

static void put_process(struct bytes *out, const struct pidfile_process *process)
{
    char numbers[80];
    snprintf(numbers, sizeof numbers, ": {\"pid\": %ld, \"start\": %llu}", (long)process->pid,
             (unsigned long long)process->start);
    put_string(out, process->name);
    put(out, numbers);
}

static void put_all(struct bytes *out, const struct pidfile *pidfile)
{
    put(out, "{");
    put_process(out, &pidfile->supervisor);
    put(out, ",\n \"pids\": {");
    for (uint32_t i = 0, written = 0; i < pidfile->child_count; i++) {
        if (pidfile->children[i].pid == 0)
            continue;
        put(out, written++ ? ",\n  " : "\n  ");
        put_process(out, &pidfile->children[i]);
    }
    put(out, "}");
    put_pair(out, "name", pidfile->name);
    put_pair(out, "data", pidfile->data);
    put_pair(out, "run_dir", pidfile->run_dir);
    for (uint32_t i = 0; i < pidfile->place_count; i++)
        put_pair(out, pidfile->places[i].key, pidfile->places[i].value);
    put(out, "}\n");
}

static enum err refused(const char *path)
{
    log_error("pids_not_written", kv_text("path", path), kv_text("reason", strerror(errno)));
    return ERR_SYSTEM;
}

/* Lends the text behind the name of the process, from field 3 on; NULL: no such process. */
static const char *read_stat(pid_t pid, char *text, size_t room)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t size = read(fd, text, room - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    char *at = strrchr(text, ')'); /* the name may hold anything, also spaces and brackets */
    return at != NULL && at[1] == ' ' ? at + 2 : NULL;
}

uint64_t pidfile_start_of(pid_t pid)
{
    char text[1024];
    const char *at = read_stat(pid, text, sizeof text);
    for (int field = 3; at != NULL && field < STAT_START_FIELD; field++) {
        at = strchr(at, ' ');
        at = at != NULL ? at + 1 : NULL;
    }
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

bool pidfile_runs(const struct pidfile_process *process)
{
    char text[1024];
    if (process->pid <= 0 || process->start == 0)
        return false;
    const char *state = read_stat(process->pid, text, sizeof text);
    bool dead = state == NULL || *state == 'Z' || *state == 'X';
    return !dead && pidfile_start_of(process->pid) == process->start;
}

bool pidfile_place(struct pidfile *pidfile, const char *key, const char *value)
{
    uint32_t slot = 0;
    while (slot < pidfile->place_count && strcmp(pidfile->places[slot].key, key) != 0)
        slot++;
    struct pidfile_place *place = &pidfile->places[slot];
    if (slot == PIDFILE_PLACES_MAX || strlen(key) >= sizeof place->key ||
        strlen(value) >= sizeof place->value)
        return false;
    snprintf(place->key, sizeof place->key, "%s", key);
    snprintf(place->value, sizeof place->value, "%s", value);
    if (slot == pidfile->place_count)
        pidfile->place_count++;
    return true;
}

enum err pidfile_write(const struct pidfile *pidfile, const char *path)
{
    SCOPED(bytes) text = {0};
    char beside[PATH_MAX + 16];
    put_all(&text, pidfile);
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return refused(beside);
    bool whole = write(fd, text.data, text.size) == (ssize_t)text.size;
    if (close(fd) != 0 || !whole || rename(beside, path) != 0)
        return refused(path);
    return ERR_NONE;
}

void pidfile_read(struct pidfile *pidfile, const char *path)
{
    static const char mark[] = "{\"pid\": ";
    char text[FILE_MAX];
    pidfile->supervisor = (struct pidfile_process){0};
    pidfile->child_count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    bool first = true;
    for (char *at = strstr(text, mark); at != NULL; at = strstr(at + 1, mark)) {
        long pid = 0;
        unsigned long long start = 0;
        if (sscanf(at, "{\"pid\": %ld, \"start\": %llu}", &pid, &start) != 2)
            continue;
        struct pidfile_process process = {.pid = (pid_t)pid, .start = start};
        if (first)
            pidfile->supervisor = process;
        else if (pidfile->child_count < PIDFILE_PROCESSES_MAX)
            pidfile->children[pidfile->child_count++] = process;
        first = false;
    }
}
