/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_output.h"

#include <stdio.h>

#include "runtime/report_sink.h"
#include "runtime/time.h"

#define LINE_COST 128u

void
sl_report_output_init(struct sl_report_output *o, const struct sl_report_source *source)
{
    *o = (struct sl_report_output){.source = *source, .budget = SL_REPORT_OUTPUT_BURST};
}

static void
refill(struct sl_report_output *o, uint64_t now_ns)
{
    if (o->filled_ns == 0 || now_ns < o->filled_ns)
        o->filled_ns = now_ns;
    uint64_t milliseconds = SL_MIN((now_ns - o->filled_ns) / SL_MILLI_NS, UINT64_C(60000));
    uint64_t more = milliseconds * SL_REPORT_OUTPUT_SECOND / 1000;
    if (more == 0)
        return;
    o->budget = SL_MIN(o->budget + more, (uint64_t)SL_REPORT_OUTPUT_BURST);
    o->filled_ns = now_ns;
}

static void
tell(const struct sl_report_output *o, const char *message)
{
    const struct sl_report_source *s = &o->source;
    const struct sl_report_entry e = {.at_ms = sl_time_wall_ms(),
                                      .scope = s->scope,
                                      .pid = s->pid,
                                      .level = SL_REPORT_INFO,
                                      .is_output = true,
                                      .texts = {[SL_REPORT_role] = s->role,
                                                [SL_REPORT_node] = s->node,
                                                [SL_REPORT_extractor] = s->extractor,
                                                [SL_REPORT_message] = message}};
    sl_report_sink_put(&e, false);
}

static void
tell_missed(struct sl_report_output *o)
{
    char text[64];
    if (o->missed == 0)
        return;
    (void)snprintf(text, sizeof(text), "lines-left-out lines=%u", o->missed);
    o->missed = 0;
    tell(o, text);
}

static void
end_line(struct sl_report_output *o, uint64_t now_ns)
{
    uint64_t cost = o->size + LINE_COST;
    refill(o, now_ns);
    if (o->size == 0)
        return;
    if (o->budget < cost) {
        o->missed++;
    } else {
        o->budget -= cost;
        o->line[o->size] = '\0';
        tell_missed(o);
        tell(o, o->line);
    }
    o->size = 0;
}

void
sl_report_output_take(struct sl_report_output *o, struct sl_slice bytes, uint64_t now_ns)
{
    for (size_t i = 0; i < bytes.size; i++) {
        char c = (char)bytes.data[i];
        if (c == '\n')
            end_line(o, now_ns);
        else if (c != '\0' && o->size < sizeof(o->line) - 1)
            o->line[o->size++] = c;
    }
}

void
sl_report_output_end(struct sl_report_output *o, uint64_t now_ns)
{
    end_line(o, now_ns);
    tell_missed(o);
}
