/* SPDX-License-Identifier: Apache-2.0 */
/* What the head tells of nodes and groups: read only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/head_state.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

/* Workers of a group; of one that is about to be replaced, `but` is its name, it counts no more. */
uint64_t
sl_head_count(const struct head *h, const char *group, struct sl_slice but)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        const struct node *n = node_at(h, i);
        bool is_other = n->name == NULL || !sl_slice_is(but, n->name);
        count += is_other && strcmp(n->facts.group, group) == 0;
    }
    return count;
}

static const char *
state_name(const struct node *n)
{
    if (n->state == NODE_STARTING)
        return "starting";
    if (n->is_leaving)
        return "draining";
    return n->is_cordoned ? "cordoned" : "alive";
}

/* Instead of what it tells of them, which has no end. */
static void
write_brief(struct sl_jsonw *w, const struct node *n)
{
    sl_jsonw_member_u64(w, "replicas_count", sl_served_replicas(n->served));
    sl_jsonw_name(w, "crashed");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < n->sicks.count; i++)
        sl_jsonw_str(w, n->sicks.items[i].extractor);
    sl_jsonw_end(w);
}

static void
write_all(struct sl_jsonw *w, const struct node *n, const struct sl_head_ask *ask)
{
    bool has_replicas = n->replicas != NULL && !ask->has_no_replicas;
    sl_jsonw_member_raw(w, "replicas", sl_slice_str(has_replicas ? n->replicas : "[]"));
    sl_jsonw_member_raw(w, "scaling", sl_slice_str(n->scaling == NULL ? "[]" : n->scaling));
}

static void
write_node(struct sl_jsonw *w, const struct node *n, const struct sl_head_ask *ask)
{
    bool is_child = n->name == NULL;
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", n->slot.number);
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "node", n->slot.number);
    sl_jsonw_member_str(w, "name", is_child ? number : n->name);
    sl_jsonw_member_str(w, "group", group_of(n));
    sl_jsonw_member_bool(w, "is_local", is_child);
    sl_jsonw_member_u64(w, "pid", n->pid);
    sl_jsonw_member_str(w, "state", state_name(n));
    sl_jsonw_member_u64(w, "room", n->room);
    sl_jsonw_member_u64(w, "in_flight", n->in_flight);
    sl_jsonw_member_u64(w, "calls", n->calls);
    sl_jsonw_member_u64(w, "cpus", n->facts.cpus);
    sl_jsonw_member_u64(w, "gpus", n->facts.gpus);
    sl_jsonw_member_u64(w, "memory_bytes", n->facts.memory_bytes);
    sl_jsonw_member_str(w, "host", n->facts.host);
    sl_jsonw_member_raw(w, "labels", sl_slice_str(is_child ? "{}" : n->facts.labels));
    if (n->facts.taint[0] != '\0')
        sl_jsonw_member_str(w, "taint", n->facts.taint);
    sl_jsonw_member_time(w, "started_at", n->started_ms);
    if (ask->is_brief)
        write_brief(w, n);
    else
        write_all(w, n, ask);
    sl_jsonw_member_raw(w, "objects", sl_slice_str(n->objects == NULL ? "null" : n->objects));
    sl_jsonw_member_raw(w, "images", sl_slice_str(n->images == NULL ? "null" : n->images));
    sl_jsonw_end(w);
}

void
sl_head_status(const void *head, struct sl_buf *out)
{
    static const struct sl_head_ask all;
    const struct head *h = head;
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < h->nodes.count; i++)
        write_node(&w, node_at(h, i), &all);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static size_t
size_of(const struct node *n)
{
    return (n->replicas == NULL ? 0 : strlen(n->replicas)) +
           (n->scaling == NULL ? 0 : strlen(n->scaling));
}

static int
by_number(const void *a, const void *b)
{
    const struct node *const *x = a, *const *y = b;
    return ((*x)->slot.number > (*y)->slot.number) - ((*x)->slot.number < (*y)->slot.number);
}

/* Those that a page may have, in the order of their numbers: the set has none. Owned. */
static const struct node **
nodes_after(const struct head *h, uint32_t after, uint32_t *ret_count)
{
    const struct node **nodes = sl_zalloc(SL_MAX(h->nodes.count, 1u) * sizeof(*nodes));
    *ret_count = 0;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        if (node_at(h, i)->slot.number > after)
            nodes[(*ret_count)++] = node_at(h, i);
    }
    qsort(nodes, *ret_count, sizeof(*nodes), by_number);
    return nodes;
}

void
sl_head_write_nodes(const void *head, const struct sl_head_ask *ask, struct sl_jsonw *w,
                    uint32_t *ret_next)
{
    uint32_t count, written = 0;
    size_t bytes = 0, bytes_max = ask->bytes_max == 0 ? SL_HEAD_PAGE_BYTES : ask->bytes_max;
    const struct node **nodes = nodes_after(head, ask->after, &count);
    for (; written < count && written < ask->limit; written++) {
        bytes += ask->is_brief || ask->has_no_replicas ? 0 : size_of(nodes[written]);
        if (written > 0 && bytes > bytes_max)
            break;
        write_node(w, nodes[written], ask);
    }
    *ret_next = written > 0 && written < count ? nodes[written - 1]->slot.number : 0;
    sl_free(nodes);
}

uint32_t
sl_head_nodes(const void *head)
{
    return ((const struct head *)head)->nodes.count;
}

bool
sl_head_node_next(const void *head, uint32_t *at, struct sl_head_node *ret_node)
{
    const struct head *h = head;
    if (*at >= h->nodes.count)
        return false;
    const struct node *n = node_at(h, (*at)++);
    *ret_node = (struct sl_head_node){
        .group = group_of(n), .state = state_name(n), .objects = n->objects, .images = n->images};
    return true;
}

static void
write_group(struct sl_jsonw *w, const struct head *h, const struct sl_node_group_limits *limits)
{
    uint64_t workers = sl_head_count(h, limits->name, (struct sl_slice){0});
    char *why = workers >= limits->min || limits->is_local
                    ? NULL
                    : sl_format("%" PRIu64 " workers are there, of %" PRIu64 " at least", workers,
                                limits->min);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "group", limits->name);
    sl_jsonw_member_bool(w, "is_allowed", limits->is_allowed);
    sl_jsonw_member_u64(w, "workers", workers);
    sl_jsonw_member_u64(w, "min", limits->min);
    if (limits->max != UINT64_MAX)
        sl_jsonw_member_u64(w, "max", limits->max);
    if (!sl_head_scaling_write(&h->scaling, limits->name, w)) {
        sl_jsonw_member_str(w, "condition", why == NULL ? "ok" : "below_min");
        sl_jsonw_member_str(w, "reason", why == NULL ? "" : why);
    }
    sl_jsonw_end(w);
    sl_free(why);
}

void
sl_head_groups(const void *head, struct sl_buf *out)
{
    const struct head *h = head;
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++)
        write_group(&w, h, &h->groups.limits[i]);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

void
sl_head_events(const void *head, struct sl_buf *out)
{
    const struct head *h = head;
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_cluster_log_write(&h->scaling.log, SL_CLUSTER_LOG_MAX, &w);
    sl_jsonw_done(&w);
}

void
sl_head_sum(const void *head, struct sl_head_sums *ret_sums)
{
    const struct head *h = head;
    struct sl_head_sums sums = {.lost = h->lost};
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        const struct node *n = node_at(h, i);
        sums.starting += n->state == NODE_STARTING;
        sums.draining += n->state != NODE_STARTING && n->is_leaving;
        sums.alive += n->state != NODE_STARTING && !n->is_leaving;
        sums.cpus += n->facts.cpus;
        sums.gpus += n->facts.gpus;
        sums.memory_bytes += n->facts.memory_bytes;
        sums.in_flight += n->in_flight;
        sums.room += n->room;
    }
    *ret_sums = sums;
}

const struct sl_served *
sl_head_served(const void *head)
{
    return ((const struct head *)head)->served;
}

bool
sl_head_has_node(const void *head)
{
    const struct head *h = head;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        if (node_at(h, i)->state == NODE_ALIVE)
            return true;
    }
    return false;
}

void
sl_head_sizes(const void *head, uint32_t *ret_nodes, uint32_t *ret_replicas)
{
    const struct head *h = head;
    *ret_nodes = *ret_replicas = 0;
    for (uint32_t i = 0; i < h->nodes.count; i++) {
        *ret_nodes += node_at(h, i)->state == NODE_ALIVE;
        *ret_replicas += sl_served_replicas(node_at(h, i)->served);
    }
}
