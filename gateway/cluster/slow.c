/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slowest calls of each of the last 60 minutes, and where their time went (trace_log.h): those
 * of its own for a tenant, all for the operator. Slowest first, or the last first.
 *
 *   cursor: TOOK-ID of the last call of a page, hex; with ?sort=-started_at its TOOK is 0
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/cluster.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "gateway/trace_log.h"

#define PAGE     50
#define PAGE_MAX 200
#define HOUR_NS  (3600 * SL_SECOND_NS)
#define KEPT_MAX (SL_TRACE_LOG_MINUTES * SL_TRACE_LOG_CALLS)

struct found {
    const struct sl_kept_call *call;
    uint64_t took_ns; /* 0: they go by their ids alone. */
};

struct look {
    struct sl_scope scope;  /* 0: anybody's. */
    struct sl_slice wanted; /* In the name; empty: any. */
    uint64_t since_ns, least_ns;
    bool is_by_time, has_place;
    uint64_t place_took_ns, place_id; /* All that are listed come behind it. */
    struct found all[KEPT_MAX];
    uint32_t count;
};

static int
compare(uint64_t took_a, uint64_t id_a, uint64_t took_b, uint64_t id_b)
{
    if (took_a != took_b)
        return took_a > took_b ? -1 : 1;
    return id_a > id_b ? -1 : id_a < id_b;
}

static int
compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return compare(x->took_ns, x->call->id, y->took_ns, y->call->id);
}

static void
take(void *arg, const struct sl_kept_call *call)
{
    struct look *l = arg;
    uint64_t took_ns = call->phases.end_ns - call->phases.start_ns;
    struct found found = {call, l->is_by_time ? 0 : took_ns};
    if ((l->scope.id != 0 && call->scope.id != l->scope.id) || call->phases.end_ns < l->since_ns ||
        took_ns < l->least_ns ||
        (l->wanted.size > 0 &&
         memmem(call->name, strlen(call->name), l->wanted.data, l->wanted.size) == NULL))
        return;
    if (l->has_place && compare(l->place_took_ns, l->place_id, found.took_ns, call->id) >= 0)
        return;
    if (!SL_BUG(l->count == KEPT_MAX))
        l->all[l->count++] = found;
}

static bool
read_place(struct look *l, struct sl_slice text)
{
    char copy[34];
    if (text.size != 33 || text.data[16] != '-')
        return false;
    memcpy(copy, text.data, text.size);
    copy[33] = '\0';
    copy[16] = '\0';
    l->has_place = true;
    l->place_took_ns = strtoull(copy, NULL, 16);
    l->place_id = strtoull(copy + 17, NULL, 16);
    return strspn(copy, "0123456789abcdef") == 16 && strspn(copy + 17, "0123456789abcdef") == 16;
}

/* False: the call has failed. */
static bool
read_look(struct sl_call *call, const struct sl_list *list, struct look *l)
{
    struct sl_slice sort = sl_call_query(call, "sort");
    uint64_t now_ns = call->now_ms * SL_MILLI_NS;
    if (!sl_cluster_scope(call, &l->scope))
        return false;
    l->wanted = sl_call_query(call, "q");
    l->since_ns = now_ns - SL_MIN(now_ns, HOUR_NS);
    l->least_ns = (uint64_t)sl_list_number(call, "min_ms", NULL, 0, 3600000, 0) * SL_MILLI_NS;
    l->is_by_time = sl_slice_is(sort, "-started_at");
    if (sort.size > 0 && !l->is_by_time && !sl_slice_is(sort, "-duration"))
        sl_call_invalid(call, "query.sort", "enum", "sort is -duration or -started_at");
    if (list->has_cursor && !read_place(l, list->cursor_key))
        sl_call_invalid(call, "query.cursor", "cursor", "the cursor is not one of this list");
    return !sl_call_has_failed(call);
}

static void
write_call(const struct sl_kept_call *k, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "request_id", k->request);
    sl_jsonw_member_str(w, "trace_id", k->trace);
    sl_jsonw_member_str(w, "tenant_id", k->tenant);
    sl_jsonw_member_str(w, "operation", k->name);
    sl_jsonw_member_u64(w, "status", k->status);
    sl_kept_phases_write(&k->phases, w);
    sl_jsonw_end(w);
}

static void
write_rows(struct sl_call *call, const struct look *l, struct sl_list *list)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, &list->rows);
    sl_jsonw_array(&w);
    for (; list->count < l->count && list->count < list->limit; list->count++)
        write_call(l->all[list->count].call, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    if (list->count == l->count)
        return;
    const struct found *last = &l->all[list->count - 1];
    sl_cursor_encode(sl_slice_str(sl_call_format(call, "%016" PRIx64 "-%016" PRIx64, last->took_ns,
                                                 last->call->id)),
                     (struct sl_slice){0}, &list->next_cursor);
}

sl_handler_fn sl_api_list_slow_requests;

void
sl_api_list_slow_requests(struct sl_call *call)
{
    struct sl_list list;
    struct look *l = sl_call_alloc(call, sizeof(*l));
    if (!sl_list_begin(call, PAGE, &list))
        return;
    list.limit = SL_MIN(list.limit, (uint32_t)PAGE_MAX);
    if (!read_look(call, &list, l)) {
        sl_list_end(&list);
        return;
    }
    if (call->gateway->trace_log != NULL)
        sl_trace_log_calls(call->gateway->trace_log, take, l);
    qsort(l->all, l->count, sizeof(l->all[0]), compare_found);
    write_rows(call, l, &list);
    sl_cluster_reply(call, &list);
}
