/* backup.c - slices of a snapshot for a client: asked of storage, one at a time.
 *
 * The client drives it: it knows what it has, and asks for the next slice. Nothing is kept here
 * but who waits. */
#include "api/shell.h"

enum { BACKUP_MS = 10000, NEW_MS = 5000 };

static void end(struct api *api, enum err err)
{
    struct backup *backup = &api->backup;
    backup->waits = false;
    api_refuse(api, &backup->route, backup->request, err,
               err == ERR_NOT_READY ? "the snapshot is being made; ask again"
               : err == ERR_NOT_FOUND
                   ? "there is no such snapshot any more; begin again with an empty id"
                   : NULL);
}

/* A backup holds what this node had applied when it was asked for first: an older snapshot that
 * still lies about will not do, nor a state that is not written yet. Asking again while it is made
 * asks for the same one. */
static uint64_t least_index(struct api *api, const struct message_backup *ask)
{
    struct backup *backup = &api->backup;
    uint64_t now_ms = api->base.loop.now_ms;
    if (ask->id.size > 0)
        return 0;
    if (backup->least_index == 0 || now_ms >= backup->asked_ms + NEW_MS)
        backup->least_index = api->standing.applied_index;
    backup->asked_ms = now_ms;
    return backup->least_index;
}

void backup_ask(struct api *api, const struct door_route *route, const struct message *message)
{
    struct backup *backup = &api->backup;
    struct message ask = {.type = MESSAGE_SNAPSHOT_READ};
    if (backup->waits) {
        api_refuse(api, route, message->request, ERR_BUSY, "another backup asks at this moment");
        return;
    }
    ask.snapshot_read.ticket = ++backup->ticket;
    ask.snapshot_read.id = message->backup.id;
    ask.snapshot_read.offset = message->backup.offset;
    ask.snapshot_read.bytes = message->backup.bytes;
    ask.snapshot_read.least_index = least_index(api, &message->backup);
    backup->route = *route;
    backup->request = message->request;
    backup->due_ms = api->base.loop.now_ms + BACKUP_MS;
    backup->waits = true;
    if (link_send(&api->keeper, 0, &ask) != ERR_NONE)
        end(api, ERR_NOT_READY);
}

enum err backup_part(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct backup *backup = &api->backup;
    const struct message_snapshot_part *part = &message->snapshot_part;
    struct message answer = {.type = MESSAGE_BACKUP_IS};
    if (!backup->waits || part->ticket != backup->ticket)
        return ERR_NONE;
    if (part->error.size > 0) {
        end(api, err_by_name((const char *)part->error.data, part->error.size));
        return ERR_NONE;
    }
    backup->waits = false;
    backup->least_index = 0;
    answer.backup_is.id = part->id;
    answer.backup_is.index = part->index;
    answer.backup_is.head = part->head;
    answer.backup_is.size = part->size;
    answer.backup_is.offset = part->offset;
    answer.backup_is.data = part->data;
    answer.backup_is.hash = part->hash;
    api_answer(api, &backup->route, backup->request, &answer);
    return ERR_NONE;
}

void backup_expire(struct api *api)
{
    if (api->backup.waits && api->base.loop.now_ms >= api->backup.due_ms)
        end(api, ERR_TIMEOUT);
}

void backup_storage_lost(struct api *api)
{
    if (api->backup.waits)
        end(api, ERR_NOT_READY);
}
