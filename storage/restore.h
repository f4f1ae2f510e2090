/* restore.h - the verb restore of changeagent-storage: a blank directory becomes that of a node
 * which goes on from a backup, alone and under a new history.
 *
 * The artefact comes in as from a peer (incoming.h): every byte of it is verified, and a restore
 * that was killed goes on where it was. `identity/restored` says how far it has come, so that the
 * same command may be given again and again, also while the node lives on. */
#ifndef STORAGE_RESTORE_H
#define STORAGE_RESTORE_H

/* changeagent-storage restore DIR ARTEFACT. Exit codes as service_exit_code. */
int restore_main(int argc, char **argv);

#endif
