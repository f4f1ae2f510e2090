/* args_test.c - words and flags of the command line. */
#include "cmd/changeagent/args.c" /* the command line is in no archive */

#include "tests/unit/test.h"

#include <stdarg.h>

/* Two keys as CURVE makes them; both may begin as a flag does. */
#define ONE_DASH   "-K}Wc)-sD5ULW7%Sve/E<u5lKH.(n+W&KfNx=2m9"
#define TWO_DASHES "--=j^r5y6G[HCZY6H<bBYq08o?<u5lKH.(n+W&Kf"

static bool read_words(struct args *args, int count, ...)
{
    char *words[8];
    va_list list;
    va_start(list, count);
    for (int i = 0; i < count; i++)
        words[i] = va_arg(list, char *);
    va_end(list);
    *args = (struct args){0};
    return args_read(args, count, words);
}

TEST(a_key_is_a_word_whatever_it_begins_with)
{
    static const char *const keys[] = {ONE_DASH, TWO_DASHES};
    struct args args;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        CHECK(strlen(keys[i]) == 40);
        CHECK(read_words(&args, 4, "add", "tcp://10.0.0.4:7602", keys[i], "name=n4"));
        CHECK(args.word_count == 4 && strcmp(args.words[2], keys[i]) == 0);
        args_close(&args);
    }
}

TEST(what_is_no_key_and_begins_as_a_flag_must_be_one)
{
    struct args args;
    CHECK(!read_words(&args, 2, "add", "--nonsense"));
    args_close(&args);
    CHECK(!read_words(&args, 2, "add", "--=j^r5y6G[HCZY6H<bBYq08o?<u5lKH.(n+W&K")); /* 39 letters */
    args_close(&args);
    CHECK(read_words(&args, 3, "add", "--", "--nonsense") && args.word_count == 2);
    args_close(&args);
    /* forty letters that could be a key, but are a flag and its value */
    CHECK(read_words(&args, 1, "--endpoints=tcp://192.168.100.200:176000"));
    CHECK(args.word_count == 0 && args.endpoints.count == 1);
    args_close(&args);
}

TEST_MAIN(T(a_key_is_a_word_whatever_it_begins_with),
          T(what_is_no_key_and_begins_as_a_flag_must_be_one))
