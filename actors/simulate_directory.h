/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_directory.h - where a simulated run has its catalogue: in memory where there is
 * /dev/shm. Its log is on a simulated disk.
 */
#ifndef SL_ACTORS_SIMULATE_DIRECTORY_H
#define SL_ACTORS_SIMULATE_DIRECTORY_H

/* A new one in `parent` (NULL: in memory, if may be); NULL: it cannot be made. */
char *sl_simulate_directory_make(const char *parent);
/* With what a store leaves there. Frees the name. */
void sl_simulate_directory_remove(char *directory);

#endif
