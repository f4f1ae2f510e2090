/* position.c - cursors of a follower's own making. */
#include "client/position.h"

#include <stdio.h>
#include <string.h>

enum ca_code position_open(struct position *position, const struct ca_follow_options *options)
{
    struct cursor cursor = {.id = options->since};
    if (options->cursor != NULL) {
        struct span text = SPAN_TEXT(options->cursor);
        if (text.size >= sizeof position->start || cursor_parse(text, &cursor) != ERR_NONE)
            return CA_USAGE;
        memcpy(position->start, text.data, text.size + 1);
        memcpy(position->hash, cursor.hash, HASH_SIZE);
    }
    position->id = cursor.id;
    position->has_hash = options->cursor != NULL || (cursor.id == 0 && !options->now);
    return CA_OK;
}

void position_move(struct position *position, uint64_t id, struct span hash)
{
    position->id = id;
    position->has_hash = hash.size == HASH_SIZE;
    if (position->has_hash)
        memcpy(position->hash, hash.data, HASH_SIZE);
}

static bool read_hex(const char *text, size_t digits, uint8_t *out)
{
    static const char alphabet[] = "0123456789abcdef";
    if (strlen(text) != digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        const char *at = strchr(alphabet, text[i]);
        if (at == NULL)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (at - alphabet));
    }
    return true;
}

bool position_fits(struct position *position, struct span history)
{
    if (history.size == 0 || span_is(history, position->history))
        return true;
    if (position->history[0] != 0 || history.size >= sizeof position->history)
        return false;
    memcpy(position->history, history.data, history.size);
    position->history[history.size] = 0;
    return true;
}

bool position_fits_page(struct position *position, struct span next)
{
    struct cursor cursor;
    char history[20];
    if (next.size == 0 || cursor_parse(next, &cursor) != ERR_NONE)
        return true;
    snprintf(history, sizeof history, "%016llx", (unsigned long long)cursor.history);
    return position_fits(position, SPAN_TEXT(history));
}

const char *position_print(struct position *position, const char *cluster, const char *history)
{
    struct cursor cursor = {.id = position->id};
    uint8_t number[8] = {0};
    position->text[0] = 0;
    if (position->history[0] != 0)
        history = position->history;
    if (!position->has_hash || !read_hex(cluster, 32, cursor.cluster) ||
        !read_hex(history, 16, number))
        return position->text;
    for (int i = 0; i < 8; i++)
        cursor.history = cursor.history << 8 | number[i];
    memcpy(cursor.hash, position->hash, HASH_SIZE);
    cursor_print(&cursor, position->text);
    return position->text;
}
