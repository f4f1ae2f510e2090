/* record.c - the sums of a long run, as bytes in a file. */
#include "tests/sim/record.h"

#include <errno.h>
#include <stdio.h>

static const char magic[8] = "simsums";

bool record_load(struct record *record, const char *path, uint64_t from)
{
    FILE *file = fopen(path, "rb");
    *record = (struct record){.size = sizeof *record, .next = from};
    memcpy(record->magic, magic, sizeof magic);
    if (file == NULL)
        return errno == ENOENT;
    size_t count = fread(record, sizeof *record, 1, file);
    fclose(file);
    return count == 1 && memcmp(record->magic, magic, sizeof magic) == 0 &&
           record->size == sizeof *record;
}

bool record_save(const struct record *record, const char *path)
{
    char other[4096];
    if ((size_t)snprintf(other, sizeof other, "%s.new", path) >= sizeof other)
        return false;
    FILE *file = fopen(other, "wb");
    if (file == NULL)
        return false;
    bool fine = fwrite(record, sizeof *record, 1, file) == 1;
    fine = fclose(file) == 0 && fine;
    return fine && rename(other, path) == 0;
}
