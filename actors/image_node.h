/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_node.h - the actor that has a node's images: it serves their chunks to other nodes, and
 * fetches those that this node wants, from wherever the head's locator says (image_locator.h).
 *
 *   image_fetch -> (here already?) -> locate -> list -> chunks from several nodes -> whole ->
 * fetched
 *
 * What is whole is told to the locator when it becomes so, when the link to the head comes up, and
 * now and then. All work on the disk is done on the I/O pool.
 *
 * With a limit, images go for others, the one first that was wanted longest ago; parts of what
 * nobody fetches any more go within two hours. At the origin (object-store/origin.h) all of this is
 * left out: it serves, and says whether it has an image, but fetches and removes none.
 */
#ifndef SL_ACTORS_IMAGE_NODE_H
#define SL_ACTORS_IMAGE_NODE_H

#include "actors/pull.h"
#include "runtime/actor.h"
#include "runtime/json.h"

#define SL_FETCHES_MAX         64 /* That are wanted at a time; */
#define SL_FETCHES_RUNNING_MAX 8  /* of them under way. */

struct sl_image_node_options {
    const struct sl_images *images; /* Borrowed for the actor's life. */
    struct sl_pull_options pull;    /* Bounds; name and first are filled in. */
    uint64_t announce_ns;           /* 0: 30 s. */
    uint64_t sweep_ns;              /* 0: an hour. */
    uint64_t bytes_max;             /* Of images; 0: as many as the disk takes. */
    bool is_origin;
};

struct sl_image_node_counts {
    uint64_t fetched, failed;             /* Images. */
    uint64_t served_bytes, fetched_bytes; /* Of chunks; fetched: that were written. */
    uint64_t bad;                         /* Chunks and lists that were not what they should be. */
    uint64_t resumed;                     /* Chunks that were here when a fetch began. */
    uint64_t evicted, swept;              /* Images for others; files that nobody wanted. */
    uint64_t kept, kept_bytes;            /* Images that are here; bytes: also of those coming. */
    uint32_t fetching;
};

extern const struct sl_actor_class sl_image_node_class; /* Argument: sl_image_node_options. */
void sl_image_node_counts(const void *node, struct sl_image_node_counts *ret_counts);
void sl_image_node_write(const void *node, struct sl_jsonw *w); /* These, as a JSON object. */

#endif
