/* source_static.h - the list in the configuration: seen once, at the start. */
#ifndef DISCOVERY_SOURCE_STATIC_H
#define DISCOVERY_SOURCE_STATIC_H

#include "common/options.h"
#include "discovery/source.h"

/* Reads entry `slot` of the list. ERR_CONFIG: it is no sighting; the log says why. */
MUST_USE enum err source_static_read(const struct option_list *list, uint32_t slot,
                                     struct sighting *sighting);

#endif
