/* message_fuzz.c - hostile frames against the codec: no crash, and what is taken survives a
 * second trip. */
#include "protocol/message.h"

#include "protocol/wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again_as_array(struct span frame)
{
    SCOPED(bytes) out = {0};
    struct message message, back;
    if (message_decode(frame, &message) != ERR_NONE)
        return;
    message_encode(&message, &out);
    enum err err = message_decode(bytes_span(&out), &back);
    assert(err == ERR_NONE && back.type == message.type);
}

static void again_as_map(struct span frame)
{
    SCOPED(bytes) out = {0};
    struct message message, back;
    const char *field;
    if (message_decode_map(frame, &message, &field) != ERR_NONE)
        return;
    message_encode_map(&message, &out);
    enum err err = message_decode_map(bytes_span(&out), &back, NULL);
    assert(err == ERR_NONE && back.type == message.type && back.request == message.request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span frame = SPAN(data, size);
    bool sound = wire_check(frame) == ERR_NONE;
    assert(!sound || wire_size(frame) == size);
    again_as_array(frame);
    again_as_map(frame);
    return 0;
}
