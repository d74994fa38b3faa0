/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/list.h"

#include <stdlib.h>

#include "gateway/arena.h"
#include "gateway/ask.h"
#include "gateway/route.h"
#include "runtime/alloc.h"

/* A sort value in a cursor is cut to this: rows that agree so far are told apart by their keys. */
#define SORT_SIZE_MAX 512
/* A list that looks at many rows lets others have their turn after so much: a row counts one, and
 * one more for each so many of its bytes. Some 10 ms. */
#define SLICE_COST 4096u
#define COST_BYTES 512u

/* ---- reading the request ------------------------------------------------------------------- */

static bool
parse_number(struct sl_slice text, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0 || text.size > 9)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = (uint32_t)number;
    return true;
}

uint32_t
sl_list_number(struct sl_call *call, const char *name, const char *alias, uint32_t min,
               uint32_t max, uint32_t fallback)
{
    struct sl_slice text = sl_call_query(call, name);
    struct sl_json v = sl_call_member(call, name, alias);
    const char *where = "query";
    uint32_t number = 0;
    bool is_good = true;
    if (text.data == NULL && alias != NULL)
        text = sl_call_query(call, alias);
    if (text.data != NULL) {
        is_good = parse_number(text, &number);
    } else if (sl_json_has(v)) {
        uint64_t wide = 0;
        where = "body";
        is_good = sl_json_u64(v, &wide) == SL_OK && wide <= UINT32_MAX;
        number = (uint32_t)wide;
    } else {
        return fallback;
    }
    if (is_good && number >= min && number <= max)
        return number;
    sl_call_invalid(call, sl_call_format(call, "%s.%s", where, name), "out_of_range",
                    "%s must be an integer in %u..%u", name, min, max);
    return fallback;
}

/* Newer clients have three names for it. */
static struct sl_slice
cursor_text(struct sl_call *call)
{
    static const char *const names[] = {"cursor", "next_cursor", "after"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        struct sl_slice text = sl_call_query(call, names[i]);
        if (text.data == NULL)
            text = sl_call_text(call, sl_json_member(call->body, names[i]));
        if (text.size > 0)
            return text;
    }
    return sl_slice(NULL, 0);
}

static void
read_cursor(struct sl_call *call, struct sl_list *list)
{
    struct sl_slice text = cursor_text(call);
    struct sl_buf memory = {0};
    struct sl_slice key, sort;
    if (text.size == 0)
        return;
    if (sl_cursor_decode(text, &memory, &key, &sort) != SL_OK) {
        sl_call_invalid(call, "query.cursor", "cursor", "the cursor is not one of this list");
    } else {
        list->has_cursor = true;
        list->cursor_key = sl_call_copy(call, key);
        list->cursor_sort = sl_call_copy(call, sort);
        list->offset = 0;
    }
    sl_buf_deinit(&memory);
}

static void
read_filters(struct sl_call *call, struct sl_list *list)
{
    struct sl_filter_options options = {
        .is_case_sensitive = sl_json_bool(sl_json_member(call->body, "case_sensitive"), false)};
    char *why = NULL;
    enum sl_err err =
        sl_filter_compile(sl_json_member(call->body, "filters"), &options, &list->filter, &why);
    if (err != SL_OK)
        sl_call_invalid(call, "body.filters", "filter", "%s", why);
    sl_free(why);
}

static void
read_sort(struct sl_call *call, struct sl_list *list)
{
    struct sl_json sort = sl_json_member(call->body, "sort");
    if (!sl_json_has(sort))
        sort = sl_json_member(call->body, "sorts");
    if (sl_json_kind(sort) == SL_JSON_ARRAY) { /* Several: the first decides, keys settle ties. */
        struct sl_json_iter i = sl_json_iter(sort);
        if (!sl_json_next(&i))
            return;
        sort = i.value;
    }
    if (!sl_json_has(sort))
        return;
    struct sl_json direction = sl_json_member(sort, "direction");
    list->sort_field = sl_call_text(call, sl_json_member(sort, "field"));
    list->is_descending = sl_json_is(direction, "desc");
    if (list->sort_field.size == 0)
        sl_call_invalid(call, "body.sort.field", "missing", "sort needs a field");
    if (sl_json_has(direction) && !list->is_descending && !sl_json_is(direction, "asc"))
        sl_call_invalid(call, "body.sort.direction", "enum", "direction must be asc or desc");
}

/* `page` from 1, as newer clients count; where there is no `offset`. */
static uint32_t
read_page_offset(struct sl_call *call, uint32_t limit)
{
    uint32_t page = sl_list_number(call, "page", NULL, 1, SL_LIST_OFFSET_MAX, 1);
    uint64_t offset = (uint64_t)(page - 1) * limit;
    if (offset <= SL_LIST_OFFSET_MAX)
        return (uint32_t)offset;
    sl_call_invalid(call, "query.page", "out_of_range", "pages end at row %d; use a cursor",
                    SL_LIST_OFFSET_MAX);
    return 0;
}

bool
sl_list_begin(struct sl_call *call, uint32_t limit_default, struct sl_list *ret_list)
{
    *ret_list = (struct sl_list){0};
    ret_list->limit =
        sl_list_number(call, "limit", "page_size", 1, SL_LIST_LIMIT_MAX, limit_default);
    ret_list->offset = sl_list_number(call, "offset", NULL, 0, SL_LIST_OFFSET_MAX,
                                      read_page_offset(call, ret_list->limit));
    ret_list->include_total = sl_call_query_bool(
        call, "include_total", sl_json_bool(sl_json_member(call->body, "include_total"), false));
    ret_list->search = sl_call_query(call, "search");
    if (ret_list->search.data == NULL)
        ret_list->search = sl_call_text(call, sl_json_member(call->body, "search"));
    ret_list->select = sl_json_member(call->body, "select");
    read_cursor(call, ret_list);
    read_filters(call, ret_list);
    read_sort(call, ret_list);
    if (!sl_call_has_failed(call))
        return true;
    sl_list_end(ret_list);
    return false;
}

void
sl_list_end(struct sl_list *list)
{
    sl_filter_destroy(&list->filter);
    sl_buf_deinit(&list->rows);
    sl_buf_deinit(&list->next_cursor);
}

/* ---- one row ------------------------------------------------------------------------------- */

struct entry { /* What is held of a row: its sort value, parsed, and its whole key. */
    struct sl_json_doc *doc;
    char *text;
    char *key;
    size_t key_size, rest_at;
};

struct entries {
    struct entry *items;
    uint32_t count, capacity;
};

/* It lives on the heap, and in the call's state while others have their turn. */
struct walk {
    struct sl_list *list;
    struct sl_call *call;
    const struct sl_list_source *source;
    struct sl_jsonw page;
    struct sl_buf row;       /* The row as it would be listed. */
    struct sl_json_doc *doc; /* Of it, when something looks inside. */
    struct sl_buf last_key, last_sort;
    uint64_t matched, skipped;
    struct entries all; /* Of a sorted list. */
    struct sl_buf at;   /* The last key that was looked at, when it pauses. */
    uint64_t cost;      /* Of this slice. */
    bool is_paused;
    bool is_full;    /* A row beyond the page was seen. */
    bool is_visited; /* The rows that match were all visited: this is the page of a sorted list. */
};

static bool
is_found(const struct walk *k, struct sl_json row)
{
    static const char *const usual[] = {"name", "description", NULL};
    const char *const *fields = k->source->search_fields;
    if (k->list->search.size == 0)
        return true;
    for (fields = fields == NULL ? usual : fields; *fields != NULL; fields++) {
        struct sl_buf memory = {0};
        struct sl_slice text = {0};
        bool is_here =
            sl_json_text(sl_json_path(row, sl_slice_str(*fields)), &memory, &text) == SL_OK &&
            sl_search_matches(k->list->search, text);
        sl_buf_deinit(&memory);
        if (is_here)
            return true;
    }
    return false;
}

static bool
has_select(const struct walk *k)
{
    return k->source->select_keeps != NULL && sl_json_count(k->list->select) > 0;
}

static bool
needs_view(const struct walk *k)
{
    return k->list->filter != NULL || k->list->search.size > 0 || k->list->sort_field.size > 0 ||
           k->source->visit != NULL || has_select(k);
}

/* Render the row into k->row; true when it is one that was asked for. */
static bool
read_row(struct walk *k, struct sl_slice key, struct sl_slice value)
{
    struct sl_jsonw w;
    sl_buf_clear(&k->row);
    sl_json_destroy(&k->doc);
    sl_jsonw_init(&w, &k->row);
    if (!k->source->render(k->call, k->source->arg, key, value, &w))
        return false;
    sl_jsonw_done(&w);
    if (!needs_view(k))
        return true;
    if (SL_BUG(sl_json_parse(sl_buf_slice(&k->row), &k->doc, NULL) != SL_OK))
        return false;
    struct sl_json row = sl_json_root(k->doc);
    if (!is_found(k, row) || !sl_filter_matches(k->list->filter, row))
        return false;
    if (k->source->visit != NULL && !k->is_visited)
        k->source->visit(k->source->arg, row);
    return true;
}

/* What rendering took from the call's arena goes back: a list may walk a million rows. */
static bool
take_row(struct walk *k, struct sl_slice key, struct sl_slice value)
{
    struct sl_arena_mark mark = sl_arena_mark(k->call->arena);
    bool is_wanted = read_row(k, key, value);
    if (!sl_call_has_failed(k->call)) /* Else it holds the message. */
        sl_arena_rewind(k->call->arena, mark);
    return is_wanted;
}

static struct sl_slice
rest_of_key(const struct walk *k, struct sl_slice key)
{
    return sl_slice(key.data + k->source->prefix.size, key.size - k->source->prefix.size);
}

static int
order_keys(struct sl_slice a, struct sl_slice b)
{
    size_t size = SL_MIN(a.size, b.size);
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

static bool
is_selected(const struct walk *k, struct sl_json name)
{
    struct sl_slice raw = sl_json_raw(name);
    for (const char *const *at = k->source->select_keeps; *at != NULL; at++) {
        if (sl_json_is(name, *at))
            return true;
    }
    for (struct sl_json_iter i = sl_json_iter(k->list->select); sl_json_next(&i);) {
        struct sl_slice path = sl_json_raw(i.value); /* "a.b" shows the whole of a. */
        if (path.size >= raw.size && memcmp(path.data, raw.data, raw.size - 1) == 0 &&
            (path.data[raw.size - 1] == '"' || path.data[raw.size - 1] == '.'))
            return true;
    }
    return false;
}

static void
write_selected(struct walk *k)
{
    sl_jsonw_object(&k->page);
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(k->doc)); sl_json_next(&i);) {
        struct sl_buf memory = {0};
        struct sl_slice name;
        if (is_selected(k, i.name) && sl_json_text(i.name, &memory, &name) == SL_OK) {
            sl_jsonw_name_slice(&k->page, name);
            sl_jsonw_value(&k->page, i.value);
        }
        sl_buf_deinit(&memory);
    }
    sl_jsonw_end(&k->page);
}

/* Put the row in k->row on the page. */
static void
emit(struct walk *k, struct sl_slice rest, struct sl_slice sort)
{
    if (has_select(k))
        write_selected(k);
    else
        sl_jsonw_raw(&k->page, sl_buf_slice(&k->row));
    k->list->count++;
    sl_buf_clear(&k->last_key);
    sl_buf_append_slice(&k->last_key, rest);
    sl_buf_clear(&k->last_sort);
    sl_buf_append_slice(&k->last_sort, sort);
}

/* One row fits whatever its size. */
static bool
has_room(const struct sl_list *list)
{
    return list->count < list->limit && (list->count == 0 || list->rows.size < SL_LIST_PAGE_BYTES);
}

/* After a row: whether the rest is for another turn. What a visitor gathered would be lost. */
static bool
pauses(struct walk *k, const struct sl_scan *scan)
{
    k->cost += 1 + scan->value.size / COST_BYTES;
    if (k->cost < SLICE_COST || k->source->visit != NULL || k->call->route == NULL)
        return false;
    sl_buf_clear(&k->at);
    sl_buf_append_slice(&k->at, scan->key);
    k->is_paused = true;
    return true;
}

/* ---- in the order of keys ------------------------------------------------------------------ */

static void
walk_by_key(struct walk *k)
{
    struct sl_list *list = k->list;
    bool is_counting = list->has_total;
    struct sl_scan scan = {0};
    struct sl_buf after = {0};
    if (k->at.size > 0) {
        sl_buf_append_slice(&after, sl_buf_slice(&k->at));
    } else if (list->has_cursor && !is_counting) {
        sl_buf_append_slice(&after, k->source->prefix);
        sl_buf_append_slice(&after, list->cursor_key);
    }
    sl_txn_scan(k->call->txn, k->source->scope, k->source->table, k->source->prefix,
                sl_buf_slice(&after), false, &scan);
    while (!k->is_paused && sl_scan_next(&scan)) {
        struct sl_slice rest = rest_of_key(k, scan.key);
        bool is_wanted = take_row(k, scan.key, scan.value);
        (void)pauses(k, &scan);
        if (!is_wanted)
            continue;
        k->matched++;
        if (list->has_cursor && order_keys(rest, list->cursor_key) <= 0)
            continue;
        if (k->skipped < list->offset) {
            k->skipped++;
        } else if (!k->is_full && has_room(list)) {
            emit(k, rest, (struct sl_slice){0});
        } else {
            k->is_full = true;
            if (!is_counting) {
                k->is_paused = false;
                break;
            }
        }
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&after);
}

/* ---- sorted -------------------------------------------------------------------------------- */

static int
order_entries(const struct entry *a, const struct entry *b, bool is_descending)
{
    struct sl_json x = sl_json_root(a->doc), y = sl_json_root(b->doc);
    int order = sl_json_order(x, y);
    /* Rows without the field come last either way. */
    if (order != 0)
        return is_descending && sl_json_has(x) && sl_json_has(y) ? -order : order;
    return order_keys(sl_slice(a->key + a->rest_at, a->key_size - a->rest_at),
                      sl_slice(b->key + b->rest_at, b->key_size - b->rest_at));
}

static int
order_ascending(const void *a, const void *b)
{
    return order_entries(a, b, false);
}

static int
order_descending(const void *a, const void *b)
{
    return order_entries(a, b, true);
}

static void
entry_init(struct entry *e, struct sl_slice sort, struct sl_slice key, size_t rest_at)
{
    if (sort.size > SORT_SIZE_MAX) /* Objects and long texts do not order rows usefully. */
        sort = sl_slice_str("null");
    *e = (struct entry){.key = sl_strndup(key.data, key.size), .key_size = key.size};
    e->rest_at = rest_at;
    e->text = sl_strndup(sort.data, sort.size);
    if (sl_json_parse(sl_slice(e->text, sort.size), &e->doc, NULL) != SL_OK)
        e->doc = NULL; /* Reads as absent. */
}

static void
entry_deinit(struct entry *e)
{
    sl_json_destroy(&e->doc);
    sl_free(e->text);
    sl_free(e->key);
}

/* False: too many rows match, or the rest is for another turn. */
static bool
collect(struct walk *k)
{
    struct entries *all = &k->all;
    struct sl_scan scan = {0};
    bool is_good = true;
    sl_txn_scan(k->call->txn, k->source->scope, k->source->table, k->source->prefix,
                sl_buf_slice(&k->at), false, &scan);
    while (is_good && !k->is_paused && sl_scan_next(&scan)) {
        bool is_wanted = take_row(k, scan.key, scan.value);
        (void)pauses(k, &scan);
        if (!is_wanted)
            continue;
        struct sl_json v = sl_json_path(sl_json_root(k->doc), k->list->sort_field);
        if (all->count == all->capacity) {
            all->capacity = SL_MAX(all->capacity * 2, 64u);
            all->items = sl_realloc(all->items, all->capacity * sizeof *all->items);
        }
        struct sl_slice sort = sl_json_has(v) ? sl_json_raw(v) : sl_slice_str("null");
        entry_init(&all->items[all->count++], sort, scan.key, k->source->prefix.size);
        is_good = all->count <= SL_LIST_SORT_ROWS_MAX;
    }
    sl_scan_end(&scan);
    if (!is_good)
        sl_call_invalid(k->call, "body.sort", "too_many_rows",
                        "more than %d rows match; narrow the filters or leave the sort out",
                        SL_LIST_SORT_ROWS_MAX);
    k->is_paused = k->is_paused && is_good;
    return is_good && !k->is_paused;
}

/* Index of the first entry after the cursor. */
static uint32_t
find_start(const struct walk *k, const struct entries *all)
{
    uint32_t start = k->list->offset;
    struct entry cursor;
    if (!k->list->has_cursor)
        return start;
    entry_init(&cursor, k->list->cursor_sort, k->list->cursor_key, 0);
    for (start = 0; start < all->count; start++) {
        if (order_entries(&all->items[start], &cursor, k->list->is_descending) > 0)
            break;
    }
    entry_deinit(&cursor);
    return start;
}

static void
walk_sorted(struct walk *k)
{
    if (!collect(k))
        return;
    const struct entries *all = &k->all;
    if (all->count > 0)
        qsort(all->items, all->count, sizeof *all->items,
              k->list->is_descending ? order_descending : order_ascending);
    k->matched = all->count;
    k->is_visited = true;
    uint32_t i = find_start(k, all);
    for (; i < all->count && has_room(k->list); i++) {
        const struct entry *e = &all->items[i];
        struct sl_slice key = sl_slice(e->key, e->key_size), value;
        if (sl_txn_get(k->call->txn, k->source->scope, k->source->table, key, &value) == SL_OK &&
            take_row(k, key, value))
            emit(k, rest_of_key(k, key), sl_slice_str(e->text));
    }
    k->is_full = i < all->count;
}

/* ---- turns --------------------------------------------------------------------------------- */

/* Between two turns the page lies here. */
struct paused {
    struct walk walk;
    struct sl_buf rows;
    uint32_t count;
};

static void
free_paused(void *state)
{
    struct paused *p = state;
    struct walk *k = &p->walk;
    sl_json_destroy(&k->doc);
    sl_buf_deinit(&k->row);
    sl_buf_deinit(&k->last_key);
    sl_buf_deinit(&k->last_sort);
    sl_buf_deinit(&k->at);
    for (uint32_t i = 0; i < k->all.count; i++)
        entry_deinit(&k->all.items[i]);
    sl_free(k->all.items);
    sl_buf_deinit(&p->rows);
    sl_free(p);
}

/* The handler runs again from its start when others had their turn, and finds this. */
static void
give_turn(struct paused *p, struct sl_list *list, struct sl_call *call)
{
    p->rows = list->rows;
    p->count = list->count;
    list->rows = (struct sl_buf){0};
    call->state = p;
    call->state_free = free_paused;
    sl_call_yield(call, call->route->handler);
}

/* A walk that begins, or the one that was paused. */
static struct paused *
take_turn(struct sl_list *list, struct sl_call *call, const struct sl_list_source *source)
{
    struct paused *p = call->state;
    bool goes_on = call->state_free == free_paused;
    if (!goes_on) {
        p = sl_zalloc(sizeof(*p));
        sl_jsonw_init(&p->walk.page, &list->rows);
        sl_jsonw_array(&p->walk.page);
    } else {
        list->rows = p->rows;
        list->count = p->count;
        p->rows = (struct sl_buf){0};
        p->walk.page.out = &list->rows;
        call->state = NULL;
        call->state_free = NULL;
    }
    p->walk.list = list;
    p->walk.call = call;
    p->walk.source = source;
    p->walk.cost = 0;
    p->walk.is_paused = false;
    return p;
}

bool
sl_list_run(struct sl_list *list, struct sl_call *call, const struct sl_list_source *source)
{
    struct paused *p = take_turn(list, call, source);
    struct walk *k = &p->walk;
    list->has_total = list->include_total || source->needs_total;
    if (list->sort_field.size > 0)
        walk_sorted(k);
    else
        walk_by_key(k);
    if (k->is_paused && !sl_call_has_failed(call)) {
        give_turn(p, list, call);
        sl_list_end(list);
        return false;
    }
    sl_jsonw_end(&k->page);
    list->total = k->matched;
    if (k->is_full && list->count > 0)
        sl_cursor_encode(sl_buf_slice(&k->last_key), sl_buf_slice(&k->last_sort),
                         &list->next_cursor);
    free_paused(p);
    if (sl_call_has_failed(call))
        sl_list_end(list);
    return !sl_call_has_failed(call);
}

void
sl_list_write(const struct sl_list *list, struct sl_jsonw *w)
{
    sl_jsonw_member_raw(w, "results", sl_buf_slice(&list->rows));
    sl_jsonw_name(w, "pagination");
    sl_list_write_pagination(list, w);
}

void
sl_list_write_pagination(const struct sl_list *list, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "page_size", list->limit);
    if (list->include_total) {
        sl_jsonw_member_u64(w, "total", list->total);
        sl_jsonw_member_u64(w, "page", list->offset / list->limit + 1);
        sl_jsonw_member_u64(w, "total_pages", (list->total + list->limit - 1) / list->limit);
    }
    if (list->next_cursor.size > 0)
        sl_jsonw_member_slice(w, "next_cursor", sl_buf_slice(&list->next_cursor));
    else
        sl_jsonw_member_null(w, "next_cursor");
    sl_jsonw_end(w);
}

uint32_t
sl_list_start(const struct sl_list *list)
{
    uint64_t at = 0;
    for (size_t i = 0; i < list->cursor_key.size; i++) {
        uint8_t c = list->cursor_key.data[i];
        if (c < '0' || c > '9' || at > UINT32_MAX)
            return UINT32_MAX;
        at = at * 10 + (uint64_t)(c - '0');
    }
    return at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}
