/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/level.h"

#include "actors/home.h"
#include "actors/rows.h"
#include "gateway/extractor/info.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "gateway/settings.h"

const char *
sl_isolation_enforced(const char *level)
{
    static const char *const levels[] = {"logical", "process", "physical"};
    for (size_t i = 0; i < SL_COUNT_OF(levels); i++) {
        if (strcmp(level, levels[i]) == 0)
            return levels[i];
    }
    return "logical"; /* Levels are checked where they come from. */
}

void
sl_isolation_begin(struct sl_txn *txn, struct sl_scope scope, const char *level)
{
    struct sl_slice key = sl_slice_str(SL_HOME_LEVEL_KEY);
    if (strcmp(sl_isolation_enforced(level), "logical") != 0)
        sl_txn_put(txn, scope, SL_TABLE_HEAD, key, sl_slice_str(level));
    else if (sl_isolation_is_apart(txn, scope))
        sl_txn_del(txn, scope, SL_TABLE_HEAD, key);
}

bool
sl_isolation_is_apart(struct sl_txn *txn, struct sl_scope scope)
{
    struct sl_slice level;
    return sl_txn_get(txn, scope, SL_TABLE_HEAD, sl_slice_str(SL_HOME_LEVEL_KEY), &level) == SL_OK;
}

/* Whether the plugin asks for replicas of a tenant's own, at any level. One that is not installed
 * any more keeps what it had. */
static bool
is_of_plugin(struct sl_call *call, struct sl_json extraction)
{
    const struct sl_extractor_info *info = sl_extractor_info_lookup(
        sl_member_text(call, extraction, "extractor"), sl_member_text(call, extraction, "version"));
    return info == NULL ? sl_json_bool(sl_json_member(extraction, "apart"), false) : info->is_apart;
}

void
sl_isolation_note(struct sl_txn *txn, struct sl_scope scope, bool is_of_plugin, struct sl_jsonw *w)
{
    if (is_of_plugin || sl_isolation_is_apart(txn, scope))
        sl_jsonw_member_bool(w, "apart", true);
    if (sl_home_of(txn, scope) != 0)
        sl_jsonw_member_bool(w, "physical", true);
}

void
sl_isolation_change(struct sl_call *call, const char *level)
{
    static const char *const changed[] = {"apart", "physical", NULL};
    struct sl_scan scan;
    struct sl_slice none = {0};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_isolation_begin(call->txn, call->who.scope, level);
    /* What is staged is not in the catalogue before the commit, so that the scan may go on. */
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_EXTRACTION, none, none, false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json extraction = sl_call_parse(call, scan.value);
        sl_buf_clear(&row);
        sl_jsonw_init(&w, &row);
        sl_jsonw_object(&w);
        sl_write_except(&w, extraction, changed);
        sl_isolation_note(call->txn, call->who.scope, is_of_plugin(call, extraction), &w);
        sl_jsonw_end(&w);
        sl_jsonw_done(&w);
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_EXTRACTION, scan.key, sl_buf_slice(&row));
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&row);
}

const char *
sl_isolation_in_force(const struct sl_call *call, const char *enforced)
{
    const struct sl_settings *settings = call->gateway->settings;
    bool is_open = settings != NULL && !sl_config_bool(settings->started, SL_UP_sandbox);
    return is_open ? "logical" : enforced;
}
