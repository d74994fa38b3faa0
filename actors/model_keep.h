/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_keep.h - memory files of models that the head's process keeps open, so that they outlive
 * the nodes of its machine that have built them: a node that comes maps what is there, rather than
 * have it copied from the disk once more.
 *
 *   (none) --take--> opening --opened--> kept, and told to nodes that join
 *                        `----- drop ------`--> (none)
 *
 * Threading: of the head actor. A file is opened on the I/O pool.
 */
#ifndef SL_ACTORS_MODEL_KEEP_H
#define SL_ACTORS_MODEL_KEEP_H

#include "actors/cluster.h"

#define SL_KEEP_MODELS_MAX 64

struct sl_kept_model {
    char *directory;
    uint64_t inode;
    int fd; /* -1: it is being opened. */
    uint64_t size_bytes;
};

struct sl_reopening;

struct sl_model_keep {
    uint64_t pid;                    /* Of this process. 0: nothing is kept. */
    struct sl_reopening *reopenings; /* Work that is under way. */
    struct sl_kept_model models[SL_KEEP_MODELS_MAX];
    uint32_t count;
};

/* Zeroed is fine. No work of its may run any more; what it was will not be told. */
void sl_model_keep_deinit(struct sl_model_keep *keep);
/* A node of this machine, of that process, has built one. Above the limit it is not kept. */
void sl_model_keep_take(struct sl_model_keep *keep, struct sl_ctx *ctx, uint64_t pid,
                        const struct sl_m_model_kept *m);
/* The end of the work that it gave. */
void sl_model_keep_opened(struct sl_model_keep *keep, const struct sl_m_work_done *done);
/* Let it go; one that is not kept is fine. */
void sl_model_keep_drop(struct sl_model_keep *keep, struct sl_slice directory);
/* Tell a node of this machine what is kept. */
void sl_model_keep_tell(const struct sl_model_keep *keep, struct sl_ctx *ctx, uint32_t node);

#endif
