/* service.c - starts a process the same way each time, and ends it with a code
 * that tells the supervisor what to do next. */
#include "common/service.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/worker.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { IPC_PATH_MAX = 107, ALIVE_MS = 1000, SOCKETS_MAX = 4096 };

#define BASE(name, kind, preset, min, max, sentence)                                         \
    {                                                                                        \
        "node", #name, kind, offsetof(struct service_base, name), preset, min, max, sentence \
    }

static const struct option base_options[] = {
    BASE(data, OPTION_TEXT, "changeagent-data", 0, 0, "data directory"),
    BASE(run_dir, OPTION_TEXT, NULL, 0, 0, "directory of the ipc sockets; default DATA/run"),
    BASE(name, OPTION_TEXT, "node", 0, 0, "name of this node, for people"),
    BASE(join, OPTION_ENDPOINT, NULL, 0, 0,
         "where a node of the cluster to be joined answers clients"),
    BASE(log_level, OPTION_TEXT, "info", 0, 0, "error, warn, info or debug"),
    BASE(ready_fd, OPTION_U64, "0", 0, 1023, "pipe to the supervisor, set by it"),
    BASE(parent_fd, OPTION_U64, "0", 0, 1023, "pipe that ends with the supervisor, set by it"),
    OPTION_END,
};

/* The service that runs: one a process. */
struct running {
    const struct service *service;
    struct service_base *base;
    int signal_fd;
    bool stopping;
};

static enum err parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return ERR_NONE;
        }
    }
    fprintf(stderr, "node/log_level: '%.32s' is none of error warn info debug\n", text);
    return ERR_CONFIG;
}

/* A line to the supervisor. A full or broken pipe is its problem, not ours. */
static void tell(const struct service_base *base, const char *line)
{
    if (base->ready_fd == 0)
        return;
    ssize_t written = write((int)base->ready_fd, line, strlen(line));
    (void)written;
}

void service_announce(struct service_base *base, const char *key, const char *value)
{
    char line[512];
    snprintf(line, sizeof line, "announce %s %s\n", key, value);
    tell(base, line);
}

int service_exit_code(enum err err)
{
    switch (err) {
    case ERR_NONE:
        return EXIT_DONE;
    case ERR_CONFIG:
    case ERR_DENIED:
    case ERR_VERSION:
        return EXIT_CONFIG;
    case ERR_IO:
    case ERR_NOSPACE:
        return EXIT_STORAGE;
    case ERR_CORRUPT:
        return EXIT_CORRUPTION;
    default:
        return EXIT_RETRY;
    }
}

enum err service_path(const struct service_base *base, const char *name, char text[128])
{
    int size = snprintf(text, 128, "%s/%s", base->run_dir, name);
    if (size < 0 || (size_t)size > IPC_PATH_MAX) {
        fprintf(stderr, "node/run_dir: '%s/%s' is longer than %d bytes; choose a shorter one\n",
                base->run_dir, name, IPC_PATH_MAX);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

static void begin_stop(struct running *running, const char *reason)
{
    if (running->stopping)
        return;
    running->stopping = true;
    log_info("stopping", kv_text("reason", reason));
    if (running->service->stop != NULL)
        running->service->stop(running->base);
    else
        loop_stop(&running->base->loop, EXIT_DONE);
}

static uint32_t on_signal(void *owner)
{
    struct running *running = owner;
    struct signalfd_siginfo info;
    if (read(running->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    begin_stop(running, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    return 1;
}

/* The pipe from the supervisor carries nothing: readable means it ended. */
static uint32_t on_parent(void *owner)
{
    struct running *running = owner;
    char byte;
    ssize_t got = read((int)running->base->parent_fd, &byte, 1);
    if (got < 0)
        return 0;
    loop_remove_fd(&running->base->loop, (int)running->base->parent_fd);
    begin_stop(running, "the supervisor is gone");
    return 1;
}

static void on_alive(void *owner)
{
    tell(owner, "alive\n");
}

static int make_nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* P2: die with the supervisor, even if it is killed. */
static enum err bind_to_parent(const struct service_base *base)
{
    if (base->parent_fd == 0)
        return ERR_NONE;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return ERR_SYSTEM;
    char byte;
    int fd = (int)base->parent_fd;
    if (make_nonblocking(fd) != 0 || make_nonblocking((int)base->ready_fd) != 0)
        return ERR_SYSTEM;
    return read(fd, &byte, 1) == 0 ? ERR_CLOSED : ERR_NONE; /* it died before prctl */
}

static enum err open_signals(struct running *running)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    running->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (running->signal_fd < 0)
        return ERR_SYSTEM;
    loop_add_fd(&running->base->loop, running->signal_fd, on_signal, running);
    if (running->base->parent_fd != 0)
        loop_add_fd(&running->base->loop, (int)running->base->parent_fd, on_parent, running);
    if (running->base->ready_fd != 0)
        loop_add_timer(&running->base->loop, ALIVE_MS, ALIVE_MS, on_alive, running->base);
    return ERR_NONE;
}

/* No secrets in core files. As many descriptors as there may be: at the limit libzmq tries to
 * accept again and again, and burns a processor for nothing. */
static void set_limits(void)
{
    struct rlimit core = {0, 0}, files;
    setrlimit(RLIMIT_CORE, &core);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static enum err open_base(struct running *running)
{
    struct service_base *base = running->base;
    set_limits();
    umask(077);
    if (!worker_wake_gently())
        log_debug("scheduling_unchanged");
    TRY(bind_to_parent(base));
    TRY(open_signals(running));
    base->life = chance_u64();
    base->context = zmq_ctx_new();
    if (base->context == NULL)
        return ERR_SYSTEM;
    zmq_ctx_set(base->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    return ERR_NONE;
}

static void close_base(struct running *running)
{
    struct service_base *base = running->base;
    if (base->context != NULL)
        zmq_ctx_term(base->context);
    if (running->signal_fd > 0)
        close(running->signal_fd);
}

/* The default of run_dir depends on data. */
static void fill_run_dir(struct service_base *base, char *text, size_t size)
{
    if (base->run_dir != NULL)
        return;
    snprintf(text, size, "%s/run", base->data);
    base->run_dir = text;
}

static int run(struct running *running)
{
    struct service_base *base = running->base;
    enum err err = open_base(running);
    if (err == ERR_NONE)
        err = running->service->open(base);
    if (err != ERR_NONE) {
        log_error("start_failed", kv_err(err), kv_text("advice", err_sentence(err)));
        return service_exit_code(err);
    }
    tell(base, "ready\n");
    log_info("ready");
    return loop_run(&base->loop);
}

int service_main(const struct service *service, int argc, char **argv)
{
    const struct option *const tables[] = {base_options, service->options, NULL};
    char program[64], run_dir[4096];
    bool done;
    enum log_level level = LOG_INFO;
    assert(service->size >= sizeof(struct service_base));
    struct service_base *base = bytes_zeroed(1, service->size);
    struct running running = {.service = service, .base = base};
    snprintf(program, sizeof program, "changeagent-%s", service->name);
    enum err err = options_read(tables, program, service->about, argc, argv, base, &done);
    if (err == ERR_NONE && !done)
        err = parse_level(base->log_level, &level);
    int code = service_exit_code(err);
    if (err == ERR_NONE && !done) {
        fill_run_dir(base, run_dir, sizeof run_dir);
        log_open(service->name, level);
        options_log(tables, base);
        code = run(&running);
        service->close(base);
        close_base(&running);
        log_info("ended", kv_u64("code", (uint64_t)code));
    }
    bytes_free(base);
    options_release();
    return code;
}
