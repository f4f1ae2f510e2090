/* child.c - posix_spawn with every descriptor closed: a ZeroMQ context does not
 * survive a bare fork, and no child may hold the directory's lock. */
#include "supervisor/child.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { HIGH_FD = 16, READ_SHARE = 4096 };

static enum err refused(const char *event, const char *program, int error)
{
    log_error(event, kv_text("program", program), kv_text("reason", strerror(error)));
    return ERR_SYSTEM;
}

/* A copy out of the way of 3 and 4, so that placing one never closes the other. */
static int move_high(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    close(fd);
    return high;
}

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    sigdelset(&defaults, SIGKILL);
    sigdelset(&defaults, SIGSTOP);
    int rc = posix_spawnattr_setsigmask(attr, &none);
    rc = rc ? rc : posix_spawnattr_setsigdefault(attr, &defaults);
    /* A group of its own: Ctrl-C in a terminal is for the supervisor alone. */
    rc = rc ? rc : posix_spawnattr_setpgroup(attr, 0);
    return rc ? rc
              : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                   POSIX_SPAWN_SETPGROUP);
}

/* ready_fd < 0: no pipes. */
static int place_files(posix_spawn_file_actions_t *files, int ready_fd, int parent_fd)
{
    int first_closed = STDERR_FILENO + 1;
    int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0 && ready_fd >= 0) {
        rc = posix_spawn_file_actions_adddup2(files, ready_fd, CHILD_READY_FD);
        rc = rc ? rc : posix_spawn_file_actions_adddup2(files, parent_fd, CHILD_PARENT_FD);
        first_closed = CHILD_PARENT_FD + 1;
    }
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(files, first_closed);
}

static int spawn_with(char *const argv[], int ready_fd, int parent_fd, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        rc = set_attributes(&attr);
        rc = rc ? rc : place_files(&files, ready_fd, parent_fd);
        rc = rc ? rc : posix_spawn(pid, argv[0], &files, &attr, argv, environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int exit_code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

enum err child_spawn(struct child *child, char *const argv[], int parent_fd)
{
    int ends[2];
    assert(child->pid == 0);
    assert(parent_fd > CHILD_PARENT_FD);
    *child = (struct child){.pidfd = -1, .pipe_fd = -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return refused("pipe_refused", argv[0], errno);
    child->pipe_fd = move_high(ends[0]);
    int ready_fd = move_high(ends[1]);
    if (child->pipe_fd < 0 || ready_fd < 0 || fcntl(child->pipe_fd, F_SETFL, O_NONBLOCK) != 0)
        return refused("pipe_refused", argv[0], errno);
    pid_t pid = 0;
    int rc = spawn_with(argv, ready_fd, parent_fd, &pid);
    close(ready_fd);
    if (rc != 0)
        return refused("program_not_started", argv[0], rc);
    child->pid = pid;
    child->pidfd = pidfd_open(pid, 0); /* we have not reaped it: the number is still its own */
    if (child->pidfd < 0)
        log_warn("pidfd_refused", kv_text("reason", strerror(errno)));
    return ERR_NONE;
}

enum err child_run(char *const argv[], int *exit_code)
{
    pid_t pid = 0;
    int status = 0, rc = spawn_with(argv, -1, -1, &pid);
    if (rc != 0)
        return refused("program_not_started", argv[0], rc);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return refused("wait_refused", argv[0], errno);
    *exit_code = exit_code_of(status);
    return ERR_NONE;
}

static void take_byte(struct child *child, char c, child_line *call, void *owner)
{
    if (c == '\n') {
        child->line[child->line_size] = '\0';
        child->line_size = 0;
        call(owner, child, child->line);
    } else if (child->line_size < CHILD_LINE_MAX - 1) {
        child->line[child->line_size++] = c;
    }
}

uint32_t child_read(struct child *child, child_line *call, void *owner)
{
    char buffer[READ_SHARE];
    if (child->pipe_fd <= 0)
        return 0;
    ssize_t size = read(child->pipe_fd, buffer, sizeof buffer);
    for (ssize_t i = 0; i < size; i++)
        take_byte(child, buffer[i], call, owner);
    return size > 0 ? (uint32_t)size : 0;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid <= 0)
        return;
    int rc = child->pidfd >= 0 ? pidfd_send_signal(child->pidfd, signal, NULL, 0)
                               : kill(child->pid, signal);
    if (rc != 0 && errno != ESRCH)
        log_warn("signal_refused", kv_u64("pid", (uint64_t)child->pid),
                 kv_text("reason", strerror(errno)));
}

bool child_reap(pid_t *pid, int *code)
{
    int status = 0;
    *pid = waitpid(-1, &status, WNOHANG);
    *code = *pid > 0 ? exit_code_of(status) : 0;
    return *pid > 0;
}

void child_close(struct child *child)
{
    if (child->pidfd > 0)
        close(child->pidfd);
    if (child->pipe_fd > 0)
        close(child->pipe_fd);
    *child = (struct child){0};
}
