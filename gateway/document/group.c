/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of a collection by what they have in common: lists with `group_by`, and aggregates.
 *
 * A grouped list walks the collection twice: once for the values and how many have each, then for
 * the documents of the groups that the page shows. So what is held is bounded by the page.
 */
#include "gateway/document/group.h"

#include <assert.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/aggregate.h"
#include "gateway/document/row.h"
#include "gateway/list.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define GROUPS_MAX     10000
#define GROUP_SHOWN    100 /* Documents of one group in a reply; `count` is of all. */
#define SHOWN_SIZE_MAX (64 * SL_MIB)
#define SLOTS_COUNT    (1u << 15)

static_assert(SLOTS_COUNT > 3 * GROUPS_MAX, "chains of slots must end");

struct group {
    char *text; /* The value's JSON. */
    size_t text_size;
    struct sl_json_doc *doc;
    uint64_t count;
    uint32_t shown;
    bool is_on_page;
    struct sl_buf documents; /* JSON, a comma between. */
};

struct grouping {
    struct sl_document_view view; /* First: it is what `render` gets. */
    struct sl_slice field;
    struct group **groups; /* In the order they came; then by value. */
    uint32_t *slots;       /* Index of a group + 1; 0: free. While they are in the first order. */
    uint32_t count;
    uint64_t documents_count;
    size_t shown_size;
    bool is_filling, is_full;
};

bool
sl_document_render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
                   struct sl_jsonw *w)
{
    struct sl_record r;
    const char *id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    if (SL_BUG(sl_record_decode(value, &r) != SL_OK))
        return false;
    sl_document_write(call, arg, id, &r, w);
    return true;
}

/* ---- groups -------------------------------------------------------------------------------- */

static struct group *
find_group(struct grouping *g, struct sl_json value)
{
    struct sl_slice raw = sl_json_has(value) ? sl_json_raw(value) : sl_slice_str("null");
    uint32_t at = (uint32_t)sl_hash64(raw) & (SLOTS_COUNT - 1);
    for (; g->slots[at] != 0; at = (at + 1) & (SLOTS_COUNT - 1)) {
        struct group *group = g->groups[g->slots[at] - 1];
        if (sl_slice_equal(sl_slice(group->text, group->text_size), raw))
            return group;
    }
    if (g->count == GROUPS_MAX || g->is_filling)
        return NULL;
    struct group *group = sl_zalloc(sizeof(*group));
    group->text = sl_strndup(raw.data, raw.size);
    group->text_size = raw.size;
    if (sl_json_parse(sl_slice(group->text, raw.size), &group->doc, NULL) != SL_OK)
        group->doc = NULL; /* It was parsed a moment ago. */
    g->groups[g->count] = group;
    g->slots[at] = ++g->count;
    return group;
}

static void
show(struct grouping *g, struct group *group, struct sl_json row)
{
    struct sl_slice raw = sl_json_raw(row);
    if (!group->is_on_page || group->shown == GROUP_SHOWN)
        return;
    g->shown_size += raw.size;
    if (g->shown_size > SHOWN_SIZE_MAX) {
        g->is_full = true;
        return;
    }
    if (group->shown++ > 0)
        sl_buf_append_u8(&group->documents, ',');
    sl_buf_append_slice(&group->documents, raw);
}

static void
visit(void *arg, struct sl_json row)
{
    struct grouping *g = arg;
    struct group *group = find_group(g, sl_json_path(row, g->field));
    if (group == NULL) {
        g->is_full = true;
    } else if (g->is_filling) {
        show(g, group, row);
    } else {
        group->count++;
        g->documents_count++;
    }
}

static void
release(struct grouping *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        sl_json_destroy(&g->groups[i]->doc);
        sl_free(g->groups[i]->text);
        sl_buf_deinit(&g->groups[i]->documents);
        sl_free(g->groups[i]);
    }
    sl_free(g->groups);
    sl_free(g->slots);
}

/* ---- a list of groups ---------------------------------------------------------------------- */

/* Hand every document that the request's filters and search hold to `visit`. */
static bool
walk(struct sl_call *call, struct grouping *g, struct sl_list *ret_asked)
{
    static const char *const search[] = {SL_DOCUMENT_SEARCH_FIELDS, NULL};
    struct sl_buf prefix = {0};
    struct sl_list list;
    if (!sl_list_begin(call, 10, &list))
        return false;
    *ret_asked = (struct sl_list){.limit = list.limit,
                                  .offset = list.offset,
                                  .include_total = list.include_total,
                                  .has_cursor = list.has_cursor,
                                  .cursor_key = list.cursor_key};
    list.limit = 1;
    list.has_cursor = false;
    list.sort_field = (struct sl_slice){0};
    struct sl_list_source source = {.scope = call->who.scope,
                                    .table = SL_TABLE_RECORD,
                                    .prefix = sl_key_prefix(&prefix, 1, g->view.collection),
                                    .render = sl_document_render,
                                    .arg = g,
                                    .needs_total = true,
                                    .search_fields = search,
                                    .visit = visit};
    bool is_walked = sl_list_run(&list, call, &source);
    if (is_walked)
        sl_list_end(&list);
    sl_buf_deinit(&prefix);
    if (is_walked && g->is_full)
        sl_call_invalid(call, "body.group_by", "too_many_groups",
                        "more than %d groups, or documents too large for one page: narrow the "
                        "filters or the limit",
                        GROUPS_MAX);
    return !sl_call_has_failed(call);
}

static int
order(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    int result = sl_json_order(sl_json_root(x->doc), sl_json_root(y->doc));
    return result != 0 ? result : strcmp(x->text, y->text);
}

/* Where the page starts: after the cursor's group, or at the offset. */
static uint32_t
find_start(const struct sl_call *call, const struct sl_list *asked, struct group *const *sorted,
           uint32_t count)
{
    uint32_t start = 0;
    if (!asked->has_cursor)
        return SL_MIN(asked->offset, count);
    struct group cursor = {.text = sl_strndup(asked->cursor_key.data, asked->cursor_key.size)};
    const struct group *place = &cursor;
    (void)call;
    if (sl_json_parse(sl_slice(cursor.text, asked->cursor_key.size), &cursor.doc, NULL) != SL_OK)
        cursor.doc = NULL;
    while (start < count && order(&sorted[start], &place) <= 0)
        start++;
    sl_json_destroy(&cursor.doc);
    sl_free(cursor.text);
    return start;
}

static void
write_group(const struct group *group, struct sl_jsonw *w)
{
    struct sl_buf list = {0};
    sl_buf_append_u8(&list, '[');
    sl_buf_append_slice(&list, sl_buf_slice(&group->documents));
    sl_buf_append_u8(&list, ']');
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "group_key", sl_json_root(group->doc));
    sl_jsonw_member_raw(w, "documents", sl_buf_slice(&list));
    sl_jsonw_member_u64(w, "count", group->count);
    sl_jsonw_end(w);
    sl_buf_deinit(&list);
}

static void
write_groups(struct sl_call *call, const struct grouping *g, struct sl_list *asked,
             struct group *const *sorted)
{
    struct sl_jsonw *w = &call->out;
    uint32_t start = find_start(call, asked, sorted, g->count);
    uint32_t end = start + SL_MIN(asked->limit, g->count - start);
    sl_jsonw_object(w);
    sl_jsonw_name(w, "groups");
    sl_jsonw_array(w);
    for (uint32_t i = start; i < end; i++)
        write_group(sorted[i], w);
    sl_jsonw_end(w);
    if (end < g->count && end > start) {
        struct group *last = sorted[end - 1];
        sl_cursor_encode(sl_slice(last->text, last->text_size), (struct sl_slice){0},
                         &asked->next_cursor);
    }
    asked->total = g->count;
    sl_jsonw_name(w, "pagination");
    sl_list_write_pagination(asked, w);
    sl_jsonw_member_slice(w, "group_by_field", g->field);
    sl_jsonw_member_u64(w, "total_documents", g->documents_count);
    sl_jsonw_name(w, "stats");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total_documents", g->documents_count);
    sl_jsonw_member_u64(w, "total_groups", g->count);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_buf_deinit(&asked->next_cursor);
}

static void
list_groups(struct sl_call *call, struct grouping *g)
{
    struct sl_list asked;
    if (!walk(call, g, &asked))
        return;
    struct group **sorted = sl_memdup(g->groups, g->count * sizeof(*sorted));
    if (g->count > 0)
        qsort(sorted, g->count, sizeof(*sorted), order);
    uint32_t start = find_start(call, &asked, sorted, g->count);
    for (uint32_t i = start; i < g->count && i - start < asked.limit; i++)
        sorted[i]->is_on_page = true;
    g->is_filling = true;
    if (walk(call, g, &asked))
        write_groups(call, g, &asked, sorted);
    sl_free(sorted);
}

void
sl_document_list_groups(struct sl_call *call, const struct sl_document_view *view,
                        struct sl_slice field)
{
    struct grouping g = {.view = *view, .field = field};
    g.groups = sl_zalloc(GROUPS_MAX * sizeof(struct group *));
    g.slots = sl_zalloc(SLOTS_COUNT * sizeof(*g.slots));
    list_groups(call, &g);
    release(&g);
}

/* ---- aggregates ---------------------------------------------------------------------------- */

struct aggregating {
    struct sl_document_view view; /* First: it is what `render` gets. */
    struct sl_aggregation *aggregation;
    bool is_full;
};

static void
add(void *arg, struct sl_json row)
{
    struct aggregating *a = arg;
    a->is_full = a->is_full || sl_aggregation_add(a->aggregation, row) != SL_OK;
}

static void
aggregate(struct sl_call *call, struct aggregating *a, struct sl_filter **filter)
{
    struct sl_buf prefix = {0};
    struct sl_list list = {.limit = 1, .filter = *filter};
    *filter = NULL;
    struct sl_list_source source = {.scope = call->who.scope,
                                    .table = SL_TABLE_RECORD,
                                    .prefix = sl_key_prefix(&prefix, 1, a->view.collection),
                                    .render = sl_document_render,
                                    .arg = a,
                                    .needs_total = true,
                                    .visit = add};
    bool is_walked = sl_list_run(&list, call, &source);
    sl_buf_deinit(&prefix);
    if (!is_walked)
        return;
    if (a->is_full) {
        sl_call_invalid(call, "body.group_by", "too_many_groups",
                        "more than %d groups, or values that take more than %d MiB",
                        SL_AGGREGATION_GROUPS_MAX, (int)(SL_AGGREGATION_SIZE_MAX / SL_MIB));
    } else {
        sl_jsonw_object(&call->out);
        sl_jsonw_name(&call->out, "results");
        uint64_t total = sl_aggregation_write(a->aggregation, &call->out);
        sl_jsonw_member_u64(&call->out, "total_groups", total);
        sl_jsonw_name(&call->out, "query_info");
        sl_jsonw_object(&call->out);
        sl_jsonw_member_str(&call->out, "collection_id", a->view.collection);
        sl_jsonw_member_u64(&call->out, "documents", list.total);
        sl_jsonw_end(&call->out);
        sl_jsonw_end(&call->out);
    }
    sl_list_end(&list);
}

void
sl_api_aggregate_documents(struct sl_call *call)
{
    struct aggregating a = {0};
    struct sl_aggregation_error error;
    struct sl_filter *filter = NULL;
    char *why = NULL;
    if (!sl_document_collection(call, call->params[0], &a.view))
        return;
    if (sl_filter_compile(sl_json_member(call->body, "filters"), NULL, &filter, &why) != SL_OK)
        sl_call_invalid(call, "body.filters", "filter", "%s", why);
    else if (sl_aggregation_create(call->body, &a.aggregation, &error) != SL_OK)
        sl_call_invalid(call, sl_call_format(call, "body.%s", error.place), "value_error", "%s",
                        error.why);
    else
        aggregate(call, &a, &filter);
    sl_free(why);
    sl_filter_destroy(&filter);
    sl_aggregation_destroy(&a.aggregation);
}
