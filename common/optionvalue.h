/* optionvalue.h - one setting: the text of a file or a flag becomes a value of its kind.
 * Used by options.c alone. */
#ifndef COMMON_OPTIONVALUE_H
#define COMMON_OPTIONVALUE_H

#include "common/options.h"

/* Writes the value into its place in `target`. False: it is not of the kind; `advice` says so. */
bool optionvalue_set(const struct option *option, void *target, const char *text, char *advice,
                     size_t size);

#endif
