/* drive.c - a storage is driven by commands: a scripted consensus that outlives it (drive.h).
 *
 *   drive RUN_DIR SEED
 *
 * Commands come by stdin, one a line, each answered by a line on stdout:
 *   go      a storage has been started: load, hold it to all it ever promised, then write
 *   check   the same without writing, and the whole log is read back
 *   life N  as go, but N batches only; a second line says when all of them are done, applied and
 *           durable in the state
 *   learn   as check, and every change is read as a client reads it and kept
 *   look    a storage whose files were damaged has been started: says `look VOTE SERVED REFUSED`.
 *           What it serves must be what was learned, and if it votes, nothing it promised may be
 *           missing
 *   halt    write no more; the answer says how far it got. It also ends a wait for a storage that
 *           died
 * A broken promise is answered by a line that begins with FAULT, and ends the drive. */
#include "tests/rigs/drive.h"

#include "common/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void start(struct drive *drive, bool writing)
{
    talk_close(drive);
    talk_open(drive);
    drive->told_applied = 0;
    if (!talk_load(drive) || (!writing && !talk_read_back(drive, 1, drive->last))) {
        printf("interrupted\n");
        return;
    }
    drive->balloted = drive->writing = writing;
    printf("loaded %llu applied %llu durable %llu\n", (unsigned long long)drive->last,
           (unsigned long long)drive->committed, (unsigned long long)drive->durable);
}

static void obey(struct drive *drive, const char *line)
{
    unsigned long long batches = 0;
    if (strncmp(line, "go", 2) == 0 || strncmp(line, "check", 5) == 0) {
        drive->mortal = false;
        start(drive, line[0] == 'g');
    } else if (sscanf(line, "life %llu", &batches) == 1) {
        drive->mortal = true;
        drive->left = batches;
        start(drive, true);
    } else if (strncmp(line, "learn", 5) == 0) {
        drive->mortal = false;
        start(drive, false);
        looker_commit(drive);
        looker_learn(drive);
    } else if (strncmp(line, "look", 4) == 0) {
        looker_look(drive);
    } else if (strncmp(line, "halt", 4) == 0) {
        for (int i = 0; i < 3 && drive->open; i++)
            loop_turn(&drive->loop, 0); /* promises that have arrived count */
        talk_close(drive);
        printf("halted acked %llu sent %llu stores %llu overwrites %llu\n",
               (unsigned long long)drive->acked, (unsigned long long)drive->last,
               (unsigned long long)drive->stores, (unsigned long long)drive->overwrites);
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct drive *drive = bytes_zeroed(1, sizeof *drive);
    struct pollfd commands = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64];
    if (argc != 3) {
        fprintf(stderr, "usage: drive RUN_DIR SEED\n");
        return 2;
    }
    log_open("drive", LOG_ERROR);
    setvbuf(stdin, NULL, _IONBF, 0);
    drive->run_dir = argv[1];
    drive->seed = strtoull(argv[2], NULL, 10);
    drive->sent = bytes_zeroed(DRIVE_INDEX_MAX + 1, sizeof *drive->sent);
    for (;;) {
        int asked = poll(&commands, 1, drive->writing ? 0 : 10);
        if (asked > 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                break;
            obey(drive, line);
        }
        if (drive->open)
            loop_turn(&drive->loop, drive->writing ? 1 : 0);
        if (drive->writing) {
            writer_turn(drive);
            if (drive->mortal && !drive->writing)
                writer_rest(drive);
        }
    }
    talk_close(drive);
    bytes_free(drive->sent);
    free(drive->replaced);
    bytes_free(drive);
    return 0;
}
