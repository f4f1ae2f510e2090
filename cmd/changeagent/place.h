/* place.h - which of the endpoints is the node that a word names. */
#ifndef CMD_CHANGEAGENT_PLACE_H
#define CMD_CHANGEAGENT_PLACE_H

#include "cmd/changeagent/args.h"

/* Its endpoint's slot, its id, its name. */
struct place {
    int slot;
    char id[40], name[72];
};

/* Asks each endpoint who it is. A word is the name or the id of a node, or its endpoint.
 * False: none that answers is called so. */
bool place_find(struct ca *ca, const struct args *args, const char *word, struct place *place);

#endif
