/* options_test.c - each kind of mistake in a file or a flag is an error that names the key. */
#include "common/options.h"

#include "common/bytes.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct sample {
    const char *data, *listen;
    uint64_t heartbeat_ms;
    bool plain;
    struct option_list members;
};

#define OPTION(section, name, kind, preset, min, max)                                       \
    {                                                                                       \
        section, #name, kind, offsetof(struct sample, name), preset, min, max, "a sentence" \
    }

static const struct option node[] = {OPTION("node", data, OPTION_TEXT, "here", 0, 0), OPTION_END};
static const struct option own[] = {
    OPTION("consensus", listen, OPTION_ENDPOINT, "tcp://127.0.0.1:1", 0, 0),
    OPTION("consensus", heartbeat_ms, OPTION_U64, "100", 10, 1000),
    OPTION("consensus", plain, OPTION_FLAG, "no", 0, 0),
    {"consensus", "member", OPTION_LIST, offsetof(struct sample, members), NULL, 0, 0, "a list"},
    OPTION_END,
};
static const struct option *const tables[] = {node, own, NULL};

static char said[4096];

/* Reads a file of this text with these flags; what was said on stderr is in `said`. */
static enum err attempt(const char *text, struct sample *sample, int flag_count,
                        const char *const *flags)
{
    char path[] = "/tmp/options-test-XXXXXX", log[] = "/tmp/options-said-XXXXXX";
    char *argv[16] = {(char *)"test", (char *)"--config", path};
    int argc = 3;
    bool done;
    int fd = mkstemp(path), log_fd = mkstemp(log), old = dup(STDERR_FILENO);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    for (int i = 0; i < flag_count; i++)
        argv[argc++] = strdup(flags[i]);
    memset(sample, 0, sizeof *sample);
    dup2(log_fd, STDERR_FILENO);
    enum err err = options_read(tables, "test", "about", argc, argv, sample, &done);
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    memset(said, 0, sizeof said);
    CHECK(pread(log_fd, said, sizeof said - 1, 0) >= 0);
    for (int i = 3; i < argc; i++)
        free(argv[i]);
    close(log_fd);
    close(old);
    unlink(path);
    unlink(log);
    return err;
}

static enum err read_text(const char *text, struct sample *sample)
{
    return attempt(text, sample, 0, NULL);
}

TEST(a_good_file_is_read_and_presets_stay)
{
    struct sample sample;
    CHECK(read_text("# a comment\nnode\n    data = \"/x y\"\nconsensus\n    heartbeat_ms = 50\n"
                    "    plain = yes\n    member = \"a\"\n    member = \"b\"\n"
                    "storage\n    anything = 1\n",
                    &sample) == ERR_NONE);
    CHECK(strcmp(sample.data, "/x y") == 0 && sample.heartbeat_ms == 50 && sample.plain);
    CHECK(strcmp(sample.listen, "tcp://127.0.0.1:1") == 0);
    CHECK(sample.members.count == 2 && strcmp(sample.members.at[1], "b") == 0);
    options_release();
}

TEST(a_flag_beats_the_file)
{
    struct sample sample;
    const char *const flags[] = {"--heartbeat-ms", "70"};
    CHECK(attempt("consensus\n    heartbeat_ms = 50\n", &sample, 2, flags) == ERR_NONE);
    CHECK(sample.heartbeat_ms == 70);
    options_release();
}

static void refused(const char *text, const char *key, const char *line)
{
    struct sample sample;
    CHECK(read_text(text, &sample) == ERR_CONFIG);
    CHECK(strstr(said, key) != NULL);
    CHECK(strstr(said, line) != NULL);
    options_release();
}

TEST(each_mistake_names_its_key_and_line)
{
    refused("consensus\n    hartbeat_ms = 50\n", "consensus/hartbeat_ms", ":2:");
    refused("consensus\n    plain = no\n    heartbeat_ms = 5\n", "consensus/heartbeat_ms", ":3:");
    refused("consensus\n    heartbeat_ms = fast\n", "consensus/heartbeat_ms", ":2:");
    refused("consensus\n    heartbeat_ms = -1\n", "consensus/heartbeat_ms", ":2:");
    refused("consensus\n    plain = maybe\n", "consensus/plain", ":2:");
    refused("consensus\n    listen = \"127.0.0.1\"\n", "consensus/listen", ":2:");
    refused("consensus\n    plain = no\n    plain = yes\n", "consensus/plain", ":3:");
    refused("consensus\n    heartbeat_ms\n", "consensus/heartbeat_ms", ":2:");
    refused("consensos\n    heartbeat_ms = 50\n", "consensos", ":1:");
    refused("heartbeat_ms = 50\n", "heartbeat_ms", ":1:");
    refused("consensus = 1\n", "consensus", ":1:");
    refused("consensus\n    heartbeat_ms = 50\n        deeper = 1\n", "consensus/heartbeat_ms",
            ":2:");
}

TEST(a_missing_file_is_an_error)
{
    struct sample sample = {0};
    char *argv[] = {(char *)"test", (char *)"--config", (char *)"/does/not/exist"};
    bool done;
    CHECK(options_read(tables, "test", "about", 3, argv, &sample, &done) == ERR_CONFIG);
    options_release();
}

TEST(unknown_and_bare_flags_are_errors)
{
    struct sample sample;
    const char *const unknown[] = {"--speed", "9"};
    const char *const bare[] = {"--heartbeat-ms"};
    const char *const word[] = {"heartbeat", "9"};
    CHECK(attempt("", &sample, 2, unknown) == ERR_CONFIG);
    CHECK(attempt("", &sample, 1, bare) == ERR_CONFIG);
    CHECK(attempt("", &sample, 2, word) == ERR_CONFIG);
    options_release();
}

/* Garbage is an error or settings, never a crash. */
TEST(garbage_is_refused)
{
    struct sample sample;
    unsigned seed = 1;
    for (int round = 0; round < 200; round++) {
        char text[200];
        for (size_t i = 0; i + 1 < sizeof text; i++) {
            seed = seed * 1103515245u + 12345;
            text[i] = (char)(1 + (seed >> 16) % 127);
        }
        text[sizeof text - 1] = '\0';
        enum err err = read_text(text, &sample);
        CHECK(err == ERR_CONFIG || err == ERR_NONE);
    }
    options_release();
}

TEST_MAIN(T(a_good_file_is_read_and_presets_stay), T(a_flag_beats_the_file),
          T(each_mistake_names_its_key_and_line), T(a_missing_file_is_an_error),
          T(unknown_and_bare_flags_are_errors), T(garbage_is_refused))
