/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many replicas there are, looked at from outside: by what the spawner was asked for and what
 * is alive. That the first task leaves zero, "stuck" tells.
 */
#include "actors/simulate_replicas.h"

#define IDLE_NS (20 * SL_SECOND_NS)

#define CONFIG(min)                                                                                \
    "{\"text_extractor\":{\"autoscaling_config\":{\"min_replicas\":" #min ",\"max_replicas\":2,"   \
    "\"downscale_delay_s\":0.3,\"downscale_to_zero_delay_s\":0.3,\"look_back_period_s\":0.5,"      \
    "\"panic_window_s\":0.1}}}"

/* One run in three has no word of replicas, one goes to zero often, one keeps some. */
static uint32_t
least(const struct sl_world *w)
{
    return w->options.seed % 3 == 2 ? 1 : 0;
}

void
sl_world_scale(const struct sl_world *w, struct sl_head_options *head)
{
    static const char *const configs[] = {NULL, CONFIG(0), CONFIG(1)};
    head->extractors = configs[w->options.seed % SL_COUNT_OF(configs)];
    head->replicas_max = SL_WORLD_REPLICAS;
    head->idle_ns = IDLE_NS;
}

static uint32_t
count(const struct sl_world *w, uint32_t asker, uint64_t pool)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        found += !c->is_gone && c->kind == SL_CHILD_REPLICA && c->asker == asker && c->pool == pool;
    }
    return found;
}

uint64_t
sl_world_pool(const struct sl_m_spawn *m)
{
    /* The world's work has an index; what is kept for nobody in particular has none. */
    static const char mark[] = "\"index\"";
    return m->kind == SL_CHILD_REPLICA &&
           memmem(m->text.data, m->text.size, mark, sizeof(mark) - 1) != NULL;
}

void
sl_world_saw_spawn(struct sl_world *w, const struct sl_world_child *c)
{
    uint32_t there = count(w, c->asker, c->pool);
    if (c->kind == SL_CHILD_REPLICA && there > SL_WORLD_REPLICAS)
        sl_world_fail(w, "replicas: node %u has %u of a pool, and may have %d",
                      sl_sim_node(w->sim, c->asker), there, SL_WORLD_REPLICAS);
}

/* The node that keeps more than it is to; NULL: none does. */
static const struct sl_world_child *
find_keeper(const struct sl_world *w)
{
    for (uint32_t i = 0; i < w->children_count; i++) {
        const struct sl_world_child *c = &w->children[i];
        bool is_node = !c->is_gone && c->kind == SL_CHILD_NODE;
        if (is_node && SL_MAX(count(w, c->process, 0), count(w, c->process, 1)) > least(w))
            return c;
    }
    return NULL;
}

bool
sl_world_has_keeper(struct sl_world *w, bool is_late)
{
    const struct sl_world_child *keeper = find_keeper(w);
    if (keeper != NULL && is_late)
        sl_world_fail(w, "replicas: node %u has nothing to do and keeps more than %u",
                      (unsigned)keeper->tag, least(w));
    return keeper != NULL;
}
