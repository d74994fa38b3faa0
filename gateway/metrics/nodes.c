/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and replicas, as the head has taken in what nodes tell: it is summed by pool already, so
 * that a scrape costs the pools, not the replicas and not the text of their beats.
 */
#include "actors/head.h"
#include "actors/served.h"
#include "gateway/metrics/write.h"
#include "runtime/alloc.h"

#define MICRO         1e-6
#define FIGURES_FIRST 64u

/* ---- nodes --------------------------------------------------------------------------------- */

static void
add_worker(struct sl_metrics *m, const struct sl_head_node *node)
{
    const struct sl_slice labels[] = {sl_slice_str(node->group), sl_slice_str(node->state)};
    ++*sl_metrics_sum(m, labels, SL_COUNT_OF(labels));
}

/* A node is a process of ours, but what it tells came over a link. */
static void
add_bytes(struct sl_metrics *m, const char *text, const char *name, const char *kind)
{
    struct sl_json_doc *doc = NULL;
    const struct sl_slice labels[] = {sl_slice_str(kind), {0}};
    uint64_t *sum = sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), bytes;
    if (text != NULL && sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK &&
        sl_json_u64(sl_json_member(sl_json_root(doc), name), &bytes) == SL_OK)
        *sum += SL_MIN(bytes, UINT64_MAX - *sum);
    sl_json_destroy(&doc);
}

static void
add_store(struct sl_metrics *m, const struct sl_head_node *node)
{
    add_bytes(m, node->objects, "memory_bytes", "objects");
    add_bytes(m, node->objects, "spilled_bytes", "spilled");
    add_bytes(m, node->images, "bytes", "images");
}

void
sl_metrics_of_nodes(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const of_workers[] = {"group", "state"}, *const of_store[] = {"kind", ""};
    for (uint32_t i = 0; i < m->source->nodes_count; i++) {
        if (field == FIELD_WORKERS)
            add_worker(m, &m->source->nodes[i]);
        else
            add_store(m, &m->source->nodes[i]);
    }
    sl_metrics_write_sums(m, field == FIELD_WORKERS ? of_workers : of_store, 2, 1);
}

/* ---- replicas ------------------------------------------------------------------------------ */

static void
add(struct sl_metrics *m, const struct sl_served_figures *f, const char *second, uint64_t amount)
{
    const struct sl_slice labels[] = {sl_slice_str(f->extractor), sl_slice_str(second)};
    uint64_t *sum = sl_metrics_sum(m, labels, SL_COUNT_OF(labels));
    *sum += SL_MIN(amount, UINT64_MAX - *sum);
}

static void
add_replicas(struct sl_metrics *m, const struct sl_served_figures *f, bool is_ongoing)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < SL_SERVED_STATES; i++) {
        if (f->counts[i] > 0 && !is_ongoing)
            add(m, f, sl_served_state_name(i), f->counts[i]);
        count += f->counts[i];
    }
    if (count > 0 && is_ongoing)
        add(m, f, "", f->ongoing);
}

static void
add_memory(struct sl_metrics *m, const struct sl_served_figures *f)
{
    static const char *const kinds[SL_SERVED_MEMORIES] = {[SL_MEMORY_RESIDENT] = "resident",
                                                          [SL_MEMORY_PRIVATE] = "private",
                                                          [SL_MEMORY_HOST] = "host",
                                                          [SL_MEMORY_DEVICE] = "device"};
    for (size_t i = 0; f->has_memory && i < SL_COUNT_OF(kinds); i++)
        add(m, f, kinds[i], f->memory[i]);
}

/* Summed once for all families: an extractor is served by as many pools as there are nodes. */
static const struct sl_served_figures *
figures_of(struct sl_metrics *m)
{
    const struct sl_served *served = m->source->served;
    uint32_t capacity = FIGURES_FIRST;
    if (m->figures != NULL)
        return m->figures;
    m->figures = sl_alloc(capacity * sizeof(m->figures[0]));
    for (uint32_t at = 0;
         served != NULL && sl_served_figures(served, &at, &m->figures[m->figures_count]);) {
        if (++m->figures_count == capacity) {
            capacity *= 2;
            m->figures = sl_realloc(m->figures, capacity * sizeof(m->figures[0]));
        }
    }
    return m->figures;
}

void
sl_metrics_counted(struct sl_metrics *m, enum sl_metric_field field)
{
    const char *const names[] = {"extractor", field == FIELD_REPLICAS ? "state" : "kind"};
    const struct sl_served_figures *figures = figures_of(m);
    for (uint32_t i = 0; i < m->figures_count; i++) {
        const struct sl_served_figures *f = &figures[i];
        if (field == FIELD_REPLICAS || field == FIELD_ONGOING)
            add_replicas(m, f, field == FIELD_ONGOING);
        else if (field == FIELD_MEMORY)
            add_memory(m, f);
        else if (f->has_pool)
            add(m, f, "", field == FIELD_WANTED ? f->wanted : f->changes);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

static void
add_phases(struct sl_metrics *m, const struct sl_served_figures *f, bool is_count)
{
    static const char *const kinds[SL_SERVED_KINDS] = {"calls", "tasks"};
    static const char *const phases[SL_SERVED_PHASES] = {"wait", "batch_wait", "compute"};
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        for (size_t j = 0; f->items[i] > 0 && j < SL_COUNT_OF(phases); j++) {
            const struct sl_slice labels[] = {sl_slice_str(f->extractor), sl_slice_str(kinds[i]),
                                              sl_slice_str(phases[j])};
            *sl_metrics_sum(m, labels, SL_COUNT_OF(labels)) +=
                is_count ? f->items[i] : (uint64_t)(f->sum_ms[i][j] * 1000);
        }
    }
}

void
sl_metrics_phases(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"extractor", "kind", "phase"};
    static const char *const parts[] = {"sluice_item_seconds_sum", "sluice_item_seconds_count"};
    const struct sl_served_figures *figures = figures_of(m);
    (void)field;
    for (unsigned is_count = 0; is_count < 2; is_count++) {
        m->family = parts[is_count];
        for (uint32_t i = 0; i < m->figures_count; i++)
            add_phases(m, &figures[i], is_count != 0);
        sl_metrics_write_sums(m, names, SL_COUNT_OF(names), is_count ? 1 : MICRO);
    }
}
