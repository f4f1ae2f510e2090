/* cells.h - every change of the members, with a crash at every step of it: the table in
 * docs/membership.md. */
#ifndef SIM_CELLS_H
#define SIM_CELLS_H

#include <stdbool.h>
#include <stdint.h>

/* Runs all cells and prints the table. False: in one of them something was not as it must be. */
bool cells_run(void);

#endif
