/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/actor.h - the parts of the suite `actor`, and the messages its actors send.
 */
#ifndef SL_GATEWAY_BENCH_ACTOR_H
#define SL_GATEWAY_BENCH_ACTOR_H

#include "gateway/bench.h"
#include "runtime/message.h"

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "gateway/bench/actor.def"
#undef MESSAGE
#undef F

enum sl_bench_actor_message {
    SL_BENCH_ACTOR_FIRST = (SL_PROTOCOL_BENCH << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "gateway/bench/actor.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_bench;

/* Within this process: messages, calls, creation, memory. */
bool sl_bench_actor_local(const struct sl_bench *bench);

#define SL_BENCH_STATE_BYTES 64u /* Of an actor that has some. */

/* What a round of the suite is loaded with; what means nothing to it is 0. */
struct sl_bench_load {
    uint32_t width; /* Threads, senders or pairs. */
    uint32_t depth; /* Calls that one caller has open. */
    uint64_t count; /* Messages or calls of the round. */
};

/* Messages or calls a second, of one round, or 0: it could not be measured. */
typedef double sl_bench_measure_fn(const struct sl_bench_load *load);

/* One ball between two actors, on 1 or 2 threads... */
sl_bench_measure_fn sl_bench_ping_pong;
/* ...by the processor's time: the same as the wall's where nothing else wants the processor. */
sl_bench_measure_fn sl_bench_ping_pong_processor;
sl_bench_measure_fn sl_bench_stream; /* From `width` senders to one receiver. */
sl_bench_measure_fn sl_bench_call;   /* `width` callers with as many callees. */
sl_bench_measure_fn sl_bench_task;   /* Each call to an actor made for it. */

/* Between two threads without us. */
sl_bench_measure_fn sl_bench_limit_ring;
sl_bench_measure_fn sl_bench_limit_zmq;
sl_bench_measure_fn sl_bench_limit_zmq_pingpong;

#endif
