/* disk.c - a disk that forgets what was not synced, as one file served by FUSE.
 *
 *   disk PLACE MIB      PLACE is an existing file, which the disk covers
 *
 * A loop device on PLACE carries a file system; a flush of that device arrives here as an fsync.
 * Written sectors are volatile until then. Commands come by stdin, one a line, each answered by a
 * line on stdout:
 *   hold            no fsync is answered any more: what is written from now on stays volatile
 *   cut MODE SEED   the power fails now: every later request fails with EIO. What was volatile is
 *                   lost (MODE none), or each 4 KiB block (pages) or sector (sectors) of it has
 *                   reached the disk or not, as SEED has it
 *   on              the power is back: what the disk holds is what was synced, and what reached it
 * The answer to `cut` is `cut VOLATILE KEPT`: sectors. The end of stdin ends the disk.
 *
 * The kernel's protocol is spoken directly (linux/fuse.h), with a regular file as root: nothing
 * but root and /dev/fuse is needed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR = 512, PAGE = 8, WRITE_MAX = 256 << 10, LINE_MAX_BYTES = 64, HELD_MAX = 64 };

struct disk {
    int fuse;
    uint64_t size;
    uint8_t *seen, *durable; /* what a reader sees; what a power cut leaves */
    bool *is_volatile;       /* by sector: the two may differ */
    uint32_t *list, count;   /* the volatile sectors */
    bool dead, holds;
    uint64_t held[HELD_MAX]; /* fsyncs that wait for an answer */
    uint32_t held_count;
};

static uint64_t next_chance(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static void copy_sector(uint8_t *to, const uint8_t *from, uint32_t sector)
{
    memcpy(to + (uint64_t)sector * SECTOR, from + (uint64_t)sector * SECTOR, SECTOR);
}

static void answer(const struct disk *disk, uint64_t unique, int error, const void *data,
                   size_t size)
{
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .unique = unique};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)data, size}};
    head.error = -error;
    if (writev(disk->fuse, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV)
        perror("disk: answer");
}

/* ---- the medium ------------------------------------------------------------------------------ */

static void disk_write(struct disk *disk, uint64_t at, const void *data, uint32_t size)
{
    memcpy(disk->seen + at, data, size);
    for (uint64_t sector = at / SECTOR; sector * SECTOR < at + size; sector++)
        if (!disk->is_volatile[sector]) {
            disk->is_volatile[sector] = true;
            disk->list[disk->count++] = (uint32_t)sector;
        }
}

static void disk_sync(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->count; i++) {
        copy_sector(disk->durable, disk->seen, disk->list[i]);
        disk->is_volatile[disk->list[i]] = false;
    }
    disk->count = 0;
}

/* Chance for a sector: the same for all of a page if whole pages arrive or not. The first page is
 * always whole: half a superblock is more than ext4 mounts without help. */
static bool arrives(uint64_t seed, uint32_t sector, uint32_t per, uint32_t share)
{
    uint64_t own = seed ^ ((uint64_t)(sector < PAGE ? 0 : sector / per) << 20);
    return next_chance(&own) % 256 < share;
}

static void disk_cut(struct disk *disk, const char *mode, uint64_t seed)
{
    uint32_t kept = 0, per = strcmp(mode, "pages") == 0 ? PAGE : 1;
    uint32_t share = strcmp(mode, "none") == 0 ? 0 : (uint32_t)(next_chance(&seed) % 257);
    disk->dead = true;
    disk->holds = false;
    while (disk->held_count > 0)
        answer(disk, disk->held[--disk->held_count], EIO, NULL, 0);
    for (uint32_t i = 0; i < disk->count; i++)
        if (arrives(seed, disk->list[i], per, share)) {
            copy_sector(disk->durable, disk->seen, disk->list[i]);
            kept++;
        }
    printf("cut %u %u\n", disk->count, kept);
}

static void disk_on(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->count; i++) {
        copy_sector(disk->seen, disk->durable, disk->list[i]);
        disk->is_volatile[disk->list[i]] = false;
    }
    disk->count = 0;
    disk->dead = false;
    printf("on\n");
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static void say_attributes(const struct disk *disk, uint64_t unique)
{
    struct fuse_attr_out out = {.attr_valid = 3600};
    out.attr = (struct fuse_attr){.ino = 1,
                                  .size = disk->size,
                                  .blocks = disk->size / SECTOR,
                                  .mode = S_IFREG | 0600,
                                  .nlink = 1,
                                  .blksize = 4096};
    answer(disk, unique, 0, &out, sizeof out);
}

static void say_hello(const struct disk *disk, uint64_t unique, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = in->max_readahead,
                                .max_background = 32,
                                .congestion_threshold = 24,
                                .max_write = WRITE_MAX,
                                .time_gran = 1};
    out.flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ);
    out.max_pages = WRITE_MAX / 4096;
    answer(disk, unique, 0, &out, sizeof out);
}

static void on_read(const struct disk *disk, uint64_t unique, const struct fuse_read_in *in)
{
    uint64_t left = in->offset < disk->size ? disk->size - in->offset : 0;
    if (disk->dead)
        answer(disk, unique, EIO, NULL, 0);
    else
        answer(disk, unique, 0, disk->seen + in->offset, in->size < left ? in->size : left);
}

static void on_write(struct disk *disk, uint64_t unique, const struct fuse_write_in *in)
{
    struct fuse_write_out out = {.size = in->size};
    if (disk->dead || in->offset + in->size > disk->size) {
        answer(disk, unique, disk->dead ? EIO : ENOSPC, NULL, 0);
        return;
    }
    disk_write(disk, in->offset, in + 1, in->size);
    answer(disk, unique, 0, &out, sizeof out);
}

static void on_sync(struct disk *disk, uint64_t unique)
{
    if (disk->holds && disk->held_count < HELD_MAX) {
        disk->held[disk->held_count++] = unique;
        return;
    }
    if (!disk->dead && !disk->holds)
        disk_sync(disk);
    answer(disk, unique, disk->dead || disk->holds ? EIO : 0, NULL, 0);
}

static void serve(struct disk *disk, const struct fuse_in_header *in)
{
    const void *body = in + 1;
    struct fuse_open_out opened = {0};
    switch (in->opcode) {
    case FUSE_INIT:
        say_hello(disk, in->unique, body);
        return;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        say_attributes(disk, in->unique);
        return;
    case FUSE_OPEN:
        answer(disk, in->unique, 0, &opened, sizeof opened);
        return;
    case FUSE_READ:
        on_read(disk, in->unique, body);
        return;
    case FUSE_WRITE:
        on_write(disk, in->unique, body);
        return;
    case FUSE_FSYNC:
        on_sync(disk, in->unique);
        return;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        answer(disk, in->unique, 0, NULL, 0);
        return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return; /* unanswered by the protocol */
    default:
        answer(disk, in->unique, ENOSYS, NULL, 0);
    }
}

/* ---- commands -------------------------------------------------------------------------------- */

static void obey(struct disk *disk, const char *line)
{
    char mode[16];
    unsigned long long seed;
    if (sscanf(line, "cut %15s %llu", mode, &seed) == 2)
        disk_cut(disk, mode, seed);
    else if (strncmp(line, "on", 2) == 0)
        disk_on(disk);
    else if (strncmp(line, "hold", 4) == 0)
        disk->holds = puts("hold") >= 0;
    else
        printf("what?\n");
    fflush(stdout);
}

/* False: the disk has been unmounted. */
static bool take_request(struct disk *disk, uint8_t *buffer, size_t room)
{
    ssize_t got = read(disk->fuse, buffer, room);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN || errno == ENOENT;
    if ((size_t)got >= sizeof(struct fuse_in_header))
        serve(disk, (const void *)buffer);
    return true;
}

static int run(struct disk *disk)
{
    size_t room = WRITE_MAX + 8192;
    uint8_t *buffer = malloc(room);
    char line[LINE_MAX_BYTES];
    struct pollfd polled[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = disk->fuse, .events = POLLIN}};
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (polled[0].revents != 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                return 0;
            obey(disk, line);
        }
        if (polled[1].revents != 0 && !take_request(disk, buffer, room))
            return 0;
    }
}

static bool cover(struct disk *disk, const char *place)
{
    char options[128];
    disk->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=100000,user_id=0,group_id=0", disk->fuse);
    return disk->fuse >= 0 && mount("forgetful", place, "fuse", MS_NOSUID | MS_NODEV, options) == 0;
}

static void *reserve(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
    struct disk disk = {0};
    disk.size = argc == 3 ? strtoull(argv[2], NULL, 10) << 20 : 0;
    if (disk.size == 0 || disk.size > 16ull << 30) {
        fprintf(stderr, "usage: disk PLACE MIB\n");
        return 2;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* poll must know of every line */
    disk.seen = reserve(disk.size);
    disk.durable = reserve(disk.size);
    disk.is_volatile = reserve(disk.size / SECTOR);
    disk.list = reserve(disk.size / SECTOR * sizeof *disk.list);
    if (!disk.seen || !disk.durable || !disk.is_volatile || !disk.list || !cover(&disk, argv[1])) {
        fprintf(stderr, "disk: %s: %s\n", argv[1], strerror(errno));
        return 3;
    }
    printf("ready\n");
    fflush(stdout);
    return run(&disk);
}
