/* client_kit.h - two nodes and a handle of the library. */
#ifndef TESTS_UNIT_CLIENT_KIT_H
#define TESTS_UNIT_CLIENT_KIT_H
#include "client/changeagent.h"

#include "tests/unit/fakenode_kit.h"
#include "tests/unit/test.h"

struct stage {
    struct shared_log log;
    struct fake nodes[2];
    struct ca *ca;
};

static inline struct stage *stage_open(uint32_t nodes, uint32_t timeout_ms)
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

static inline void stage_close(struct stage *stage)
{
    ca_close(stage->ca);
    fake_stop(&stage->nodes[0]);
    fake_stop(&stage->nodes[1]);
    free(stage);
}

static inline enum ca_code put_text(struct ca *ca, const char *text, const char *tag,
                                    struct ca_result *result)
{
    struct ca_change change = {
        .data = {text, strlen(text)}, .tags = &tag, .tag_count = tag != NULL};
    return ca_put(ca, &change, 1, result);
}

/* Both nodes have answered a hello when both answer a status and a put went through. */
static inline void warm_up(struct stage *stage, uint32_t nodes)
{
    struct ca_status status;
    for (uint32_t i = 0; i < nodes; i++) {
        CHECK(ca_status(stage->ca, (int)i, &status) == CA_OK);
        ca_status_close(&status);
    }
}

#endif
