#include "storage/inquiry.h"

#include "common/log.h"
#include "storage/walscan.h"

#include <stdio.h>

void inquiry_blame(struct inquiry *inquiry, const char *reason)
{
    log_error("directory_damaged", kv_text("reason", reason));
    if (inquiry->damage == NULL)
        inquiry->damage = reason;
}

enum err inquiry_scan_wal(struct inquiry *inquiry, const char *path, const char *reason)
{
    char wal[4096];
    struct walscan scan;
    snprintf(wal, sizeof wal, "%s-wal", path);
    TRY(walscan_file(&scan, wal));
    if (scan.verdict == WALSCAN_DAMAGED)
        inquiry_blame(inquiry, reason);
    return ERR_NONE;
}
