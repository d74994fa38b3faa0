/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head_health.h"

#include <inttypes.h>

#include "actors/head_state.h"
#include "runtime/alloc.h"

#define TOLD_MAX 32 /* Extractors of all nodes. */

/* ---- extractors ---------------------------------------------------------------------------- */

static const struct sl_head_sick *
lookup(const struct sl_head_sicks *sicks, struct sl_json extractor)
{
    for (uint32_t i = 0; i < sicks->count; i++) {
        if (sl_json_is(extractor, sicks->items[i].extractor))
            return &sicks->items[i];
    }
    return NULL;
}

void
sl_head_sicks_deinit(struct sl_head_sicks *sicks)
{
    for (uint32_t i = 0; i < sicks->count; i++)
        sl_free(sicks->items[i].extractor);
    sl_free(sicks->items);
    *sicks = (struct sl_head_sicks){0};
}

void
sl_head_sicks_take(struct sl_head_sicks *sicks, struct sl_json pools, uint64_t now_ns)
{
    struct sl_head_sicks now = {0};
    for (struct sl_json_iter i = sl_json_iter(pools); sl_json_next(&i);) {
        struct sl_json extractor = sl_json_member(i.value, "extractor");
        struct sl_json state = sl_json_member(sl_json_member(i.value, "life"), "state");
        if (!sl_json_is(state, "crashed") || lookup(&now, extractor) != NULL ||
            now.count == SL_POOLS_MAX)
            continue;
        const struct sl_head_sick *before = lookup(sicks, extractor);
        char *name = sl_json_strdup(extractor);
        if (name == NULL)
            continue;
        if (now.items == NULL)
            now.items = sl_alloc(SL_POOLS_MAX * sizeof(now.items[0]));
        now.items[now.count++] =
            (struct sl_head_sick){name, before == NULL ? now_ns : before->since_ns};
    }
    sl_head_sicks_deinit(sicks);
    *sicks = now;
}

/* One extractor on all nodes. */
struct told {
    const char *extractor;
    uint64_t since_ns, nodes;
};

static uint32_t
collect(const struct head *h, struct told told[TOLD_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        const struct sl_head_sicks *sicks = &node_at(h, i)->sicks;
        for (uint32_t k = 0; k < sicks->count; k++) {
            uint32_t at = 0;
            while (at < count && strcmp(told[at].extractor, sicks->items[k].extractor) != 0)
                at++;
            if (at == TOLD_MAX)
                continue;
            if (at == count)
                told[count++] =
                    (struct told){sicks->items[k].extractor, sicks->items[k].since_ns, 0};
            told[at].nodes++;
            told[at].since_ns = SL_MIN(told[at].since_ns, sicks->items[k].since_ns);
        }
    }
    return count;
}

/* ---- groups -------------------------------------------------------------------------------- */

static bool
is_in_trouble(const struct head *h, uint32_t i)
{
    enum sl_scaler_condition condition = h->scaling.conditions[i];
    return h->is_below_min[i] || condition == SL_SCALER_NO_HARDWARE ||
           condition == SL_SCALER_BACK_OFF;
}

void
sl_head_health_look(struct head *h, uint64_t now_ns)
{
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (!is_in_trouble(h, i))
            h->trouble_since_ns[i] = 0;
        else if (h->trouble_since_ns[i] == 0)
            h->trouble_since_ns[i] = SL_MAX(now_ns, UINT64_C(1));
    }
}

static void
write_group(const struct head *h, uint32_t i, uint64_t now_ns, struct sl_jsonw *w)
{
    const struct sl_node_group_limits *limits = &h->groups.limits[i];
    struct sl_buf reason = {0};
    if (limits->is_local)
        sl_scaler_reason(&h->scaling.scalers[i], now_ns, &reason);
    else
        sl_buf_printf(&reason, "%" PRIu64 " workers are there, of %" PRIu64 " at least",
                      sl_head_count(h, limits->name, (struct sl_slice){0}), limits->min);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "name", limits->name);
    sl_jsonw_member_u64(w, "seconds", (now_ns - h->trouble_since_ns[i]) / SL_SECOND_NS);
    sl_jsonw_member_str(w, "reason", sl_buf_text(&reason));
    sl_jsonw_end(w);
    sl_buf_deinit(&reason);
}

/* ---- all ----------------------------------------------------------------------------------- */

static uint64_t
count_nodes(const struct head *h)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < h->nodes.count; i++)
        count += node_at(h, i)->state == NODE_ALIVE;
    return count;
}

void
sl_head_health(const struct head *h, uint64_t now_ns, struct sl_buf *out)
{
    struct told told[TOLD_MAX];
    uint32_t count = collect(h, told);
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "nodes", count_nodes(h));
    sl_jsonw_name(&w, "extractors");
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < count; i++) {
        sl_jsonw_object(&w);
        sl_jsonw_member_str(&w, "name", told[i].extractor);
        sl_jsonw_member_u64(&w, "seconds", (now_ns - told[i].since_ns) / SL_SECOND_NS);
        sl_jsonw_member_u64(&w, "nodes", told[i].nodes);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_name(&w, "groups");
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (h->trouble_since_ns[i] != 0)
            write_group(h, i, now_ns, &w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
