/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/local_provider.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/cluster.h"
#include "runtime/alloc.h"
#include "runtime/spawn_port.h"

struct local {
    char *node_text;
    uint32_t gpus;
    uint32_t *numbers; /* [0, count), in no order. */
    uint32_t count, capacity;
};

/* A fork promises nobody anything, so it need not wait for the log. */
/* No sync is waited for: a process promises nobody anything. Both at once, in this order: one that
   takes another's place is started when that is as good as gone. */
static void
tell(struct sl_ctx *ctx, uint32_t id, const void *body)
{
    enum sl_level level = ctx->level;
    ctx->level = SL_LEVEL_RAM;
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), id, body);
    ctx->level = level;
}

static void
start(void *self, struct sl_ctx *ctx, uint32_t number, const struct sl_node_group_limits *group)
{
    struct local *l = self;
    if (l->count == l->capacity) {
        l->capacity = l->capacity == 0 ? 8 : 2 * l->capacity;
        l->numbers = sl_realloc(l->numbers, l->capacity * sizeof(l->numbers[0]));
    }
    l->numbers[l->count++] = number;
    char *text =
        sl_format("%s,\"room\":%" PRIu64 ",\"node\":%u}", l->node_text, group->tasks, number);
    struct sl_m_spawn want = {
        .kind = SL_CHILD_NODE, .tag = number, .fd = -1, .text = sl_slice_str(text)};
    tell(ctx, SL_M_spawn, &want);
    sl_free(text);
}

static void
stop(void *self, struct sl_ctx *ctx, uint32_t number)
{
    struct local *l = self;
    bool is_there = false;
    for (uint32_t i = 0; i < l->count; i++)
        is_there = is_there || l->numbers[i] == number;
    if (is_there)
        tell(ctx, SL_M_spawn_kill, &(struct sl_m_spawn_kill){.tag = number, .signal = 9});
}

static void
ended(void *self, uint32_t number)
{
    struct local *l = self;
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->numbers[i] == number) {
            l->numbers[i] = l->numbers[--l->count];
            return;
        }
    }
}

static uint32_t
list(const void *self, uint32_t *ret_numbers, uint32_t max)
{
    const struct local *l = self;
    for (uint32_t i = 0; i < SL_MIN(l->count, max); i++)
        ret_numbers[i] = l->numbers[i];
    return l->count;
}

static const char *
lacks(const void *self, const struct sl_node_group_limits *group)
{
    const struct local *l = self;
    if (group->gpus <= l->gpus)
        return NULL;
    return l->gpus == 0 ? "this machine has no GPU" : "this machine has fewer GPUs than a node has";
}

static void
deinit(void *self)
{
    struct local *l = self;
    sl_free(l->node_text);
    sl_free(l->numbers);
    sl_free(l);
}

struct sl_node_provider
sl_local_provider_create(const struct sl_local_provider_options *options)
{
    struct local *l = sl_zalloc(sizeof(*l));
    l->node_text = sl_strdup(options->node_text);
    l->gpus = options->gpus;
    return (struct sl_node_provider){.name = "local",
                                     .self = l,
                                     .start = start,
                                     .stop = stop,
                                     .ended = ended,
                                     .list = list,
                                     .lacks = lacks,
                                     .deinit = deinit};
}
