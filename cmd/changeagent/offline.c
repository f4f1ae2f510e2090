/* offline.c - the verbs verify and salvage: changeagent-storage does them, because it alone knows
 * the files; dumps are proven and salvaged here (prove.h, mend.h). */
#include "cmd/changeagent/archivedir.h"
#include "cmd/changeagent/mend.h"
#include "cmd/changeagent/program.h"
#include "cmd/changeagent/prove.h"
#include "cmd/changeagent/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int become_storage(const char *verb, const char *path, const char *word)
{
    return program_become("changeagent-storage", (const char *const[]){verb, path, word, NULL});
}

/* Exactly one word, and something is there. */
static bool has_path(const struct args *args, const char *verb, const char *what,
                     struct stat *about)
{
    if (args->word_count != 1 || args->words[0][0] == '\0') {
        fprintf(stderr, "changeagent: %s: usage: changeagent %s %s\n", verb, verb, what);
        return false;
    }
    if (stat(args->words[0], about) == 0)
        return true;
    fprintf(stderr, "changeagent: %s: %s: %s\n", verb, args->words[0], strerror(errno));
    return false;
}

/* A backup has one, a node has none. */
static bool has_manifest(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/MANIFEST", directory);
    return access(path, F_OK) == 0;
}

static int verify_directory(const char *path)
{
    SCOPED(archivedir) archive;
    if (!archivedir_open(&archive, "verify", path))
        return EXIT_USAGE;
    if (archive.count > 0)
        return prove_archive(&archive);
    return become_storage(has_manifest(path) ? "snapshot" : "verify", path, NULL);
}

int verb_verify(const struct args *args)
{
    struct stat about;
    if (!has_path(args, "verify", "DIR|FILE", &about))
        return EXIT_USAGE;
    if (S_ISDIR(about.st_mode))
        return verify_directory(args->words[0]);
    if (mend_form(args->words[0]) != NULL)
        return prove_dump(args->words[0]);
    fprintf(stderr,
            "changeagent: verify: %s: not the data directory of a node, nor a backup, an archive "
            "or a dump\n",
            args->words[0]);
    return EXIT_USAGE;
}

int verb_salvage(const struct args *args)
{
    struct stat about;
    const struct form *form = args->format != NULL ? form_find(args->format) : NULL;
    if (!has_path(args, "salvage", "DIR|FILE > changes.ndjson", &about))
        return EXIT_USAGE;
    if (args->format != NULL && form == NULL) {
        fprintf(stderr, "changeagent: salvage: %s: there is no such form; ndjson or binary\n",
                args->format);
        return EXIT_USAGE;
    }
    const struct form *from = S_ISREG(about.st_mode) ? mend_form(args->words[0]) : NULL;
    if (from != NULL)
        return mend_dump(args->words[0], from, form != NULL ? form : from);
    return become_storage("salvage", args->words[0], args->format);
}
