#include "storage/giveway.h"

#include "common/worker.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

enum { PAGES = 16 }; /* take about a tenth of a millisecond */

static _Thread_local bool background;
static _Thread_local uint32_t written;

static ssize_t write_page(int fd, const void *data, size_t size, off_t at)
{
    if (background && ++written % PAGES == 0)
        worker_give_way();
    return pwrite(fd, data, size, at);
}

void giveway_install(void)
{
    static const char *const names[] = {"pwrite", "pwrite64"};
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs == NULL || vfs->iVersion < 3)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)write_page); /* or it has none */
}

void giveway_here(void)
{
    background = true;
}
