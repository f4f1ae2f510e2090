/* txid_test.c - names that nobody draws twice, not even a process and its child. */
#include "client/txid.h"

#include "tests/unit/test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 16, COUNT = 1000 };

static int order(const void *a, const void *b)
{
    return memcmp(a, b, SIZE);
}

static bool all_differ(uint8_t names[][SIZE], size_t count)
{
    qsort(names, count, SIZE, order);
    for (size_t i = 1; i < count; i++)
        if (memcmp(names[i - 1], names[i], SIZE) == 0)
            return false;
    return true;
}

static void draw_all(struct txid_pool *pool, uint8_t names[][SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++)
        txid_draw(pool, names[i], SIZE);
}

TEST(no_name_is_drawn_twice)
{
    static uint8_t names[COUNT][SIZE];
    struct txid_pool *pool = txid_open();
    draw_all(pool, names, COUNT);
    CHECK(all_differ(names, COUNT));
    txid_close(pool);
    draw_all(NULL, names, COUNT);
    CHECK(all_differ(names, COUNT));
}

TEST(a_child_draws_others_than_its_parent)
{
    static uint8_t names[2 * COUNT][SIZE];
    struct txid_pool *pool = txid_open();
    int pipe_ends[2], code;
    CHECK(pool != NULL && pipe(pipe_ends) == 0);
    draw_all(pool, names, 1); /* it is full of what neither has drawn yet */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        draw_all(pool, names, COUNT);
        _exit(write(pipe_ends[1], names, COUNT * SIZE) == COUNT * SIZE ? 0 : 1);
    }
    draw_all(pool, names, COUNT);
    CHECK(read(pipe_ends[0], (uint8_t *)names + COUNT * SIZE, COUNT * SIZE) == COUNT * SIZE);
    CHECK(waitpid(child, &code, 0) == child && code == 0);
    CHECK(all_differ(names, 2 * COUNT));
    txid_close(pool);
}

TEST_MAIN(T(no_name_is_drawn_twice), T(a_child_draws_others_than_its_parent))
