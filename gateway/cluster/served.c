/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nodes' replicas serve, and the groups that they belong to: read from the head's state,
 * as the actors of one process have it. Pages cost their rows.
 */
#include "actors/head.h"
#include "actors/served.h"
#include "gateway/cluster.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "runtime/live.h"

#define ENTRIES_MAX  100
#define REPLICAS_MAX 500

void
sl_cluster_names_init(struct sl_cluster_names *names, struct sl_call *call)
{
    *names = (struct sl_cluster_names){.call = call};
}

const char *
sl_cluster_name(void *arg, uint64_t scope)
{
    struct sl_cluster_names *names = arg;
    struct sl_identity tenant;
    size_t at = scope % SL_COUNT_OF(names->kept);
    if (names->kept[at].scope != scope || scope == 0) {
        if (sl_keyring_tenant_of(names->call->gateway->keyring, (struct sl_scope){scope},
                                 &tenant) != SL_OK)
            return NULL;
        names->kept[at].scope = scope;
        memcpy(names->kept[at].text, tenant.tenant_id, sizeof(names->kept[at].text));
    }
    return names->kept[at].text;
}

void
sl_cluster_reply(struct sl_call *call, struct sl_list *list)
{
    list->include_total = false; /* Nobody counts what no page has. */
    sl_jsonw_object(&call->out);
    sl_list_write(list, &call->out);
    sl_jsonw_end(&call->out);
    sl_list_end(list);
}

/* NULL: this process has no head; the call has failed. */
static const void *
head_of(struct sl_call *call)
{
    struct sl_live *live = call->gateway->live;
    const void *head = live == NULL ? NULL : sl_live_state(live, SL_ACTOR_HEAD);
    if (head == NULL)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the head tells of its nodes: ask there");
    return head;
}

/* ---- extractors, replicas, decisions -------------------------------------------------------- */

typedef enum sl_err write_fn(const struct sl_served *s, const struct sl_served_ask *ask,
                             struct sl_jsonw *w, struct sl_buf *ret_next);

static void
fill(struct sl_call *call, const struct sl_served_ask *ask, struct sl_list *list, write_fn *write)
{
    struct sl_jsonw w;
    struct sl_buf next = {0};
    sl_jsonw_init(&w, &list->rows);
    sl_jsonw_array(&w);
    enum sl_err err =
        write(sl_head_served(sl_live_state(call->gateway->live, SL_ACTOR_HEAD)), ask, &w, &next);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    if (next.size > 0)
        sl_cursor_encode(sl_buf_slice(&next), (struct sl_slice){0}, &list->next_cursor);
    if (err == SL_ENOTFOUND)
        sl_call_not_found(call, "extractor", ask->extractor);
    else if (err != SL_OK)
        sl_call_invalid(call, "query.cursor", "cursor", "the cursor is not one of this list");
    sl_buf_deinit(&next);
}

static void
page(struct sl_call *call, struct sl_served_ask *ask, uint32_t limit_max, write_fn *write)
{
    struct sl_list list;
    struct sl_scope scope;
    struct sl_cluster_names *names = sl_call_alloc(call, sizeof(*names));
    if (head_of(call) == NULL || !sl_cluster_scope(call, &scope) ||
        !sl_list_begin(call, limit_max / 2, &list))
        return;
    sl_cluster_names_init(names, call);
    list.limit = SL_MIN(list.limit, limit_max);
    ask->after = list.cursor_key;
    ask->limit = list.limit;
    ask->tenant = scope.id;
    ask->is_tenant = scope.id != 0;
    ask->name = sl_cluster_name;
    ask->arg = names;
    fill(call, ask, &list, write);
    if (sl_call_has_failed(call))
        sl_list_end(&list);
    else
        sl_cluster_reply(call, &list);
}

sl_handler_fn sl_api_list_extractors_served, sl_api_list_replicas, sl_api_list_actors,
    sl_api_list_decisions, sl_api_list_worker_groups, sl_api_scale_workers;

void
sl_api_list_extractors_served(struct sl_call *call)
{
    struct sl_served_ask ask = {.extractor = sl_call_query(call, "extractor")};
    page(call, &ask, ENTRIES_MAX, sl_served_write_entries);
}

void
sl_api_list_replicas(struct sl_call *call)
{
    struct sl_served_ask ask = {.extractor = sl_call_query(call, "extractor")};
    page(call, &ask, REPLICAS_MAX, sl_served_write_replicas);
}

void
sl_api_list_actors(struct sl_call *call)
{
    struct sl_served_ask ask = {.is_actors = true};
    page(call, &ask, REPLICAS_MAX, sl_served_write_replicas);
}

/* A tenant's are those of replicas of its own; what the others do is others' load. */
void
sl_api_list_decisions(struct sl_call *call)
{
    struct sl_served_ask ask = {.extractor = call->params[0]};
    page(call, &ask, 2 * SL_SERVED_DECISIONS, sl_served_write_decisions);
}

/* ---- worker groups -------------------------------------------------------------------------- */

#define WORKERS "-workers"

static uint64_t
number(struct sl_json object, const char *name, uint64_t fallback)
{
    uint64_t value;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : fallback;
}

static void
write_group(struct sl_call *call, struct sl_json group, struct sl_jsonw *w)
{
    struct sl_slice name = sl_call_text(call, sl_json_member(group, "group"));
    uint64_t workers = number(group, "workers", 0);
    bool is_manual = sl_json_bool(sl_json_member(group, "is_manual"), false);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "name", sl_call_format(call, "%.*s" WORKERS, SL_SLICE_FMT(name)));
    sl_jsonw_member_null(w, "tenant_id");
    sl_jsonw_member_u64(w, "min_replicas", number(group, "min", 0));
    sl_jsonw_member_value(w, "max_replicas", sl_json_member(group, "max"));
    sl_jsonw_member_u64(w, "replicas", workers);
    sl_jsonw_member_u64(w, "ready_replicas", number(group, "ready", workers));
    sl_jsonw_member_u64(w, "desired_replicas", number(group, "wanted", workers));
    sl_jsonw_name(w, "manual");
    if (is_manual) {
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "replicas", number(group, "wanted", workers));
        sl_jsonw_end(w);
    } else {
        sl_jsonw_null(w);
    }
    sl_jsonw_member_u64(w, "starting", number(group, "starting", 0));
    sl_jsonw_member_u64(w, "draining", number(group, "draining", 0));
    sl_jsonw_member_value(w, "provider", sl_json_member(group, "provider"));
    sl_jsonw_member_value(w, "condition", sl_json_member(group, "condition"));
    sl_jsonw_member_value(w, "reason", sl_json_member(group, "reason"));
    sl_jsonw_end(w);
}

/* There are as many as the configuration knows: a page has them all. */
void
sl_api_list_worker_groups(struct sl_call *call)
{
    struct sl_list list;
    struct sl_jsonw w;
    const void *head = head_of(call);
    if (head == NULL || !sl_list_begin(call, SL_LIST_LIMIT_MAX, &list))
        return;
    struct sl_buf text = {0};
    sl_head_groups(head, &text);
    struct sl_json groups = sl_call_parse(call, sl_call_copy(call, sl_buf_slice(&text)));
    sl_jsonw_init(&w, &list.rows);
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(groups); sl_json_next(&i);)
        write_group(call, i.value, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_deinit(&text);
    sl_cluster_reply(call, &list);
}

/* What is asked of a group, until the head has answered. */
struct scaling {
    uint64_t from, to;
};

static void
on_scaled(struct sl_call *call)
{
    struct sl_slice message;
    const struct scaling *s = call->state;
    enum sl_err err = sl_call_wait_error(call, &message);
    if (err == SL_ENOTFOUND) {
        sl_call_not_found(call, "worker group", call->params[0]);
    } else if (err == SL_EINVAL) {
        sl_call_fail(call, SL_API_CONFLICT, "%.*s", SL_SLICE_FMT(message));
    } else if (err != SL_OK) {
        sl_call_fail_wait(call);
    } else {
        sl_jsonw_object(&call->out);
        sl_jsonw_member_slice(&call->out, "name", call->params[0]);
        sl_jsonw_member_u64(&call->out, "from_replicas", s->from);
        sl_jsonw_member_u64(&call->out, "to_replicas", s->to);
        sl_jsonw_member_bool(&call->out, "temporary", true);
        sl_jsonw_end(&call->out);
    }
}

static uint64_t
workers_of(struct sl_call *call, const void *head, struct sl_slice group)
{
    struct sl_buf text = {0};
    uint64_t workers = 0;
    sl_head_groups(head, &text);
    struct sl_json groups = sl_call_parse(call, sl_call_copy(call, sl_buf_slice(&text)));
    for (struct sl_json_iter i = sl_json_iter(groups); sl_json_next(&i);) {
        if (sl_slice_equal(sl_call_text(call, sl_json_member(i.value, "group")), group))
            workers = number(i.value, "workers", 0);
    }
    sl_buf_deinit(&text);
    return workers;
}

/* "cpu-workers", or "cpu" alone as the groups' own names are. */
void
sl_api_scale_workers(struct sl_call *call)
{
    struct scaling *s = sl_call_alloc(call, sizeof(*s));
    const void *head = head_of(call);
    struct sl_slice name = call->params[0];
    size_t suffix = strlen(WORKERS);
    if (head == NULL)
        return;
    if (name.size > suffix && memcmp(name.data + name.size - suffix, WORKERS, suffix) == 0)
        name.size -= suffix;
    s->from = workers_of(call, head, name);
    s->to = number(call->body, "replicas", 0); /* The schema has checked it. */
    call->state = s;
    sl_call_group_scale(call, name, s->to, on_scaled);
}
