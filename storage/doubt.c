#include "storage/doubt.h"

#include "common/log.h"
#include "storage/smallfile.h"

#include <stdio.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

enum err doubt_state(const char *path)
{
    char name[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s" DOUBT_SUFFIX, path);
    log_error("state_doubted", kv_text("path", path));
    return smallfile_write(name, SPAN_TEXT("damaged"));
}

bool doubt_is_there(const char *path)
{
    char name[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s" DOUBT_SUFFIX, path);
    return access(name, F_OK) == 0;
}
