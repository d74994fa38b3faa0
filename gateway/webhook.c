/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/webhook.h"

#include "actors/rows.h"
#include "gateway/resource.h"

bool
sl_webhook_load(struct sl_txn *txn, struct sl_scope scope, const char *id, struct sl_webhook *ret)
{
    struct sl_slice row;
    *ret = (struct sl_webhook){0};
    if (sl_txn_get(txn, scope, SL_TABLE_WEBHOOK, sl_slice_str(id), &row) != SL_OK)
        return false;
    sl_buf_append_slice(&ret->text, row);
    if (sl_json_parse(sl_buf_slice(&ret->text), &ret->doc, NULL) == SL_OK)
        return true;
    sl_webhook_deinit(ret);
    return false;
}

void
sl_webhook_deinit(struct sl_webhook *webhook)
{
    sl_json_destroy(&webhook->doc);
    sl_buf_deinit(&webhook->text);
}

static struct sl_json
channel_of(struct sl_json webhook, uint32_t channel)
{
    uint32_t at = 0;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(webhook, "channels"));
         sl_json_next(&i); at++) {
        if (at == channel)
            return i.value;
    }
    return (struct sl_json){0};
}

struct sl_json
sl_webhook_configs(struct sl_json webhook, uint32_t channel)
{
    return sl_json_member(channel_of(webhook, channel), "configs");
}

char *
sl_webhook_url(struct sl_json webhook, uint32_t channel)
{
    struct sl_json at = channel_of(webhook, channel);
    bool is_slack = sl_json_is(sl_json_member(at, "channel"), "slack");
    return sl_json_strdup(
        sl_json_member(sl_json_member(at, "configs"), is_slack ? "webhook_url" : "url"));
}

static void
put_counted(struct sl_txn *txn, const struct sl_delivery_key *k, struct sl_json old, uint64_t dead,
            bool is_stopped)
{
    static const char *const counted[] = {"dead_in_row", NULL};
    static const char *const stopped[] = {"dead_in_row", "is_active", "inactive_reason", NULL};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, old, is_stopped ? stopped : counted);
    sl_jsonw_member_u64(&w, "dead_in_row", dead);
    if (is_stopped) {
        sl_jsonw_member_bool(&w, "is_active", false);
        sl_jsonw_member_str(&w, "inactive_reason", "too many deliveries in a row were dead");
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(txn, k->scope, SL_TABLE_WEBHOOK, sl_slice_str(k->webhook), sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

void
sl_webhook_count(struct sl_txn *txn, const struct sl_delivery_key *k, bool is_dead,
                 uint32_t dead_max)
{
    struct sl_webhook webhook;
    uint64_t dead = 0;
    if (!sl_webhook_load(txn, k->scope, k->webhook, &webhook))
        return;
    struct sl_json row = sl_json_root(webhook.doc);
    if (sl_json_u64(sl_json_member(row, "dead_in_row"), &dead) != SL_OK)
        dead = 0;
    bool is_active = sl_json_bool(sl_json_member(row, "is_active"), false);
    if (is_dead)
        put_counted(txn, k, row, dead + 1, is_active && dead + 1 >= dead_max);
    else if (dead != 0)
        put_counted(txn, k, row, 0, false);
    sl_webhook_deinit(&webhook);
}
