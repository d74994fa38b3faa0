/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/alarm.h"

#include "actors/journal.h"
#include "runtime/report.h"

void
sl_isolation_alarm(struct sl_call *call, const struct sl_identity *tenant, const char *check,
                   const char *why)
{
    struct sl_journal_event event = {.kind = SL_JOURNAL_isolation_violation,
                                     .scope = tenant->scope,
                                     .tenant_id = tenant->tenant_id,
                                     .subject = tenant->tenant_id,
                                     .message = sl_call_format(call, "%s: %s", check, why)};
    sl_report_error("isolation-violation", "tenant=%s check=%s why=\"%s\"", tenant->tenant_id,
                    check, why);
    (void)sl_journal_add(call->txn, call->now_ms, &event);
}
