/* position.h - where a follower is, as a cursor it can start from again. */
#ifndef CLIENT_POSITION_H
#define CLIENT_POSITION_H

#include "client/changeagent.h"
#include "protocol/cursor.h"

struct position {
    uint64_t id;             /* of the last change delivered, or of the start */
    bool has_hash;           /* without it there is no cursor */
    uint8_t hash[HASH_SIZE]; /* change hash at id */
    char start[256];         /* cursor of the caller, until the first page came; empty: none */
    char text[CURSOR_TEXT_MAX];
};

/* CA_USAGE: the cursor is not one. */
enum ca_code position_open(struct position *position, const struct ca_follow_options *options);
void position_move(struct position *position, uint64_t id, struct span hash);

/* Lends the cursor until the next call; empty if there is none. The texts are those of hello. */
const char *position_print(struct position *position, const char *cluster, const char *history);

#endif
