/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes told of their replicas, by pages. */
#include <inttypes.h>
#include <stdio.h>

#include "actors/served_state.h"

static const char *const states[SERVED_STATES] = {"starting", "warming", "ready", "draining"};

/* Digits up to `end`, which is gone over; false: there are none, or too many. */
static bool
parse(struct sl_slice *text, char end, uint64_t *ret_number)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->size && i < 20 && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        uint64_t digit = text->data[i] - (uint64_t)'0';
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (i == 0 || (end != '\0' && (i == text->size || text->data[i] != end)) ||
        (end == '\0' && i != text->size))
        return false;
    i += end != '\0';
    *text = sl_slice(text->data + i, text->size - i);
    *ret_number = value;
    return true;
}

/* ---- entries ------------------------------------------------------------------------------- */

struct sums { /* Of an entry's shares. */
    uint64_t counts[SERVED_STATES], ongoing, waiting, resident_bytes, device_bytes, items, answered,
        failed, cold_ms, wanted, stopped, crashed, nodes;
    double p50_ms, p95_ms, p99_ms;
    bool is_crashed, is_at_limit;
};

static void
add_share(struct sums *sum, const struct served_share *share)
{
    for (uint32_t i = 0; i < SERVED_STATES; i++)
        sum->counts[i] += share->counts[i];
    sum->ongoing += share->ongoing;
    sum->waiting += share->waiting;
    sum->resident_bytes += share->memory[SL_MEMORY_RESIDENT];
    sum->device_bytes += share->memory[SL_MEMORY_DEVICE];
    sum->items += share->items;
    sum->answered += share->answered;
    sum->failed += share->failed;
    sum->wanted += share->wanted;
    sum->stopped += share->stopped;
    sum->crashed += share->crashed;
    sum->nodes++;
    sum->cold_ms = SL_MAX(sum->cold_ms, share->cold_ms);
    sum->p50_ms = SL_MAX(sum->p50_ms, share->p50_ms);
    sum->p95_ms = SL_MAX(sum->p95_ms, share->p95_ms);
    sum->p99_ms = SL_MAX(sum->p99_ms, share->p99_ms);
    sum->is_crashed = sum->is_crashed || share->is_crashed;
    sum->is_at_limit = sum->is_at_limit || (share->is_at_limit && share->waiting > 0);
}

static struct sums
sums_of(const struct served_entry *e)
{
    struct sums sum = {0};
    for (const struct served_share *share = e->shares; share != NULL; share = share->next)
        add_share(&sum, share);
    return sum;
}

/* `is_own`: else that others' work fills it is not told. */
static const char *
state_of(const struct served_entry *e, const struct sums *sum, bool is_own)
{
    if (e->is_disabled)
        return "disabled";
    if (sum->counts[SERVED_READY] > 0)
        return is_own && sum->is_at_limit ? "saturated" : "ready";
    if (sum->is_crashed)
        return "failed";
    return sum->counts[SERVED_STARTING] + sum->counts[SERVED_WARMING] > 0 ? "warming" : "cold";
}

static void
write_ms(struct sl_jsonw *w, const char *name, bool is_known, double value)
{
    if (is_known)
        sl_jsonw_member_f64(w, name, value);
    else
        sl_jsonw_member_null(w, name);
}

/* null: nobody's alone. */
static void
write_tenant(const struct sl_served_ask *ask, uint64_t tenant, struct sl_jsonw *w)
{
    sl_jsonw_member_str(w, "tenant_id", tenant == 0 ? NULL : ask->name(ask->arg, tenant));
}

static void
write_replica(const struct sl_served_ask *ask, const struct sl_served_node *n,
              const struct served_replica *r, struct sl_jsonw *w)
{
    const struct served_share *share = n->shares[r->share];
    char id[32], node[16];
    (void)snprintf(id, sizeof(id), "%u-%u", n->number, r->number);
    (void)snprintf(node, sizeof(node), "%u", n->number);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, ask->is_actors ? "actor_id" : "replica_id", id);
    sl_jsonw_member_str(w, ask->is_actors ? "name" : "extractor", share->entry->name);
    write_tenant(ask, share->entry->tenant, w);
    sl_jsonw_member_str(w, "node_id", node);
    sl_jsonw_member_u64(w, "pid", r->pid);
    sl_jsonw_member_str(w, "state", states[r->state]);
    sl_jsonw_member_u64(w, "restarts", share->crashed);
    if (ask->is_actors) {
        sl_jsonw_member_str(w, "class", "replica");
        sl_jsonw_member_null(w, "max_restarts"); /* It is started again for ever; pauses double. */
        sl_jsonw_member_u64(w, "mailbox_depth", r->ongoing);
        sl_jsonw_member_time(w, "created_at", r->started_ms);
        sl_jsonw_end(w);
        return;
    }
    sl_jsonw_member_bool(w, "background", r->is_background);
    sl_jsonw_member_u64(w, "ongoing", r->ongoing);
    sl_jsonw_member_u64(w, "done", r->done);
    sl_jsonw_member_time(w, "started_at", r->started_ms);
    sl_jsonw_member_u64(w, "memory", r->resident_bytes);
    sl_jsonw_member_u64(w, "gpu", r->device_bytes);
    sl_jsonw_end(w);
}

/* The first of them; all are in pages of their own. */
static void
write_shown(const struct sl_served_ask *ask, const struct served_entry *e, struct sl_jsonw *w)
{
    uint32_t shown = 0;
    sl_jsonw_name(w, "replicas");
    sl_jsonw_array(w);
    for (const struct served_share *share = e->shares; share != NULL; share = share->next) {
        const struct sl_served_node *n = share->node;
        for (uint32_t i = 0; i < n->replicas_count && shown < SL_SERVED_SHOWN; i++) {
            if (n->shares[n->replicas[i].share] != share)
                continue;
            write_replica(ask, n, &n->replicas[i], w);
            shown++;
        }
        if (shown == SL_SERVED_SHOWN)
            break;
    }
    sl_jsonw_end(w);
}

static void
write_counts(const struct sums *sum, struct sl_jsonw *w)
{
    uint64_t total = 0;
    sl_jsonw_name(w, "counts");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < SERVED_STATES; i++) {
        sl_jsonw_member_u64(w, states[i], sum->counts[i]);
        total += sum->counts[i];
    }
    sl_jsonw_member_u64(w, "stopped", sum->stopped);
    sl_jsonw_member_u64(w, "crashed", sum->crashed);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "replicas_total", total);
}

static void
write_settings(const struct served_entry *e, struct sl_jsonw *w)
{
    if (!e->has_settings)
        return;
    sl_jsonw_member_u64(w, "min_replicas", e->min_replicas);
    sl_jsonw_member_u64(w, "max_replicas", e->max_replicas);
    sl_jsonw_member_f64(w, "target_ongoing_requests", e->target_ongoing);
    sl_jsonw_member_f64(w, "downscale_delay_s", e->down_delay_s);
}

static void
write_entry(const struct sl_served_ask *ask, const struct served_entry *e, struct sl_jsonw *w)
{
    bool is_own = !ask->is_tenant || e->tenant == ask->tenant;
    struct sums sum = sums_of(e);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "extractor", e->name);
    write_tenant(ask, e->tenant, w);
    sl_jsonw_member_str(w, "state", state_of(e, &sum, is_own));
    if (is_own) {
        write_settings(e, w);
        sl_jsonw_member_u64(w, "desired_replicas", sum.wanted);
        sl_jsonw_member_u64(w, "ongoing_requests", sum.ongoing);
        sl_jsonw_member_u64(w, "queued_requests", sum.waiting);
        write_ms(w, "p50_ms", sum.items > 0, sum.p50_ms);
        write_ms(w, "p95_ms", sum.items > 0, sum.p95_ms);
        write_ms(w, "p99_ms", sum.items > 0, sum.p99_ms);
        write_ms(w, "error_rate", sum.answered > 0,
                 (double)sum.failed / (double)SL_MAX(sum.answered, UINT64_C(1)));
        write_ms(w, "cold_start_ms", sum.cold_ms > 0, (double)sum.cold_ms);
        sl_jsonw_member_u64(w, "memory", sum.resident_bytes);
        sl_jsonw_member_u64(w, "gpu", sum.device_bytes);
        sl_jsonw_member_u64(w, "nodes", sum.nodes);
        write_counts(&sum, w);
        write_shown(ask, e, w);
    }
    sl_jsonw_end(w);
}

/* A cursor is TENANT:NAME, of the last row. */
static bool
start_of(const struct sl_served *s, struct sl_slice after, uint32_t *ret_at)
{
    uint64_t tenant;
    bool is_there;
    *ret_at = 0;
    if (after.size == 0)
        return true;
    if (!parse(&after, ':', &tenant))
        return false;
    *ret_at = served_place(s, after, tenant, &is_there);
    *ret_at += is_there;
    return true;
}

enum sl_err
sl_served_write_entries(const struct sl_served *s, const struct sl_served_ask *ask,
                        struct sl_jsonw *w, struct sl_buf *ret_next)
{
    const struct served_entry *last = NULL;
    uint32_t at, count = 0;
    if (!start_of(s, ask->after, &at))
        return SL_EINVAL;
    for (; at < s->entries_count; at++) {
        const struct served_entry *e = s->entries[at];
        if (ask->extractor.size > 0 && !sl_slice_is(ask->extractor, e->name))
            continue;
        if (ask->is_tenant && e->tenant != 0 && e->tenant != ask->tenant)
            continue;
        if (count == ask->limit) {
            sl_buf_printf(ret_next, "%" PRIu64 ":%s", last->tenant, last->name);
            break;
        }
        write_entry(ask, e, w);
        last = e;
        count++;
    }
    return SL_OK;
}

/* ---- replicas ------------------------------------------------------------------------------ */

static bool
is_wanted(const struct served_entry *e, const struct sl_served_ask *ask)
{
    return (ask->extractor.size == 0 || sl_slice_is(ask->extractor, e->name)) &&
           (!ask->is_tenant || e->tenant == ask->tenant);
}

static bool
has_wanted(const struct sl_served_node *n, const struct sl_served_ask *ask)
{
    for (uint32_t i = 0; i < n->shares_count; i++) {
        if (is_wanted(n->shares[i]->entry, ask))
            return true;
    }
    return false;
}

static bool
parse_id(struct sl_slice text, uint64_t *ret_node, uint64_t *ret_number)
{
    return parse(&text, '-', ret_node) && parse(&text, '\0', ret_number) &&
           *ret_node <= UINT32_MAX && *ret_number <= UINT32_MAX;
}

enum sl_err
sl_served_write_replicas(const struct sl_served *s, const struct sl_served_ask *ask,
                         struct sl_jsonw *w, struct sl_buf *ret_next)
{
    uint64_t node = 0, after = 0;
    uint32_t count = 0;
    char last[32] = "";
    if (ask->after.size > 0 && !parse_id(ask->after, &node, &after))
        return SL_EINVAL;
    for (uint32_t at = served_node_place(s, (uint32_t)node); at < s->nodes_count; at++) {
        const struct sl_served_node *n = s->nodes[at];
        if (!has_wanted(n, ask)) /* Else each of its replicas would be looked at. */
            continue;
        for (uint32_t i = 0; i < n->replicas_count; i++) {
            const struct served_replica *r = &n->replicas[i];
            if ((ask->after.size > 0 && n->number == node && r->number <= after) ||
                !is_wanted(n->shares[r->share]->entry, ask))
                continue;
            if (count++ == ask->limit) {
                sl_buf_append_str(ret_next, last);
                return SL_OK;
            }
            write_replica(ask, n, r, w);
            (void)snprintf(last, sizeof(last), "%u-%u", n->number, r->number);
        }
    }
    return SL_OK;
}

bool
sl_served_find(const struct sl_served *s, struct sl_slice replica_id,
               struct sl_served_place *ret_place)
{
    uint64_t node, number;
    if (!parse_id(replica_id, &node, &number))
        return false;
    uint32_t at = served_node_place(s, (uint32_t)node);
    if (at == s->nodes_count || s->nodes[at]->number != node)
        return false;
    const struct sl_served_node *n = s->nodes[at];
    for (uint32_t i = 0; i < n->replicas_count; i++) {
        if (n->replicas[i].number != number)
            continue;
        *ret_place =
            (struct sl_served_place){.node = n->number,
                                     .number = n->replicas[i].number,
                                     .tenant = n->shares[n->replicas[i].share]->entry->tenant};
        return true;
    }
    return false;
}

/* ---- decisions ----------------------------------------------------------------------------- */

static void
write_decision(const struct sl_served_ask *ask, const struct served_entry *e,
               const struct served_decision *d, struct sl_jsonw *w)
{
    char node[16];
    (void)snprintf(node, sizeof(node), "%u", d->node);
    sl_jsonw_object(w);
    sl_jsonw_member_time(w, "ts", d->at_ms);
    sl_jsonw_member_str(w, "extractor", e->name);
    write_tenant(ask, e->tenant, w);
    sl_jsonw_member_str(w, "node_id", node);
    sl_jsonw_member_u64(w, "from_replicas", d->from);
    sl_jsonw_member_u64(w, "to_replicas", d->to);
    sl_jsonw_member_u64(w, "queued_requests", d->waiting);
    sl_jsonw_member_u64(w, "ongoing_requests", d->running);
    sl_jsonw_member_str(w, "reason", d->reason);
    sl_jsonw_member_str(w, "message", d->text);
    sl_jsonw_end(w);
}

/* A cursor is the number of the next to be told. Those of each tenant have numbers of their own,
 * so ask.tenant says whose: without is_tenant too. */
enum sl_err
sl_served_write_decisions(const struct sl_served *s, const struct sl_served_ask *ask,
                          struct sl_jsonw *w, struct sl_buf *ret_next)
{
    bool is_there;
    uint32_t place = served_place(s, ask->extractor, ask->tenant, &is_there);
    if (!is_there)
        return SL_ENOTFOUND;
    const struct served_entry *e = s->entries[place];
    struct sl_slice after = ask->after;
    uint64_t at = e->decisions_count;
    if (after.size > 0 && !parse(&after, '\0', &at))
        return SL_EINVAL;
    at = SL_MIN(at, e->decisions_count);
    uint64_t first = e->decisions_count - SL_MIN(e->decisions_count, (uint64_t)SL_SERVED_DECISIONS);
    for (uint32_t count = 0; at > first && count < ask->limit; count++, at--)
        write_decision(ask, e, &e->decisions[(at - 1) % SL_SERVED_DECISIONS], w);
    if (at > first)
        sl_buf_printf(ret_next, "%" PRIu64, at);
    return SL_OK;
}

/* ---- sums ---------------------------------------------------------------------------------- */

void
sl_served_sum(const struct sl_served *s, struct sl_served_sums *ret_sums)
{
    struct sums sum = {0};
    uint64_t crashed = 0;
    for (uint32_t at = 0; at < s->nodes_count; at++) {
        for (uint32_t i = 0; i < s->nodes[at]->shares_count; i++) {
            add_share(&sum, s->nodes[at]->shares[i]);
            crashed += s->nodes[at]->shares[i]->is_crashed;
        }
    }
    *ret_sums = (struct sl_served_sums){.starting = sum.counts[SERVED_STARTING] +
                                                    sum.counts[SERVED_WARMING],
                                        .ready = sum.counts[SERVED_READY],
                                        .draining = sum.counts[SERVED_DRAINING],
                                        .crashed = crashed,
                                        .ended = sum.crashed,
                                        .ongoing = sum.ongoing,
                                        .waiting = sum.waiting,
                                        .resident_bytes = sum.resident_bytes,
                                        .left_out = s->left_out};
}

uint32_t
sl_served_replicas(const struct sl_served_node *node)
{
    return node == NULL ? 0 : node->replicas_count;
}

const char *
sl_served_state_name(uint32_t state)
{
    sl_assert(state < SERVED_STATES);
    return states[state];
}

static void
add_figures(struct sl_served_figures *f, const struct served_share *share)
{
    for (uint32_t i = 0; i < SERVED_STATES; i++)
        f->counts[i] += share->counts[i];
    for (uint32_t i = 0; i < SL_SERVED_MEMORIES; i++)
        f->memory[i] += SL_MIN(share->memory[i], UINT64_MAX - f->memory[i]);
    for (uint32_t i = 0; i < SL_SERVED_KINDS; i++) {
        f->items[i] += share->items_of[i];
        for (uint32_t j = 0; j < SL_SERVED_PHASES; j++)
            f->sum_ms[i][j] += share->sum_ms[i][j];
    }
    f->ongoing += share->ongoing;
    f->wanted += share->wanted;
    f->changes += share->changes;
    f->has_memory = f->has_memory || share->has_memory;
    f->has_pool = f->has_pool || share->has_pool;
}

bool
sl_served_figures(const struct sl_served *s, uint32_t *at, struct sl_served_figures *ret_figures)
{
    for (; *at < s->entries_count; (*at)++) {
        const struct served_entry *e = s->entries[*at];
        if (e->shares == NULL)
            continue; /* It is known, and nobody tells of it. */
        *ret_figures = (struct sl_served_figures){.extractor = e->name};
        for (const struct served_share *share = e->shares; share != NULL; share = share->next)
            add_figures(ret_figures, share);
        (*at)++;
        return true;
    }
    return false;
}
