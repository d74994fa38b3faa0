/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp.h - spans as OpenTelemetry's collectors take them: OTLP/HTTP in JSON (ids in hex, times in
 * nanoseconds since 1970 as texts). Pure: bytes out of plain data. Any thread.
 */
#ifndef SL_GATEWAY_OTLP_H
#define SL_GATEWAY_OTLP_H

#include "runtime/buf.h"

#define SL_SPAN_ATTRIBUTES_MAX 12
#define SL_SPAN_TEXT_MAX       256 /* Bytes of a text; the rest is left out. */

enum sl_span_kind { SL_SPAN_INTERNAL = 1, SL_SPAN_SERVER = 2 }; /* OTLP's numbers. */

struct sl_span_attribute {
    const char *name;
    struct sl_slice text; /* data NULL: it is `number`. */
    uint64_t number;
};

struct sl_span {
    uint8_t trace[16], id[8];
    uint8_t parent[8]; /* Zeros: it is a root. */
    const char *name;
    enum sl_span_kind kind;
    uint64_t start_ns, end_ns; /* Since 1970; one that ends before it starts is of no length. */
    bool is_error;
    struct sl_span_attribute attributes[SL_SPAN_ATTRIBUTES_MAX];
    uint32_t attributes_count;
};

/* More than fit are left out. The slice is borrowed until the span is written. */
void sl_span_text(struct sl_span *span, const char *name, struct sl_slice text);
void sl_span_number(struct sl_span *span, const char *name, uint64_t number);

/* Append one span, an object, behind a comma if there is something in `out`. */
void sl_otlp_span(const struct sl_span *span, struct sl_buf *out);

struct sl_otlp_resource {
    const char *version, *host;
    const char *instance; /* Unique among those that run. */
};

/* What is before the spans of a request, and what is behind them. */
void sl_otlp_begin(const struct sl_otlp_resource *resource, struct sl_buf *out);
void sl_otlp_end(struct sl_buf *out);

/* How many spans a reply says were refused (partialSuccess); 0 also for what cannot be read. */
uint64_t sl_otlp_refused(struct sl_slice reply);

#endif
