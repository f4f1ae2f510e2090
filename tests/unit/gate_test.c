/* gate_test.c - a guarded socket whose handler is gone. */
#include "protocol/gate.h"

#include "tests/unit/test.h"

#include <zmq.h>

static void *context;

/* Z1: with the handler gone, a guarded socket lets nobody in. */
TEST(a_gate_without_a_handler_is_closed)
{
    struct loop loop = {0};
    struct gate gate = {0};
    char bound[256], byte;
    size_t size = sizeof bound;
    int timeout = 300, linger = 0;
    CHECK(gate_open(&gate, &loop, context) == ERR_NONE);
    void *server = zmq_socket(context, ZMQ_ROUTER), *client = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(server, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(server, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    CHECK(gate_guard(server, GATE_CLIENT) == ERR_NONE);
    CHECK(zmq_bind(server, "tcp://127.0.0.1:*") == 0);
    zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, bound, &size);
    gate_close(&gate);
    CHECK(zmq_connect(client, bound) == 0);
    zmq_send(client, "x", 1, ZMQ_DONTWAIT);
    CHECK(zmq_recv(server, &byte, 1, 0) < 0);
    zmq_close(client);
    zmq_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(a_gate_without_a_handler_is_closed)};
    context = zmq_ctx_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    zmq_ctx_term(context);
    return failed;
}
