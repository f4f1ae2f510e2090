#include "storage/pace.h"

bool pace_hurries(uint32_t files, size_t bytes)
{
    return files > PACE_FILES_MAX || bytes > PACE_BYTES_MAX;
}

uint32_t pace_pieces(uint32_t files, uint64_t taken)
{
    return files > PACE_FILES_MAX ? 1 + (uint32_t)(2 * taken / PACE_PIECE_BYTES + 1) : 1;
}
