/* restart.h - PURE: which child is started, stopped, killed, and when.
 *
 * Children are slots in starting order. No pids, no clock, no signals here: the
 * shell (supervisor.c) hands in what happened and performs what comes out. */
#ifndef SUPERVISOR_RESTART_H
#define SUPERVISOR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum { RESTART_CHILDREN_MAX = 8, RESTART_BUDGET_MAX = 63, RESTART_OUTPUTS_MAX = 32 };

struct restart_rules {
    uint64_t budget, window_ms;            /* more deaths of one child than this: the node stops */
    uint64_t delay_first_ms, delay_max_ms; /* back-off, doubled at each early death */
    uint64_t healthy_ms;                   /* who lived so long starts anew at once */
    uint64_t ready_ms;                     /* from the start to the ready line */
    uint64_t silent_ms;                    /* no line for so long: it hangs */
    uint64_t stop_ms;                      /* from SIGTERM to SIGKILL */
};

enum restart_phase {
    CHILD_IDLE,     /* no process, none due */
    CHILD_WAITING,  /* no process, backs off until due_ms */
    CHILD_STARTING, /* a process that is not ready yet */
    CHILD_RUNNING,
    CHILD_ENDING, /* asked to end, or killed; SIGKILL (again) at due_ms */
};

struct restart_child {
    enum restart_phase phase;
    uint64_t due_ms, ready_ms, heard_ms;
    bool chatty;                             /* has said `alive` at least once in this life */
    uint64_t early_deaths;                   /* in a row */
    uint64_t deaths[RESTART_BUDGET_MAX + 1]; /* times, a ring */
    uint64_t death_count;
};

enum restart_mode { MODE_STARTING, MODE_UP, MODE_STOPPING, MODE_ENDED, MODE_COUNT };

enum restart_input_kind {
    RESTART_BEGIN,
    RESTART_READY, /* of `child`, as ALIVE and DIED */
    RESTART_ALIVE,
    RESTART_DIED, /* `code`: exit code, 128 + signal, or EXIT_RETRY where no process came up */
    RESTART_TICK,
    RESTART_STOP,
    RESTART_INPUT_COUNT
};

struct restart_input {
    enum restart_input_kind kind;
    uint64_t now_ms;
    uint32_t child;
    int code;
};

enum restart_output_kind {
    RESTART_SPAWN,
    RESTART_WAIT, /* for the log: `child` starts anew in `delay_ms` */
    RESTART_TERM,
    RESTART_KILL,
    RESTART_UP,      /* all are ready, for the first time */
    RESTART_GIVE_UP, /* for the log: the node stops because of `child` */
    RESTART_END,     /* no process is left: exit with `code` */
};

struct restart_output {
    enum restart_output_kind kind;
    uint32_t child;
    int code;
    uint64_t delay_ms;
};

struct restart_outputs {
    struct restart_output at[RESTART_OUTPUTS_MAX];
    uint32_t count;
};

struct restart {
    struct restart_rules rules;
    enum restart_mode mode;
    uint32_t count;
    uint64_t chance;  /* state of the jitter's generator */
    uint64_t tick_ms; /* time of the input before */
    int exit_code;
    struct restart_child children[RESTART_CHILDREN_MAX];
};

/* `count` children, all idle. `seed` is not 0. */
void restart_open(struct restart *restart, const struct restart_rules *rules, uint32_t count,
                  uint64_t seed);

void restart_step(struct restart *restart, const struct restart_input *in,
                  struct restart_outputs *out);

/* The time at which a TICK is due next; UINT64_MAX if nothing waits for time. */
uint64_t restart_due_ms(const struct restart *restart);

/* Ends the process if an invariant is broken; runs after every step. */
void restart_assert(const struct restart *restart);

#endif
