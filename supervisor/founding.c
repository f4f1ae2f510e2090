#include "supervisor/founding.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/service.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LATE_MS = 30000, PATH_BYTES_MAX = 4200 };

/* What a lock, a start and --show-key leave behind. */
static bool is_of_us(const char *name)
{
    static const char *const names[] = {".",       "..",       "lock",
                                        "run",     "identity", "lost+found",
                                        "node.id", "node.key", "node.key_secret"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* False: it holds something, which is told; or it cannot be read. */
static bool is_blank(const char *path)
{
    DIR *dir = opendir(path);
    bool blank = dir != NULL || errno == ENOENT;
    for (struct dirent *entry; blank && dir != NULL && (entry = readdir(dir)) != NULL;) {
        blank = is_of_us(entry->d_name);
        if (!blank)
            log_error("init_refused", kv_text("data", path), kv_text("holds", entry->d_name),
                      kv_text("advice", "a cluster is founded in an empty directory; start the "
                                        "node without --init, or name another directory"));
    }
    if (dir != NULL)
        closedir(dir);
    return blank;
}

enum err founding_begin(struct founding *founding, const char *data)
{
    char identity[PATH_BYTES_MAX];
    snprintf(identity, sizeof identity, "%s/identity", data);
    if (!is_blank(data) || !is_blank(identity))
        return ERR_CONFIG;
    founding->wanted = true;
    founding->late_ms = clock_now_ms() + LATE_MS;
    return ERR_NONE;
}

bool founding_hears(struct founding *founding, const char *key, const char *value)
{
    if (!founding->wanted || founding->done || strcmp(key, "founded") != 0)
        return false;
    founding->done = true;
    log_info("founded", kv_text("cluster", value));
    printf("cluster %s\n", value);
    fflush(stdout);
    return true;
}

bool founding_is_late(struct founding *founding)
{
    if (!founding->wanted || founding->done || clock_now_ms() < founding->late_ms)
        return false;
    founding->late_ms = UINT64_MAX;
    log_error("init_failed", kv_text("advice", "the lines above say what it waits for"));
    return true;
}

int founding_code(const struct founding *founding, int code)
{
    bool failed = founding->wanted && !founding->done && code == EXIT_DONE;
    return failed ? EXIT_RETRY : code;
}
