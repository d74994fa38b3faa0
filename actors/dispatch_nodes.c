/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_nodes.h"

#include <inttypes.h>

#include "actors/extraction.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define EXPLAINED_MAX 100u /* Nodes named in an explanation. */

/* ---- nodes --------------------------------------------------------------------------------- */

struct sl_dispatch_node *
sl_dispatch_node(const struct sl_dispatch_nodes *d, uint64_t number)
{
    return (struct sl_dispatch_node *)sl_node_set_lookup(&d->set, number);
}

/* Join or leave the ring, as there is room or not. */
static void
place(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n, bool is_gone)
{
    struct sl_dispatch_node **turn = &d->turns[n->classes % SL_COUNT_OF(d->turns)];
    bool has_room = !is_gone && !n->is_closed && n->in_flight < n->room;
    if (has_room == (n->next != NULL))
        return;
    if (!has_room) {
        if (*turn == n)
            *turn = n->next == n ? NULL : n->next;
        n->prev->next = n->next;
        n->next->prev = n->prev;
        n->next = n->prev = NULL;
        return;
    }
    if (*turn == NULL) {
        *turn = n->next = n->prev = n;
        return;
    }
    n->next = *turn; /* Before the head is the end of the round. */
    n->prev = (*turn)->prev;
    n->prev->next = n->next->prev = n;
}

void
sl_dispatch_node_place(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n)
{
    place(d, n, false);
}

void
sl_dispatch_node_add(struct sl_dispatch_nodes *d, const struct sl_m_node_up *up)
{
    if (sl_dispatch_node(d, up->node) != NULL)
        return;
    struct sl_dispatch_node *n = sl_zalloc(sizeof(*n));
    n->room = up->room;
    n->classes = up->classes;
    n->name = up->name.size > 0 ? sl_strndup(up->name.data, up->name.size)
                                : sl_format("%" PRIu64, up->node);
    sl_node_set_add(&d->set, &n->slot, (uint32_t)up->node);
    place(d, n, false);
}

void
sl_dispatch_node_remove(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n)
{
    place(d, n, true);
    sl_node_set_remove(&d->set, &n->slot);
    sl_free(n->name);
    sl_free(n);
}

/* ---- extractions --------------------------------------------------------------------------- */

static void
spec_deinit(struct sl_dispatch_spec *s)
{
    sl_json_destroy(&s->doc);
    sl_free((void *)(uintptr_t)s->collection.data);
    sl_free((void *)(uintptr_t)s->row.data);
    sl_free(s->model);
    *s = (struct sl_dispatch_spec){0};
}

static bool
spec_init(struct sl_dispatch_spec *s, struct sl_txn *txn, struct sl_scope scope,
          struct sl_slice collection, struct sl_slice row)
{
    spec_deinit(s);
    s->scope = scope;
    s->row = sl_slice(sl_memdup(row.data, row.size), row.size);
    s->collection = sl_slice(sl_memdup(collection.data, collection.size), collection.size);
    if (sl_json_parse(s->row, &s->doc, NULL) != SL_OK) {
        spec_deinit(s);
        return false;
    }
    s->model = sl_extraction_model_directory(txn, scope, sl_json_root(s->doc));
    s->number = sl_hash64(s->row) ^ (sl_hash64(sl_slice_str(s->model)) << 1);
    return true;
}

struct sl_dispatch_spec *
sl_dispatch_spec(struct sl_dispatch_nodes *d, struct sl_txn *txn, struct sl_scope scope,
                 struct sl_slice collection)
{
    struct sl_slice row;
    if (sl_txn_get(txn, scope, SL_TABLE_EXTRACTION, collection, &row) != SL_OK)
        return NULL;
    struct sl_dispatch_spec *oldest = &d->specs[0];
    for (uint32_t i = 0; i < SL_DISPATCH_SPECS_MAX; i++) {
        struct sl_dispatch_spec *s = &d->specs[i];
        if (s->doc != NULL && s->scope.id == scope.id &&
            sl_slice_equal(s->collection, collection)) {
            s->used = ++d->uses;
            if (sl_slice_equal(s->row, row) || spec_init(s, txn, scope, collection, row))
                return s;
            return NULL;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    if (!spec_init(oldest, txn, scope, collection, row))
        return NULL;
    oldest->used = ++d->uses;
    return oldest;
}

static bool
is_warm(const struct sl_dispatch_node *n, const struct sl_dispatch_spec *s)
{
    for (uint32_t i = 0; i < SL_DISPATCH_SPECS_MAX; i++) {
        if (n->specs[i] == s->number)
            return true;
    }
    return false;
}

void
sl_dispatch_tell(struct sl_ctx *ctx, struct sl_dispatch_node *n, struct sl_dispatch_spec *s)
{
    if (is_warm(n, s))
        return;
    n->specs[n->specs_next++ % SL_DISPATCH_SPECS_MAX] = s->number;
    s->warm[s->warm_next++ % SL_DISPATCH_WARM_MAX] = n->slot.number;
    struct sl_m_extraction m = {
        .number = s->number, .spec = s->row, .model = sl_slice_str(s->model)};
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_extraction, &m);
}

/* ---- placement ----------------------------------------------------------------------------- */

static struct sl_candidate
candidate_of(const struct sl_dispatch_node *n, const struct sl_dispatch_spec *s)
{
    return (struct sl_candidate){.classes = n->classes,
                                 .room = n->room,
                                 .in_flight = n->in_flight,
                                 .is_closed = n->is_closed,
                                 .is_warm = s != NULL && is_warm(n, s)};
}

struct sl_dispatch_node *
sl_dispatch_choose(const struct sl_dispatch_nodes *d, struct sl_dispatch_node *turn,
                   const struct sl_dispatch_spec *s, uint32_t class)
{
    struct sl_dispatch_node *best = turn;
    struct sl_candidate first = candidate_of(turn, s);
    for (uint32_t i = 0; i < SL_DISPATCH_WARM_MAX; i++) {
        struct sl_dispatch_node *n = sl_dispatch_node(d, s->warm[i]);
        if (n == NULL || n == best)
            continue;
        struct sl_candidate other = candidate_of(n, s);
        if (!sl_placement_prefers(&first, &other, class))
            continue;
        first = other;
        best = n;
    }
    return best;
}

/* ---- explaining ---------------------------------------------------------------------------- */

static void
write_candidates(struct sl_dispatch_nodes *d, const struct sl_dispatch_spec *s, uint32_t class,
                 struct sl_jsonw *w)
{
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < SL_MIN(d->set.count, EXPLAINED_MAX); i++) {
        const struct sl_dispatch_node *n = (const struct sl_dispatch_node *)d->set.slots[i];
        struct sl_candidate c = candidate_of(n, s);
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "node", n->name);
        sl_jsonw_member_str(w, "verdict", sl_placement_name(sl_placement_judge(&c, class)));
        sl_jsonw_member_u64(w, "cost", sl_placement_cost(&c));
        sl_jsonw_member_bool(w, "is_warm", c.is_warm);
        sl_jsonw_member_u64(w, "in_flight", c.in_flight);
        sl_jsonw_member_u64(w, "room", c.room);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* A block for each collection of the job. */
static void
write_collections(struct sl_dispatch_nodes *d, struct sl_txn *txn, const struct sl_job_info *info,
                  struct sl_json about, struct sl_jsonw *w)
{
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(about, "collection_ids"));
         sl_json_next(&i);) {
        char *collection = sl_json_strdup(i.value);
        if (collection == NULL)
            continue;
        struct sl_dispatch_spec *s =
            sl_dispatch_spec(d, txn, info->scope, sl_slice_str(collection));
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "collection_id", collection);
        sl_jsonw_name(w, "nodes");
        write_candidates(d, s, info->class, w);
        sl_jsonw_end(w);
        sl_free(collection);
    }
    sl_jsonw_end(w);
}

void
sl_dispatch_explain(struct sl_dispatch_nodes *d, struct sl_txn *txn, const struct sl_job_info *info,
                    struct sl_buf *out)
{
    static const char *const classes[SL_CLASS_COUNT] = {"cpu", "batch", "gpu"};
    struct sl_json_doc *about = NULL;
    struct sl_slice value;
    struct sl_job_row row;
    struct sl_jsonw w;
    bool is_known = sl_txn_get(txn, info->scope, SL_TABLE_JOB,
                               sl_slice(info->id.bytes, sizeof(info->id.bytes)), &value) == SL_OK &&
                    sl_job_row_decode(value, &row) == SL_OK &&
                    sl_json_parse(row.about, &about, NULL) == SL_OK;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "class", classes[info->class]);
    sl_jsonw_member_u64(&w, "waiting",
                        info->total - info->done - info->dead - info->canceled - info->leased);
    sl_jsonw_member_u64(&w, "running", info->leased);
    sl_jsonw_member_u64(&w, "cold_cost", SL_PLACEMENT_COLD);
    sl_jsonw_member_u64(&w, "nodes_total", d->set.count);
    sl_jsonw_name(&w, "collections");
    if (is_known)
        write_collections(d, txn, info, sl_json_root(about), &w);
    else
        sl_jsonw_raw(&w, sl_slice_str("[]"));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_json_destroy(&about);
}

void
sl_dispatch_nodes_deinit(struct sl_dispatch_nodes *d)
{
    for (uint32_t i = 0; i < SL_DISPATCH_SPECS_MAX; i++)
        spec_deinit(&d->specs[i]);
    while (d->set.count > 0)
        sl_dispatch_node_remove(d, (struct sl_dispatch_node *)d->set.slots[d->set.count - 1]);
    sl_node_set_deinit(&d->set);
}
