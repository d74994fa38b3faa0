/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_pool.h - memory for small messages. Each thread keeps a few blocks of its own, so that a
 * message costs no lock and no atomic instruction; threads that only send and threads that only
 * receive trade blocks in batches through a depot. Blocks lie on cache lines of their own. What was
 * allocated once stays with the process: bounded mailboxes bound it.
 *
 * Under AddressSanitizer each message is an allocation of its own, so that nothing is hidden.
 * Threading: any thread; a block may be freed on another than its own.
 */
#ifndef SL_RUNTIME_MESSAGE_POOL_H
#define SL_RUNTIME_MESSAGE_POOL_H

#include "runtime/base.h"

#define SL_POOL_CLASSES 2 /* Of 64 and of 128 bytes. */
#define SL_POOL_NONE    0 /* What is larger comes from the heap. */

/* Memory for `size` bytes, on a multiple of 16; *ret_pool is what sl_pool_free wants with it. */
void *sl_pool_alloc(size_t size, uint8_t *ret_pool);
void sl_pool_free(void *memory, uint8_t pool);

#endif
