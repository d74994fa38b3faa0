/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `actor`: messages and calls between actors.
 */
#include "gateway/bench/actor.h"

#define SL_PROTOCOL_DEF  "gateway/bench/actor.def"
#define SL_PROTOCOL_NAME bench
#define SL_PROTOCOL_ID   SL_PROTOCOL_BENCH
#include "runtime/message_table.h"

bool
sl_bench_actor(const struct sl_bench *bench)
{
    sl_protocol_register(&sl_protocol_bench);
    return sl_bench_actor_local(bench);
}
