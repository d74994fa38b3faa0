/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/cluster.h"

#define SL_PROTOCOL_DEF  "actors/cluster.def"
#define SL_PROTOCOL_NAME cluster
#define SL_PROTOCOL_ID   SL_PROTOCOL_CLUSTER
#include "runtime/message_table.h"

bool
sl_dispatch(const struct sl_on *table, size_t count, void *self, struct sl_ctx *ctx,
            const struct sl_msg *msg)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].id == msg->id) {
            table[i].handle(self, ctx, msg);
            return true;
        }
    }
    return false;
}
