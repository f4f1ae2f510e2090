/* log.c - formats a line and writes it with one call, so that lines of several
 * processes on one descriptor do not mix. */
#include "common/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const names[] = {"error", "warn", "info", "debug"};
static const char *process_name = "-";
static enum log_level level_max = LOG_INFO;

struct line {
    char at[LINE_MAX_BYTES];
    size_t size;
};

static void put_char(struct line *line, char c)
{
    if (line->size < sizeof line->at - 1)
        line->at[line->size++] = c;
}

static void put_text(struct line *line, const char *text)
{
    while (*text)
        put_char(line, *text++);
}

/* Bytes from outside may be anything: quote them, escape what is not printable. */
static void put_quoted(struct line *line, const char *text, size_t size)
{
    put_char(line, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[5];
        if (c >= ' ' && c < 127 && c != '"' && c != '\\') {
            put_char(line, (char)c);
        } else {
            snprintf(escaped, sizeof escaped, "\\x%02x", c);
            put_text(line, escaped);
        }
    }
    put_char(line, '"');
}

static bool is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 127 || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return size > 0;
}

static void put_value(struct line *line, const struct kv *kv)
{
    char number[24];
    if (kv->text == NULL) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)kv->number);
        put_text(line, number);
    } else if (is_plain(kv->text, kv->text_size)) {
        for (size_t i = 0; i < kv->text_size; i++)
            put_char(line, kv->text[i]);
    } else {
        put_quoted(line, kv->text, kv->text_size);
    }
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, sizeof text - size, ".%03ldZ ", now.tv_nsec / 1000000);
    put_text(line, text);
}

void log_open(const char *process, enum log_level level)
{
    process_name = process;
    level_max = level;
}

void log_write(enum log_level level, const char *event, const struct kv *kvs, size_t count)
{
    if (level > level_max)
        return;
    struct line line;
    line.size = 0;
    put_time(&line);
    put_text(&line, names[level]);
    put_text(&line, " process=");
    put_text(&line, process_name);
    put_text(&line, " event=");
    put_text(&line, event);
    for (size_t i = 0; i < count; i++) {
        if (kvs[i].key == NULL)
            continue;
        put_char(&line, ' ');
        put_text(&line, kvs[i].key);
        put_char(&line, '=');
        put_value(&line, &kvs[i]);
    }
    line.at[line.size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.at, line.size);
    (void)written; /* a log that cannot be written has nowhere to say so */
}
