/* parse.h - a line of a dump back into a row (protocol/line.h). */
#ifndef CMD_CHANGEAGENT_PARSE_H
#define CMD_CHANGEAGENT_PARSE_H

#include "client/changeagent.h"
#include "common/bytes.h"

/* One line, and what its row lends from. */
struct parse_line {
    struct ca_row row;
    struct ca_bytes tags[64];
    uint8_t hash[32];
    struct bytes data, headers;
    void *json;
};

/* False: `*wrong` lends what is wrong with the line. Everything that the change hash covers
 * must be there: id, ts, hash, type, tags and data. */
bool parse_open(struct parse_line *line, const char *text, size_t size, const char **wrong);
void parse_close(struct parse_line *line);

#endif
