#include "supervisor/leftover.h"

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/pidfile.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { WAIT_MS = 5000 };

static void end(const struct pidfile_process *process)
{
    uint64_t until_ms = clock_now_ms() + WAIT_MS / 2;
    while (pidfile_runs(process) && clock_now_ms() < until_ms)
        poll(NULL, 0, 20); /* it was told to die with its supervisor: let it finish its write */
    if (!pidfile_runs(process))
        return;
    log_warn("leftover_killed", kv_u64("pid", (uint64_t)process->pid));
    int pidfd = pidfd_open(process->pid, 0);
    if (pidfd >= 0 && pidfile_runs(process)) /* asked again: now the number is pinned */
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    if (pidfd >= 0)
        close(pidfd);
    until_ms = clock_now_ms() + WAIT_MS;
    while (pidfile_runs(process) && clock_now_ms() < until_ms)
        poll(NULL, 0, 20);
}

void leftover_clear(const char *pidfile_path)
{
    struct pidfile old = {0};
    pidfile_read(&old, pidfile_path);
    for (uint32_t i = 0; i < old.child_count; i++)
        end(&old.children[i]);
}
