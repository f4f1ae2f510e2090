/* bytes.c - allocation, in one place. */
#include "common/bytes.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { GIVE_BACK_KEEP = 1 << 20 };

static _Noreturn void exhausted(void)
{
    fputs("error event=out_of_memory\n", stderr);
    _Exit(111);
}

void bytes_close(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){.soft = bytes->soft};
}

void bytes_clear(struct bytes *bytes)
{
    bytes->size = 0;
    bytes->failed = false;
}

void bytes_drop(struct bytes *bytes, size_t *gone)
{
    assert(*gone <= bytes->size);
    size_t left = bytes->size - *gone;
    if (left > 0 && (*gone < BYTES_DROP_MIN || *gone < left))
        return;
    if (left > 0)
        memmove(bytes->data, bytes->data + *gone, left);
    bytes->size = left;
    *gone = 0;
    if (left == 0 && bytes->room > BYTES_KEEP_ROOM)
        bytes_close(bytes);
}

uint8_t *bytes_reserve(struct bytes *bytes, size_t more)
{
    if (bytes->room - bytes->size < more) {
        size_t room = bytes->room * 2 > bytes->size + more ? bytes->room * 2 : bytes->size + more;
        if (room < 256)
            room = 256;
        uint8_t *data = realloc(bytes->data, room);
        if (data == NULL) {
            if (!bytes->soft)
                exhausted();
            bytes->failed = true;
            return NULL;
        }
        bytes->data = data;
        bytes->room = room;
    }
    return bytes->data + bytes->size;
}

void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *place = bytes_reserve(bytes, size);
    if (place == NULL)
        return;
    memcpy(place, data, size);
    bytes->size += size;
}

void bytes_append_span(struct bytes *bytes, struct span span)
{
    bytes_append(bytes, span.data, span.size);
}

void *bytes_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory == NULL)
        exhausted();
    return memory;
}

void *bytes_resize(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        exhausted();
    void *memory = realloc(old, total ? total : 1);
    if (memory == NULL)
        exhausted();
    return memory;
}

void bytes_free(void *memory)
{
    free(memory);
}

void bytes_give_back(void)
{
    malloc_trim(GIVE_BACK_KEEP);
}

struct blob *blob_copy(struct span span)
{
    assert(span.size <= UINT32_MAX);
    struct blob *blob = malloc(sizeof *blob + span.size);
    if (blob == NULL)
        exhausted();
    blob->holders = 1;
    blob->size = (uint32_t)span.size;
    if (span.size > 0)
        memcpy(blob->data, span.data, span.size);
    return blob;
}

struct blob *blob_hold(struct blob *blob)
{
    __atomic_add_fetch(&blob->holders, 1, __ATOMIC_RELAXED);
    return blob;
}

void blob_release(struct blob *blob)
{
    if (blob != NULL && __atomic_sub_fetch(&blob->holders, 1, __ATOMIC_ACQ_REL) == 0)
        free(blob);
}
