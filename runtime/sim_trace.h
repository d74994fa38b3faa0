/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_trace.h - the last lines of what happened in a simulation: a ring of text.
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_SIM_TRACE_H
#define SL_RUNTIME_SIM_TRACE_H

#include <stdarg.h>

#include "runtime/buf.h"

struct sl_sim_trace {
    struct sl_buf *lines;
    uint32_t count; /* 0: nothing is kept. */
    uint64_t next;
};

void sl_sim_trace_init(struct sl_sim_trace *trace, uint32_t lines);
void sl_sim_trace_deinit(struct sl_sim_trace *trace);
/* Take note of a line, of at most 511 bytes. */
void sl_sim_trace_add(struct sl_sim_trace *trace, uint64_t at_ns, const char *format, va_list args);
/* Oldest first, each with a line feed. */
void sl_sim_trace_read(const struct sl_sim_trace *trace, struct sl_buf *out);

#endif
