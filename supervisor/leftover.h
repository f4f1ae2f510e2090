/* leftover.h - processes of an earlier supervisor (P5).
 *
 * We hold the lock, so that supervisor is gone; two storages must never meet. */
#ifndef SUPERVISOR_LEFTOVER_H
#define SUPERVISOR_LEFTOVER_H

/* Waits for those that the file names, and kills what does not end. */
void leftover_clear(const char *pidfile_path);

#endif
