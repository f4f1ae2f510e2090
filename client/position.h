/* position.h - where a follower is, as a cursor it can start from again. */
#ifndef CLIENT_POSITION_H
#define CLIENT_POSITION_H

#include "client/changeagent.h"
#include "protocol/cursor.h"

struct position {
    uint64_t id;             /* of the last change delivered, or of the start */
    bool has_hash;           /* without it there is no cursor */
    uint8_t hash[HASH_SIZE]; /* change hash at id */
    char history[20];        /* of all that was delivered; empty: not known yet */
    char start[256];         /* cursor of the caller, until the first page came; empty: none */
    char text[CURSOR_TEXT_MAX];
};

/* CA_USAGE: the cursor is not one. */
enum ca_code position_open(struct position *position, const struct ca_follow_options *options);
void position_move(struct position *position, uint64_t id, struct span hash);

/* False: a log that was replaced under us. It must not be mixed with the one that was followed,
 * although the handle may know it already. Empty fits. The second one asks the cursor of a page. */
bool position_fits(struct position *position, struct span history);
bool position_fits_page(struct position *position, struct span next);

/* Lends the cursor until the next call; empty if there is none. The texts are those of hello,
 * and give way to what is known of the changes themselves. */
const char *position_print(struct position *position, const char *cluster, const char *history);

#endif
