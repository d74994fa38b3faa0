/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue_memory.h - a catalogue's rows in memory, for simulations: they outlive the catalogues
 * that open them, as a file does the processes. What was committed stays; what was not goes with
 * the catalogue.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_CATALOGUE_MEMORY_H
#define SL_RUNTIME_CATALOGUE_MEMORY_H

struct sl_catalogue_memory;

struct sl_catalogue_memory *sl_catalogue_memory_create(void);
/* Not while a catalogue has it open. NULL inside is fine. */
void sl_catalogue_memory_destroy(struct sl_catalogue_memory **memory);

#endif
