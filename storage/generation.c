/* generation.c - homes of log and state, and the end of those that are left. */
#include "storage/generation.h"

#include "common/log.h"
#include "storage/doubt.h"
#include "storage/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOCK_TRIES = 200, LOCK_PAUSE_US = 10000, PATH_BYTES_MAX = 4096, DEPTH_MAX = 3 };

static enum err refused(const char *what, const char *path)
{
    log_error(what, kv_text("path", path), kv_text("text", strerror(errno)));
    return ERR_IO;
}

/* 0: not the name of a generation. */
static uint64_t number_of(const char *name)
{
    uint64_t number;
    char again[64];
    if (sscanf(name, "generation-%" SCNu64, &number) != 1)
        return 0;
    snprintf(again, sizeof again, "generation-%08" PRIu64, number);
    return strcmp(again, name) == 0 ? number : 0;
}

/* Removes what a path names, and what is in it. */
static enum err remove_tree(const char *path, int depth)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return ERR_NONE;
    if (errno != EISDIR || depth == DEPTH_MAX)
        return refused("file_not_removed", path);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return refused("directory_not_listed", path);
    enum err err = ERR_NONE;
    for (struct dirent *at = readdir(directory); at && err == ERR_NONE; at = readdir(directory)) {
        char below[PATH_BYTES_MAX];
        if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
            continue;
        int size = snprintf(below, sizeof below, "%s/%s", path, at->d_name);
        err = size < PATH_BYTES_MAX ? remove_tree(below, depth + 1) : ERR_IO;
    }
    closedir(directory);
    TRY(err);
    return rmdir(path) == 0 ? ERR_NONE : refused("directory_not_removed", path);
}

/* The state before the log: a log without a state is only slow to start. */
static enum err remove_first_generation(const char *data_dir)
{
    static const char *const names[] = {"state.db-wal", "state.db-shm", "state.db",
                                        "state.db" DOUBT_SUFFIX, "log"};
    char path[PATH_BYTES_MAX];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", data_dir, names[i]);
        TRY(remove_tree(path, 1));
    }
    return ERR_NONE;
}

typedef enum err each_generation(void *owner, const char *path, uint64_t number);

static enum err walk(const char *data_dir, each_generation *each, void *owner)
{
    DIR *directory = opendir(data_dir);
    if (directory == NULL)
        return refused("directory_not_listed", data_dir);
    enum err err = ERR_NONE;
    for (struct dirent *at = readdir(directory); at && err == ERR_NONE; at = readdir(directory)) {
        char path[PATH_BYTES_MAX];
        uint64_t number = number_of(at->d_name);
        if (number == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", data_dir, at->d_name);
        err = each(owner, path, number);
    }
    closedir(directory);
    return err;
}

static enum err keep_highest(void *owner, const char *path, uint64_t number)
{
    uint64_t *highest = owner;
    if (number > *highest)
        *highest = number;
    return ERR_NONE;
}

static enum err remove_other(void *owner, const char *path, uint64_t number)
{
    const uint64_t *kept = owner;
    if (number == *kept)
        return ERR_NONE;
    log_info("generation_removed", kv_text("path", path));
    return remove_tree(path, 1);
}

char *generation_home(const char *data_dir, uint64_t generation)
{
    size_t room = strlen(data_dir) + 64;
    char *home = bytes_zeroed(1, room);
    if (generation == 0)
        snprintf(home, room, "%s", data_dir);
    else
        snprintf(home, room, "%s/generation-%08" PRIu64, data_dir, generation);
    return home;
}

uint64_t generation_highest(const char *data_dir)
{
    uint64_t highest = 0;
    return walk(data_dir, keep_highest, &highest) == ERR_NONE ? highest : 0;
}

enum err generation_sweep(const char *data_dir, uint64_t generation)
{
    if (generation > 0)
        TRY(remove_first_generation(data_dir));
    TRY(walk(data_dir, remove_other, &generation));
    return store_sync_directory(data_dir);
}

enum err generation_remove(const char *directory)
{
    return remove_tree(directory, 1);
}

enum err generation_lock(const char *data_dir, int *lock_fd)
{
    *lock_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock_fd < 0)
        return refused("directory_not_opened", data_dir);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(*lock_fd, LOCK_EX | LOCK_NB) == 0)
            return ERR_NONE;
        usleep(LOCK_PAUSE_US);
    }
    log_error("data_is_locked", kv_text("directory", data_dir));
    return ERR_LOCKED;
}
