/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_report.h"

#include <criterion/criterion.h>

#include "actors/pool.h"
#include "extractors/replica.h"

static struct sl_pool pools[SL_POOLS_MAX];

static void
take(uint32_t from, const struct sl_m_replica_report *m)
{
    struct sl_msg *msg = sl_msg_create(SL_M_replica_report, m);
    msg->from.node = from;
    sl_pool_report_take(pools, msg);
    sl_msg_destroy(&msg);
}

Test(pool_report, is_kept_of_the_replica_that_told_it)
{
    const struct sl_m_replica_report told = {.resident = 5000,
                                             .private = 3000,
                                             .host = 7,
                                             .device = UINT64_MAX,
                                             .batches = 2,
                                             .items = 9,
                                             .units = 80};
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_protocol_register(&sl_protocol_replica);
    pools[3].is_used = true;
    pools[3].replicas[2] = (struct sl_replica){.state = SL_REPLICA_READY, .number = 1002};
    pools[3].replicas[4] = (struct sl_replica){.state = SL_REPLICA_READY, .number = 1004};
    take(1002, &told);
    take(1003, &told); /* Nobody. */
    cr_assert_eq(pools[3].replicas[4].report.resident_bytes, 0);
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_pool_report_write(&pools[3].replicas[2].report, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    cr_assert_str_eq(sl_buf_text(&text),
                     "{\"memory\":{\"resident_bytes\":5000,\"private_bytes\":3000,\"host_bytes\":7,"
                     "\"device_bytes\":18446744073709551615},"
                     "\"batches\":{\"count\":2,\"items\":9,\"units\":80}}");
    sl_buf_deinit(&text);
}
