/* texts_kit.h - a list of texts, written as words. */
#ifndef TESTS_UNIT_TEXTS_KIT_H
#define TESTS_UNIT_TEXTS_KIT_H

#include "protocol/message.h"

#include <string.h>

static inline struct texts texts_of(const char *words)
{
    struct texts list = {0};
    while (*words) {
        size_t size = strcspn(words, " ");
        list.at[list.count++] = SPAN(words, size);
        words += size + (words[size] != 0);
    }
    return list;
}

#endif
