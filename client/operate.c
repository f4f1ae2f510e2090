/* operate.c - what an operator asks of a node: transfer, drain. */
#include "client/client.h"

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
