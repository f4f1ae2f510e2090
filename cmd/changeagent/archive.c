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

enum { WAIT_MS = 1000, HOLD_EVERY_MS = 60000 };

struct archive {
    struct archivedir directory;
    struct dumpfile dump;
    struct ca *ca;
    const char *hold; /* name of the holder; NULL: none */
    uint64_t hold_s;
    uint64_t held_ms; /* when it was last set; 0: not yet */
    bool begun;       /* a node has said that the archive is of its log */
};

static int refuse(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: archive: %s: %s\n", about, what);
    return EXIT_USAGE;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static int file_failed(const char *path)
{
    (void)refuse(strerror(errno), path);
    return EXIT_SYSTEM;
}

static int drop_file(struct archive *archive, uint64_t first)
{
    char path[ARCHIVE_PATH_MAX];
    dumpfile_close(&archive->dump);
    bool gone = unlink(archivedir_file(&archive->directory, first, path)) == 0;
    return gone && archivedir_sync(&archive->directory) ? EXIT_OK : file_failed(path);
}

/* The last file that has a change. One in which none is whole is no file: a crash came between its
 * begin and its first change, and its name says where to go on. */
static int take_up(struct archive *archive)
{
    char path[ARCHIVE_PATH_MAX];
    struct archivedir *directory = &archive->directory;
    struct dumpfile *dump = &archive->dump;
    while (directory->count > 0) {
        uint64_t first = directory->firsts[directory->count - 1];
        int code = dumpfile_take_up(dump, archivedir_file(directory, first, path));
        if (code != EXIT_OK)
            return code;
        if (dump->count > 0)
            return dump->first == first ? EXIT_OK : refuse("it begins with another change", path);
        code = drop_file(archive, first);
        if (code != EXIT_OK)
            return code;
        dump->since = first - 1;
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

static uint64_t hold_every_ms(const struct archive *archive)
{
    uint64_t quarter_ms = archive->hold_s * 1000 / 4;
    return quarter_ms < HOLD_EVERY_MS ? quarter_ms : HOLD_EVERY_MS;
}

/* From the first change that is not archived, and synced, on. */
static int hold(struct archive *archive)
{
    uint64_t now_ms = clock_now_ms();
    if (archive->hold == NULL ||
        (archive->held_ms != 0 && now_ms - archive->held_ms < hold_every_ms(archive)))
        return EXIT_OK;
    if (ca_holder_set(archive->ca, archive->hold, archive->dump.since + 1, archive->hold_s, NULL) !=
        CA_OK)
        return args_fail(ca_last_error(archive->ca));
    archive->held_ms = now_ms;
    return EXIT_OK;
}

/* Once: a node says that this is the archive of its log, and the file that an earlier life left
 * is made whole and durable. */
static int begin(struct archive *archive, const struct ca_head *head)
{
    struct dumpfile *dump = &archive->dump;
    int code = EXIT_OK;
    if (archive->begun)
        return EXIT_OK;
    if (dump->file != NULL)
        code = dumpfile_check(dump, archive->ca, head);
    if (code == EXIT_OK && dump->file != NULL)
        code = dump->ended ? dumpfile_sync(dump) : dumpfile_end(dump);
    archive->begun = code == EXIT_OK;
    return code;
}

/* Into one file, as far as it goes. What was written before an error is made whole too. */
static int fill(struct archive *archive, const struct ca_head *head)
{
    struct dumpfile *dump = &archive->dump;
    int code = dump->file == NULL || dump->whole >= ARCHIVE_FILE_MAX ? next_file(archive) : EXIT_OK;
    if (code != EXIT_OK)
        return code;
    code = dumpfile_write(dump, archive->ca, head, ARCHIVE_FILE_MAX);
    int ended = EXIT_OK;
    if (dump->count == 0)
        ended = drop_file(archive, dump->since + 1);
    else if (code != EXIT_SYSTEM && dump->begun)
        ended = dumpfile_end(dump);
    return code != EXIT_OK ? code : ended;
}

static void tell(struct archive *archive)
{
    char hash[2 * HASH_SIZE + 1];
    const struct dumpfile *dump = &archive->dump;
    cursor_hex(dump->hash, sizeof dump->hash, hash);
    fprintf(stderr, "changeagent: %llu changes archived, up to id %llu%s%s\n",
            (unsigned long long)dump->written, (unsigned long long)dump->since,
            dump->has_hash ? ", hash " : "", dump->has_hash ? hash : "");
}

/* Up to the head of this moment. Of nothing, no file is begun. */
static int go_level(struct archive *archive)
{
    struct ca_head head;
    int code = args_head(archive->ca, true, &head);
    if (code == EXIT_OK)
        code = begin(archive, &head);
    if (code == EXIT_OK)
        code = hold(archive);
    while (code == EXIT_OK && archive->dump.since < head.id) {
        code = fill(archive, &head);
        if (code == EXIT_OK)
            code = hold(archive);
    }
    return code;
}

/* What may pass is waited for; whoever archives for years sees nodes come and go. */
static bool may_pass(int code)
{
    return code == EXIT_OK || code == EXIT_TIMEOUT || code == EXIT_OPEN || code == EXIT_NO_LEADER;
}

static int wait_for_news(struct archive *archive, const struct args *args, bool *news)
{
    uint64_t wait_ms = args->timeout_ms > 0 ? args->timeout_ms / 2 : WAIT_MS;
    if (archive->hold != NULL && wait_ms > hold_every_ms(archive))
        wait_ms = hold_every_ms(archive);
    struct ca_query query = {.since = archive->dump.since,
                             .limit = 1,
                             .headers_only = true,
                             .block_ms = (uint32_t)(wait_ms < WAIT_MS ? wait_ms : WAIT_MS)};
    struct ca_page *page = NULL;
    enum ca_code said = ca_list(archive->ca, &query, &page);
    *news = said == CA_OK && ca_page_count(page) > 0;
    ca_page_close(page);
    return said == CA_OK ? EXIT_OK : args_fail(ca_last_error(archive->ca));
}

static int follow(struct archive *archive, const struct args *args)
{
    int code = EXIT_OK;
    while (may_pass(code)) {
        bool news = false;
        code = archive->begun ? wait_for_news(archive, args, &news) : EXIT_OK;
        if (may_pass(code))
            code = news || !archive->begun ? go_level(archive) : hold(archive);
    }
    return code;
}

/* It is for the first call. A service says it each time. */
static bool since_fits(const struct archive *archive, const struct args *args)
{
    const struct archivedir *directory = &archive->directory;
    return !args->has_since || directory->count == 0 || directory->firsts[0] == args->since + 1;
}

static int run(struct archive *archive, const struct args *args)
{
    if (!since_fits(archive, args))
        return refuse("--since is for an empty directory: this one says where to go on",
                      archive->directory.path);
    int code = take_up(archive);
    if (code != EXIT_OK)
        return code;
    code = go_level(archive);
    if (code != EXIT_SYSTEM)
        tell(archive);
    if (args->follow && may_pass(code))
        return follow(archive, args);
    archive->held_ms = 0; /* where it has come to is for a while the last word */
    return code == EXIT_OK ? hold(archive) : code;
}

/* ---- the verb ---------------------------------------------------------------------------------
 */

static bool read_hold(struct archive *archive, const struct args *args)
{
    archive->hold = args->hold;
    return (args->for_time == NULL || args->hold != NULL) &&
           when_seconds(args->for_time != NULL ? args->for_time : "2d", &archive->hold_s);
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
