/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_items.h - what a replica was sent to work on: its message, the inputs that a plugin is
 * handed, which point into it, and the blobs among them, mapped. Part of the replica.
 */
#ifndef SL_EXTRACTORS_REPLICA_ITEMS_H
#define SL_EXTRACTORS_REPLICA_ITEMS_H

#include "extractors/batcher.h"
#include "extractors/replica.h"
#include "sluice/extractor.h"

struct sl_replica_item {
    struct sl_batch_entry entry; /* While it waits. */
    struct sl_msg *msg;          /* process; owned. */
    struct sluice_item item;     /* As the plugin is handed it. */
    struct sluice_input *inputs; /* Owned, with their names. */
    struct sl_slice *mappings;
    uint32_t mappings_count;
};

/*
 * Read a process message, which is the item's from then on; `blobs` is the directory of blobs,
 * NULL: none can be read. NULL, and the message stays the caller's: *ret_why says why it cannot be
 * run.
 */
struct sl_replica_item *sl_replica_item_create(struct sl_msg *msg, const char *blobs,
                                               const char **ret_why);
void sl_replica_item_destroy(struct sl_replica_item **item); /* NULL inside is fine. */

/*
 * How much of its batch's time an item is taken for: by the size of its inputs. A batch holds items
 * of many tenants, and by their number those with short texts would pay for the long ones. Each has
 * a part that does not depend on its size, and none counts for more than is worked on at a time.
 */
uint64_t sl_replica_item_size(const struct sl_replica_item *item);

/* Its message's body. */
const struct sl_m_process *sl_replica_item_body(const struct sl_replica_item *item);

#endif
