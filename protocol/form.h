/* form.h - the two forms of a dump, behind one table: lines (line.h) and binary (pack.h). */
#ifndef PROTOCOL_FORM_H
#define PROTOCOL_FORM_H

#include "protocol/line.h"

struct form {
    const char *name;
    void (*begin)(struct bytes *out);
    void (*append)(const struct line_place *place, const struct change *change, struct bytes *out);
    void (*end)(uint64_t count, struct bytes *out); /* how many changes stand before it */
};

extern const struct form form_lines, form_binary; /* "ndjson", "binary" */

/* NULL: there is no form of this name. */
const struct form *form_find(const char *name);

#endif
