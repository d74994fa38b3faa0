/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_shelf.h - the models' memory files of one node, each built once for every pool that uses
 * it. Part of the agent actor: plain state, effects through the agent's context.
 *
 *                         (is its image on this machine? if not, fetch it)
 *   (none) --want, load--> LOADING --built--> READY --drop; evict, once unused--> (none)
 *                             |  `--drop--> built again for who waits, or (none)
 *                             `--failed--> FAILED --told to a want--> (none)
 *
 * Threading: the agent's; files are built on the I/O pool, on copies of what that needs.
 */
#ifndef SL_ACTORS_MODEL_SHELF_H
#define SL_ACTORS_MODEL_SHELF_H

#include "actors/cluster.h"

#define SL_SHELF_MODELS_MAX 64 /* On one node. */

struct sl_shelved_model;

struct sl_model_shelf {
    const char *data_directory;   /* Borrowed. */
    const char *images_directory; /* Where the actor of images puts what it fetches. NULL: none. */
    uint64_t fetch_last;
    struct sl_shelved_model *models; /* SL_SHELF_MODELS_MAX. */
    struct sl_kept_file *kept;       /* As many: what the head of this machine has open. */
    uint32_t kept_count;
};

/* What a pool gets. */
struct sl_model_file {
    bool is_ready;
    int fd; /* The shelf's, until the model is dropped; -1: there is none. */
    uint64_t size_bytes;
    char *error; /* Why there will be none; the caller's to free. NULL: ready, or on its way. */
};

/* Both are borrowed until deinit. Models' directories are named from `data_directory`; what is not
 * there is fetched by this node's actor of images into `images_directory`. NULL: it is not. */
void sl_model_shelf_init(struct sl_model_shelf *shelf, const char *data_directory,
                         const char *images_directory);
void sl_model_shelf_deinit(struct sl_model_shelf *shelf); /* Zeroed is fine. */

/*
 * The file of a model for a pool. One that is not there is built; ask again when
 * sl_model_shelf_take_step has said true. A failure is told once: who asks after that tries again.
 */
struct sl_model_file sl_model_shelf_want(struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                                         struct sl_slice directory);

/* The head of this machine keeps a model's file: it need not be built. */
void sl_model_shelf_keep(struct sl_model_shelf *shelf, const struct sl_m_model_kept *kept);

/* Answer a model_load, now or when the model is built. */
void sl_model_shelf_load(struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                         const struct sl_msg *msg);

/*
 * Forget a model. Its replicas were stopped before; its file is closed behind the starts of this
 * batch that name it. One that is being built is built anew for the calls that wait for it: its
 * files may be others by now.
 */
void sl_model_shelf_drop(struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                         struct sl_slice directory);

/* How many are on their way here. */
uint32_t sl_model_shelf_loading(const struct sl_model_shelf *shelf);

/* Have the fetched image of a deleted model removed, unless another model here has the same. */
void sl_model_shelf_forget(const struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                           struct sl_slice directory);

/* Mark a model to go once nobody uses it; a load takes the mark away. One that is not here is fine.
 */
void sl_model_shelf_evict(struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                          struct sl_slice directory);

/* A model that is marked so and ready, from *at on, which moves past it; NULL: there is none. */
const char *sl_model_shelf_evicted(const struct sl_model_shelf *shelf, uint32_t *at);

/* Take the end of the shelf's own work (work_done) or of a fetch (image_fetched), and answer who
 * waited for it; true: a model is ready or has failed. */
bool sl_model_shelf_take_step(struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                              const struct sl_msg *msg);

#endif
