/* keeper.h - the thread that writes late, seals, and serves: state.db, the indexes, all reads.
 *
 * What view applied arrives by its queue; it is in the indexes at once and in
 * state.db some thousand rows later. A read first takes in all that is queued,
 * so it finds whatever was answered before it was asked. */
#ifndef STORAGE_KEEPER_H
#define STORAGE_KEEPER_H

/* The worker function; `room` is a struct storage_room. Returns the exit code. */
int keeper_run(void *room);

#endif
