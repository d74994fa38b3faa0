/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent_owed.h"

#include "runtime/alloc.h"

bool
sl_agent_owed_add(struct sl_agent_owed *owed, const struct sl_m_undelivered *m, uint32_t max)
{
    if (owed->count == max)
        return false;
    owed->ends = sl_realloc(owed->ends, (owed->count + 1) * sizeof(owed->ends[0]));
    owed->ends[owed->count++] =
        (struct sl_owed_end){.task_id = m->first,
                             .epoch = m->second,
                             .kind = m->reason == SL_ETOOBIG ? SL_FAIL_PERMANENT : SL_FAIL_UNSENT};
    return true;
}

void
sl_agent_owed_gone(struct sl_agent_owed *owed, uint64_t replica)
{
    if (owed->gone_count == owed->gone_room) {
        owed->gone_room = SL_MAX(2 * owed->gone_room, 8u);
        owed->gone = sl_realloc(owed->gone, owed->gone_room * sizeof(owed->gone[0]));
    }
    owed->gone[owed->gone_count++] = replica;
}

uint32_t
sl_agent_owed_tell(struct sl_agent_owed *owed, struct sl_ctx *ctx)
{
    uint32_t count = owed->count;
    for (; owed->gone_count > 0; owed->gone_count--) {
        struct sl_m_shortcut_gone m = {.replica = owed->gone[owed->gone_count - 1]};
        sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_shortcut_gone, &m);
    }
    while (owed->count > 0) {
        const struct sl_owed_end *o = &owed->ends[--owed->count];
        struct sl_m_task_failed m = {.task_id = o->task_id,
                                     .epoch = o->epoch,
                                     .kind = o->kind,
                                     .code = sl_slice_str("result_unsent"),
                                     .message = sl_slice_str("its result is too large to send")};
        sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), SL_M_task_failed, &m);
    }
    return count;
}

void
sl_agent_owed_deinit(struct sl_agent_owed *owed)
{
    sl_free(owed->ends);
    sl_free(owed->gone);
    *owed = (struct sl_agent_owed){0};
}
