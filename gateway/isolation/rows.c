/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/rows.h"

#include <errno.h>
#include <stdio.h>

#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define SAMPLE      4  /* Rows of a table, and things of a kind. */
#define TABLE_FIRST 16 /* Of a tenant's scope: actors/rows.h. */
#define NOBODY      (UINT64_MAX - 1)
#define DIMENSIONS  65536
#define PARTS_MAX   2
#define PERMISSIONS                                                                                \
    (SL_PERMIT_BIT(SL_PERMIT_READ) | SL_PERMIT_BIT(SL_PERMIT_WRITE) |                              \
     SL_PERMIT_BIT(SL_PERMIT_DELETE) | SL_PERMIT_BIT(SL_PERMIT_ADMIN))

/* Reads that answer at once, and where their ids come from: parts of a table's keys, in the order
 * of the path's parameters; the first is the namespace where `is_in_namespace`. */
static const struct kind {
    const char *operation;
    uint8_t table;
    bool is_in_namespace;
    uint8_t parts[PARTS_MAX], parts_count;
} kinds[] = {
    {"get_namespace", SL_TABLE_NAMESPACE, false, {0}, 1},
    {"get_bucket", SL_TABLE_BUCKET, true, {1}, 1},
    {"get_collection", SL_TABLE_COLLECTION, true, {1}, 1},
    {"get_retriever", SL_TABLE_RETRIEVER, true, {1}, 1},
    {"get_model", SL_TABLE_MODEL, false, {0, 1}, 2},
    {"get_batch", SL_TABLE_BATCH, false, {0, 1}, 2},
    {"get_any_document", SL_TABLE_DOCUMENT, false, {0}, 1},
    {"get_user", SL_TABLE_USER, false, {0}, 1},
    {"get_webhook", SL_TABLE_WEBHOOK, false, {0}, 1},
};

struct siege {
    struct sl_call *call;
    const struct sl_identity *victim, *neighbour;
    struct sl_isolation *found;
};

struct sl_identity
sl_isolation_neighbour(void)
{
    return (struct sl_identity){.scope = {NOBODY},
                                .permissions = PERMISSIONS,
                                .tenant_id = "a-neighbour",
                                .organization_id = "org_aneighbour",
                                .key_id = "key_aneighbour",
                                .account_type = "enterprise"};
}

/* ---- by scope ------------------------------------------------------------------------------- */

/* The victim's first keys in a table, joined as blocks. */
static void
sample(const struct siege *s, uint8_t table, struct sl_buf *keys)
{
    struct sl_scan scan;
    struct sl_slice none = {0};
    sl_buf_clear(keys);
    sl_txn_scan(s->call->txn, s->victim->scope, table, none, none, false, &scan);
    for (uint32_t i = 0; i < SAMPLE && sl_scan_next(&scan); i++)
        sl_buf_append_block(keys, scan.key);
    sl_scan_end(&scan);
}

static void
try_table(const struct siege *s, uint8_t table, const struct sl_buf *keys)
{
    struct sl_attack_result *r = &s->found->of[SL_ATTACK_rows];
    struct sl_attack_result *replies = &s->found->of[SL_ATTACK_replies];
    struct sl_reader in = sl_reader(sl_buf_slice(keys));
    struct sl_slice value, none = {0};
    struct sl_scan scan;
    char text[SL_ATTACK_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "a row of table %u", table);
    while (!sl_reader_is_done(&in) && !in.is_bad) {
        enum sl_err err =
            sl_txn_get(s->call->txn, s->neighbour->scope, table, sl_read_block(&in), &value);
        sl_attack_note(table == SL_TABLE_IDEMPOTENT ? replies : r, err == SL_ENOTFOUND ? 0 : -1,
                       text);
    }
    sl_txn_scan(s->call->txn, s->neighbour->scope, table, none, none, false, &scan);
    sl_attack_note(r, sl_scan_next(&scan) ? -1 : 0, text);
    sl_scan_end(&scan);
}

static void
try_vectors(const struct siege *s)
{
    struct sl_attack_result *r = &s->found->of[SL_ATTACK_vectors];
    struct sl_scan scan;
    struct sl_slice none = {0};
    sl_txn_scan(s->call->txn, s->victim->scope, SL_TABLE_VECTOR, none, none, false, &scan);
    bool is_there = sl_scan_next(&scan);
    uint32_t dimensions = is_there ? (uint32_t)(scan.value.size / sizeof(float)) : 0;
    struct sl_slice key = sl_call_copy(s->call, is_there ? scan.key : none);
    sl_scan_end(&scan);
    if (dimensions == 0 || dimensions > DIMENSIONS || s->call->gateway->indexes == NULL)
        return;
    float *vector = sl_call_alloc(s->call, dimensions * sizeof(*vector));
    vector[0] = 1;
    struct sl_index_id id = {.scope = s->neighbour->scope,
                             .collection = sl_key_part(key, 0),
                             .name = sl_key_part(key, 1)};
    struct sl_index_query query = {.vector = vector, .dimensions = dimensions, .k = 1};
    struct sl_index_hit hit;
    uint32_t count = 0;
    enum sl_err err =
        sl_index_search(s->call->gateway->indexes, s->call->txn, &id, &query, &hit, &count);
    sl_attack_note(r, err == SL_OK && count > 0 ? -1 : 0, "a hit in an index of the tenant's");
    sl_index_drop(s->call->gateway->indexes, id.scope, id.collection);
}

/* ---- by the API ----------------------------------------------------------------------------- */

static const struct sl_route *
route_of(const char *operation)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(routes[i].name, operation) == 0)
            return &routes[i];
    return NULL;
}

/* Call the handler as the neighbour's. Of its transaction all is read and nothing kept. */
static void
ask(const struct siege *s, enum sl_attack attack, const char *operation, const char *namespace_id,
    const struct sl_slice *params, uint32_t count)
{
    const struct sl_route *route = route_of(operation);
    char text[SL_ATTACK_TEXT_MAX];
    struct sl_call *call = sl_call_create();
    size_t mark = sl_txn_mark(s->call->txn);
    sl_assert(route != NULL && count <= SL_CALL_PARAMS_MAX);
    call->route = route;
    call->who = *s->neighbour;
    call->gateway = s->call->gateway;
    call->txn = s->call->txn;
    call->random = s->call->random;
    call->now_ms = s->call->now_ms;
    call->now_ns = s->call->now_ns;
    call->status = route->success;
    for (uint32_t i = 0; i < count; i++)
        call->params[i] = sl_call_copy(call, params[i]);
    (void)snprintf(call->namespace_id, sizeof(call->namespace_id), "%s", namespace_id);
    route->handler(call);
    sl_assert(!call->is_waiting);
    bool is_refused = sl_call_has_failed(call) && call->status >= 400 && call->status < 500;
    (void)snprintf(text, sizeof(text), "%s answered %u", operation, call->status);
    sl_attack_note(&s->found->of[attack], is_refused ? 0 : -1, text);
    sl_txn_rollback_to(s->call->txn, mark);
    call->txn = NULL;
    sl_call_destroy(&call);
}

static void
ask_kind(const struct siege *s, const struct kind *kind, struct sl_buf *keys)
{
    sample(s, kind->table, keys);
    struct sl_reader in = sl_reader(sl_buf_slice(keys));
    while (!sl_reader_is_done(&in) && !in.is_bad) {
        struct sl_slice key = sl_read_block(&in), params[PARTS_MAX];
        struct sl_slice space = kind->is_in_namespace ? sl_key_part(key, 0) : (struct sl_slice){0};
        char *name = sl_strndup(space.data == NULL ? "" : (const char *)space.data, space.size);
        for (uint32_t i = 0; i < kind->parts_count; i++)
            params[i] = sl_key_part(key, kind->parts[i]);
        ask(s, SL_ATTACK_ids, kind->operation, name, params, kind->parts_count);
        sl_free(name);
    }
}

/* What has the tenant's name, which anybody may guess. */
static void
ask_by_name(const struct siege *s)
{
    static const char *const classes[] = {"cpu", "batch", "gpu"};
    struct sl_slice id = sl_slice_str(s->victim->tenant_id);
    ask(s, SL_ATTACK_ids, "get_tenant", "", &id, 1);
    for (size_t i = 0; i < SL_COUNT_OF(classes); i++) {
        char name[96];
        (void)snprintf(name, sizeof(name), "%s:%s", s->victim->tenant_id, classes[i]);
        struct sl_slice queue = sl_slice_str(name);
        ask(s, SL_ATTACK_queues, "get_queue", "", &queue, 1);
    }
}

void
sl_isolation_rows(struct sl_call *call, const struct sl_identity *victim,
                  const struct sl_identity *neighbour, struct sl_isolation *found)
{
    struct siege s = {call, victim, neighbour, found};
    struct sl_buf keys = {0};
    uint64_t begun_ns = sl_time_mono_ns();
    for (unsigned table = TABLE_FIRST; table <= UINT8_MAX; table++) {
        sample(&s, (uint8_t)table, &keys);
        try_table(&s, (uint8_t)table, &keys);
    }
    try_vectors(&s);
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++)
        ask_kind(&s, &kinds[i], &keys);
    ask_by_name(&s);
    found->of[SL_ATTACK_rows].took_ns = sl_time_mono_ns() - begun_ns;
    sl_buf_deinit(&keys);
}
