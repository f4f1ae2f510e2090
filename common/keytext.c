/* keytext.c - keys and node ids as texts (keys.h). Z85 is ZeroMQ's RFC 32. No library: the pure
 * core prints and reads them too. */
#include "common/keys.h"

enum { GROUP_BYTES = 4, GROUP_LETTERS = 5 };

static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              ".-:+=^!/*?&<>()[]{}@%$#";

void node_id_print(uint64_t id, char text[NODE_ID_TEXT_SIZE])
{
    char reversed[NODE_ID_TEXT_SIZE];
    int size = 0;
    do {
        reversed[size++] = "0123456789abcdefghijklmnopqrstuvwxyz"[id % 36];
        id /= 36;
    } while (id > 0);
    for (int i = 0; i < size; i++)
        text[i] = reversed[size - 1 - i];
    text[size] = '\0';
}

enum err node_id_parse(struct span text, uint64_t *id)
{
    *id = 0;
    if (text.size == 0 || text.size >= NODE_ID_TEXT_SIZE)
        return ERR_BAD_REQUEST;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        uint64_t digit = c >= '0' && c <= '9'   ? c - '0' + 0u
                         : c >= 'a' && c <= 'z' ? c - 'a' + 10u
                                                : 36;
        if (digit > 35 || __builtin_mul_overflow(*id, 36u, id) ||
            __builtin_add_overflow(*id, digit, id))
            return ERR_BAD_REQUEST;
    }
    return *id != 0 ? ERR_NONE : ERR_BAD_REQUEST;
}

void keys_print(const uint8_t key[KEY_SIZE], char text[KEY_TEXT_SIZE])
{
    for (size_t group = 0; group < KEY_SIZE / GROUP_BYTES; group++) {
        const uint8_t *from = key + group * GROUP_BYTES;
        uint32_t value =
            (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
        for (size_t i = GROUP_LETTERS; i-- > 0; value /= 85)
            text[group * GROUP_LETTERS + i] = letters[value % 85];
    }
    text[KEY_TEXT_SIZE - 1] = '\0';
}

/* One group of letters; false: not Z85, or more than four bytes can hold. */
static bool read_group(const uint8_t *from, uint8_t to[GROUP_BYTES])
{
    uint64_t value = 0;
    for (size_t i = 0; i < GROUP_LETTERS; i++) {
        const char *letter = from[i] ? strchr(letters, from[i]) : NULL;
        if (letter == NULL)
            return false;
        value = value * 85 + (uint64_t)(letter - letters);
    }
    for (size_t i = GROUP_BYTES; i-- > 0; value >>= 8)
        to[i] = (uint8_t)value;
    return value == 0;
}

enum err keys_parse(struct span text, uint8_t key[KEY_SIZE])
{
    if (text.size != KEY_TEXT_SIZE - 1)
        return ERR_BAD_REQUEST;
    for (size_t group = 0; group < KEY_SIZE / GROUP_BYTES; group++)
        if (!read_group(text.data + group * GROUP_LETTERS, key + group * GROUP_BYTES))
            return ERR_BAD_REQUEST;
    return ERR_NONE;
}
