/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_image.h - one seeded run of images between nodes: the real actors of images and the real
 * locator, on simulated links and disks, while nodes and the head die and come again, links are bad
 * or cut, disks fail, fill up or turn bits, and images are evicted in the middle; then the promises
 * are checked:
 *
 *   every fetch ends, and in the calm at the end well;
 *   what is visible under an image's name is the image, whole, at any time;
 *   no chunk that is here already is asked for again.
 *
 * Equal options give equal runs. Threading: one thread at a time.
 */
#ifndef SL_ACTORS_SIMULATE_IMAGE_H
#define SL_ACTORS_SIMULATE_IMAGE_H

#include "runtime/buf.h"

struct sl_simulate_image_options {
    uint64_t seed;
    bool is_fair;         /* No faults. */
    uint32_t trace_lines; /* How many of the last events to tell of a failure. */
};

struct sl_simulate_image_result {
    bool is_ok;
    char failure[256];
    struct sl_buf trace;
    uint64_t hash, virtual_ns, events, faults;
    uint64_t fetched, failed;           /* As nodes were told. */
    uint64_t chunks_bytes, image_bytes; /* That came; of what was fetched. */
    uint64_t resumed;                   /* Chunks that were here when a fetch began. */
    uint64_t bad;                       /* Bad chunks that were noticed. */
};

void sl_simulate_image(const struct sl_simulate_image_options *options,
                       struct sl_simulate_image_result *ret_result);
void sl_simulate_image_result_deinit(struct sl_simulate_image_result *result);

#endif
