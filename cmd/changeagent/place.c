#include "cmd/changeagent/place.h"

#include <stdio.h>
#include <string.h>

bool place_find(struct ca *ca, const struct args *args, const char *word, struct place *place)
{
    for (uint32_t slot = 0; slot < args->endpoints.count; slot++) {
        struct ca_status status;
        bool told = ca_status(ca, (int)slot, &status) == CA_OK;
        bool is_it = told && (strcmp(word, status.name) == 0 || strcmp(word, status.node) == 0 ||
                              strcmp(word, args->endpoints.at[slot]) == 0);
        place->slot = (int)slot;
        snprintf(place->id, sizeof place->id, "%s", status.node);
        snprintf(place->name, sizeof place->name, "%s", status.name);
        ca_status_close(&status);
        if (is_it)
            return true;
    }
    return false;
}
