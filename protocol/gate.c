/* gate.c - RFC 27 by hand: one REP socket, seven frames in, six frames out. */
#include "protocol/gate.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

enum {
    ENFORCE_DOMAIN = 93, /* ZMQ_ZAP_ENFORCE_DOMAIN: a draft name, but the number works */
    REQUEST_FRAMES = 7,
    FRAME_MAX = 256,
    HANDSHAKE_MS = 5000,
    SETTLE_MS = HANDSHAKE_MS + 500,
};

/* One ZAP request: frames longer than FRAME_MAX were cut, which no accepted one is. */
struct request {
    uint8_t at[REQUEST_FRAMES][FRAME_MAX];
    size_t size[REQUEST_FRAMES];
    int count;
};

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIAL };

static bool receive(void *socket, struct request *request)
{
    request->count = 0;
    for (int more = 1; more;) {
        uint8_t extra[FRAME_MAX];
        bool fits = request->count < REQUEST_FRAMES;
        int size =
            zmq_recv(socket, fits ? request->at[request->count] : extra, FRAME_MAX, ZMQ_DONTWAIT);
        size_t option_size = sizeof more;
        if (size < 0)
            return false;
        if (fits)
            request->size[request->count++] = (size_t)size;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &option_size);
    }
    return true;
}

static bool frame_is(const struct request *request, int frame, const char *text)
{
    return frame < request->count && span_is(SPAN(request->at[frame], request->size[frame]), text);
}

static bool judge(const struct request *request)
{
    return frame_is(request, VERSION, "1.0") && frame_is(request, DOMAIN, GATE_CLIENT) &&
           frame_is(request, MECHANISM, "NULL");
}

/* "Temporary failure": the connection is closed in silence and the other side tries again. After
 * a 400 libzmq gives up for good, but a key may be allowed a moment later, by a hint. */
#define REFUSED "300"

static void reply(void *socket, const struct request *request, bool accepted)
{
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(socket, request->at[REQUEST_ID],
             request->count > REQUEST_ID ? request->size[REQUEST_ID] : 0, ZMQ_SNDMORE);
    zmq_send(socket, accepted ? "200" : REFUSED, 3, ZMQ_SNDMORE);
    zmq_send(socket, "", 0, ZMQ_SNDMORE); /* X7: no detail to strangers */
    zmq_send(socket, "", 0, ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0);
}

static uint32_t drain(void *owner)
{
    struct gate *gate = owner;
    struct request request;
    uint32_t found = 0;
    for (; receive(gate->socket, &request); found++) {
        bool accepted = judge(&request);
        reply(gate->socket, &request, accepted);
        gate->accepted += accepted;
        if (!accepted && gate->refused++ % 100 == 0)
            log_warn("connection_refused",
                     kv_span("address", SPAN(request.at[ADDRESS],
                                             request.count > ADDRESS ? request.size[ADDRESS] : 0)),
                     kv_u64("count", gate->refused));
    }
    return found;
}

/* Asks the handler for a domain that nobody has; it must refuse, or the gate is open. */
static enum err prove(struct gate *gate, void *context)
{
    static const char *const frames[REQUEST_FRAMES] = {"1.0", "1", "none", "proof", "", "NULL", ""};
    char status[8] = {0};
    void *probe = zmq_socket(context, ZMQ_REQ);
    int linger = 0;
    zmq_setsockopt(probe, ZMQ_LINGER, &linger, sizeof linger);
    enum err err = zmq_connect(probe, ZAP_ENDPOINT) == 0 ? ERR_NONE : ERR_SYSTEM;
    for (int i = 0; i < REQUEST_FRAMES && err == ERR_NONE; i++)
        if (zmq_send(probe, frames[i], strlen(frames[i]),
                     i + 1 < REQUEST_FRAMES ? ZMQ_SNDMORE : 0) < 0)
            err = ERR_SYSTEM;
    struct request request;
    if (err == ERR_NONE && receive(gate->socket, &request))
        reply(gate->socket, &request, judge(&request));
    for (int i = 0; i < 3 && err == ERR_NONE; i++)
        if (zmq_recv(probe, status, sizeof status - 1, ZMQ_DONTWAIT) < 0)
            err = ERR_SYSTEM;
    zmq_close(probe);
    return err == ERR_NONE && memcmp(status, REFUSED, 3) == 0 ? ERR_NONE : ERR_SYSTEM;
}

enum err gate_open(struct gate *gate, struct loop *loop, void *context)
{
    assert(gate->socket == NULL);
    gate->socket = zmq_socket(context, ZMQ_REP);
    if (gate->socket == NULL || zmq_bind(gate->socket, ZAP_ENDPOINT) != 0) {
        log_error("gate_failed", kv_text("text", zmq_strerror(errno)));
        return ERR_SYSTEM;
    }
    int linger = 0;
    zmq_setsockopt(gate->socket, ZMQ_LINGER, &linger, sizeof linger);
    gate->loop = loop;
    TRY(prove(gate, context));
    loop_add_socket(loop, gate->socket, drain, gate);
    return ERR_NONE;
}

void gate_close(struct gate *gate)
{
    if (gate->socket == NULL)
        return;
    if (gate->loop != NULL)
        loop_remove(gate->loop, gate);
    zmq_close(gate->socket);
    *gate = (struct gate){0};
}

enum err gate_guard(void *socket, const char *domain)
{
    int on = 1, handshake = HANDSHAKE_MS;
    int rc = zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
    rc |= zmq_setsockopt(socket, ENFORCE_DOMAIN, &on, sizeof on);
    rc |= zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &handshake, sizeof handshake);
    return rc == 0 ? ERR_NONE : ERR_SYSTEM; /* fail closed (X1) */
}

static void *open_monitor(void *context, void *socket, const char *name, int events)
{
    int linger = 0;
    if (zmq_socket_monitor(socket, name, events) != 0)
        return NULL;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (monitor == NULL || zmq_connect(monitor, name) != 0) {
        zmq_close(monitor);
        return NULL;
    }
    zmq_setsockopt(monitor, ZMQ_LINGER, &linger, sizeof linger);
    return monitor;
}

static bool take_event(void *monitor, uint16_t *event)
{
    uint8_t frame[6], address[FRAME_MAX];
    if (zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT) < 0)
        return false;
    if (zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT) < 0)
        return false;
    memcpy(event, frame, sizeof *event);
    return true;
}

/* ---- who knocks ------------------------------------------------------------------------------ */

/* Looks again when all that were accepted so far must have finished their handshake. */
static void settle_later(struct gate_watch *watch)
{
    watch->settling = true;
    watch->settled = watch->accepted;
    loop_move_timer(watch->loop, watch->timer, SETTLE_MS);
}

static uint32_t drain_watch(void *owner)
{
    struct gate_watch *watch = owner;
    uint16_t event;
    uint32_t found = 0;
    for (; found < LOOP_DRAIN_MAX && take_event(watch->monitor, &event); found++) {
        watch->accepted += event == ZMQ_EVENT_ACCEPTED;
        watch->greeted += event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    }
    if (watch->greeted == watch->accepted)
        watch->settling = false; /* no stranger among them, the usual case */
    else if (!watch->settling && watch->accepted > watch->settled)
        settle_later(watch);
    return found;
}

/* An event of a success does not say whose it is, so the sums are compared: whoever was accepted
 * a handshake's time ago has been greeted, or has been thrown out. Those greeted meanwhile can
 * only hide strangers for a while, never make one. */
static void settle(void *owner)
{
    struct gate_watch *watch = owner;
    uint64_t strangers = watch->settled > watch->greeted ? watch->settled - watch->greeted : 0;
    watch->settling = false;
    if (watch->accepted > watch->settled)
        settle_later(watch);
    if (strangers == 0 || strangers < 2 * watch->told)
        return;
    watch->told = strangers;
    log_warn("strangers_refused", kv_text("port", watch->port), kv_u64("count", strangers));
}

enum err gate_watch_open(struct gate_watch *watch, struct loop *loop, void *context, void *socket,
                         const char *port)
{
    char name[64];
    assert(watch->socket == NULL);
    watch->port = port;
    watch->loop = loop;
    watch->socket = socket;
    snprintf(name, sizeof name, "inproc://watch-%p", socket);
    watch->monitor =
        open_monitor(context, socket, name, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    if (watch->monitor == NULL)
        return ERR_SYSTEM;
    loop_add_socket(loop, watch->monitor, drain_watch, watch);
    watch->timer = loop_add_timer(loop, SETTLE_MS, 0, settle, watch);
    return ERR_NONE;
}

void gate_watch_close(struct gate_watch *watch)
{
    if (watch->monitor != NULL) {
        loop_remove(watch->loop, watch);
        zmq_socket_monitor(watch->socket, NULL, 0);
        zmq_close(watch->monitor);
    }
    *watch = (struct gate_watch){0};
}
