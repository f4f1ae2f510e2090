#include "cmd/changeagent/archivedir.h"

#include "common/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool failed(const struct archivedir *archive, const char *what)
{
    fprintf(stderr, "changeagent: %s: %s: %s\n", archive->verb, archive->path, what);
    return false;
}

/* Only a name that would be given to such a file. */
static bool read_name(const char *name, uint64_t *first)
{
    char again[64];
    *first = strtoull(name, NULL, 10);
    snprintf(again, sizeof again, ARCHIVE_NAME, (unsigned long long)*first);
    return *first > 0 && strcmp(name, again) == 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool list(struct archivedir *archive)
{
    DIR *dir = opendir(archive->path);
    struct bytes found = {0};
    struct dirent *entry;
    uint64_t first;
    if (dir == NULL)
        return failed(archive, strerror(errno));
    while ((entry = readdir(dir)) != NULL)
        if (read_name(entry->d_name, &first))
            bytes_append(&found, &first, sizeof first);
    closedir(dir);
    archive->count = (uint32_t)(found.size / sizeof first);
    archive->firsts = bytes_zeroed(archive->count + 1, sizeof first);
    if (found.size > 0)
        memcpy(archive->firsts, found.data, found.size);
    bytes_close(&found);
    qsort(archive->firsts, archive->count, sizeof first, compare);
    return true;
}

/* Makes it durable, too, where it is not there. */
static bool make(const struct archivedir *archive)
{
    char above[ARCHIVE_PATH_MAX];
    if (mkdir(archive->path, 0700) != 0)
        return errno == EEXIST ? true : failed(archive, strerror(errno));
    snprintf(above, sizeof above, "%s/..", archive->path);
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return fine ? true : failed(archive, strerror(errno));
}

static bool lock(struct archivedir *archive)
{
    if (!make(archive))
        return false;
    archive->lock = open(archive->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (archive->lock < 0)
        return failed(archive, strerror(errno));
    if (flock(archive->lock, LOCK_EX | LOCK_NB) != 0)
        return failed(archive, errno == EWOULDBLOCK ? "another archive works in this directory"
                                                    : strerror(errno));
    return true;
}

bool archivedir_open(struct archivedir *archive, const char *verb, const char *path)
{
    *archive = (struct archivedir){.verb = verb, .path = path};
    return list(archive);
}

bool archivedir_claim(struct archivedir *archive, const char *verb, const char *path)
{
    *archive = (struct archivedir){.verb = verb, .path = path};
    return lock(archive) && list(archive);
}

void archivedir_close(struct archivedir *archive)
{
    if (archive->lock > 0)
        close(archive->lock);
    bytes_free(archive->firsts);
    *archive = (struct archivedir){0};
}

const char *archivedir_file(const struct archivedir *archive, uint64_t first,
                            char path[ARCHIVE_PATH_MAX])
{
    snprintf(path, ARCHIVE_PATH_MAX, "%s/" ARCHIVE_NAME, archive->path, (unsigned long long)first);
    return path;
}

bool archivedir_sync(const struct archivedir *archive)
{
    return fsync(archive->lock) == 0 ? true : failed(archive, strerror(errno));
}
