/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exposition.h - writes metrics in Prometheus' text format, version 0.0.4: families, and after each
 * its samples. Values of labels may be any bytes: what the format gives a meaning is escaped, and
 * what is not UTF-8 is replaced, so that no name a client chose can forge a sample.
 *
 * Threading: plain functions on the caller's buffer.
 */
#ifndef SL_GATEWAY_EXPOSITION_H
#define SL_GATEWAY_EXPOSITION_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_EXPOSITION_TYPE   "text/plain; version=0.0.4; charset=utf-8"
#define SL_SAMPLE_LABELS_MAX 6u

enum sl_metric_kind { SL_METRIC_COUNTER, SL_METRIC_GAUGE, SL_METRIC_HISTOGRAM, SL_METRIC_SUMMARY };

struct sl_sample {
    const char *family; /* [a-z_]+ */
    const char *suffix; /* "_sum", "_count", "_bucket"; NULL: none. */
    struct {
        const char *name; /* [a-z_]+ */
        struct sl_slice value;
    } labels[SL_SAMPLE_LABELS_MAX];
    uint32_t labels_count;
};

/* What is begun; all its samples follow before the next one is. `help` is one line. */
void sl_exposition_family(struct sl_buf *out, const char *family, enum sl_metric_kind kind,
                          const char *help);

/* Add a label; the value is borrowed until the sample is written. At most SL_SAMPLE_LABELS_MAX. */
void sl_sample_label(struct sl_sample *sample, const char *name, struct sl_slice value);
/* Whole numbers up to 2^53 are written exactly, others with twelve digits. */
void sl_sample_write(const struct sl_sample *sample, double value, struct sl_buf *out);
/*
 * A sample for each of `count` values, with a last label `le` of these texts, which need no escape:
 * a histogram's. Its other labels are written once and copied.
 */
void sl_sample_write_steps(const struct sl_sample *sample, const char *const ends[],
                           const double values[], uint32_t count, struct sl_buf *out);

#endif
