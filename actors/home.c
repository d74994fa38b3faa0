/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/home.h"

#include "actors/rows.h"
#include "runtime/json.h"

#define PREFIX "tenant="

struct sl_slice
sl_home_tenant(struct sl_slice taint)
{
    size_t size = sizeof(PREFIX) - 1;
    if (taint.size <= size || taint.size > size + SL_HOME_TENANT_MAX ||
        memcmp(taint.data, PREFIX, size) != 0)
        return (struct sl_slice){0};
    return sl_slice(taint.data + size, taint.size - size);
}

enum sl_err
sl_home_lookup(struct sl_txn *txn, struct sl_slice tenant, uint64_t *ret_home)
{
    struct sl_slice row;
    struct sl_json_doc *doc = NULL;
    uint64_t home = 0;
    if (tenant.size == 0 ||
        sl_txn_get(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, tenant, &row) != SL_OK)
        return SL_ENOTFOUND;
    bool is_read = sl_json_parse(row, &doc, NULL) == SL_OK &&
                   sl_json_u64(sl_json_member(sl_json_root(doc), "scope"), &home) == SL_OK;
    sl_json_destroy(&doc);
    if (!is_read || home == 0)
        return SL_ENOTFOUND; /* Its scope is given with the first row that there is of it. */
    *ret_home = home;
    return SL_OK;
}

uint64_t
sl_home_of(struct sl_txn *txn, struct sl_scope scope)
{
    struct sl_slice level;
    bool is_physical =
        sl_txn_get(txn, scope, SL_TABLE_HEAD, sl_slice_str(SL_HOME_LEVEL_KEY), &level) == SL_OK &&
        sl_slice_is(level, "physical");
    return is_physical ? scope.id : 0;
}
