/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_directory.h - which nodes have which images, and who fetches one from whom.
 *
 * Who asks for an image is told a few nodes to fetch it from, and from then on counts as one that
 * fetches it, which others may fetch from in turn. No node serves more than `serves_max` others
 * with one image at a time, and one that fetches is given only those that began before it: so many
 * nodes that ask at once become a tree (with a second parent where there is one to spare) whose
 * depth grows with the logarithm of their number.
 *
 *   node:  (none) --locate--> FETCHING --has--> WHOLE --gone, lose--> (none)
 *                                `--gone, lose--> (none): whoever fetched from it asks anew
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_ACTORS_IMAGE_DIRECTORY_H
#define SL_ACTORS_IMAGE_DIRECTORY_H

#include "object-store/images.h"

#define SL_IMAGE_SOURCES_MAX     4
#define SL_DIRECTORY_ENTRIES_MAX (UINT32_C(1) << 20) /* Images times nodes. */

struct sl_image_directory;

struct sl_image_located {
    bool is_known; /* Some node has it; with `count` 0 all that do are busy: ask again soon. */
    uint32_t count;
    uint32_t nodes[SL_IMAGE_SOURCES_MAX];
    uint64_t size_bytes; /* 0: nobody that has all of it has told. */
};

/* serves_max 0: 3. */
struct sl_image_directory *sl_image_directory_create(uint32_t serves_max);
void sl_image_directory_destroy(struct sl_image_directory **directory); /* NULL inside is fine. */

/* A node has all of an image, or says so again. SL_EFULL: nothing more is taken. */
enum sl_err sl_image_directory_has(struct sl_image_directory *d, uint32_t node,
                                   const struct sl_image_name *name, uint64_t size_bytes);
/* It has evicted it, or does not fetch it any more. */
void sl_image_directory_gone(struct sl_image_directory *d, uint32_t node,
                             const struct sl_image_name *name);
void sl_image_directory_lose(struct sl_image_directory *d, uint32_t node);
/*
 * Where `node` may fetch it. One that asks again gives back what it was told before, and is told of
 * others if there are any. SL_EFULL: it fetches too many.
 */
enum sl_err sl_image_directory_locate(struct sl_image_directory *d, uint32_t node,
                                      const struct sl_image_name *name,
                                      struct sl_image_located *ret_located);

/* How many nodes have all of it, and fetch it. */
void sl_image_directory_count(const struct sl_image_directory *d, const struct sl_image_name *name,
                              uint32_t *ret_whole, uint32_t *ret_fetching);
/* How many fetch it from this node. */
uint32_t sl_image_directory_load(const struct sl_image_directory *d, uint32_t node,
                                 const struct sl_image_name *name);

#endif
