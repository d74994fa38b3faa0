/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtual_disk.h - a disk in memory that can fail and lose power, for tests.
 *
 * A crash keeps or drops every 512-byte sector that was written since the file's last sync, each by
 * itself and by the seed; a file that was never renamed may vanish, a removed one may come back.
 */
#ifndef SL_TESTS_RUNTIME_VIRTUAL_DISK_H
#define SL_TESTS_RUNTIME_VIRTUAL_DISK_H

#include "runtime/file.h"

struct virtual_disk;

struct virtual_disk *virtual_disk_create(void);
void virtual_disk_destroy(struct virtual_disk **disk);
struct sl_disk virtual_disk_ops(struct virtual_disk *disk);

/* Let the Nth operation from now (1 = the next), and all after it, fail with SL_EIO. 0: none. */
void virtual_disk_fail_at(struct virtual_disk *disk, uint64_t nth);
uint64_t virtual_disk_operations(const struct virtual_disk *disk); /* So far. */
uint64_t virtual_disk_syncs(const struct virtual_disk *disk);
uint64_t virtual_disk_writes(const struct virtual_disk *disk);

/* Lose power, and come back with what survived. Files must be closed before use goes on. */
void virtual_disk_crash(struct virtual_disk *disk, uint64_t seed);

/* The bytes of a file, to damage; NULL: no such file. */
uint8_t *virtual_disk_bytes(struct virtual_disk *disk, const char *name, size_t *ret_size);

#endif
