/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iopool.h - a few threads for work that blocks: disk, child processes, other people's libraries.
 * Threads start with the first work, so an idle process has none of them.
 * Threading: submit on any thread.
 */
#ifndef SL_RUNTIME_IOPOOL_H
#define SL_RUNTIME_IOPOOL_H

#include "runtime/base.h"

struct sl_iopool;

struct sl_iopool *sl_iopool_create(uint32_t threads_max);
/* Waits for all submitted work. */
void sl_iopool_destroy(struct sl_iopool **pool);
/* Run work(argument), then done(argument), both on the same pool thread. */
struct sl_io_work {
    void (*work)(void *argument);
    void (*done)(void *context, const struct sl_io_work *work);
    void *argument;
    void *context;
    uint64_t token;
    uint64_t who;
};
void sl_iopool_submit(struct sl_iopool *pool, const struct sl_io_work *work);

#endif
