/* force.h - the verb force-new-cluster of changeagent-storage: the last resort of a cluster whose
 * majority is lost for good. What is done is refound.h's; here it is said what may be lost, and
 * asked whether that is wanted. */
#ifndef STORAGE_FORCE_H
#define STORAGE_FORCE_H

/* changeagent-storage force-new-cluster DIR [yes]. Exit codes as verify; 1: not confirmed. */
int force_main(int argc, char **argv);

#endif
