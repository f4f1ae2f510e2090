/* talk.c - three links to one storage, which may die at any moment. */
#include "common/clock.h"
#include "tests/rigs/drive.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void on_down(void *owner, uint32_t neighbour)
{
    struct drive *drive = owner;
    drive->loaded = false;
}

void talk_open(struct drive *drive)
{
    static struct link_rules rules[3];
    static const char *const names[] = {"journal.ipc", "view.ipc", "keeper.ipc"};
    struct link *links[] = {&drive->journal, &drive->view, &drive->keeper};
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        char path[160];
        rules[i] = (struct link_rules){.process = "consensus",
                                       .handlers = promises_handlers,
                                       .down = on_down,
                                       .life = chance_u64()};
        snprintf(path, sizeof path, "%s/%s", drive->run_dir, names[i]);
        link_connect(links[i], &drive->loop, path, &rules[i], drive);
    }
    drive->open = true;
}

void talk_close(struct drive *drive)
{
    if (!drive->open)
        return;
    link_close(&drive->journal);
    link_close(&drive->view);
    link_close(&drive->keeper);
    drive->open = drive->writing = drive->loaded = false;
}

/* True: whoever starts and kills storages wants something, so the one that is waited for is gone.
 */
bool talk_interrupted(void)
{
    struct pollfd commands = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&commands, 1, 0) > 0;
}

/* False: there is no use in waiting any more. */
bool talk_await(struct drive *drive, const bool *done, const char *what)
{
    uint64_t begin = clock_now_ms();
    while (!*done) {
        loop_turn(&drive->loop, DRIVE_TURN_MS);
        if (drive->mortal && talk_interrupted())
            return false;
        promises_hold(drive, clock_now_ms() - begin < DRIVE_PATIENCE_MS, what, 0, 0);
    }
    return true;
}

void talk_say(struct drive *drive, struct link *link, const struct message *message)
{
    bool sent = link_send(link, 0, message) == ERR_NONE;
    promises_hold(drive, sent || drive->mortal, "storage does not listen", message->type, 0);
}

bool talk_read_back(struct drive *drive, uint64_t from, uint64_t to)
{
    for (drive->verified = from - 1; drive->verified < to;) {
        struct message message = {.type = MESSAGE_FETCH};
        message.fetch.from = drive->verified + 1;
        message.fetch.to = to;
        message.fetch.bytes = DRIVE_CHECK_BYTES;
        drive->fetched = false;
        talk_say(drive, &drive->keeper, &message);
        if (!talk_await(drive, &drive->fetched, "storage does not read"))
            return false;
    }
    return true;
}

static bool all_up(const struct drive *drive)
{
    return link_is_up(&drive->journal, 0) && link_is_up(&drive->view, 0) &&
           link_is_up(&drive->keeper, 0);
}

bool talk_is_heard(struct drive *drive)
{
    if (all_up(drive)) {
        drive->gone_ms = 0;
        return true;
    }
    if (drive->gone_ms == 0)
        drive->gone_ms = clock_now_ms();
    promises_hold(drive, drive->mortal || clock_now_ms() - drive->gone_ms < DRIVE_PATIENCE_MS,
                  "storage does not listen", 0, 0);
    return false;
}

bool talk_load(struct drive *drive)
{
    uint64_t begin = clock_now_ms();
    struct message message = {.type = MESSAGE_LOAD};
    while (!all_up(drive)) {
        loop_turn(&drive->loop, DRIVE_TURN_MS);
        if (drive->mortal && talk_interrupted())
            return false;
        promises_hold(drive, clock_now_ms() - begin < DRIVE_PATIENCE_MS, "no storage is there", 0,
                      0);
    }
    drive->ticket = drive->answered = 0;
    talk_say(drive, &drive->journal, &message);
    if (!talk_await(drive, &drive->loaded, "storage does not load"))
        return false;
    if (drive->acked > 0 && drive->acked < drive->tail_first && /* the tail is of one file */
        !talk_read_back(drive, drive->acked, drive->tail_first - 1))
        return false;
    drive->last = drive->acked = drive->loaded_last;
    drive->replaced_count = 0;
    drive->lives++;
    return true;
}

bool talk_stands(struct drive *drive)
{
    if (!talk_is_heard(drive))
        return false;
    if (drive->loaded)
        return true;
    if (!talk_load(drive))
        return false;
    drive->balloted = true;
    talk_commit(drive);
    return true;
}

void talk_commit(struct drive *drive)
{
    struct message message = {.type = MESSAGE_COMMIT};
    message.commit.index = drive->committed;
    message.commit.term = drive->sent[drive->committed].term;
    link_tell(&drive->view, 0, &message);
}
