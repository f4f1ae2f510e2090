/* crash_kit.h - dies before the n-th change of the disk: the calls that change it are ours, count,
 * and go on to the real ones. Included by one test program each. */
#ifndef TESTS_UNIT_CRASH_KIT_H
#define TESTS_UNIT_CRASH_KIT_H

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t calls, die_at;

static void count_call(void)
{
    if (++calls == die_at)
        raise(SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    count_call();
    return REAL(pwrite64)(fd, bytes, size, at);
}

int rename(const char *from, const char *to)
{
    count_call();
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    count_call();
    return REAL(unlink)(path);
}

int rmdir(const char *path)
{
    count_call();
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode)
{
    count_call();
    return REAL(mkdir)(path, mode);
}

int fsync(int fd)
{
    count_call();
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    count_call();
    return REAL(fdatasync)(fd);
}

#endif
