#include "storage/pace.h"

struct pace pace_of(uint32_t files, size_t bytes)
{
    uint32_t above = files > PACE_FILES_MAX ? files - PACE_FILES_MAX : 0;
    return (struct pace){
        .hurry = above > 0 || bytes > PACE_BYTES_MAX,
        .pieces = 1 + PACE_PIECES_A_FILE * above,
    };
}
