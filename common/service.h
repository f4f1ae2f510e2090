/* service.h - the skeleton of every process: options, log, context, loop,
 * `open`, ready to the supervisor, run, `close`, exit code; in this order.
 *
 * The struct of a process begins with `struct service_base`. */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include "common/loop.h"
#include "common/options.h"

enum service_exit {
    EXIT_DONE = 0,
    EXIT_CONFIG = 100,     /* the configuration is wrong: do not try again */
    EXIT_RETRY = 111,      /* try again */
    EXIT_STORAGE = 112,    /* the disk refused: restarted, counted */
    EXIT_CORRUPTION = 113, /* never restarted */
};

/* Settings and tools that every process has. */
struct service_base {
    const char *data, *run_dir, *name; /* data directory; ipc directory; name of the node */
    const char *log_level;
    const char *join;   /* client endpoint of a node of the cluster to be joined; NULL: none */
    uint64_t ready_fd;  /* pipe to the supervisor; 0: none */
    uint64_t parent_fd; /* pipe that ends with the supervisor; 0: none */
    void *context;      /* ZeroMQ */
    struct loop loop;
    uint64_t life; /* random, drawn at process start */
};

struct service {
    const char *name;             /* also its section in the file */
    const char *about;            /* for --help */
    size_t size;                  /* of the struct of the process */
    const struct option *options; /* offsets into that struct */
    enum err (*open)(void *self); /* links, timers; TRY lines only */
    void (*close)(void *self);
    void (*stop)(void *self); /* SIGTERM or a gone supervisor; NULL: loop_stop at once */
};

int service_main(const struct service *service, int argc, char **argv);

/* A line for the supervisor, written with `ready`: "api=tcp://…". Call it in `open`. */
void service_announce(struct service_base *base, const char *key, const char *value);

/* The exit code for an error that ends a process. */
int service_exit_code(enum err err);

/* "RUN_DIR/NAME" into `text`, for a socket between processes; ERR_CONFIG if it is longer than the
 * kernel takes (107 bytes). */
MUST_USE enum err service_path(const struct service_base *base, const char *name, char text[128]);

#endif
