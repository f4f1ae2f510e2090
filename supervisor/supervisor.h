/* supervisor.h - the shell of a node: one lock, four children, their pipes, and signals.
 *
 * Opens no message socket. What starts when is decided in restart.h. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

/* Runs a node to its end. Exit codes: 0 stopped as asked, 100 the configuration is
 * wrong, 111 the node gave up or its directory is taken, 113 corruption. */
int supervisor_main(int argc, char **argv);

#endif
