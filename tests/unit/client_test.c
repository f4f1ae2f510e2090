/* client_test.c - the library against small nodes that lose, lie still and die.
 *
 * The nodes share one log, as a cluster does; each is a thread with the two
 * sockets of an api. What a node does wrong is set by the test. */
#include "client/changeagent.h"

#include "common/clock.h"
#include "protocol/change.h"
#include "protocol/cursor.h"
#include "protocol/wire.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

/* ---- the log that the nodes share ---------------------------------------------------------- */

enum { LOG_MAX = 4096, TAGS = 4 };

struct stored {
    uint8_t txid[16];
    char data[32];
    char tags[TAGS][16];
    uint32_t tag_count;
    uint8_t hash[32];
};

struct shared_log {
    pthread_mutex_t lock;
    uint64_t last_id;
    struct stored at[LOG_MAX + 1]; /* by id */
};

static bool has_tag(const struct stored *stored, struct span tag)
{
    for (uint32_t i = 0; i < stored->tag_count; i++)
        if (span_is(tag, stored->tags[i]))
            return true;
    return false;
}

static bool matches(const struct stored *stored, const struct texts *tags)
{
    for (uint32_t i = 0; i < tags->count; i++)
        if (has_tag(stored, tags->at[i]))
            return true;
    return tags->count == 0;
}

static uint64_t id_of_txid(struct shared_log *log, const uint8_t *txid)
{
    for (uint64_t id = 1; id <= log->last_id; id++)
        if (memcmp(log->at[id].txid, txid, 16) == 0)
            return id;
    return 0;
}

static struct change change_of(const struct stored *stored)
{
    struct change change = {.data = SPAN_TEXT(stored->data)};
    for (uint32_t i = 0; i < stored->tag_count; i++)
        change.tags.at[change.tags.count++] = SPAN_TEXT(stored->tags[i]);
    return change;
}

/* One change for each put is enough for a fake. */
static uint64_t append(struct shared_log *log, const struct message_put *put)
{
    struct change_walk walk;
    struct change change;
    struct stored *stored = &log->at[log->last_id + 1];
    change_walk_begin(&walk, put->body);
    if (!change_walk_next(&walk, &change) || change.data.size >= sizeof stored->data)
        abort();
    memcpy(stored->txid, put->txid.data, 16);
    memcpy(stored->data, change.data.data, change.data.size);
    for (uint32_t i = 0; i < change.tags.count && i < TAGS; i++)
        snprintf(stored->tags[stored->tag_count++], sizeof stored->tags[0], "%.*s",
                 (int)change.tags.at[i].size, (const char *)change.tags.at[i].data);
    log->last_id++;
    change = change_of(stored);
    change_hash(log->at[log->last_id - 1].hash, log->last_id, log->last_id, &change, stored->hash);
    return log->last_id;
}

/* ---- a node -------------------------------------------------------------------------------- */

struct fake {
    struct shared_log *log;
    void *context, *asks, *stream;
    char ask_endpoint[64], stream_endpoint[64];
    pthread_t thread;
    bool running;
    atomic_bool stop, mute, mute_puts, no_progress, foreign;
    atomic_int lose_events, puts_seen, lists_seen;
    atomic_int refuse;  /* enum err for puts */
    uint64_t published; /* ids up to here */
    uint64_t progress_due_ms;
    struct {
        char name[64];
        bool all;
        uint64_t last;
    } topics[16];
    uint32_t topic_count;
};

static void send_map(void *socket, const struct message *message)
{
    SCOPED(bytes) out = {0};
    message_encode_map(message, &out);
    zmq_send(socket, out.data, out.size, 0);
}

static uint64_t last_on(const struct fake *fake, const char *topic, uint64_t below)
{
    for (uint64_t id = below; id > 0; id--)
        if (topic[0] == 'a' || has_tag(&fake->log->at[id], SPAN_TEXT(topic + 1)))
            return id;
    return 0;
}

static void send_progress(struct fake *fake, const char *topic, size_t size)
{
    struct message message = {.type = MESSAGE_PROGRESS};
    message.progress.head = fake->published;
    message.progress.prev = topic[0] == 'h' ? 0 : last_on(fake, topic, fake->published);
    message.progress.history = SPAN_TEXT("00000000000000a1");
    zmq_send(fake->stream, topic, size, ZMQ_SNDMORE);
    send_map(fake->stream, &message);
}

static void send_event(struct fake *fake, const char *topic, size_t size, uint64_t id)
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

static void publish(struct fake *fake)
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
static void tell_progress(struct fake *fake)
{
    if (atomic_load(&fake->no_progress) || clock_now_ms() < fake->progress_due_ms)
        return;
    fake->progress_due_ms = clock_now_ms() + 100;
    send_progress(fake, "h", 1);
    for (uint32_t i = 0; i < fake->topic_count; i++)
        send_progress(fake, fake->topics[i].name,
                      strlen(fake->topics[i].name) + (fake->topics[i].name[0] == 't'));
}

static void take_subscriptions(struct fake *fake)
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

static void answer_hello(struct fake *fake, struct message *answer)
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

static bool answer_put(struct fake *fake, const struct message_put *put, struct message *answer)
{
    enum err refuse = (enum err)atomic_load(&fake->refuse);
    atomic_fetch_add(&fake->puts_seen, 1);
    if (put->txid.size != 16 || put->born != 77)
        abort();
    if (refuse != ERR_NONE) {
        answer->type = MESSAGE_FAILED;
        answer->failed = (struct message_failed){
            .error = SPAN_TEXT(err_name(refuse)),
            .detail = SPAN_TEXT("as the test wants it"),
            .retryable = err_retryable(refuse),
            .outcome = SPAN_TEXT(err_outcome_name(refuse)),
        };
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

static void append_row(struct fake *fake, uint64_t id, struct bytes *rows)
{
    struct change change = change_of(&fake->log->at[id]);
    change_row_encode(id, id, fake->log->at[id].hash, &change, rows);
}

static void answer_get(struct fake *fake, uint64_t id, struct message *answer, struct bytes *rows)
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

static void answer_list(struct fake *fake, const struct message_list *list, struct message *answer,
                        struct bytes *rows)
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

static bool answer_ask(struct fake *fake, const struct message *ask, struct message *answer,
                       struct bytes *rows)
{
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

static bool take_ask(struct fake *fake)
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

static void *run_fake(void *self)
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

static void bind_any(void *socket, char endpoint[64])
{
    size_t size = 64;
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        abort();
}

static void fake_start(struct fake *fake, struct shared_log *log)
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

static void fake_stop(struct fake *fake)
{
    if (!fake->running)
        return;
    atomic_store(&fake->stop, true);
    pthread_join(fake->thread, NULL);
    zmq_ctx_term(fake->context);
    fake->running = false;
}

/* ---- two nodes and a handle ------------------------------------------------------------------ */

struct stage {
    struct shared_log log;
    struct fake nodes[2];
    struct ca *ca;
};

static struct stage *stage_open(uint32_t nodes, uint32_t timeout_ms)
{
    struct stage *stage = calloc(1, sizeof *stage);
    const char *endpoints[2];
    struct ca_options options = {.timeout_ms = timeout_ms, .patience_ms = 200};
    pthread_mutex_init(&stage->log.lock, NULL);
    for (uint32_t i = 0; i < nodes; i++) {
        fake_start(&stage->nodes[i], &stage->log);
        endpoints[i] = stage->nodes[i].ask_endpoint;
    }
    CHECK(ca_open(endpoints, nodes, &options, &stage->ca) == CA_OK);
    return stage;
}

static void stage_close(struct stage *stage)
{
    ca_close(stage->ca);
    fake_stop(&stage->nodes[0]);
    fake_stop(&stage->nodes[1]);
    free(stage);
}

static enum ca_code put_text(struct ca *ca, const char *text, const char *tag,
                             struct ca_result *result)
{
    struct ca_change change = {
        .data = {text, strlen(text)}, .tags = &tag, .tag_count = tag != NULL};
    return ca_put(ca, &change, 1, result);
}

/* Both nodes have answered a hello when both answer a status and a put went through. */
static void warm_up(struct stage *stage, uint32_t nodes)
{
    struct ca_status status;
    for (uint32_t i = 0; i < nodes; i++) {
        CHECK(ca_status(stage->ca, (int)i, &status) == CA_OK);
        ca_status_close(&status);
    }
}

static bool next_is(struct ca_follow *follow, uint64_t id)
{
    const struct ca_row *row;
    enum ca_code code = ca_follow_next(follow, 10000, &row);
    if (code != CA_OK || row->id != id) {
        print_error("wanted %llu, got code %d id %llu\n", (unsigned long long)id, (int)code,
                    row != NULL ? (unsigned long long)row->id : 0);
        return false;
    }
    return true;
}

static bool becomes_live(struct ca_follow *follow)
{
    const struct ca_row *row;
    for (uint64_t end = clock_now_ms() + 5000; clock_now_ms() < end;) {
        if (ca_follow_live(follow))
            return true;
        if (ca_follow_next(follow, 20, &row) != CA_AGAIN)
            return false;
    }
    return false;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_put_can_be_read_back(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    struct ca_page *page;
    struct ca_head head;
    CHECK(put_text(stage->ca, "one", "red", &result) == CA_OK);
    CHECK(result.id == 1 && result.attempts == 1 && result.write.born == 77);
    CHECK(ca_get(stage->ca, 1, &page) == CA_OK);
    CHECK(ca_page_count(page) == 1);
    const struct ca_row *row = ca_page_row(page, 0);
    CHECK(row->id == 1 && row->data.size == 3 && memcmp(row->data.data, "one", 3) == 0);
    CHECK(row->tag_count == 1 && memcmp(row->tags[0].data, "red", 3) == 0);
    CHECK(ca_page_row(page, 1) == NULL);
    ca_page_close(page);
    CHECK(ca_head(stage->ca, &head) == CA_OK && head.id == 1);
    CHECK(ca_get(stage->ca, 2, &page) == CA_NOT_FOUND && page == NULL);
    CHECK(strcmp(ca_last_error(stage->ca)->name, "E_NOT_FOUND") == 0);
    stage_close(stage);
}

static void a_list_gives_rows_in_order(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_query query = {.limit = 2};
    struct ca_page_info info;
    struct ca_page *page;
    CHECK(put_text(stage->ca, "one", "red", NULL) == CA_OK);
    CHECK(put_text(stage->ca, "two", "blue", NULL) == CA_OK);
    CHECK(put_text(stage->ca, "three", "red", NULL) == CA_OK);
    CHECK(ca_list(stage->ca, &query, &page) == CA_OK);
    ca_page_info(page, &info);
    CHECK(ca_page_count(page) == 2 && ca_page_row(page, 1)->id == 2 && !info.at_end);
    ca_page_close(page);
    const char *red = "red";
    query = (struct ca_query){.tags = &red, .tag_count = 1};
    CHECK(ca_list(stage->ca, &query, &page) == CA_OK);
    CHECK(ca_page_count(page) == 2 && ca_page_row(page, 1)->id == 3);
    ca_page_close(page);
    stage_close(stage);
}

static void an_unanswered_put_is_sent_to_another_node_and_done_once(void **state)
{
    struct stage *stage = stage_open(2, 5000);
    struct ca_result result;
    warm_up(stage, 2);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_OK);
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(put_text(stage->ca, "two", NULL, &result) == CA_OK);
    CHECK(put_text(stage->ca, "three", NULL, &result) == CA_OK);
    CHECK(result.id == 3 && stage->log.last_id == 3);
    stage_close(stage);
}

static void a_refusal_after_silence_is_open(void **state)
{
    struct stage *stage = stage_open(2, 5000);
    struct ca_result result;
    warm_up(stage, 2);
    atomic_store(&stage->nodes[0].mute_puts, true);
    atomic_store(&stage->nodes[1].refuse, ERR_DENIED);
    enum ca_code code = put_text(stage->ca, "one", NULL, &result);
    int seen = atomic_load(&stage->nodes[0].puts_seen);
    CHECK(code == (seen > 0 ? CA_OPEN : CA_REFUSED));
    CHECK(strcmp(result.error.name, "E_DENIED") == 0);
    CHECK(strcmp(result.error.detail, "as the test wants it") == 0);
    stage_close(stage);
}

static void a_refusal_is_told_with_its_words(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    atomic_store(&stage->nodes[0].refuse, ERR_DENIED);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_REFUSED);
    CHECK(result.attempts == 1);
    CHECK(strcmp(ca_last_error(stage->ca)->name, "E_DENIED") == 0);
    stage_close(stage);
}

static void no_leader_until_the_deadline_is_told_as_such(void **state)
{
    struct stage *stage = stage_open(2, 400);
    struct ca_result result;
    atomic_store(&stage->nodes[0].refuse, ERR_NO_LEADER);
    atomic_store(&stage->nodes[1].refuse, ERR_NO_LEADER);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_NO_LEADER);
    CHECK(result.attempts > 1);
    stage_close(stage);
}

static void silence_until_the_deadline_is_open(void **state)
{
    struct stage *stage = stage_open(1, 500);
    struct ca_result result;
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(put_text(stage->ca, "one", NULL, &result) == CA_OPEN);
    CHECK(result.attempts >= 2 && stage->log.last_id == 1);
    stage_close(stage);
}

static void without_a_node_nothing_was_written(void **state)
{
    const char *endpoint = "tcp://127.0.0.1:1";
    struct ca_options options = {.timeout_ms = 150};
    struct ca_result result;
    struct ca *ca;
    CHECK(ca_open(&endpoint, 1, &options, &ca) == CA_OK);
    CHECK(put_text(ca, "one", NULL, &result) == CA_TIMEOUT);
    CHECK(result.attempts == 0);
    ca_close(ca);
}

static void a_killed_node_is_left_before_patience_ends(void **state)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_result result;
    warm_up(stage, 2);
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "before", NULL, NULL) == CA_OK);
    bool first = atomic_load(&stage->nodes[0].puts_seen) > 0;
    fake_stop(&stage->nodes[first ? 0 : 1]);
    CHECK(put_text(stage->ca, "after", NULL, &result) == CA_OK);
    CHECK(result.id == 4 && stage->log.last_id == 4);
    stage_close(stage);
}

static void a_node_of_another_cluster_is_not_used(void **state)
{
    struct stage *stage = stage_open(2, 1000);
    atomic_store(&stage->nodes[1].foreign, true);
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "x", NULL, NULL) == CA_OK);
    int first = atomic_load(&stage->nodes[0].puts_seen);
    CHECK(first == 0 || first == 5); /* one of them, whichever said hello first */
    stage_close(stage);
}

static void pipelined_puts_come_back_with_their_tokens(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    bool seen[100] = {0};
    uint32_t count = 0;
    struct ca_result result;
    for (uintptr_t i = 0; i < 100; i++) {
        struct ca_change change = {.data = {"x", 1}};
        CHECK(ca_put_begin(stage->ca, NULL, &change, 1, (void *)i, NULL) == CA_OK);
    }
    while (count < 100) {
        ca_poll(stage->ca, 100);
        while (ca_next(stage->ca, &result) == CA_OK) {
            CHECK(result.error.code == CA_OK && !seen[(uintptr_t)result.token]);
            CHECK(result.id == (uintptr_t)result.token + 1); /* the order of one connection */
            seen[(uintptr_t)result.token] = true;
            count++;
        }
    }
    CHECK(ca_outstanding(stage->ca) == 0);
    stage_close(stage);
}

static void results_that_come_in_between_delay_no_other_put(void **state)
{
    struct stage *stage = stage_open(1, 3000);
    struct ca_result result;
    uint32_t begun = 0, done = 0;
    while (done < 2000) {
        struct ca_change change = {.data = {"x", 1}};
        while (begun < 2000 && begun - done < 20) {
            CHECK(ca_put_begin(stage->ca, NULL, &change, 1, NULL, NULL) == CA_OK);
            begun++;
        }
        ca_poll(stage->ca, 100);
        for (; ca_next(stage->ca, &result) == CA_OK; done++)
            CHECK(result.error.code == CA_OK && result.attempts == 1);
    }
    stage_close(stage);
}

static void a_cancelled_put_that_was_sent_is_open(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_result result;
    struct ca_change change = {.data = {"x", 1}};
    uint64_t number;
    atomic_store(&stage->nodes[0].mute_puts, true);
    CHECK(ca_put_begin(stage->ca, NULL, &change, 1, NULL, &number) == CA_OK);
    while (atomic_load(&stage->nodes[0].puts_seen) == 0)
        ca_poll(stage->ca, 10);
    CHECK(ca_cancel(stage->ca, number) == CA_OK);
    CHECK(ca_next(stage->ca, &result) == CA_OK && result.error.code == CA_OPEN);
    CHECK(ca_cancel(stage->ca, number) == CA_NOT_FOUND);
    stage_close(stage);
}

static void a_named_write_is_done_once_by_whomever(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_change change = {.data = {"x", 1}};
    struct ca_write write;
    struct ca_result result;
    CHECK(ca_write_new(stage->ca, &write) == CA_OK);
    CHECK(ca_put_named(stage->ca, &write, &change, 1, &result) == CA_OK && result.id == 1);
    CHECK(ca_put_named(stage->ca, &write, &change, 1, &result) == CA_OK && result.id == 1);
    CHECK(stage->log.last_id == 1);
    stage_close(stage);
}

static void wrong_parameters_are_not_sent(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    const char *bad = "redis://x", *empty = "";
    struct ca_change change = {.tags = &empty, .tag_count = 1};
    struct ca *ca;
    CHECK(ca_open(&bad, 1, NULL, &ca) == CA_USAGE && ca == NULL);
    CHECK(ca_open(&bad, 0, NULL, &ca) == CA_USAGE);
    CHECK(ca_put(stage->ca, &change, 1, NULL) == CA_USAGE);
    CHECK(ca_put(stage->ca, &change, 0, NULL) == CA_USAGE);
    CHECK(ca_put_body(stage->ca, NULL, (struct ca_bytes){"\xc1", 1}, NULL, NULL) == CA_USAGE);
    CHECK(atomic_load(&stage->nodes[0].puts_seen) == 0);
    stage_close(stage);
}

static void a_follower_gets_everything_in_order(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "old", "red", NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    for (uint64_t id = 1; id <= 5; id++)
        CHECK(next_is(follow, id));
    CHECK(becomes_live(follow));
    int lists = atomic_load(&stage->nodes[0].lists_seen);
    for (uint64_t id = 6; id <= 20; id++) {
        CHECK(put_text(stage->ca, "new", "red", NULL) == CA_OK);
        CHECK(next_is(follow, id));
    }
    CHECK(atomic_load(&stage->nodes[0].lists_seen) == lists); /* all from the stream */
    CHECK(strncmp(ca_follow_cursor(follow), "ca1.", 4) == 0);
    stage_close(stage);
}

static void lost_events_are_healed(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {.now = true};
    struct ca_follow *follow;
    CHECK(put_text(stage->ca, "old", NULL, NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(becomes_live(follow));
    atomic_store(&stage->nodes[0].lose_events, 3);
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "new", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 6; id++)
        CHECK(next_is(follow, id));
    CHECK(ca_follow_healed(follow) == 1);
    atomic_store(&stage->nodes[0].lose_events, 1); /* the last one: only progress tells */
    CHECK(put_text(stage->ca, "last", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 7));
    CHECK(ca_follow_healed(follow) == 2);
    stage_close(stage);
}

static void tags_are_followed_any_of_in_order(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    const char *tags[] = {"red", "blue"}, *all[] = {"red", "green", "blue"};
    struct ca_follow_options options = {.tags = tags, .tag_count = 2};
    struct ca_follow *follow, *one;
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    options.tag_count = 1;
    CHECK(ca_follow_open(stage->ca, &options, &one) == CA_OK);
    CHECK(becomes_live(follow) && becomes_live(one));
    for (int i = 0; i < 9; i++)
        CHECK(put_text(stage->ca, "new", all[i % 3], NULL) == CA_OK);
    for (uint64_t id = 1; id <= 9; id++)
        CHECK(id % 3 == 2 || next_is(follow, id));
    CHECK(next_is(one, 1) && next_is(one, 4) && next_is(one, 7));
    ca_follow_close(follow);
    stage_close(stage);
}

static void a_silent_node_is_left_without_a_gap(void **state)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    warm_up(stage, 2);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(put_text(stage->ca, "one", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 1) && becomes_live(follow));
    for (int i = 0; i < 2; i++) { /* whichever it follows loses all from here on */
        atomic_store(&stage->nodes[i].no_progress, i == 0);
        atomic_store(&stage->nodes[i].lose_events, i == 0 ? 1000 : 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "more", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 4; id++)
        CHECK(next_is(follow, id));
    stage_close(stage);
}

static void a_follower_goes_on_after_its_node_was_killed(void **state)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    warm_up(stage, 2);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(put_text(stage->ca, "one", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 1) && becomes_live(follow));
    fake_stop(&stage->nodes[0]);
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "more", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 4; id++)
        CHECK(next_is(follow, id));
    stage_close(stage);
}

static void a_follower_resumes_at_its_cursor(void **state)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    char cursor[256];
    for (int i = 0; i < 4; i++)
        CHECK(put_text(stage->ca, "x", NULL, NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(next_is(follow, 1) && next_is(follow, 2));
    snprintf(cursor, sizeof cursor, "%s", ca_follow_cursor(follow));
    ca_follow_close(follow);
    options.cursor = cursor;
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(next_is(follow, 3) && next_is(follow, 4));
    options.cursor = "nonsense";
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_USAGE);
    stage_close(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_can_be_read_back),
        cmocka_unit_test(a_list_gives_rows_in_order),
        cmocka_unit_test(an_unanswered_put_is_sent_to_another_node_and_done_once),
        cmocka_unit_test(a_refusal_after_silence_is_open),
        cmocka_unit_test(a_refusal_is_told_with_its_words),
        cmocka_unit_test(no_leader_until_the_deadline_is_told_as_such),
        cmocka_unit_test(silence_until_the_deadline_is_open),
        cmocka_unit_test(without_a_node_nothing_was_written),
        cmocka_unit_test(a_killed_node_is_left_before_patience_ends),
        cmocka_unit_test(a_node_of_another_cluster_is_not_used),
        cmocka_unit_test(pipelined_puts_come_back_with_their_tokens),
        cmocka_unit_test(results_that_come_in_between_delay_no_other_put),
        cmocka_unit_test(a_cancelled_put_that_was_sent_is_open),
        cmocka_unit_test(a_named_write_is_done_once_by_whomever),
        cmocka_unit_test(wrong_parameters_are_not_sent),
        cmocka_unit_test(a_follower_gets_everything_in_order),
        cmocka_unit_test(lost_events_are_healed),
        cmocka_unit_test(tags_are_followed_any_of_in_order),
        cmocka_unit_test(a_silent_node_is_left_without_a_gap),
        cmocka_unit_test(a_follower_goes_on_after_its_node_was_killed),
        cmocka_unit_test(a_follower_resumes_at_its_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
