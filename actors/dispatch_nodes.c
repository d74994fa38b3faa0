/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_nodes.h"

#include <inttypes.h>

#include "actors/extraction.h"
#include "actors/home.h"
#include "actors/job_row.h"
#include "actors/labels.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define AHEAD_MAX     100000u /* Tasks that a position is counted over: some milliseconds. */
#define EXPLAINED_MAX 100u    /* Nodes named in an explanation. */
#define SCAN_MAX      64u     /* Looked at for one that fits; the others ask when they beat. */

/* ---- nodes --------------------------------------------------------------------------------- */

struct sl_dispatch_node *
sl_dispatch_node(const struct sl_dispatch_nodes *d, uint64_t number)
{
    return (struct sl_dispatch_node *)sl_node_set_lookup(&d->set, number);
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

static bool
has_labels(const struct sl_dispatch_node *n, const struct sl_dispatch_spec *s)
{
    return !sl_json_has(s->asked) || sl_labels_fit(s->asked, sl_json_root(n->labels));
}

static struct sl_candidate
candidate_of(const struct sl_dispatch_node *n, const struct sl_dispatch_spec *s)
{
    return (struct sl_candidate){.classes = n->classes,
                                 .room = n->room,
                                 .in_flight = n->flights.count,
                                 .bytes = n->flights.bytes,
                                 .expected_ns = n->flights.expected_ns,
                                 .is_closed = n->is_closed,
                                 .is_link_full = n->is_full,
                                 .is_warm = s != NULL && is_warm(n, s),
                                 .is_unfit = s != NULL && !has_labels(n, s),
                                 .taint = n->taint,
                                 .home = s == NULL ? n->taint : s->home};
}

static uint32_t
ring_of(const struct sl_dispatch_node *n)
{
    return (uint32_t)(n->classes % SL_DISPATCH_RINGS) + (n->taint != 0 ? SL_DISPATCH_RINGS : 0);
}

/* Join or leave the ring, as there is room or not. */
static void
place(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n, bool is_gone)
{
    struct sl_dispatch_node **turn = &d->turns[ring_of(n)];
    struct sl_candidate c = candidate_of(n, NULL);
    bool has_room = !is_gone && sl_placement_has_room(&c);
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
    n->taint = up->taint;
    n->flights.sum = &d->under_way[ring_of(n)];
    n->name = up->name.size > 0 ? sl_strndup(up->name.data, up->name.size)
                                : sl_format("%" PRIu64, up->node);
    n->labels_text = sl_strndup(up->labels.data, up->labels.size);
    if (up->labels.size > 0 &&
        sl_json_parse(sl_slice_str(n->labels_text), &n->labels, NULL) != SL_OK)
        n->labels = NULL; /* The head has checked them. */
    sl_node_set_add(&d->set, &n->slot, (uint32_t)up->node);
    place(d, n, false);
}

void
sl_dispatch_node_remove(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n)
{
    place(d, n, true);
    sl_flights_end_all(&d->flights, &n->flights);
    sl_node_set_remove(&d->set, &n->slot);
    sl_json_destroy(&n->labels);
    sl_free(n->labels_text);
    sl_free(n->name);
    sl_free(n);
}

void
sl_dispatch_fly(struct sl_dispatch_nodes *d, struct sl_dispatch_node *n,
                const struct sl_flight *like)
{
    sl_flight_add(&d->flights, &n->flights, like);
    place(d, n, false);
}

struct sl_flight *
sl_dispatch_flight(const struct sl_dispatch_nodes *d, uint64_t task_id, uint64_t epoch)
{
    struct sl_flight *flight = sl_flight_lookup(&d->flights, task_id);
    return flight == NULL || flight->epoch != epoch ? NULL : flight;
}

void
sl_dispatch_land(struct sl_dispatch_nodes *d, struct sl_flight *flight)
{
    struct sl_dispatch_node *n = SL_CONTAINER(flight->list, struct sl_dispatch_node, flights);
    sl_flight_end(&d->flights, flight);
    place(d, n, false);
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
spec_init(const struct sl_dispatch_nodes *d, struct sl_dispatch_spec *s, struct sl_txn *txn,
          struct sl_slice collection, struct sl_slice row)
{
    struct sl_scope scope = s->scope;
    uint64_t home = s->home;
    spec_deinit(s);
    s->scope = scope;
    s->home = home;
    s->row = sl_slice(sl_memdup(row.data, row.size), row.size);
    s->collection = sl_slice(sl_memdup(collection.data, collection.size), collection.size);
    if (sl_json_parse(s->row, &s->doc, NULL) != SL_OK) {
        spec_deinit(s);
        return false;
    }
    s->asked = sl_labels_of(d->asked, sl_json_member(sl_json_root(s->doc), "extractor"));
    s->model = sl_extraction_model_directory(txn, scope, sl_json_root(s->doc));
    s->tenant = sl_extraction_tenant(scope, sl_json_root(s->doc), s->model);
    s->number = sl_extraction_number(s->row, sl_slice_str(s->model), s->tenant);
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
            s->home = sl_home_of(txn, scope);
            if (sl_slice_equal(s->row, row) || spec_init(d, s, txn, collection, row))
                return s;
            return NULL;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    oldest->scope = scope;
    if (!spec_init(d, oldest, txn, collection, row))
        return NULL;
    oldest->home = sl_home_of(txn, scope);
    oldest->used = ++d->uses;
    return oldest;
}

struct sl_dispatch_spec *
sl_dispatch_spec_of(struct sl_dispatch_nodes *nodes, struct sl_txn *txn,
                    const struct sl_lease *lease, struct sl_task_payload *ret_payload)
{
    if (sl_task_payload_decode(lease->payload, ret_payload) != SL_OK)
        return NULL;
    return sl_dispatch_spec(nodes, txn, lease->scope, ret_payload->collection);
}

void
sl_dispatch_tell(struct sl_ctx *ctx, struct sl_dispatch_node *n, struct sl_dispatch_spec *s)
{
    if (is_warm(n, s))
        return;
    n->specs[n->specs_next++ % SL_DISPATCH_SPECS_MAX] = s->number;
    s->warm[s->warm_next++ % SL_DISPATCH_WARM_MAX] = n->slot.number;
    struct sl_m_extraction m = {
        .number = s->number, .spec = s->row, .model = sl_slice_str(s->model), .tenant = s->tenant};
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_extraction, &m);
}

void
sl_dispatch_untell(struct sl_dispatch_node *n, uint64_t number)
{
    for (uint32_t i = 0; i < SL_DISPATCH_SPECS_MAX; i++) {
        if (n->specs[i] == number)
            n->specs[i] = 0;
    }
}

/* ---- placement ----------------------------------------------------------------------------- */

/* Whether `n` is better than the best so far; NULL: none is known yet. */
static bool
is_better(const struct sl_dispatch_node *n, const struct sl_dispatch_node *best,
          const struct sl_dispatch_spec *s, uint32_t class)
{
    struct sl_candidate other = candidate_of(n, s);
    if (best == NULL)
        return sl_placement_judge(&other, class) == SL_PLACE_GOOD;
    struct sl_candidate first = candidate_of(best, s);
    return sl_placement_prefers(&first, &other, class);
}

/* Some of all nodes, others each time. */
static struct sl_dispatch_node *
scan(struct sl_dispatch_nodes *d, const struct sl_dispatch_spec *s, uint32_t class)
{
    struct sl_dispatch_node *best = NULL;
    for (uint32_t i = 0; i < SL_MIN(d->set.count, SCAN_MAX); i++) {
        struct sl_dispatch_node *n =
            (struct sl_dispatch_node *)d->set.slots[d->scan_next++ % d->set.count];
        if (is_better(n, best, s, class))
            best = n;
    }
    return best;
}

struct sl_dispatch_node *
sl_dispatch_choose(struct sl_dispatch_nodes *d, struct sl_dispatch_node *turn,
                   const struct sl_dispatch_spec *s, uint32_t class)
{
    bool fits = has_labels(turn, s) && sl_placement_is_home(turn->taint, s->home);
    struct sl_dispatch_node *best = fits ? turn : NULL;
    for (uint32_t i = 0; i < SL_DISPATCH_WARM_MAX; i++) {
        struct sl_dispatch_node *n = sl_dispatch_node(d, s->warm[i]);
        if (n != NULL && n != best && is_better(n, best, s, class))
            best = n;
    }
    return best == NULL ? scan(d, s, class) : best;
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
        if (n->taint != 0 && (s == NULL || n->taint != s->scope.id))
            continue; /* Another tenant's nodes are nobody's business. */
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "node", n->name);
        sl_jsonw_member_str(w, "verdict", sl_placement_name(sl_placement_judge(&c, class)));
        sl_jsonw_member_u64(w, "cost", sl_placement_cost(&c));
        sl_jsonw_member_bool(w, "is_warm", c.is_warm);
        sl_jsonw_member_u64(w, "in_flight", c.in_flight);
        sl_jsonw_member_u64(w, "room", c.room);
        sl_jsonw_member_u64(w, "bytes", c.bytes);
        sl_jsonw_member_u64(w, "expected_ms", c.expected_ns / SL_MILLI_NS);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* Why tasks wait that are not for any node; "": they need not. */
static void
write_reason(const struct sl_dispatch_nodes *d, const struct sl_dispatch_spec *s, uint32_t class,
             struct sl_jsonw *w)
{
    struct sl_buf why = {0};
    uint32_t fit = 0, good = 0, home = 0;
    for (uint32_t i = 0; i < d->set.count; i++) {
        struct sl_candidate c = candidate_of((const struct sl_dispatch_node *)d->set.slots[i], s);
        bool is_home = sl_placement_is_home(c.taint, c.home);
        home += is_home;
        fit += is_home && !c.is_unfit;
        good += sl_placement_judge(&c, class) == SL_PLACE_GOOD;
    }
    if (home == 0 && s->home != 0) {
        sl_buf_append_str(&why, "no node has this tenant's taint, and at isolation level physical "
                                "its work waits for one (sluice worker --taint tenant=ID)");
    } else if (fit == 0 && sl_json_has(s->asked)) {
        sl_buf_append_str(&why, sl_json_count(s->asked) == 1 ? "no node has the label "
                                                             : "no node has the labels ");
        sl_labels_print(s->asked, &why);
    } else if (good == 0) {
        sl_buf_append_str(&why,
                          home == 0 ? "there is no node" : "no node that may take it has room");
    }
    sl_jsonw_member_str(w, "reason", sl_buf_text(&why));
    sl_buf_deinit(&why);
}

static uint32_t
count_parked(const struct sl_dispatch_nodes *d, const struct sl_dispatch_spec *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->parking.lots_count; i++) {
        const struct sl_parking_lot *lot = &d->parking.lots[i];
        if (lot->need.asked.doc == s->asked.doc && lot->need.asked.token == s->asked.token &&
            lot->need.home == s->home)
            count += lot->count;
    }
    return count;
}

static void
write_asked(const struct sl_dispatch_nodes *d, const struct sl_dispatch_spec *s, uint32_t class,
            struct sl_jsonw *w)
{
    struct sl_slice none = sl_slice_str("{}");
    sl_jsonw_member_raw(w, "labels", sl_json_has(s->asked) ? sl_json_raw(s->asked) : none);
    sl_jsonw_member_u64(w, "parked", sl_json_has(s->asked) ? count_parked(d, s) : 0);
    write_reason(d, s, class, w);
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
        if (s != NULL && s->doc != NULL)
            sl_jsonw_member_value(w, "extractor",
                                  sl_json_member(sl_json_root(s->doc), "extractor"));
        if (s != NULL)
            write_asked(d, s, info->class, w);
        sl_jsonw_name(w, "nodes");
        write_candidates(d, s, info->class, w);
        sl_jsonw_end(w);
        sl_free(collection);
    }
    sl_jsonw_end(w);
}

static uint64_t
waiting_of(const struct sl_job_info *info)
{
    return info->total - info->done - info->dead - info->canceled - info->leased;
}

/* Where the job's next task stands in its queue, and when its turn may come by what has ended
 * lately. That fair shares and limits of keys may change it, nobody can know. */
static void
write_position(const struct sl_dispatch_nodes *d, const struct sl_queue *queue,
               const struct sl_job_info *info, uint64_t now_ns, struct sl_jsonw *w)
{
    uint64_t ahead = 0;
    enum sl_err err = sl_queue_ahead(queue, info->id, AHEAD_MAX, &ahead);
    double per_s = sl_lane_rates_per_s(&d->rates, info->scope, info->class, now_ns);
    const char *why = "";
    if (err == SL_ENOTFOUND) {
        if (waiting_of(info) > 0)
            sl_jsonw_member_str(w, "prediction",
                                "unknown: its tasks wait for a time, a key or a node of their own");
        return;
    }
    sl_jsonw_member_u64(w, "position", ahead + 1);
    sl_jsonw_member_bool(w, "is_further", err == SL_EFULL);
    if (per_s > 0)
        sl_jsonw_member_f64(w, "rate_per_s", per_s);
    if (per_s > 0 && err == SL_OK)
        sl_jsonw_member_u64(w, "predicted_start_ms", (uint64_t)(1000 * (double)ahead / per_s));
    else if (per_s > 0)
        why = "unknown: more tasks are before it than are counted";
    else
        why = "unknown: no task of its queue has ended in the last half minute";
    sl_jsonw_member_str(w, "prediction", why);
}

static void
explain(const struct sl_dispatch_asking *ask, struct sl_txn *txn, const struct sl_job_info *info,
        struct sl_buf *out)
{
    struct sl_dispatch_nodes *d = ask->nodes;
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
    sl_jsonw_member_u64(&w, "waiting", waiting_of(info));
    sl_jsonw_member_u64(&w, "running", info->leased);
    write_position(d, ask->queue, info, ask->now_ns, &w);
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

enum sl_err
sl_dispatch_explain(const struct sl_dispatch_asking *ask, struct sl_store *store,
                    struct sl_slice job, struct sl_buf *out)
{
    struct sl_job_info info;
    struct sl_job_id id = {0};
    memcpy(id.bytes, job.data, SL_MIN(job.size, sizeof(id.bytes)));
    if (sl_queue_job(ask->queue, id, &info) != SL_OK)
        return SL_ENOTFOUND;
    struct sl_txn *txn = sl_store_begin(store);
    explain(ask, txn, &info, out);
    sl_txn_abort(&txn);
    return SL_OK;
}

void
sl_dispatch_nodes_deinit(struct sl_dispatch_nodes *d)
{
    for (uint32_t i = 0; i < SL_DISPATCH_SPECS_MAX; i++)
        spec_deinit(&d->specs[i]);
    while (d->set.count > 0)
        sl_dispatch_node_remove(d, (struct sl_dispatch_node *)d->set.slots[d->set.count - 1]);
    sl_node_set_deinit(&d->set);
    sl_flights_deinit(&d->flights);
    sl_parking_deinit(&d->parking);
    sl_json_destroy(&d->asked);
}
