/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_trace.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/time.h"

void
sl_sim_trace_init(struct sl_sim_trace *trace, uint32_t lines)
{
    *trace = (struct sl_sim_trace){.count = lines};
    if (lines > 0)
        trace->lines = sl_zalloc(lines * sizeof(trace->lines[0]));
}

void
sl_sim_trace_deinit(struct sl_sim_trace *trace)
{
    for (uint32_t i = 0; i < trace->count; i++)
        sl_buf_deinit(&trace->lines[i]);
    sl_free(trace->lines);
    *trace = (struct sl_sim_trace){0};
}

void
sl_sim_trace_add(struct sl_sim_trace *trace, uint64_t at_ns, const char *format, va_list args)
{
    char text[512];
    if (trace->count == 0)
        return;
    vsnprintf(text, sizeof(text), format, args);
    struct sl_buf *line = &trace->lines[trace->next++ % trace->count];
    sl_buf_clear(line);
    sl_buf_printf(line, "%8" PRIu64 ".%06" PRIu64 " ms  %s", at_ns / SL_MILLI_NS,
                  at_ns % SL_MILLI_NS, text);
}

void
sl_sim_trace_read(const struct sl_sim_trace *trace, struct sl_buf *out)
{
    for (uint64_t i = 0; i < trace->count; i++) {
        const struct sl_buf *line = &trace->lines[(trace->next + i) % trace->count];
        if (line->size == 0)
            continue;
        sl_buf_append_slice(out, sl_buf_slice(line));
        sl_buf_append_u8(out, '\n');
    }
}
