/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scene.h - where handlers run without an api actor, sockets and threads: a gateway over a real
 * store, and what stands for the actor: what a call asks for is done once its handler is out. For
 * tests and fuzzers; no assertion here is Criterion's.
 */
#ifndef SL_TESTS_GATEWAY_SCENE_H
#define SL_TESTS_GATEWAY_SCENE_H

#include "gateway/gateway.h"
#include "object-store/blob.h"

/* Opens store, queue, indexes, keyring and blobs in `directory`, and runs the first start. */
void scene_open(struct sl_gateway *g, const char *directory, uint64_t now_ms);
/* All that scene_open opened, and `incoming`; zeroed is fine. */
void scene_close(struct sl_gateway *g);
void scene_remove(const char *directory);

/* The operator's key, as admin.key says; ends with NUL. */
void scene_operator_key(const char *directory, char ret_secret[SL_SECRET_SIZE + 1]);

/* Run the continuations of a call until it has its reply; returns how many there were. */
uint32_t scene_finish(struct sl_gateway *g, struct sl_call *call);

/* What stands for an embedding model; NULL: none is to be had. Fills `dimensions` numbers. */
extern void (*scene_embed)(struct sl_slice text, float *ret_vector, uint32_t dimensions);

/* What is asked for once the commit is durable is done at once, or, while held, not at all: as
 * where the power is lost before. */
extern bool scene_is_held;

/* How loads end; at first SL_EUNAVAIL. And the node of the last. */
extern struct sl_wait scene_loaded;
extern uint32_t scene_load_node;
extern const char *scene_nodes; /* What the head knows of nodes; NULL: it does not answer. */

/* The directory of the model that was dropped last. */
extern char scene_dropped[128];

#endif
