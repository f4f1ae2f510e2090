/* events.c - what happens when: a heap by (time, order). */
#include "tests/sim/world.h"

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void swap(struct event *a, struct event *b)
{
    struct event c = *a;
    *a = *b;
    *b = c;
}

void events_push(struct world *world, struct event event)
{
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room ? world->event_room * 2 : 256;
        world->events = bytes_resize(world->events, world->event_room, sizeof event);
    }
    event.order = ++world->order;
    size_t at = world->event_count++;
    world->events[at] = event;
    for (; at > 0 && earlier(&world->events[at], &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&world->events[at], &world->events[(at - 1) / 2]);
}

static void sink(struct world *world, size_t at)
{
    for (;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t i = left; i < left + 2 && i < world->event_count; i++)
            if (earlier(&world->events[i], &world->events[least]))
                least = i;
        if (least == at)
            return;
        swap(&world->events[at], &world->events[least]);
        at = least;
    }
}

struct event events_pop(struct world *world)
{
    struct event first = world->events[0];
    world->events[0] = world->events[--world->event_count];
    sink(world, 0);
    return first;
}

void events_move(struct world *world, uint32_t node, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < world->event_count; i++) {
        struct event *event = &world->events[i];
        if (event->node == node && event->at == from && events_to_consensus(event))
            event->at = to;
    }
    for (size_t i = world->event_count / 2; i-- > 0;)
        sink(world, i);
}

bool events_to_consensus(const struct event *event)
{
    return event->kind == EVENT_PEER || event->kind == EVENT_LINK || event->kind == EVENT_ANSWER;
}

void events_push_message(struct world *world, struct event event, const struct message *message)
{
    message_encode(message, &event.frame);
    events_push(world, event);
}

void events_call(struct world *world, uint64_t in_ms, uint32_t node,
                 void (*call)(struct world *, uint32_t))
{
    events_push(
        world,
        (struct event){.at = world->now + in_ms, .kind = EVENT_CALL, .node = node, .call = call});
}

void events_close(struct world *world)
{
    while (world->event_count > 0)
        bytes_close(&world->events[--world->event_count].frame);
    bytes_free(world->events);
}
