/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_room.h - how much more memory this process may have: the least of what the machine and
 * each control group above the process (version 2 or 1) have left. Pages that hold files only to be
 * quick count as free. Asked before what is large, so that it is refused rather than killed for.
 *
 * Threading: none of its own. Each call reads a few files of the kernel's: some 50 us.
 */
#ifndef SL_OBJECT_STORE_MEMORY_ROOM_H
#define SL_OBJECT_STORE_MEMORY_ROOM_H

#include "runtime/base.h"

/* Bytes; UINT64_MAX: nobody knows. `root` is put before the kernel's paths: "", or a test's. */
uint64_t sl_memory_available(const char *root);

#endif
