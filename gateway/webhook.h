/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook.h - a webhook's row: JSON of api.md's Webhook with what clients do not see beside it, its
 * secret, its organization and how many of its deliveries died in a row.
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_WEBHOOK_H
#define SL_GATEWAY_WEBHOOK_H

#include "actors/delivery.h"
#include "runtime/json.h"

struct sl_webhook {
    struct sl_buf text;
    struct sl_json_doc *doc;
};
/* False: there is none. Deinit after true. */
bool sl_webhook_load(struct sl_txn *txn, struct sl_scope scope, const char *id,
                     struct sl_webhook *ret_webhook);
void sl_webhook_deinit(struct sl_webhook *webhook);

/* Of a channel: its configs, and where it is posted to (owned; NULL: there is no such channel). */
struct sl_json sl_webhook_configs(struct sl_json webhook, uint32_t channel);
char *sl_webhook_url(struct sl_json webhook, uint32_t channel);

/*
 * A delivery ended: count the dead ones in a row; with `dead_max` of them the webhook becomes
 * inactive and says why.
 */
void sl_webhook_count(struct sl_txn *txn, const struct sl_delivery_key *delivery, bool is_dead,
                      uint32_t dead_max);

#endif
