/* giveway.h - SQLite's long work in the background lets others run.
 *
 * A checkpoint or the commit of an index writes a thousand pages in one call. In a
 * thread that said giveway_here, every few pages written give way (worker.h):
 * libsqlite3's system calls can be replaced for that (sqlite3_vfs, xSetSystemCall). */
#ifndef STORAGE_GIVEWAY_H
#define STORAGE_GIVEWAY_H

/* For the process, before its first database is opened. */
void giveway_install(void);

/* The calling thread is one of the background. */
void giveway_here(void);

#endif
