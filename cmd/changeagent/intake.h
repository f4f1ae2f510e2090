/* intake.h - reads a dump, change by change, in either form: lines or binary (protocol/form.h).
 *
 * A file that ends inside a piece is torn; anything else that is not
 * as it was written is bad. What the hashes say is not looked at here. */
#ifndef CMD_CHANGEAGENT_INTAKE_H
#define CMD_CHANGEAGENT_INTAKE_H

#include "cmd/changeagent/parse.h"
#include "common/err.h"
#include "protocol/form.h"

#include <stdio.h>

enum intake_verdict {
    INTAKE_CHANGE, /* the next one is in the line */
    INTAKE_DONE,   /* there is no more, and nothing is missing that can be told */
    INTAKE_TORN,   /* a binary dump ends here, without its end */
    INTAKE_BAD,    /* `err` and `wrong` say what is wrong with it */
};

/* Members are for reading. Zeroed is closed. */
struct intake {
    FILE *file; /* lent */
    const struct form *form;
    bool lax;              /* order and count of the pieces are not asked for */
    bool has_end;          /* the end was read */
    uint64_t number;       /* of the line or piece read last; the first one is 1 */
    uint64_t at, next;     /* where it begins, and where it ends */
    uint64_t whole, count; /* behind the last change, or the begin; changes up to there */
    char *text;            /* getline's */
    size_t room;
    enum err err;
    const char *wrong;
};

/* Reads from where the file stands. A `form` is given by whoever salvages: pieces are taken as they
 * come. NULL: the first byte tells the form, and everything must be in its place. */
void intake_open(struct intake *intake, FILE *file, const struct form *form);
void intake_close(struct intake *intake);

/* The line is zeroed; the caller closes it, whatever the verdict. */
enum intake_verdict intake_next(struct intake *intake, struct parse_line *line);

/* Behind a bad piece of a file that can seek: goes on where another one may begin. */
void intake_skip(struct intake *intake);

/* "line 7", or "piece 7 (at byte 1234)". */
enum { INTAKE_PLACE_MAX = 80 };
void intake_place(const struct intake *intake, char text[INTAKE_PLACE_MAX]);

/* What a row says, without its place. Lent. */
struct change intake_change(const struct ca_row *row);

/* Is it the next one after a change with this id and hash? All zeros stand before the first. */
bool intake_follows(uint64_t id, const uint8_t hash[HASH_SIZE], const struct parse_line *line);

#endif
