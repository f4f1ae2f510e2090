/* options.h - one table of settings per process: the file, the flags, --help
 * and the line in the log at the start are read from it.
 *
 * The file is ZPL (zconfig) behind a strict schema: sections `node` (settings
 * of every process), then one per process. A setting `heartbeat_ms` in section
 * `consensus` is `--heartbeat-ms` as a flag of that process. A flag beats the
 * file. An unknown name or a bad value is ERR_CONFIG, told on stderr with the
 * full path of the key, the line where known, and advice. */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include "common/err.h"

#include <stdint.h>

enum { OPTION_LIST_MAX = 16 };

enum option_kind {
    OPTION_TEXT,     /* const char *  */
    OPTION_U64,      /* uint64_t, min..max */
    OPTION_FLAG,     /* bool: yes or no */
    OPTION_ENDPOINT, /* const char *: tcp:// or ipc:// */
    OPTION_LIST,     /* struct option_list: the setting may be repeated */
};

struct option_list {
    const char *at[OPTION_LIST_MAX];
    uint32_t count;
};

struct option {
    const char *section; /* "node", or the name of the process */
    const char *name;    /* as in the file: snake_case */
    enum option_kind kind;
    size_t offset;      /* into the struct of the process */
    const char *preset; /* default, as text; NULL: empty */
    uint64_t min, max;  /* OPTION_U64 */
    const char *sentence;
};

#define OPTION_END \
    {              \
        0          \
    }

/* Sections that may stand in a file; a process skips those of others. */
extern const char *const options_sections[];

/* Fills `target` from presets, the file (NULL: none) and the flags in argv[1..].
 * `tables` is a NULL-ended list of tables. `--help` prints and sets *done;
 * `--check-config` checks and sets *done.
 * The texts live until options_release(). */
MUST_USE enum err options_read(const struct option *const *tables, const char *program,
                               const char *about, int argc, char **argv, void *target, bool *done);
void options_release(void);

/* Logs every setting, one line; values of options whose name ends in `secret` are left out. */
void options_log(const struct option *const *tables, const void *target);

#endif
