/* archive.c - the verb archive: keeps a directory of dumps level with the log, for a restore to any
 * change, and the log from being cut before it is there. */
#include "client/operate.h"
#include "cmd/changeagent/archivedir.h"
#include "cmd/changeagent/dumpfile.h"
#include "cmd/changeagent/verbs.h"
#include "cmd/changeagent/when.h"
#include "common/clock.h"
#include "common/err.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

enum { WAIT_MS = 1000, HOLD_EVERY_MS = 60000 };

struct archive {
    struct archivedir directory;
    struct dumpfile dump;
    struct ca *ca;
    const char *hold; /* name of the holder; NULL: none */
    uint64_t hold_s;
    uint64_t held_ms; /* when it was last set; 0: not yet */
    uint64_t told;    /* changes written that were told of */
    bool is_its_log;  /* a node has said that the archive is of its log */
};

static int refuse(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: archive: %s: %s\n", about, what);
    return EXIT_USAGE;
}

/* ---- files ------------------------------------------------------------------------------------
 */

/* A file in which no change is whole is no file: a crash came between its begin and its first
 * change, and the one before says where to go on. */
static int take_up(struct archive *archive)
{
    char path[ARCHIVE_PATH_MAX];
    struct archivedir *directory = &archive->directory;
    while (directory->count > 0) {
        uint64_t first = directory->firsts[directory->count - 1];
        int code = dumpfile_take_up(&archive->dump, archivedir_file(directory, first, path));
        if (code != EXIT_OK)
            return code;
        if (archive->dump.count > 0)
            return EXIT_OK;
        dumpfile_close(&archive->dump);
        if (unlink(path) != 0 || !archivedir_sync(directory))
            return refuse(strerror(errno), path);
        directory->count--;
    }
    return EXIT_OK;
}

static int next_file(struct archive *archive)
{
    char path[ARCHIVE_PATH_MAX];
    archivedir_file(&archive->directory, archive->dump.since + 1, path);
    int code = dumpfile_go_on(&archive->dump, path);
    return code != EXIT_OK || archivedir_sync(&archive->directory) ? code : EXIT_SYSTEM;
}

/* ---- the log ----------------------------------------------------------------------------------
 */

/* The last change that is archived is still needed: it proves the next one. */
static int hold(struct archive *archive)
{
    uint64_t now_ms = clock_now_ms(), every_ms = archive->hold_s * 1000 / 4;
    if (archive->hold == NULL || archive->dump.since == 0)
        return EXIT_OK;
    if (archive->held_ms != 0 &&
        now_ms - archive->held_ms < (every_ms < HOLD_EVERY_MS ? every_ms : HOLD_EVERY_MS))
        return EXIT_OK;
    if (ca_holder_set(archive->ca, archive->hold, archive->dump.since, archive->hold_s, NULL) !=
        CA_OK)
        return args_fail(ca_last_error(archive->ca));
    archive->held_ms = now_ms;
    return EXIT_OK;
}

/* Into one file, as far as it goes. */
static int fill(struct archive *archive, const struct ca_head *head)
{
    struct dumpfile *dump = &archive->dump;
    bool failed;
    int code = dump->file == NULL || dump->whole >= ARCHIVE_FILE_MAX ? next_file(archive) : EXIT_OK;
    if (code != EXIT_OK)
        return code;
    enum ca_code said = dumpfile_write(dump, archive->ca, head, ARCHIVE_FILE_MAX, &failed);
    /* Of another log: nothing was begun, and the file stays as it was. */
    if (failed || (dump->begun && !dumpfile_end(dump))) {
        fprintf(stderr, "changeagent: archive: cannot write: %s\n", strerror(errno));
        return EXIT_SYSTEM;
    }
    archive->is_its_log = archive->is_its_log || said == CA_OK;
    return said == CA_OK ? EXIT_OK : args_fail(ca_last_error(archive->ca));
}

static void tell(struct archive *archive)
{
    char hash[2 * HASH_SIZE + 1];
    const struct dumpfile *dump = &archive->dump;
    cursor_hex(dump->hash, sizeof dump->hash, hash);
    fprintf(stderr, "changeagent: %llu changes archived, up to id %llu%s%s\n",
            (unsigned long long)(dump->written - archive->told), (unsigned long long)dump->since,
            dump->has_hash ? ", hash " : "", dump->has_hash ? hash : "");
    archive->told = dump->written;
}

/* Up to the head of this moment. Where nothing is missing the node is asked all the same, once:
 * whether this is the archive of its log. Of nothing, no file is begun. */
static int go_level(struct archive *archive)
{
    struct ca_head head;
    struct dumpfile *dump = &archive->dump;
    int code = args_head(archive->ca, true, &head);
    bool ask = !archive->is_its_log && dump->file != NULL;
    for (; code == EXIT_OK && (ask || dump->since < head.id); ask = false)
        code = fill(archive, &head);
    return code == EXIT_OK ? hold(archive) : code;
}

/* What may pass is waited for; whoever archives for years sees nodes come and go. */
static bool may_pass(int code)
{
    return code == EXIT_TIMEOUT || code == EXIT_OPEN || code == EXIT_NO_LEADER;
}

static int follow(struct archive *archive)
{
    for (;;) {
        struct ca_query query = {.since = archive->dump.since, .limit = 1, .block_ms = WAIT_MS};
        struct ca_page *page = NULL;
        enum ca_code said = ca_list(archive->ca, &query, &page);
        bool news = said == CA_OK && ca_page_count(page) > 0;
        ca_page_close(page);
        int code = said != CA_OK ? args_fail(ca_last_error(archive->ca))
                   : news        ? go_level(archive)
                                 : hold(archive);
        if (code != EXIT_OK && !may_pass(code))
            return code;
    }
}

static int run(struct archive *archive, const struct args *args)
{
    int code = take_up(archive);
    if (code == EXIT_OK && archive->dump.file != NULL && args->has_since)
        code = refuse("--since is for an empty directory: this one says where to go on",
                      archive->directory.path);
    if (code != EXIT_OK)
        return code;
    code = go_level(archive);
    tell(archive);
    return code == EXIT_OK && args->follow ? follow(archive) : code;
}

/* ---- the verb ---------------------------------------------------------------------------------
 */

static bool read_hold(struct archive *archive, const struct args *args)
{
    const char *text = args->for_time != NULL ? args->for_time : "2d";
    uint64_t ns;
    archive->hold = args->hold;
    if (args->for_time != NULL && args->hold == NULL)
        return false;
    if (!when_duration(text, &ns) || ns == 0 || ns % NS_PER_S != 0)
        return false;
    archive->hold_s = ns / NS_PER_S;
    return true;
}

int verb_archive(const struct args *args)
{
    struct archive archive = {
        .dump = {.verb = "archive", .form = &form_binary, .since = args->since}};
    int code = EXIT_USAGE;
    if (args->word_count != 1)
        return refuse("changeagent archive DIR [--follow] [--hold NAME [--for 2d]]", "usage");
    if (!read_hold(&archive, args))
        return refuse("--for goes with --hold NAME, and takes whole seconds, as 90s, 1h or 2d",
                      "usage");
    if (archivedir_claim(&archive.directory, "archive", args->words[0]) &&
        args_open(args, NULL, &archive.ca) == CA_OK)
        code = run(&archive, args);
    dumpfile_close(&archive.dump);
    ca_close(archive.ca);
    archivedir_close(&archive.directory);
    return code;
}
