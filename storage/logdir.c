#include "storage/logdir.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/smallfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    READ_VERSION_AT = 19, /* in the header of a database file: 1 rollback journal, 2 WAL */
};

static bool is_beside(const char *path, const char *suffix)
{
    char name[4096];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

/* Reads the journal mode from the header; only before SQLite has the file open (S9). */
static bool left_wal_mode(const char *path)
{
    uint8_t header[READ_VERSION_AT + 1] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = pread(fd, header, sizeof header, 0);
    close(fd);
    return got == (ssize_t)sizeof header && header[READ_VERSION_AT] == 1;
}

static void look_at(const struct logdir *logdir, struct logdir_file *file)
{
    char *path = logdir_join(logdir, file->name);
    file->has_wal = is_beside(path, "-wal");
    file->indexed = is_beside(path, ".index");
    file->sealed = left_wal_mode(path) && !file->has_wal && !is_beside(path, "-journal");
    bytes_free(path);
}

static int by_number(const void *left, const void *right)
{
    const struct logdir_file *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void add(struct logdir *logdir, const char *name)
{
    struct logdir_file file = {0};
    uint64_t suffix;
    if (!segment_name_parse(name, &file.number, &suffix))
        return;
    segment_name(file.number, suffix, file.name);
    look_at(logdir, &file);
    logdir->files = bytes_resize(logdir->files, logdir->count + 1, sizeof file);
    logdir->files[logdir->count++] = file;
}

/* The .index of a segment that was cut, if the node died between the two. */
static void sweep(const struct logdir *logdir, const char *name)
{
    size_t size = strlen(name), tail = strlen(".index");
    char segment[SEGMENT_NAME_MAX];
    if (size <= tail || size - tail >= sizeof segment || strcmp(name + size - tail, ".index") != 0)
        return;
    snprintf(segment, sizeof segment, "%.*s", (int)(size - tail), name);
    char *path = logdir_join(logdir, segment), *index = logdir_join(logdir, name);
    if (access(path, F_OK) != 0 && unlink(index) == 0)
        log_info("index_swept", kv_text("file", index));
    bytes_free(path);
    bytes_free(index);
}

static enum err list(struct logdir *logdir)
{
    DIR *directory = opendir(logdir->path);
    if (directory == NULL) {
        log_error("log_not_listed", kv_text("text", strerror(errno)));
        return ERR_IO;
    }
    for (struct dirent *at = readdir(directory); at; at = readdir(directory)) {
        add(logdir, at->d_name);
        sweep(logdir, at->d_name);
    }
    closedir(directory);
    if (logdir->count > 0)
        qsort(logdir->files, logdir->count, sizeof *logdir->files, by_number);
    return ERR_NONE;
}

static enum err rename_one(const char *path, const char *suffix)
{
    char from[4096], to[4200];
    snprintf(from, sizeof from, "%s%s", path, suffix);
    snprintf(to, sizeof to, "%s.damaged%s", path, suffix);
    if (rename(from, to) == 0 || errno == ENOENT)
        return ERR_NONE;
    log_error("file_not_renamed", kv_text("file", from), kv_text("text", strerror(errno)));
    return ERR_IO;
}

static enum err set_one_aside(const char *path)
{
    TRY(rename_one(path, ""));
    TRY(rename_one(path, "-wal"));
    return segment_remove(path); /* what is left: -shm, .index */
}

/* Drops one file, by either way, and closes the gap in the list. */
static enum err drop(struct logdir *logdir, uint32_t slot, enum err (*way)(const char *path))
{
    char *path = logdir_join(logdir, logdir->files[slot].name);
    log_warn("segment_dropped", kv_text("file", path));
    enum err err = way(path);
    bytes_free(path);
    TRY(err);
    logdir->count--;
    memmove(&logdir->files[slot], &logdir->files[slot + 1],
            (logdir->count - slot) * sizeof *logdir->files);
    return ERR_NONE;
}

/* A file of the same number and another suffix was prepared, but never named. */
static bool is_newer(const struct logdir_file *file, uint32_t number, const char *newest)
{
    return file->number > number || (file->number == number && strcmp(file->name, newest) != 0);
}

enum err logdir_open(struct logdir *logdir, const char *home)
{
    size_t room = strlen(home) + 8;
    logdir->path = bytes_zeroed(1, room);
    snprintf(logdir->path, room, "%s/log", home);
    TRY(smallfile_directory(logdir->path));
    return list(logdir);
}

void logdir_close(struct logdir *logdir)
{
    bytes_free(logdir->path);
    bytes_free(logdir->files);
    *logdir = (struct logdir){0};
}

char *logdir_join(const struct logdir *logdir, const char *name)
{
    size_t room = strlen(logdir->path) + strlen(name) + 2;
    char *path = bytes_zeroed(1, room);
    snprintf(path, room, "%s/%s", logdir->path, name);
    return path;
}

void logdir_new_name(uint32_t number, char name[SEGMENT_NAME_MAX])
{
    segment_name(number, chance_u64(), name);
}

enum err logdir_remove_newer(struct logdir *logdir, const char *newest)
{
    uint32_t number = 0, before = logdir->count;
    uint64_t suffix;
    bool named = segment_name_parse(newest, &number, &suffix);
    for (uint32_t i = logdir->count; i > 0; i--)
        if (!named || is_newer(&logdir->files[i - 1], number, newest))
            TRY(drop(logdir, i - 1, segment_remove));
    return logdir->count < before ? store_sync_directory(logdir->path) : ERR_NONE;
}

enum err logdir_set_aside(struct logdir *logdir, uint32_t slot)
{
    if (slot >= logdir->count)
        return ERR_NONE;
    while (logdir->count > slot)
        TRY(drop(logdir, logdir->count - 1, set_one_aside));
    return store_sync_directory(logdir->path);
}
