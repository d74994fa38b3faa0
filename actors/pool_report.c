/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_report.h"

#include "actors/pool_find.h"
#include "extractors/replica.h"

void
sl_pool_report_take(struct sl_pool *pools, const struct sl_msg *msg)
{
    const struct sl_m_replica_report *m = SL_BODY(msg, replica_report);
    struct sl_pool *p;
    struct sl_replica *r = sl_pools_replica(pools, msg->from.node, &p);
    if (r == NULL)
        return;
    r->report = (struct sl_pool_report){.resident_bytes = m->resident,
                                        .private_bytes = m->private,
                                        .host_bytes = m->host,
                                        .device_bytes = m->device,
                                        .batches = m->batches,
                                        .items = m->items,
                                        .units = m->units};
}

void
sl_pool_report_write(const struct sl_pool_report *report, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "memory");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "resident_bytes", report->resident_bytes);
    sl_jsonw_member_u64(w, "private_bytes", report->private_bytes);
    sl_jsonw_member_u64(w, "host_bytes", report->host_bytes);
    sl_jsonw_member_u64(w, "device_bytes", report->device_bytes);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "batches");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "count", report->batches);
    sl_jsonw_member_u64(w, "items", report->items);
    sl_jsonw_member_u64(w, "units", report->units);
    sl_jsonw_end(w);
}
