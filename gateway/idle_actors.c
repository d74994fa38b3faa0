/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/idle_actors.h"

#include "runtime/report.h"

/* Each takes a message first, as one that was of use before it fell idle has. */
static void
take(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    uint64_t *state = self;
    (void)ctx;
    (void)msg;
    state[0]++;
}

static const struct sl_actor_class idle_class = {.name = "idle", .state_size = 64, .handle = take};

static void
start_all(void *self, struct sl_ctx *ctx, const void *argument)
{
    uint32_t count = *(const uint32_t *)argument;
    (void)self;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_addr addr;
        enum sl_err err = sl_spawn(ctx, &idle_class, NULL, NULL, &addr);
        if (err != SL_OK) {
            sl_report_error("idle-actors", "started=%u wanted=%u err=%s", i, count,
                            sl_err_name(err));
            return;
        }
        sl_send(ctx, addr, SL_M_timer, &(struct sl_m_timer){0});
    }
}

const struct sl_actor_class sl_idle_actors_class = {
    .name = "idle-actors", .init = start_all, .handle = take, .state_size = 64};
