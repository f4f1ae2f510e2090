/* scribe.h - the journal thread: its loop, its link to consensus, its batches.
 *
 * One turn takes every STORE that waits, one transaction makes them durable, one
 * STORED answers. What is on disk then goes to view. How the log lies on disk is
 * known in journal.h. */
#ifndef STORAGE_SCRIBE_H
#define STORAGE_SCRIBE_H

/* The worker function of the thread; takes a `struct storage_room`. */
int scribe_run(void *room);

#endif
