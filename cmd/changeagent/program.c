#include "cmd/changeagent/program.h"

#include "cmd/changeagent/args.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 32 };

int program_become(const char *name, const char *const argv[])
{
    char path[PATH_MAX + 64];
    char *words[WORDS_MAX] = {path};
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    snprintf(slash != NULL ? slash + 1 : path, 64, "%s", name);
    for (size_t i = 0; argv[i] != NULL && i + 2 < WORDS_MAX; i++)
        memcpy(&words[i + 1], &argv[i], sizeof words[i]); /* char * for history's sake */
    execv(path, words);
    fprintf(stderr, "changeagent: %s cannot be run: %s\n", path, strerror(errno));
    return EXIT_SYSTEM;
}
