/* estimate.c - how many changes match: asked, waited for like a read, answered. */
#include "api/shell.h"

void estimate_message(const struct wait *wait, struct message *message)
{
    const struct message_read *read = &wait->ask.read;
    *message = (struct message){.type = MESSAGE_WEIGH};
    message->weigh = (struct message_weigh){
        .ticket = wait->ticket,
        .since = read->since,
        .until = read->until,
        .tags = read->tags,
        .all_tags = read->all_tags,
        .no_tags = read->no_tags,
        .since_time = read->since_time,
        .until_time = read->until_time,
        .exact = wait->ask.exact,
    };
}

void estimate_ask(struct api *api, const struct door_route *route, const struct message *message)
{
    struct request_read ask;
    struct refusal refusal = request_estimate(&api->standing, &message->estimate, &ask);
    reads_take(api, route, message, refusal, &ask);
}

enum err estimate_weighed(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct wait *wait = waits_by_ticket(&api->waits, message->weighed.ticket);
    struct message answer;
    if (wait == NULL || wait->state != WAIT_PAGE || !wait->ask.weighs)
        return ERR_NONE;
    answer_estimate(&api->standing, &message->weighed, &answer);
    api_answer(api, &wait->route, wait->request, &answer);
    waits_remove(&api->waits, wait);
    return ERR_NONE;
}
