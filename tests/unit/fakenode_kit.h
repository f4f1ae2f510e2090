/* fakenode_kit.h - small nodes for the library, that lose, lie still and die.
 *
 * Each is a thread with the two sockets of an api; they share one log (sharedlog_kit.h). What a
 * node does wrong is set by the test. */
#ifndef TESTS_UNIT_FAKENODE_KIT_H
#define TESTS_UNIT_FAKENODE_KIT_H

#include "common/clock.h"
#include "protocol/cursor.h"
#include "protocol/wire.h"
#include "tests/unit/sharedlog_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

/* ---- a node -------------------------------------------------------------------------------- */

struct fake {
    struct shared_log *log;
    void *context, *asks, *stream;
    char ask_endpoint[64], stream_endpoint[64];
    pthread_t thread;
    bool running;
    atomic_bool stop, mute, mute_puts, no_progress, foreign;
    atomic_int lose_events, puts_seen, lists_seen;
    atomic_int refuse; /* enum err for puts */
    atomic_int refuse_reads;
    atomic_int reads_refused;
    uint64_t published; /* ids up to here */
    uint64_t progress_due_ms;
    struct {
        char name[64];
        bool all;
        uint64_t last;
    } topics[16];
    uint32_t topic_count;
};

static inline void send_map(void *socket, const struct message *message)
{
    SCOPED(bytes) out = {0};
    message_encode_map(message, &out);
    zmq_send(socket, out.data, out.size, 0);
}

static inline uint64_t last_on(const struct fake *fake, const char *topic, uint64_t below)
{
    for (uint64_t id = below; id > 0; id--)
        if (topic[0] == 'a' || has_tag(&fake->log->at[id], SPAN_TEXT(topic + 1)))
            return id;
    return 0;
}

static inline void send_progress(struct fake *fake, const char *topic, size_t size)
{
    struct message message = {.type = MESSAGE_PROGRESS};
    message.progress.head = fake->published;
    message.progress.prev = topic[0] == 'h' ? 0 : last_on(fake, topic, fake->published);
    message.progress.history = SPAN_TEXT("00000000000000a1");
    zmq_send(fake->stream, topic, size, ZMQ_SNDMORE);
    send_map(fake->stream, &message);
}

static inline void send_event(struct fake *fake, const char *topic, size_t size, uint64_t id)
{
    const struct stored *stored = &fake->log->at[id];
    struct change change = change_of(stored);
    struct message message = {.type = MESSAGE_EVENT};
    message.event.id = id;
    message.event.prev = last_on(fake, topic, id - 1);
    message.event.ts = id;
    message.event.tags = change.tags;
    message.event.data = change.data;
    message.event.hash = SPAN(stored->hash, 32);
    zmq_send(fake->stream, topic, size, ZMQ_SNDMORE);
    send_map(fake->stream, &message);
}

static inline void publish(struct fake *fake)
{
    char topic[40];
    for (; fake->published < fake->log->last_id; fake->published++) {
        uint64_t id = fake->published + 1;
        if (atomic_load(&fake->lose_events) > 0) {
            atomic_fetch_sub(&fake->lose_events, 1);
            continue;
        }
        send_event(fake, "a", 1, id);
        for (uint32_t i = 0; i < fake->log->at[id].tag_count; i++) {
            int size = snprintf(topic, sizeof topic, "t%s", fake->log->at[id].tags[i]);
            send_event(fake, topic, (size_t)size + 1, id);
        }
    }
}

/* Progress on each topic somebody joined, and on h, every 100 ms. */
static inline void tell_progress(struct fake *fake)
{
    if (atomic_load(&fake->no_progress) || clock_now_ms() < fake->progress_due_ms)
        return;
    fake->progress_due_ms = clock_now_ms() + 100;
    send_progress(fake, "h", 1);
    for (uint32_t i = 0; i < fake->topic_count; i++)
        send_progress(fake, fake->topics[i].name,
                      strlen(fake->topics[i].name) + (fake->topics[i].name[0] == 't'));
}

static inline void take_subscriptions(struct fake *fake)
{
    char frame[64];
    for (int size; (size = zmq_recv(fake->stream, frame, sizeof frame - 1, ZMQ_DONTWAIT)) > 0;) {
        frame[size] = 0;
        if (frame[0] != 1 || atomic_load(&fake->no_progress))
            continue;
        send_progress(fake, frame + 1, (size_t)size - 1);
        if (frame[1] != 'h' && fake->topic_count < 16)
            snprintf(fake->topics[fake->topic_count++].name, 64, "%s", frame + 1);
    }
}

static inline void answer_hello(struct fake *fake, struct message *answer)
{
    answer->type = MESSAGE_HELLO_IS;
    answer->hello_is = (struct message_hello_is){
        .protocol = 1,
        .cluster = SPAN_TEXT(atomic_load(&fake->foreign) ? "ffffffffffffffffffffffffffffffff"
                                                         : "000102030405060708090a0b0c0d0e0f"),
        .history = SPAN_TEXT("00000000000000a1"),
        .born = 77,
        .stream = SPAN_TEXT(fake->stream_endpoint),
    };
}

static inline void fill_failed(enum err err, struct message *answer)
{
    answer->type = MESSAGE_FAILED;
    answer->failed = (struct message_failed){
        .error = SPAN_TEXT(err_name(err)),
        .detail = SPAN_TEXT("as the test wants it"),
        .retryable = err_retryable(err),
        .outcome = SPAN_TEXT(err_outcome_name(err)),
        .retry_after_ms = err == ERR_QUOTA ? 40 : 0,
    };
}

static inline bool answer_put(struct fake *fake, const struct message_put *put,
                              struct message *answer)
{
    enum err refuse = (enum err)atomic_load(&fake->refuse);
    atomic_fetch_add(&fake->puts_seen, 1);
    if (put->txid.size != 16 || put->born != 77)
        abort();
    if (refuse != ERR_NONE) {
        fill_failed(refuse, answer);
        return true;
    }
    uint64_t id = id_of_txid(fake->log, put->txid.data);
    if (id == 0)
        id = append(fake->log, put);
    answer->type = MESSAGE_PUT_DONE;
    answer->put_done = (struct message_put_done){
        .id = id, .last_id = id, .ts = id, .hash = SPAN(fake->log->at[id].hash, 32), .born = 77};
    return !atomic_load(&fake->mute_puts);
}

static inline void append_row(struct fake *fake, uint64_t id, struct bytes *rows)
{
    struct change change = change_of(&fake->log->at[id]);
    change_row_encode(id, id, fake->log->at[id].hash, &change, rows);
}

static inline void answer_get(struct fake *fake, uint64_t id, struct message *answer,
                              struct bytes *rows)
{
    if (id == 0 || id > fake->log->last_id) {
        answer->type = MESSAGE_FAILED;
        answer->failed = (struct message_failed){.error = SPAN_TEXT("E_NOT_FOUND")};
        return;
    }
    append_row(fake, id, rows);
    answer->type = MESSAGE_GET_IS;
    answer->get_is = (struct message_get_is){.change = bytes_span(rows)};
}

static inline void answer_list(struct fake *fake, const struct message_list *list,
                               struct message *answer, struct bytes *rows)
{
    SCOPED(bytes) inner = {0};
    uint64_t limit = list->limit > 0 ? list->limit : 100, id = list->since, count = 0;
    struct cursor cursor;
    if (list->cursor.size > 0 && cursor_parse(list->cursor, &cursor) == ERR_NONE)
        id = cursor.id;
    for (; id < fake->log->last_id && count < limit; id++)
        if (matches(&fake->log->at[id + 1], &list->tags)) {
            append_row(fake, id + 1, &inner);
            count++;
        }
    atomic_fetch_add(&fake->lists_seen, 1);
    wire_pack_array(rows, (uint32_t)count);
    bytes_append_span(rows, bytes_span(&inner));
    answer->type = MESSAGE_LIST_IS;
    answer->list_is = (struct message_list_is){
        .changes = bytes_span(rows),
        .at_end = id == fake->log->last_id,
        .last_id = fake->log->last_id,
        .scanned_to = id,
        .next = SPAN_TEXT("next"),
    };
}

/* Two changes an ask, of 10 bytes each; an estimate says 11. */
static inline void answer_estimate(struct fake *fake, const struct message_estimate *estimate,
                                   struct message *answer)
{
    uint64_t end = fake->log->last_id, id = estimate->since, looked = 0, count = 0;
    if (estimate->until > 0 && estimate->until < end)
        end = estimate->until;
    for (; id < end && looked < 2; id++, looked++)
        count += matches(&fake->log->at[id + 1], &estimate->tags);
    answer->type = MESSAGE_ESTIMATE_IS;
    answer->estimate_is = (struct message_estimate_is){
        .count = count,
        .bytes = count * (estimate->exact ? 10 : 11),
        .exact = estimate->exact,
        .scanned_to = id,
        .at_end = id == end,
        .first_id = 1,
        .last_id = fake->log->last_id,
    };
}

static inline bool answer_ask(struct fake *fake, const struct message *ask, struct message *answer,
                              struct bytes *rows)
{
    enum err refuse = (enum err)atomic_load(&fake->refuse_reads);
    if (refuse != ERR_NONE && (ask->type == MESSAGE_GET || ask->type == MESSAGE_LIST)) {
        atomic_fetch_add(&fake->reads_refused, 1);
        fill_failed(refuse, answer);
        return true;
    }
    switch (ask->type) {
    case MESSAGE_HELLO:
        answer_hello(fake, answer);
        return true;
    case MESSAGE_PUT:
        return answer_put(fake, &ask->put, answer);
    case MESSAGE_GET:
        answer_get(fake, ask->get.id, answer, rows);
        return true;
    case MESSAGE_LIST:
        answer_list(fake, &ask->list, answer, rows);
        return true;
    case MESSAGE_ESTIMATE:
        answer_estimate(fake, &ask->estimate, answer);
        return true;
    case MESSAGE_HEAD:
        answer->type = MESSAGE_HEAD_IS;
        answer->head_is = (struct message_head_is){
            .id = fake->log->last_id, .hash = SPAN(fake->log->at[fake->log->last_id].hash, 32)};
        return true;
    default:
        answer->type = MESSAGE_STATUS_IS;
        answer->status_is = (struct message_status_is){.role = SPAN_TEXT("leader"), .term = 3};
        return true;
    }
}

static inline bool take_ask(struct fake *fake)
{
    uint8_t route[64];
    static _Thread_local uint8_t body[1 << 16];
    int route_size = zmq_recv(fake->asks, route, sizeof route, ZMQ_DONTWAIT);
    if (route_size < 0)
        return false;
    struct message ask, answer = {0};
    SCOPED(bytes) rows = {0};
    zmq_recv(fake->asks, body, sizeof body, 0); /* the empty frame */
    int size = zmq_recv(fake->asks, body, sizeof body, 0);
    if (size < 0 || message_decode_map(SPAN(body, (size_t)size), &ask, NULL) != ERR_NONE)
        abort();
    if (atomic_load(&fake->mute) || !answer_ask(fake, &ask, &answer, &rows))
        return true;
    answer.request = ask.request;
    zmq_send(fake->asks, route, (size_t)route_size, ZMQ_SNDMORE);
    zmq_send(fake->asks, "", 0, ZMQ_SNDMORE);
    send_map(fake->asks, &answer);
    return true;
}

static inline void *run_fake(void *self)
{
    struct fake *fake = self;
    while (!atomic_load(&fake->stop)) {
        zmq_pollitem_t items[] = {{fake->asks, 0, ZMQ_POLLIN, 0}, {fake->stream, 0, ZMQ_POLLIN, 0}};
        zmq_poll(items, 2, 5);
        pthread_mutex_lock(&fake->log->lock);
        take_subscriptions(fake);
        while (take_ask(fake))
            publish(fake);
        publish(fake);
        tell_progress(fake);
        pthread_mutex_unlock(&fake->log->lock);
    }
    zmq_close(fake->asks);
    zmq_close(fake->stream);
    return NULL;
}

static inline void bind_any(void *socket, char endpoint[64])
{
    size_t size = 64;
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        abort();
}

static inline void fake_start(struct fake *fake, struct shared_log *log)
{
    int verbose = 1;
    fake->log = log;
    fake->context = zmq_ctx_new();
    fake->asks = zmq_socket(fake->context, ZMQ_ROUTER);
    fake->stream = zmq_socket(fake->context, ZMQ_XPUB);
    zmq_setsockopt(fake->stream, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
    bind_any(fake->asks, fake->ask_endpoint);
    bind_any(fake->stream, fake->stream_endpoint);
    fake->running = pthread_create(&fake->thread, NULL, run_fake, fake) == 0;
}

static inline void fake_stop(struct fake *fake)
{
    if (!fake->running)
        return;
    atomic_store(&fake->stop, true);
    pthread_join(fake->thread, NULL);
    zmq_ctx_term(fake->context);
    fake->running = false;
}

#endif
