/* source_static.c - a mistake here is one of the configuration: the node does not start. */
#include "discovery/source_static.h"

#include "common/log.h"

enum err source_static_read(const struct option_list *list, uint32_t slot,
                            struct sighting *sighting)
{
    const char *reason;
    if (source_check(SPAN_TEXT(list->at[slot]), sighting, &reason))
        return ERR_NONE;
    log_error("configuration_refused", kv_text("key", "discovery/member"),
              kv_text("value", list->at[slot]), kv_text("reason", reason));
    return ERR_CONFIG;
}
