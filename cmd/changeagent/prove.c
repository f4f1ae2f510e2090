#include "cmd/changeagent/prove.h"

#include "cmd/changeagent/intake.h"
#include "cmd/changeagent/verbs.h"
#include "common/progress.h"
#include "protocol/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DAMAGED = 113 };

struct prove {
    uint64_t changes, first_id, last_id; /* ids: 0 before there is one */
    uint8_t hash[HASH_SIZE];             /* of the last one */
};

/* The first change of a dump that does not begin at 1 has nothing before it that could prove it;
 * what comes behind proves it. */
static bool follows(const struct prove *prove, const struct parse_line *line)
{
    return (prove->first_id == 0 && line->row.id > 1) ||
           intake_follows(prove->last_id, prove->hash, line);
}

static void note(struct prove *prove, const struct parse_line *line)
{
    prove->first_id = prove->first_id == 0 ? line->row.id : prove->first_id;
    prove->last_id = line->row.id;
    memcpy(prove->hash, line->hash, sizeof prove->hash);
    prove->changes++;
}

/* NULL, or what is wrong where the intake stands. */
static const char *prove_next(struct prove *prove, struct intake *intake, bool *done)
{
    struct parse_line line = {0};
    enum intake_verdict verdict = intake_next(intake, &line);
    const char *wrong = NULL;
    *done = verdict == INTAKE_DONE;
    if (verdict != INTAKE_CHANGE && verdict != INTAKE_DONE)
        wrong = intake->wrong;
    else if (verdict == INTAKE_CHANGE && !follows(prove, &line))
        wrong = line.row.id != prove->last_id + 1 ? "changes are missing before this one"
                                                  : "its hash does not follow from the one before";
    else if (verdict == INTAKE_CHANGE)
        note(prove, &line);
    parse_close(&line);
    return wrong;
}

static int prove_file(struct prove *prove, const char *path)
{
    SCOPED(intake) intake = {0};
    struct progress progress = {0};
    char place[INTAKE_PLACE_MAX];
    const char *wrong = NULL;
    bool done = false;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "changeagent: verify: %s: %s\n", path, strerror(errno));
        return EXIT_SYSTEM;
    }
    intake_open(&intake, file, NULL);
    while (!done && wrong == NULL) {
        wrong = prove_next(prove, &intake, &done);
        progress_show(&progress, prove->changes, 0, "changes");
    }
    progress_wipe(&progress);
    fclose(file);
    intake_place(&intake, place);
    if (wrong == NULL)
        printf("ok   %s: %" PRIu64 " changes\n", path, intake.count);
    else
        printf("BAD  %s: %s: %s\n", path, place, wrong);
    return wrong == NULL ? EXIT_OK : intake.err == ERR_IO ? EXIT_SYSTEM : DAMAGED;
}

static int report(const struct prove *prove, int code)
{
    char hash[2 * HASH_SIZE + 1];
    cursor_hex(prove->hash, HASH_SIZE, hash);
    printf("%s: %" PRIu64 " changes, ids %" PRIu64 " to %" PRIu64 ", hash %s\n",
           code == EXIT_OK ? "sound" : "damaged; proven so far", prove->changes, prove->first_id,
           prove->last_id, hash);
    return code;
}

int prove_dump(const char *path)
{
    struct prove prove = {0};
    return report(&prove, prove_file(&prove, path));
}

int prove_archive(const struct archivedir *archive)
{
    struct prove prove = {0};
    char path[ARCHIVE_PATH_MAX];
    int code = EXIT_OK;
    for (uint32_t i = 0; i < archive->count && code == EXIT_OK; i++)
        code = prove_file(&prove, archivedir_file(archive, archive->firsts[i], path));
    return report(&prove, code);
}
