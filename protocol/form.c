#include "protocol/form.h"

#include "protocol/pack.h"

/* Lines need nothing before or behind them. */
static void begin_lines(struct bytes *out)
{
}

static void end_lines(uint64_t count, struct bytes *out)
{
}

const struct form form_lines = {"ndjson", begin_lines, line_append, end_lines};
const struct form form_binary = {"binary", pack_begin, pack_append, pack_end};

const struct form *form_find(const char *name)
{
    const struct form *const forms[] = {&form_lines, &form_binary};
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (strcmp(forms[i]->name, name) == 0)
            return forms[i];
    return NULL;
}
