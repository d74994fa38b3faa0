/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_context.h - W3C trace context: which trace a request is part of, as its headers traceparent
 * and tracestate say, and which span of that is ours. Plain data; any thread.
 *
 *     traceparent  00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *                  version, trace, the caller's span, flags (1: sampled)
 */
#ifndef SL_RUNTIME_TRACE_CONTEXT_H
#define SL_RUNTIME_TRACE_CONTEXT_H

#include "runtime/base.h"
#include "runtime/random.h"

#define SL_TRACE_PARENT_SIZE 56 /* As text, NUL included. */
#define SL_TRACE_STATE_MAX                                                                         \
    512 /* Bytes; a longer tracestate is dropped, as the standard allows.                          \
         */
#define SL_TRACE_SAMPLED 1u

struct sl_trace_context {
    uint8_t trace[16], span[8]; /* Neither is all zeros in one that is set. */
    uint8_t parent[8];          /* The caller's span; zeros: nobody's. */
    uint8_t flags;              /* Those that are known: SL_TRACE_SAMPLED. */
};

/*
 * Read a traceparent. A version above 00 is read as far as 00 goes. False, and *ret_context is left
 * alone: it is malformed, and to be ignored together with the tracestate.
 */
bool sl_trace_context_parse(struct sl_slice text, struct sl_trace_context *ret_context);
/* Whether a tracestate may be passed on: printable, and not too long. What is in it is not ours. */
bool sl_trace_state_is_good(struct sl_slice text);
/*
 * The context of a span of ours below what the caller sent; of a trace of its own, which is not
 * sampled, where that is malformed or empty. True: it is the caller's trace.
 */
bool sl_trace_context_enter(struct sl_slice parent, struct sl_random *random,
                            struct sl_trace_context *ret_context);
/* As version 00. */
void sl_trace_context_format(const struct sl_trace_context *context,
                             char ret_text[static SL_TRACE_PARENT_SIZE]);
bool sl_trace_context_is_set(const struct sl_trace_context *context);
/* Of a trace of its own: sample it if it is one of `ratio` of all, which its last 56 bits say, as
 * other programs that are told the same ratio would find. */
void sl_trace_context_sample(struct sl_trace_context *context, double ratio);
/* The id of a span by what it is of, not zero: who knows that knows the id, also after a restart.
 */
void sl_trace_span_of(uint64_t what, uint64_t which, uint8_t ret_span[static 8]);

#endif
