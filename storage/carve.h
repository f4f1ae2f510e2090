/* carve.h - PURE: finds log records in bytes that no database reads any more.
 *
 * A record carries its own checksum, so each one that is found is whole; a damaged one is passed
 * over. What the records mean together is known in salvage.h. */
#ifndef STORAGE_CARVE_H
#define STORAGE_CARVE_H

#include "common/bytes.h"

/* `in_place`: the record lies in the bytes that were given and lives as long as they do; else it
 * was put together from pages, and lives until the callback returns. */
typedef void carve_each(void *owner, struct span record, bool in_place);

/* Finds every record that lies in one piece, wherever it begins: in pages, in free space, in a
 * file cut off, in a file of something else. */
void carve_pieces(struct span file, carve_each *each, void *owner);

/* Finds the records that are spread over overflow pages of a segment, with what lies in its -wal;
 * either may be empty, torn or damaged. */
void carve_pages(struct span file, struct span wal, carve_each *each, void *owner);

#endif
