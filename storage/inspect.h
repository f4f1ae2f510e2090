/* inspect.h - the verb `snapshot DIR` of changeagent-storage: is this directory a whole snapshot?
 */
#ifndef STORAGE_INSPECT_H
#define STORAGE_INSPECT_H

/* Reads every byte, prints what it is or what is wrong. Exit code: 0 whole, 100 usage, 112 the disk
 * refused, 113 not whole. */
int inspect_main(int argc, char **argv);

#endif
