/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_actor.h - the parts of the suite `actor`, and the messages its actors send.
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
#include "gateway/bench_actor.def"
#undef MESSAGE
#undef F

enum sl_bench_actor_message {
    SL_BENCH_ACTOR_FIRST = (SL_PROTOCOL_BENCH << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "gateway/bench_actor.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_bench;

/* Within this process: messages, calls, creation, memory. */
bool sl_bench_actor_local(const struct sl_bench *bench);

/* Messages a second between two threads without us, or 0: it could not be measured. */
double sl_bench_limit_ring(uint64_t count);
double sl_bench_limit_zmq(uint64_t count);
double sl_bench_limit_zmq_pingpong(uint64_t count);

#endif
