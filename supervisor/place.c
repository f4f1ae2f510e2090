/* place.c - inode numbers and times of birth, noted and compared. */
#include "supervisor/place.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4200 };

/* Where a file is; zeroed: there is none, or its file system does not keep such numbers. */
struct spot {
    uint64_t inode, born_ns;
};

struct place {
    struct spot self, ballot;
};

static const char *path_in(char path[PATH_BYTES_MAX], const char *data, const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", data, name);
    return path;
}

/* File systems that give a file its number for life. On others (FUSE, 9p) a mount may change it. */
static bool is_steady(const char *path)
{
    static const uint32_t steady[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                      F2FS_SUPER_MAGIC, TMPFS_MAGIC,     NFS_SUPER_MAGIC,
                                      0x2fc12fc1 /* ZFS */};
    struct statfs info;
    if (statfs(path, &info) != 0)
        return false;
    for (size_t i = 0; i < sizeof steady / sizeof *steady; i++)
        if ((uint32_t)info.f_type == steady[i])
            return true;
    return false;
}

static struct spot look(const char *data, const char *name)
{
    char path[PATH_BYTES_MAX];
    struct statx found;
    struct spot spot = {0};
    path_in(path, data, name);
    if (!is_steady(path) ||
        statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &found) != 0)
        return spot;
    spot.inode = found.stx_ino;
    if ((found.stx_mask & STATX_BTIME) != 0)
        spot.born_ns = (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
    return spot;
}

static struct place look_at_all(const char *data)
{
    return (struct place){look(data, "identity/place"), look(data, "ballot.db")};
}

/* False: nothing was noted, or a crash left a torn line. */
static bool read_note(const char *data, struct place *place)
{
    char path[PATH_BYTES_MAX];
    FILE *file = fopen(path_in(path, data, "identity/place"), "re");
    if (file == NULL)
        return false;
    int count =
        fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " end", &place->self.inode,
               &place->self.born_ns, &place->ballot.inode, &place->ballot.born_ns);
    fclose(file);
    return count == 4;
}

static bool moved(const struct spot *noted, const struct spot *found)
{
    return noted->inode != 0 && (noted->inode != found->inode || noted->born_ns != found->born_ns);
}

/* Storage compares this witness with the ballot; what cannot be read is another incarnation. */
static enum err void_witness(const char *data)
{
    char path[PATH_BYTES_MAX];
    int fd =
        open(path_in(path, data, "identity/incarnation"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool done = fd >= 0 && ftruncate(fd, 0) == 0 && fsync(fd) == 0;
    if (!done)
        log_error("witness_not_voided", kv_text("path", path), kv_text("reason", strerror(errno)));
    if (fd >= 0)
        close(fd);
    return done ? ERR_NONE : ERR_SYSTEM;
}

enum err place_check(const char *data)
{
    struct place noted = {0}, found = look_at_all(data);
    bool copied = read_note(data, &noted) && moved(&noted.self, &found.self);
    /* A ballot that is gone is storage's to notice. */
    bool replaced = found.ballot.inode != 0 && moved(&noted.ballot, &found.ballot);
    if (!copied && !replaced)
        return ERR_NONE;
    log_warn("directory_copied", kv_text("data", data),
             kv_text("what", copied ? "identity" : "ballot"),
             kv_text("advice", "it was copied, restored or moved to another disk, and does not "
                               "vote before it is admitted again"));
    return void_witness(data);
}

static bool write_note(int fd, const struct place *place)
{
    char line[128];
    int size = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " end\n",
                        place->self.inode, place->self.born_ns, place->ballot.inode,
                        place->ballot.born_ns);
    return pwrite(fd, line, (size_t)size, 0) == size && ftruncate(fd, size) == 0 && fsync(fd) == 0;
}

void place_note(const char *data)
{
    char path[PATH_BYTES_MAX];
    struct place noted = {0}, found;
    int fd = open(path_in(path, data, "identity/place"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    found = look_at_all(data);
    bool same = read_note(data, &noted) && memcmp(&noted, &found, sizeof noted) == 0;
    if (fd < 0 || (!same && !write_note(fd, &found)))
        log_warn("place_not_noted", kv_text("path", path), kv_text("reason", strerror(errno)));
    if (fd >= 0)
        close(fd);
}
