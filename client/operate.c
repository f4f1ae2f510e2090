/* operate.c - what an operator asks of a node: transfer, drain, backup. */
#include "client/client.h"

#include "protocol/wire.h"

#include <stdlib.h>

enum { SLICE_BYTES = 1 << 20 };

static enum err take_node(void *into, const struct message *answer)
{
    const struct message_node_is *is = &answer->node_is;
    struct ca_node *node = into;
    *node = (struct ca_node){.term = is->term, .took_ms = is->took_ms, .drained = is->drained};
    client_copy_text(node->leader, sizeof node->leader, is->leader);
    return ERR_NONE;
}

static enum ca_code operate(struct ca *ca, int slot, const char *action, const char *to,
                            struct ca_node *node)
{
    *node = (struct ca_node){0};
    struct ask *ask = client_ask_open(ca, MESSAGE_NODE);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->message.node.action = client_text(action);
    ask->message.node.to = client_text(to);
    ask->pinned = slot >= 0;
    ask->prefer = slot >= 0 ? (uint32_t)slot : CLIENT_ANY;
    ask->patience_ms = ca->options.timeout_ms; /* a hand-over may take its time */
    return client_wait_for(ca, ask, take_node, node);
}

enum ca_code ca_transfer(struct ca *ca, const char *to, struct ca_node *node)
{
    if (to != NULL && strlen(to) > 32)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "a node id has at most 13 characters");
    return operate(ca, -1, "transfer", to, node);
}

enum ca_code ca_drain(struct ca *ca, int slot, bool on, struct ca_node *node)
{
    if (slot < 0 || slot >= (int)ca->endpoints.count)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "no endpoint has this slot");
    return operate(ca, slot, on ? "drain" : "undrain", NULL, node);
}

/* ---- backup -----------------------------------------------------------------------------------
 */

static enum err take_slice(void *into, const struct message *answer)
{
    const struct message_backup_is *is = &answer->backup_is;
    struct ca_slice *slice = into;
    if (is->id.size != sizeof slice->id || (is->hash.size != 16 && is->hash.size != 32))
        return ERR_BAD_MESSAGE;
    *slice = (struct ca_slice){.head = is->head, .size = is->size, .index = is->index};
    memcpy(slice->id, is->id.data, sizeof slice->id);
    memcpy(slice->hash, is->hash.data, is->hash.size);
    slice->hash_size = is->hash.size;
    slice->data = malloc(is->data.size + 1);
    if (slice->data == NULL)
        return ERR_NOMEM;
    memcpy(slice->data, is->data.data, is->data.size);
    slice->data_size = is->data.size;
    return ERR_NONE;
}

enum ca_code ca_backup(struct ca *ca, int slot, const uint8_t id[32], uint64_t offset,
                       struct ca_slice *slice)
{
    *slice = (struct ca_slice){0};
    if (slot < 0 || slot >= (int)ca->endpoints.count)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "no endpoint has this slot");
    struct ask *ask = client_ask_open(ca, MESSAGE_BACKUP);
    if (ask == NULL)
        return client_no_memory(ca);
    if (id != NULL) {
        bytes_append(&ask->own, id, 32);
        ask->message.backup.id = bytes_span(&ask->own);
    }
    ask->message.backup.offset = offset;
    ask->message.backup.bytes = SLICE_BYTES;
    ask->pinned = true;
    ask->prefer = (uint32_t)slot;
    return client_wait_for(ca, ask, take_slice, slice);
}

void ca_slice_close(struct ca_slice *slice)
{
    free(slice->data);
    *slice = (struct ca_slice){0};
}
