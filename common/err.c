/* err.c - the table of err.h, looked up. */
#include "common/err.h"

#include <string.h>

struct err_row {
    const char *name, *sentence;
    bool retryable;
    enum err_outcome outcome;
};

static const struct err_row rows[ERR_COUNT] = {[ERR_NONE] = {"OK", "done", false, ERR_OUTCOME_NONE},
#define ERR_ROW(name, wire, retryable, outcome, sentence) \
    [name] = {wire, sentence, retryable, ERR_OUTCOME_##outcome},
                                               ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

static const char *const outcome_names[] = {
    [ERR_OUTCOME_NONE] = "none", [ERR_OUTCOME_OPEN] = "open", [ERR_OUTCOME_FINAL] = "final"};

static const struct err_row *row_of(enum err err)
{
    return &rows[(unsigned)err < ERR_COUNT ? err : ERR_BAD_MESSAGE];
}

const char *err_name(enum err err)
{
    return row_of(err)->name;
}

const char *err_sentence(enum err err)
{
    return row_of(err)->sentence;
}

bool err_retryable(enum err err)
{
    return row_of(err)->retryable;
}

enum err_outcome err_outcome(enum err err)
{
    return row_of(err)->outcome;
}

const char *err_outcome_name(enum err err)
{
    return outcome_names[err_outcome(err)];
}

enum err err_by_name(const char *name, size_t size)
{
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
            return (enum err)i;
    return ERR_BAD_MESSAGE;
}
