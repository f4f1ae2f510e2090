/* channel_test.c - frames in pieces, large ones, ends that do not read, ends that are gone. */
#include "protocol/channel.h"

#include "common/clock.h"
#include "protocol/message.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;
static uint32_t drains;

static uint32_t drain(void *owner)
{
    (void)owner;
    drains++;
    return 0;
}

static struct channel opened(int fd)
{
    struct channel channel = {0};
    channel_open(&channel, &loop, fd, drain, NULL);
    return channel;
}

/* A channel, and the bare descriptor of the other end. */
static struct channel facing(int *other)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    loop = (struct loop){0};
    *other = ends[1];
    return opened(ends[0]);
}

static void say(struct channel *channel, struct span body)
{
    bytes_append_span(channel_begin(channel), body);
    channel_end(channel);
}

TEST(a_frame_that_comes_byte_by_byte_is_whole_in_the_end)
{
    static const char frame[] = "chn1\3\0\0\0abcchn1\0\0\0\0";
    int other;
    bool more;
    struct channel channel = facing(&other);
    uint32_t found = 0;
    for (size_t i = 0; i < sizeof frame - 1; i++) {
        size_t at = 0;
        struct span body;
        CHECK(write(other, frame + i, 1) == 1);
        CHECK(channel_receive(&channel, &more) == ERR_NONE);
        CHECK(!more);
        if (channel_next(&channel, &at, &body) == ERR_NONE) {
            CHECK(span_is(body, found++ == 0 ? "abc" : ""));
            CHECK(i == 10 || i == 18);
        }
        channel_forget(&channel, at);
    }
    CHECK(found == 2 && channel.in.size == 0);
    channel_close(&channel);
    close(other);
}

TEST(several_frames_are_taken_from_one_read)
{
    int other;
    bool more;
    size_t at = 0;
    struct span body;
    struct channel channel = facing(&other), far = opened(other);
    for (const char *word = "abc"; *word != 0; word++)
        say(&far, SPAN(word, 1));
    CHECK(channel_push(&far) == ERR_NONE);
    CHECK(channel_receive(&channel, &more) == ERR_NONE);
    for (const char *word = "abc"; *word != 0; word++) {
        CHECK(channel_next(&channel, &at, &body) == ERR_NONE);
        CHECK(span_equal(body, SPAN(word, 1)));
    }
    CHECK(channel_next(&channel, &at, &body) == ERR_NOT_FOUND);
    channel_close(&channel);
    channel_close(&far);
}

TEST(the_beginning_of_a_frame_waits_behind_a_whole_one)
{
    int other;
    bool more;
    size_t at = 0;
    struct span body;
    struct channel channel = facing(&other);
    CHECK(write(other, "chn1\1\0\0\0achn1\2\0\0\0b", 18) == 18);
    CHECK(channel_receive(&channel, &more) == ERR_NONE);
    CHECK(channel_next(&channel, &at, &body) == ERR_NONE && span_is(body, "a"));
    CHECK(channel_next(&channel, &at, &body) == ERR_NOT_FOUND);
    channel_forget(&channel, at);
    at = 0;
    CHECK(write(other, "c", 1) == 1);
    CHECK(channel_receive(&channel, &more) == ERR_NONE);
    CHECK(channel_next(&channel, &at, &body) == ERR_NONE && span_is(body, "bc"));
    channel_close(&channel);
    close(other);
}

TEST(what_is_no_frame_is_said_to_be_none)
{
    static const char *const wrong[] = {"HTTP/1.0", "chn2\1\0\0\0", "chn1\0\0\xa0\1"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        int other;
        bool more;
        size_t at = 0;
        struct span body;
        struct channel channel = facing(&other);
        CHECK(write(other, wrong[i], 8) == 8);
        CHECK(channel_receive(&channel, &more) == ERR_NONE);
        CHECK(channel_next(&channel, &at, &body) == ERR_BAD_MESSAGE);
        channel_close(&channel);
        close(other);
    }
}

/* More than the kernel holds for a socket: in pieces, and the loop is woken when there is room. */
TEST(a_large_frame_goes_through_in_pieces)
{
    int other;
    struct channel channel = facing(&other), far = opened(other);
    uint8_t *large = bytes_zeroed(FRAME_BYTES_MAX, 1);
    struct span body;
    enum err err;
    for (size_t i = 0; i < FRAME_BYTES_MAX; i++)
        large[i] = (uint8_t)(i * 31 + i / 977);
    say(&far, SPAN(large, FRAME_BYTES_MAX));
    CHECK(channel_push(&far) == ERR_NONE);
    CHECK(far.stuck);
    uint64_t until_ms = clock_now_ms() + 10000;
    for (size_t at = 0; (err = channel_next(&channel, &at, &body)) == ERR_NOT_FOUND; at = 0) {
        bool more = true;
        CHECK(clock_now_ms() < until_ms);
        while (more)
            CHECK(channel_receive(&channel, &more) == ERR_NONE);
        drains = 0;
        loop_turn(&loop, 1000); /* at once: there is room */
        CHECK(channel_push(&far) == ERR_NONE);
    }
    CHECK(err == ERR_NONE && span_equal(body, SPAN(large, FRAME_BYTES_MAX)));
    CHECK(!far.stuck && far.out.room == 0);
    bytes_free(large);
    channel_close(&channel);
    channel_close(&far);
}

TEST(what_waits_is_bounded)
{
    int other;
    struct channel channel = facing(&other);
    uint8_t *large = bytes_zeroed(MiB(8), 1);
    uint32_t sent = 0;
    while (channel_has_room(&channel) == ERR_NONE) {
        say(&channel, SPAN(large, MiB(8)));
        CHECK(channel_push(&channel) == ERR_NONE);
        CHECK(++sent < 20);
    }
    CHECK(channel_has_room(&channel) == ERR_BUSY);
    CHECK(channel.out.size < CHANNEL_WAITING_MAX + MiB(9));
    bytes_free(large);
    channel_close(&channel);
    close(other);
}

TEST(an_end_that_is_gone_is_closed_to_both)
{
    int other;
    bool more;
    struct channel channel = facing(&other);
    CHECK(write(other, "chn1\0\0\0\0", 8) == 8);
    close(other);
    CHECK(channel_receive(&channel, &more) == ERR_NONE); /* its last words first */
    CHECK(channel.in.size == 8);
    CHECK(channel_receive(&channel, &more) == ERR_CLOSED);
    say(&channel, SPAN_TEXT("x"));
    CHECK(channel_push(&channel) == ERR_CLOSED);
    channel_close(&channel);
    channel_close(&channel);
}

TEST(a_socket_left_by_a_dead_process_is_taken_over)
{
    char dir[] = "/tmp/channel-XXXXXX", path[64];
    int first, second, near, far;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a.ipc", dir);
    CHECK(channel_connect(path, &near) == ERR_CLOSED); /* nothing there yet */
    CHECK(channel_listen(path, &first) == ERR_NONE);
    close(first);
    CHECK(channel_connect(path, &near) == ERR_CLOSED); /* a name, and nobody behind it */
    CHECK(channel_listen(path, &second) == ERR_NONE);
    CHECK(channel_accept(second, &far) == ERR_NOT_FOUND);
    CHECK(channel_connect(path, &near) == ERR_NONE);
    CHECK(channel_accept(second, &far) == ERR_NONE);
    close(near);
    close(far);
    close(second);
    unlink(path);
    rmdir(dir);
}

TEST(a_path_that_is_too_long_is_an_error)
{
    char path[200];
    int fd;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    CHECK(channel_listen(path, &fd) == ERR_SYSTEM && errno == ENAMETOOLONG);
    CHECK(channel_connect(path, &fd) == ERR_CLOSED);
}

TEST_MAIN(T(a_frame_that_comes_byte_by_byte_is_whole_in_the_end),
          T(several_frames_are_taken_from_one_read),
          T(the_beginning_of_a_frame_waits_behind_a_whole_one),
          T(what_is_no_frame_is_said_to_be_none), T(a_large_frame_goes_through_in_pieces),
          T(what_waits_is_bounded), T(an_end_that_is_gone_is_closed_to_both),
          T(a_socket_left_by_a_dead_process_is_taken_over), T(a_path_that_is_too_long_is_an_error))
