/* cursor.c - prints and parses positions. */
#include "protocol/cursor.h"

enum { CLUSTER_HEX = 32, HISTORY_HEX = 16, HASH_HEX = 64 };

void cursor_hex(const uint8_t *data, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * size] = '\0';
}

/* By hand: every acknowledged write bears one. */
size_t cursor_print(const struct cursor *cursor, char text[CURSOR_TEXT_MAX])
{
    char number[20];
    uint8_t history[8];
    size_t digits = 0, at = 4;
    memcpy(text, "ca1.", at);
    cursor_hex(cursor->cluster, sizeof cursor->cluster, text + at);
    at += CLUSTER_HEX;
    text[at++] = '.';
    for (size_t i = 0; i < sizeof history; i++)
        history[i] = (uint8_t)(cursor->history >> 8 * (sizeof history - 1 - i));
    cursor_hex(history, sizeof history, text + at);
    at += HISTORY_HEX;
    text[at++] = '.';
    for (uint64_t rest = cursor->id; rest > 0 || digits == 0; rest /= 10)
        number[digits++] = (char)('0' + rest % 10);
    while (digits > 0)
        text[at++] = number[--digits];
    text[at++] = '.';
    cursor_hex(cursor->hash, sizeof cursor->hash, text + at);
    return at + HASH_HEX;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes 2 * size hex digits and the byte behind them, which must be `end` (0: the end). */
static bool take_hex(struct span *rest, size_t size, uint8_t *out, char end)
{
    size_t need = 2 * size + (end != 0);
    if (rest->size < need || (end == 0 && rest->size != need))
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(rest->data[2 * i]), low = hex_digit(rest->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    if (end != 0 && rest->data[2 * size] != (uint8_t)end)
        return false;
    *rest = SPAN(rest->data + need, rest->size - need);
    return true;
}

static bool take_number(struct span *rest, uint64_t *number)
{
    size_t i = 0;
    *number = 0;
    for (; i < rest->size && rest->data[i] != '.'; i++) {
        uint8_t digit = (uint8_t)(rest->data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, digit, number))
            return false;
    }
    if (i == 0 || i == rest->size)
        return false;
    *rest = SPAN(rest->data + i + 1, rest->size - i - 1);
    return true;
}

enum err cursor_parse(struct span text, struct cursor *cursor)
{
    uint8_t history[8];
    if (text.size < 4 || memcmp(text.data, "ca1.", 4) != 0)
        return ERR_BAD_REQUEST;
    struct span rest = SPAN(text.data + 4, text.size - 4);
    if (!take_hex(&rest, sizeof cursor->cluster, cursor->cluster, '.') ||
        !take_hex(&rest, sizeof history, history, '.') || !take_number(&rest, &cursor->id) ||
        !take_hex(&rest, sizeof cursor->hash, cursor->hash, 0))
        return ERR_BAD_REQUEST;
    cursor->history = 0;
    for (size_t i = 0; i < sizeof history; i++)
        cursor->history = cursor->history << 8 | history[i];
    return ERR_NONE;
}
