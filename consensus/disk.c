/* disk.c - which thread of storage does what. */
#include "consensus/disk.h"

#include "common/log.h"

static void on_up(void *owner, uint32_t neighbour)
{
    struct disk *disk = owner;
    if (disk->up || !link_is_up(&disk->journal, 0) || !link_is_up(&disk->view, 0) ||
        !link_is_up(&disk->keeper, 0))
        return;
    disk->up = true;
    disk->input(disk->owner, INPUT_STORAGE_UP, NULL);
}

static void on_down(void *owner, uint32_t neighbour)
{
    struct disk *disk = owner;
    /* Keeper serves readers too, and may be busy with them: what is fetched from it is asked for
     * again. Only journal and view are on the way of a write; a storage that died takes all. */
    if (!disk->up || (link_is_up(&disk->journal, 0) && link_is_up(&disk->view, 0)))
        return;
    disk->up = false;
    log_warn("storage_lost");
    disk->input(disk->owner, INPUT_STORAGE_LOST, NULL);
}

static enum err on_answer(void *owner, uint32_t neighbour, const struct message *message)
{
    static const enum raft_input_kind kinds[MESSAGE_TYPE_MAX] = {
        [MESSAGE_LOADED] = INPUT_LOADED,
        [MESSAGE_BALLOTED] = INPUT_BALLOTED,
        [MESSAGE_STORED] = INPUT_STORED,
        [MESSAGE_FETCHED] = INPUT_FETCHED,
        [MESSAGE_APPLIED] = INPUT_APPLIED,
        [MESSAGE_DISK_IS] = INPUT_DISK,
        [MESSAGE_CUT_AT] = INPUT_CUT,
        [MESSAGE_SNAPSHOT_PART] = INPUT_PART,
        [MESSAGE_SNAPSHOT_WRITTEN] = INPUT_WRITTEN,
    };
    struct disk *disk = owner;
    disk->input(disk->owner, kinds[message->type], message);
    return ERR_NONE;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(LOADED, on_answer),  ON(BALLOTED, on_answer),      ON(STORED, on_answer),
    ON(FETCHED, on_answer), ON(APPLIED, on_answer),       ON(DISK_IS, on_answer),
    ON(CUT_AT, on_answer),  ON(SNAPSHOT_PART, on_answer), ON(SNAPSHOT_WRITTEN, on_answer),
    ON(MEND_AT, on_answer),
};

static struct link_rules rules = {
    .process = "consensus", .handlers = handlers, .up = on_up, .down = on_down};

enum err disk_open(struct disk *disk, struct service_base *base,
                   void (*input)(void *owner, enum raft_input_kind kind,
                                 const struct message *message),
                   void *owner)
{
    static const char *const names[] = {"journal.ipc", "view.ipc", "keeper.ipc"};
    struct link *links[] = {&disk->journal, &disk->view, &disk->keeper};
    struct loop *loop = &base->loop;
    char path[128];
    disk->input = input;
    disk->owner = owner;
    rules.life = base->life;
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        TRY(service_path(base, names[i], path));
        link_connect(links[i], loop, path, &rules, disk);
    }
    return ERR_NONE;
}

void disk_close(struct disk *disk)
{
    link_close(&disk->journal);
    link_close(&disk->view);
    link_close(&disk->keeper);
}

void disk_tell(struct disk *disk, const struct message *message)
{
    struct link *link = &disk->journal;
    switch (message->type) {
    case MESSAGE_COMMIT:
        link = &disk->view;
        break;
    case MESSAGE_FETCH:
    case MESSAGE_MAY_CUT:
    case MESSAGE_SNAPSHOT_READ:
    case MESSAGE_SNAPSHOT_WRITE:
        link = &disk->keeper;
        break;
    default:
        break;
    }
    link_tell(link, 0, message);
    if (message->type == MESSAGE_STORE || message->type == MESSAGE_COMMIT)
        link_push(link); /* storage works while the boxes for the others are made */
}
