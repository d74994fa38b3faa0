/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_disk.h - a disk in memory that can fail and lose power: for the simulation and fault loops.
 *
 * A crash keeps or drops every 512-byte sector that was written since the file's last sync, each by
 * itself and by the seed, so that they seem reordered; a file that was never renamed may vanish, a
 * removed one may come back.
 */
#ifndef SL_RUNTIME_SIM_DISK_H
#define SL_RUNTIME_SIM_DISK_H

#include "runtime/file.h"

struct sl_sim_disk;

struct sl_sim_disk *sl_sim_disk_create(void);
void sl_sim_disk_destroy(struct sl_sim_disk **disk);
struct sl_disk sl_sim_disk_ops(struct sl_sim_disk *disk);

/* Let the Nth operation from now (1 = the next), and all after it, fail with SL_EIO. 0: none. */
void sl_sim_disk_fail_at(struct sl_sim_disk *disk, uint64_t nth);
uint64_t sl_sim_disk_operations(const struct sl_sim_disk *disk); /* So far. */
uint64_t sl_sim_disk_syncs(const struct sl_sim_disk *disk);
uint64_t sl_sim_disk_writes(const struct sl_sim_disk *disk);

/* Lose power, and come back with what survived. Files must be closed before use goes on. */
void sl_sim_disk_crash(struct sl_sim_disk *disk, uint64_t seed);

/* While it is full, files do not grow, and no room is told of. */
void sl_sim_disk_set_full(struct sl_sim_disk *disk, bool is_full);
/* Let a crash also tear sectors, and damage what was under way. */
void sl_sim_disk_set_torn(struct sl_sim_disk *disk, bool is_torn);
/* Turn a bit of a file, synced or not; false: it is not there. One at a time: mend turns it back
 * (before anything is written), or leaves it as it is. */
bool sl_sim_disk_flip(struct sl_sim_disk *disk, const char *name, uint64_t offset, uint32_t bit);
void sl_sim_disk_mend(struct sl_sim_disk *disk, bool is_back);

/* Where in a file its last write began; UINT64_MAX: there was none. */
uint64_t sl_sim_disk_last_write(struct sl_sim_disk *disk, const char *name);

/* The bytes of a file, to damage; NULL: no such file. */
uint8_t *sl_sim_disk_bytes(struct sl_sim_disk *disk, const char *name, size_t *ret_size);

#endif
