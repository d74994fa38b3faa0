/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_homes.h"

#include "actors/home.h"
#include "runtime/alloc.h"

void
sl_dispatch_homes_deinit(struct sl_dispatch_homes *h)
{
    sl_free(h->scopes);
    *h = (struct sl_dispatch_homes){0};
}

static void
look(struct sl_dispatch_homes *h, struct sl_txn *txn, struct sl_queue *queue, uint64_t scope)
{
    bool was_apart = sl_queue_is_apart(queue, (struct sl_scope){scope});
    bool is_apart = sl_home_of(txn, (struct sl_scope){scope}) != 0;
    sl_queue_set_apart(queue, (struct sl_scope){scope}, is_apart);
    h->has_moved = h->has_moved || was_apart != is_apart;
}

void
sl_dispatch_homes_meet(struct sl_dispatch_homes *h, struct sl_store *store, struct sl_queue *queue,
                       uint64_t scope)
{
    bool is_known = false;
    for (uint32_t i = 0; i < h->count; i++)
        is_known = is_known || h->scopes[i] == scope;
    if (!is_known) {
        h->scopes = sl_realloc(h->scopes, (h->count + 1) * sizeof(h->scopes[0]));
        h->scopes[h->count++] = scope;
    }
    struct sl_txn *txn = sl_store_begin(store);
    look(h, txn, queue, scope);
    sl_txn_abort(&txn);
}

bool
sl_dispatch_homes_look(struct sl_dispatch_homes *h, struct sl_store *store, struct sl_queue *queue)
{
    if (h->count == 0)
        return false;
    struct sl_txn *txn = sl_store_begin(store);
    for (uint32_t i = 0; i < h->count; i++)
        look(h, txn, queue, h->scopes[i]);
    sl_txn_abort(&txn);
    bool has_moved = h->has_moved;
    h->has_moved = false;
    return has_moved;
}
