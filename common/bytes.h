/* bytes.h - owned bytes, borrowed spans, shared blobs.
 *
 * The only place that allocates. Out of memory ends the process (the
 * supervisor starts it anew), but for `soft` bytes, which note the failure and
 * stay as they were: the client library uses those. */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KiB(n)          ((size_t)(n) << 10)
#define MiB(n)          ((size_t)(n) << 20)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes that belong to somebody else. */
struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN(ptr, length) ((struct span){(const uint8_t *)(ptr), (length)})
#define SPAN_TEXT(text)   SPAN(text, strlen(text))

/* Below, at or above 0, as memcmp; of two that begin alike the shorter one is below. */
static inline int span_compare(struct span a, struct span b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, SPAN_TEXT(text));
}

/* Bytes that grow. Zeroed is empty. */
struct bytes {
    uint8_t *data;
    size_t size, room;
    bool soft; /* an allocation failure sets `failed` instead of ending the process */
    bool failed;
};

void bytes_close(struct bytes *bytes);
void bytes_clear(struct bytes *bytes); /* keeps the room, forgets `failed` */

enum { BYTES_DROP_MIN = 64 << 10, BYTES_KEEP_ROOM = 1 << 20 };

/* For what is sent piece by piece: the first *gone bytes have left, and are dropped, so that *gone
 * is 0 then, where that moves no more bytes than have left; each is moved once, however slowly the
 * rest leaves. With all gone, room above BYTES_KEEP_ROOM is given back. */
void bytes_drop(struct bytes *bytes, size_t *gone);

/* Makes room for `more` bytes behind the present ones and lends the place;
 * NULL only for soft bytes. */
uint8_t *bytes_reserve(struct bytes *bytes, size_t more);
void bytes_append(struct bytes *bytes, const void *data, size_t size);
void bytes_append_span(struct bytes *bytes, struct span span);

static inline struct span bytes_span(const struct bytes *bytes)
{
    return SPAN(bytes->data, bytes->size);
}

/* Plain memory; never NULL. bytes_zeroed gives zeroed memory. */
void *bytes_zeroed(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *bytes_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
void bytes_free(void *memory);

/* What was freed goes back to the system, of all threads: half a millisecond to one (measured). */
void bytes_give_back(void);

/* Bytes shared between threads, freed with the last holder. Immutable once shared. */
struct blob {
    uint32_t holders; /* atomic */
    uint32_t size;
    uint8_t data[];
};

struct blob *blob_copy(struct span span);  /* gives; one holder */
struct blob *blob_hold(struct blob *blob); /* one more holder */
void blob_release(struct blob *blob);      /* NULL is fine */

static inline struct span blob_span(const struct blob *blob)
{
    return SPAN(blob->data, blob->size);
}

/* Little-endian numbers at any address. */
static inline uint16_t load_u16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint32_t load_u32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint64_t load_u64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline void save_u16(void *at, uint16_t v)
{
    memcpy(at, &v, sizeof v);
}

static inline void save_u32(void *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static inline void save_u64(void *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are little-endian; a big-endian machine needs swaps in bytes.h"
#endif

#endif
