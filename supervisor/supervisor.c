/* supervisor.c - performs what restart_step decides: P1 to P5. */
#include "supervisor/supervisor.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/service.h"
#include "supervisor/child.h"
#include "supervisor/founding.h"
#include "supervisor/identity.h"
#include "supervisor/leftover.h"
#include "supervisor/pidfile.h"
#include "supervisor/place.h"
#include "supervisor/settings.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* In starting order; they stop the other way round. */
static const char *const names[] = {"storage", "consensus", "discovery", "api"};

enum {
    STORAGE = 0,
    CONSENSUS = 1,
    CHILDREN = COUNT_OF(names),
    TICK_MS = 1000,
    HIGH_FD = 16,
    ARGV_MAX = 24,
};

struct supervisor;

struct supervised {
    struct supervisor *supervisor;
    uint32_t slot;
    struct child child;
};

struct supervisor {
    struct settings settings;
    struct identity identity;
    struct restart restart;
    struct supervised children[CHILDREN];
    struct pidfile pidfile;
    char pidfile_path[PATH_MAX + 16];
    struct loop loop;
    uint32_t timer;
    int signal_fd, life_read_fd, life_write_fd; /* the write end lives as long as we do */
    bool signalled;                             /* asked to end while it waited for the lock */
    struct founding founding;
};

static void step(struct supervisor *supervisor, enum restart_input_kind kind, uint32_t slot,
                 int code);

/* ---- run/pids.json -------------------------------------------------------------------------- */

static void write_pidfile(struct supervisor *supervisor)
{
    enum err err = pidfile_write(&supervisor->pidfile, supervisor->pidfile_path);
    (void)err; /* logged; a node does not stop because nobody can look at it */
}

static void note_process(struct supervisor *supervisor, uint32_t slot, pid_t pid)
{
    struct pidfile_process *process = &supervisor->pidfile.children[slot];
    process->pid = pid;
    process->start = pid > 0 ? pidfile_start_of(pid) : 0;
    write_pidfile(supervisor);
}

/* ---- children ------------------------------------------------------------------------------- */

static void on_line(void *owner, struct child *child, const char *line)
{
    struct supervised *self = owner;
    struct supervisor *supervisor = self->supervisor;
    char key[16], value[PIDFILE_TEXT_MAX];
    if (strcmp(line, "ready") == 0) {
        if (self->slot == STORAGE)
            place_note(supervisor->identity.data);
        log_info("child_ready", kv_text("child", names[self->slot]));
        write_pidfile(supervisor);
        step(supervisor, RESTART_READY, self->slot, 0);
    } else if (strcmp(line, "alive") == 0) {
        step(supervisor, RESTART_ALIVE, self->slot, 0);
    } else if (sscanf(line, "announce %15s %255s", key, value) != 2 ||
               !pidfile_place(&supervisor->pidfile, key, value)) {
        log_warn("line_not_understood", kv_text("child", names[self->slot]), kv_text("line", line));
    } else if (founding_hears(&supervisor->founding, key, value)) {
        step(supervisor, RESTART_STOP, 0, 0);
    }
}

static uint32_t on_pipe(void *owner)
{
    struct supervised *self = owner;
    return child_read(&self->child, on_line, self);
}

/* What every child is told, and what only some are; ends with NULL. */
static void fill_argv(struct supervisor *supervisor, uint32_t slot, const char *argv[ARGV_MAX])
{
    static char program[PATH_MAX + 64], ready_fd[16], parent_fd[16], own_pid[16];
    const struct settings *settings = &supervisor->settings;
    const char *const flags[][2] = {
        {"--data", supervisor->identity.data},
        {"--run-dir", supervisor->identity.run_dir},
        {"--name", settings->name},
        {"--log-level", settings->log_level},
        {"--ready-fd", ready_fd},
        {"--parent-fd", parent_fd},
        {"--config", settings->config},
        {"--join", settings->join},
        {"--found", settings->init && slot == CONSENSUS ? own_pid : NULL},
    };
    uint32_t count = 0;
    snprintf(program, sizeof program, "%s/changeagent-%s", settings->bin_dir, names[slot]);
    snprintf(ready_fd, sizeof ready_fd, "%d", CHILD_READY_FD);
    snprintf(parent_fd, sizeof parent_fd, "%d", CHILD_PARENT_FD);
    snprintf(own_pid, sizeof own_pid, "%d", (int)getpid());
    argv[count++] = program;
    for (uint32_t i = 0; i < COUNT_OF(flags); i++) {
        if (flags[i][1] == NULL)
            continue;
        argv[count++] = flags[i][0];
        argv[count++] = flags[i][1];
    }
    assert(count < ARGV_MAX);
    argv[count] = NULL;
}

static void spawn(struct supervisor *supervisor, uint32_t slot)
{
    struct supervised *self = &supervisor->children[slot];
    const char *argv[ARGV_MAX];
    char *given[ARGV_MAX];
    fill_argv(supervisor, slot, argv);
    memcpy(given, argv, sizeof given); /* argv is char * for history's sake */
    if (child_spawn(&self->child, given, supervisor->life_read_fd) != ERR_NONE) {
        child_close(&self->child);
        step(supervisor, RESTART_DIED, slot, EXIT_RETRY);
        return;
    }
    log_info("child_started", kv_text("child", names[slot]),
             kv_u64("pid", (uint64_t)self->child.pid));
    loop_add_fd(&supervisor->loop, self->child.pipe_fd, on_pipe, self);
    note_process(supervisor, slot, self->child.pid);
}

static void on_death(struct supervisor *supervisor, pid_t pid, int code)
{
    for (uint32_t slot = 0; slot < CHILDREN; slot++) {
        struct supervised *self = &supervisor->children[slot];
        if (self->child.pid != pid)
            continue;
        while (child_read(&self->child, on_line, self) > 0)
            continue; /* what it said before it died */
        loop_remove_fd(&supervisor->loop, self->child.pipe_fd);
        child_close(&self->child);
        if (supervisor->restart.mode == MODE_STOPPING && code == EXIT_DONE)
            log_info("child_ended", kv_text("child", names[slot]));
        else
            log_warn("child_died", kv_text("child", names[slot]), kv_u64("pid", (uint64_t)pid),
                     kv_u64("code", (uint64_t)code));
        note_process(supervisor, slot, 0);
        step(supervisor, RESTART_DIED, slot, code);
        return;
    }
    log_debug("orphan_reaped", kv_u64("pid", (uint64_t)pid));
}

/* ---- what the core says --------------------------------------------------------------------- */

static void perform(struct supervisor *supervisor, const struct restart_output *output)
{
    struct child *child = &supervisor->children[output->child].child;
    const char *name = names[output->child];
    switch (output->kind) {
    case RESTART_SPAWN:
        spawn(supervisor, output->child);
        break;
    case RESTART_WAIT:
        log_warn("child_restarts", kv_text("child", name), kv_u64("in_ms", output->delay_ms));
        break;
    case RESTART_TERM:
        child_signal(child, SIGTERM);
        child_signal(child, SIGCONT); /* a stopped one would not hear it */
        break;
    case RESTART_KILL:
        log_warn("child_killed", kv_text("child", name));
        child_signal(child, SIGKILL);
        break;
    case RESTART_UP:
        log_info("node_up", kv_text("name", supervisor->settings.name));
        break;
    case RESTART_GIVE_UP:
        log_error("node_down", kv_text("because_of", name), kv_u64("code", (uint64_t)output->code),
                  kv_text("advice", output->code == EXIT_RETRY
                                        ? "it dies again and again; its own lines above say why"
                                        : "the lines above say what is wrong; no restart helps"));
        break;
    case RESTART_END:
        loop_stop(&supervisor->loop, output->code);
        break;
    }
}

static void step(struct supervisor *supervisor, enum restart_input_kind kind, uint32_t slot,
                 int code)
{
    struct restart_input in = {.kind = kind, .now_ms = clock_now_ms(), .child = slot, .code = code};
    struct restart_outputs out;
    restart_step(&supervisor->restart, &in, &out);
    for (uint32_t i = 0; i < out.count; i++)
        perform(supervisor, &out.at[i]);
    uint64_t due_ms = restart_due_ms(&supervisor->restart), now_ms = clock_now_ms();
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 1;
    loop_move_timer(&supervisor->loop, supervisor->timer, wait_ms < TICK_MS ? wait_ms : TICK_MS);
}

static void on_timer(void *owner)
{
    struct supervisor *supervisor = owner;
    step(supervisor, RESTART_TICK, 0, 0);
    if (founding_is_late(&supervisor->founding))
        step(supervisor, RESTART_STOP, 0, 0);
}

/* ---- signals -------------------------------------------------------------------------------- */

static uint32_t on_signal(void *owner)
{
    struct supervisor *supervisor = owner;
    struct signalfd_siginfo info;
    pid_t pid;
    int code;
    if (read(supervisor->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    if (info.ssi_signo != SIGCHLD) {
        log_info("stop_asked", kv_text("signal", strsignal((int)info.ssi_signo)));
        step(supervisor, RESTART_STOP, 0, 0);
    }
    while (child_reap(&pid, &code)) /* several deaths may share one SIGCHLD */
        on_death(supervisor, pid, code);
    return 1;
}

/* While we wait for the lock nobody reads the signals: look whether one waits. */
static bool nobody_asked_to_stop(void *owner)
{
    struct supervisor *supervisor = owner;
    sigset_t pending;
    sigpending(&pending);
    supervisor->signalled = sigismember(&pending, SIGTERM) == 1 ||
                            sigismember(&pending, SIGINT) == 1 ||
                            sigismember(&pending, SIGHUP) == 1;
    return !supervisor->signalled;
}

static enum err open_signals(struct supervisor *supervisor)
{
    sigset_t set;
    int ends[2];
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        pipe2(ends, O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    supervisor->life_read_fd = fcntl(ends[0], F_DUPFD_CLOEXEC, HIGH_FD);
    supervisor->life_write_fd = ends[1];
    close(ends[0]);
    supervisor->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return supervisor->signal_fd >= 0 && supervisor->life_read_fd >= 0 ? ERR_NONE : ERR_SYSTEM;
}

/* ---- start and end -------------------------------------------------------------------------- */

static enum err lock_directory(struct supervisor *supervisor)
{
    struct identity *identity = &supervisor->identity;
    enum err err =
        identity_lock(identity, supervisor->settings.data, supervisor->settings.lock_wait_ms,
                      nobody_asked_to_stop, supervisor);
    if (err == ERR_LOCKED)
        log_error("directory_locked", kv_err(err), kv_text("data", identity->data),
                  kv_u64("holder_pid", (uint64_t)identity->holder),
                  kv_text("advice", "another changeagentd runs on this directory"));
    return err;
}

static void open_pidfile(struct supervisor *supervisor)
{
    struct pidfile *pidfile = &supervisor->pidfile;
    *pidfile = (struct pidfile){.name = supervisor->settings.name,
                                .data = supervisor->identity.data,
                                .run_dir = supervisor->identity.run_dir,
                                .child_count = CHILDREN};
    pidfile->supervisor =
        (struct pidfile_process){"supervisor", getpid(), pidfile_start_of(getpid())};
    for (uint32_t slot = 0; slot < CHILDREN; slot++)
        pidfile->children[slot].name = names[slot];
    write_pidfile(supervisor);
}

static enum err open_node(struct supervisor *supervisor)
{
    struct restart_rules rules = supervisor->settings.rules;
    TRY(settings_check_programs(&supervisor->settings, names, CHILDREN));
    TRY(open_signals(supervisor));
    TRY(lock_directory(supervisor));
    if (supervisor->settings.init)
        TRY(founding_begin(&supervisor->founding, supervisor->identity.data));
    TRY(settings_probe(&supervisor->settings));
    snprintf(supervisor->pidfile_path, sizeof supervisor->pidfile_path, "%s/run/pids.json",
             supervisor->identity.data);
    leftover_clear(supervisor->pidfile_path);
    TRY(identity_make_run_dir(&supervisor->identity, supervisor->settings.run_dir));
    TRY(identity_keys(&supervisor->identity));
    TRY(settings_restore(&supervisor->settings, supervisor->identity.data));
    if (supervisor->settings.place)
        TRY(place_check(supervisor->identity.data));
    open_pidfile(supervisor);
    restart_open(&supervisor->restart, &rules, CHILDREN, chance_u64());
    for (uint32_t slot = 0; slot < CHILDREN; slot++)
        supervisor->children[slot] = (struct supervised){.supervisor = supervisor, .slot = slot};
    loop_add_fd(&supervisor->loop, supervisor->signal_fd, on_signal, supervisor);
    supervisor->timer = loop_add_timer(&supervisor->loop, TICK_MS, TICK_MS, on_timer, supervisor);
    return ERR_NONE;
}

static int run_node(struct supervisor *supervisor)
{
    enum err err = open_node(supervisor);
    if (err == ERR_CLOSED && supervisor->signalled)
        return EXIT_DONE;
    if (err != ERR_NONE) {
        log_error("start_failed", kv_err(err), kv_text("advice", err_sentence(err)));
        return service_exit_code(err);
    }
    step(supervisor, RESTART_BEGIN, 0, 0);
    int code = founding_code(&supervisor->founding, loop_run(&supervisor->loop));
    unlink(supervisor->pidfile_path);
    log_info("ended", kv_u64("code", (uint64_t)code));
    return code;
}

/* A running node keeps its lock: the identity it has is read beside it. */
static enum err show_key(struct supervisor *supervisor)
{
    struct identity *identity = &supervisor->identity;
    char id[NODE_ID_TEXT_SIZE], key[KEY_TEXT_SIZE];
    if (keys_read(&identity->keys, supervisor->settings.data) != ERR_NONE) {
        TRY(lock_directory(supervisor));
        TRY(identity_keys(identity));
    }
    node_id_print(identity->keys.node_id, id);
    keys_print(identity->keys.public_key, key);
    printf("%s %s\n", id, key);
    return ERR_NONE;
}

static void close_all(struct supervisor *supervisor)
{
    const int fds[] = {supervisor->signal_fd, supervisor->life_read_fd, supervisor->life_write_fd};
    for (uint32_t i = 0; i < COUNT_OF(fds); i++)
        if (fds[i] > 0)
            close(fds[i]);
    identity_close(&supervisor->identity);
}

int supervisor_main(int argc, char **argv)
{
    static struct supervisor supervisor; /* zeroed; too large for the stack of a main */
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    umask(077);
    enum err err = settings_read(&supervisor.settings, argc, argv);
    int code;
    if (err == ERR_NONE && supervisor.settings.show_key)
        err = show_key(&supervisor);
    else if (err == ERR_NONE && supervisor.settings.done && supervisor.settings.bin_dir[0] != '\0')
        err = settings_check_programs(&supervisor.settings, names, CHILDREN);
    bool runs = err == ERR_NONE && !supervisor.settings.show_key && !supervisor.settings.done;
    code = runs ? run_node(&supervisor) : service_exit_code(err);
    close_all(&supervisor);
    options_release();
    return code;
}
