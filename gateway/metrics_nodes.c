/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and replicas, as nodes tell of them: what is not as it should be is left out. */
#include "gateway/metrics_write.h"

static uint64_t
number(struct sl_json of, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(of, name), &value) == SL_OK ? value : 0;
}

/* A node is a process of ours, but what it tells came over a link. */
static void
add_named(struct sl_metrics *m, struct sl_json first, struct sl_json second, uint64_t amount)
{
    struct sl_buf scratch = {0}, other = {0};
    struct sl_slice labels[2] = {{0}};
    if (sl_json_text(first, &scratch, &labels[0]) == SL_OK) {
        if (sl_json_text(second, &other, &labels[1]) != SL_OK)
            labels[1] = (struct sl_slice){0};
        *sl_metrics_sum(m, labels, SL_COUNT_OF(labels)) += amount;
    }
    sl_buf_deinit(&scratch);
    sl_buf_deinit(&other);
}

static void
add_workers(struct sl_metrics *m, struct sl_json node)
{
    add_named(m, sl_json_member(node, "group"), sl_json_member(node, "state"), 1);
}

static void
add_replicas(struct sl_metrics *m, struct sl_json node)
{
    struct sl_json replicas = sl_json_member(node, "replicas");
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), sl_json_member(i.value, "state"), 1);
}

static void
add_ongoing(struct sl_metrics *m, struct sl_json node)
{
    struct sl_json replicas = sl_json_member(node, "replicas");
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), (struct sl_json){0},
                  number(i.value, "ongoing"));
}

static void
add_memory(struct sl_metrics *m, struct sl_json node)
{
    static const char *const kinds[][2] = {{"resident", "resident_bytes"},
                                           {"private", "private_bytes"},
                                           {"host", "host_bytes"},
                                           {"device", "device_bytes"}};
    struct sl_json replicas = sl_json_member(node, "replicas");
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);) {
        struct sl_json memory = sl_json_member(i.value, "memory");
        struct sl_slice labels[2] = {{0}};
        sl_buf_clear(&scratch);
        if (!sl_json_has(memory) ||
            sl_json_text(sl_json_member(i.value, "extractor"), &scratch, &labels[0]) != SL_OK)
            continue;
        for (size_t k = 0; k < SL_COUNT_OF(kinds); k++) {
            labels[1] = sl_slice_str(kinds[k][0]);
            uint64_t *sum = sl_metrics_sum(m, labels, SL_COUNT_OF(labels));
            *sum += SL_MIN(number(memory, kinds[k][1]), UINT64_MAX - *sum); /* Plugins say it. */
        }
    }
    sl_buf_deinit(&scratch);
}

static void
add_scaling(struct sl_metrics *m, struct sl_json node, const char *what)
{
    struct sl_json pools = sl_json_member(node, "scaling");
    for (struct sl_json_iter i = sl_json_iter(pools); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), (struct sl_json){0},
                  number(i.value, what));
}

static void
add_wanted(struct sl_metrics *m, struct sl_json node)
{
    add_scaling(m, node, "wanted");
}

static void
add_changes(struct sl_metrics *m, struct sl_json node)
{
    add_scaling(m, node, "changes");
}

static void
add_store(struct sl_metrics *m, struct sl_json node)
{
    static const struct {
        const char *kind, *of, *name;
    } parts[] = {{"objects", "objects", "memory_bytes"},
                 {"spilled", "objects", "spilled_bytes"},
                 {"images", "images", "bytes"}};
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        struct sl_json of = sl_json_member(node, parts[i].of);
        const struct sl_slice labels[2] = {sl_slice_str(parts[i].kind)};
        *sl_metrics_sum(m, labels, SL_COUNT_OF(labels)) += number(of, parts[i].name);
    }
}

void
sl_metrics_counted(struct sl_metrics *m, enum sl_metric_field field)
{
    static const struct {
        void (*add)(struct sl_metrics *m, struct sl_json node);
        const char *names[2];
    } counted[] = {[FIELD_WORKERS] = {add_workers, {"group", "state"}},
                   [FIELD_REPLICAS] = {add_replicas, {"extractor", "state"}},
                   [FIELD_ONGOING] = {add_ongoing, {"extractor", ""}},
                   [FIELD_MEMORY] = {add_memory, {"extractor", "kind"}},
                   [FIELD_WANTED] = {add_wanted, {"extractor", ""}},
                   [FIELD_CHANGES] = {add_changes, {"extractor", ""}},
                   [FIELD_STORE] = {add_store, {"kind", ""}}};
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(m->nodes)); sl_json_next(&i);)
        counted[field].add(m, i.value);
    sl_metrics_write_sums(m, counted[field].names, 2, 1);
}

/* Of a pool, each of whose replicas tells the same. */
static void
add_phases(struct sl_metrics *m, struct sl_json replica, bool is_count)
{
    static const char *const kinds[] = {"calls", "tasks"};
    static const char *const phases[] = {"wait", "batch_wait", "compute"};
    struct sl_buf scratch = {0};
    struct sl_slice extractor;
    if (sl_json_text(sl_json_member(replica, "extractor"), &scratch, &extractor) != SL_OK)
        extractor = (struct sl_slice){0};
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        struct sl_json of = sl_json_member(sl_json_member(replica, "times"), kinds[i]);
        for (size_t j = 0; j < SL_COUNT_OF(phases); j++) {
            double sum_ms = 0;
            struct sl_json sum = sl_json_member(sl_json_member(of, phases[j]), "sum_ms");
            const struct sl_slice labels[] = {extractor, sl_slice_str(kinds[i]),
                                              sl_slice_str(phases[j])};
            if (sl_json_f64(sum, &sum_ms) != SL_OK || !(sum_ms >= 0) || sum_ms > 1e15)
                continue;
            *sl_metrics_sum(m, labels, SL_COUNT_OF(labels)) +=
                is_count ? number(of, "count") : (uint64_t)(sum_ms * 1000);
        }
    }
    sl_buf_deinit(&scratch);
}

/* Whether it is of the same pool as the one before it in its node's list. */
static bool
is_same_pool(struct sl_json a, struct sl_json b)
{
    static const char *const names[] = {"extractor", "index", "times"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (!sl_slice_equal(sl_json_raw(sl_json_member(a, names[i])),
                            sl_json_raw(sl_json_member(b, names[i]))))
            return false;
    }
    return true;
}

void
sl_metrics_phases(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"extractor", "kind", "phase"};
    static const char *const parts[] = {"sluice_item_seconds_sum", "sluice_item_seconds_count"};
    (void)field;
    for (unsigned is_count = 0; is_count < 2; is_count++) {
        m->family = parts[is_count];
        for (struct sl_json_iter i = sl_json_iter(sl_json_root(m->nodes)); sl_json_next(&i);) {
            struct sl_json before = {0}, replicas = sl_json_member(i.value, "replicas");
            for (struct sl_json_iter r = sl_json_iter(replicas); sl_json_next(&r);) {
                if (before.doc == NULL || !is_same_pool(before, r.value))
                    add_phases(m, r.value, is_count != 0);
                before = r.value;
            }
        }
        sl_metrics_write_sums(m, names, SL_COUNT_OF(names), is_count ? 1 : 1e-6);
    }
}
