/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/queue_projection.h"

#include "actors/rows.h"

struct sl_projection
sl_queue_projection(struct sl_queue *queue)
{
    return (struct sl_projection){.id = SL_PROJECTION_QUEUE,
                                  .name = "queue",
                                  .self = queue,
                                  .apply = sl_queue_apply,
                                  .snapshot_begin = sl_queue_snapshot_begin,
                                  .snapshot_some = sl_queue_snapshot_some,
                                  .restore = sl_queue_restore,
                                  .held = sl_queue_held,
                                  .relocate = sl_queue_relocate};
}
