/* view.h - the thread that applies: committed entries become ids, outcomes and effects,
 * in memory, in order; it tells api what was applied and keeper what to write.
 *
 * It never waits for state.db. Its own read-only connection is used at the
 * start, and to verify the fingerprint of a txid whose outcome is already
 * written. At the start it loads the state while keeper makes the index of the last file, and waits
 * for the first ROOM_WRITTEN: state and log agree. */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

/* The worker function; `room` is a struct storage_room. Returns the exit code. */
int view_run(void *room);

#endif
