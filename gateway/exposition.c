/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exposition.h"

#include <math.h>
#include <stdio.h>

#include "runtime/utf8.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

void
sl_exposition_family(struct sl_buf *out, const char *family, enum sl_metric_kind kind,
                     const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "summary"};
    sl_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, kinds[kind]);
}

void
sl_sample_label(struct sl_sample *sample, const char *name, struct sl_slice value)
{
    if (SL_BUG(sample->labels_count == SL_SAMPLE_LABELS_MAX))
        return;
    sample->labels[sample->labels_count].name = name;
    sample->labels[sample->labels_count++].value = value;
}

/* What needs no look: ASCII without a meaning in the format. */
static size_t
plain_size(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    while (at < end && *at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - from);
}

static void
append_value(struct sl_buf *out, struct sl_slice value)
{
    const uint8_t *end = value.data + value.size;
    for (const uint8_t *at = value.data; at < end;) {
        size_t plain = plain_size(at, end);
        sl_buf_append(out, at, plain);
        at += plain;
        if (at == end)
            break;
        size_t size = sl_utf8_size(at, end);
        if (size == 0)
            sl_buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
        else if (*at == '\\' || *at == '"')
            sl_buf_printf(out, "\\%c", *at);
        else if (*at == '\n')
            sl_buf_append_str(out, "\\n");
        else
            sl_buf_append(out, at, size);
        at += SL_MAX(size, (size_t)1);
    }
}

/* By far most samples: printf would be what a scrape spends its time on. */
static void
append_whole(struct sl_buf *out, uint64_t n)
{
    char text[24], *at = text + sizeof(text);
    *--at = '\n';
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    *--at = ' ';
    sl_buf_append(out, at, (size_t)(text + sizeof(text) - at));
}

/* Name and labels, without the brace that ends them. */
static void
append_labels(struct sl_buf *out, const struct sl_sample *sample)
{
    sl_buf_append_str(out, sample->family);
    if (sample->suffix != NULL)
        sl_buf_append_str(out, sample->suffix);
    for (uint32_t i = 0; i < sample->labels_count; i++) {
        sl_buf_append_u8(out, i == 0 ? '{' : ',');
        sl_buf_append_str(out, sample->labels[i].name);
        sl_buf_append(out, "=\"", 2);
        append_value(out, sample->labels[i].value);
        sl_buf_append_u8(out, '"');
    }
}

static void
append_number(struct sl_buf *out, double value)
{
    if (value >= 0 && value <= EXACT_MAX && value == nearbyint(value))
        append_whole(out, (uint64_t)value);
    else
        sl_buf_printf(out, " %.12g\n", value);
}

void
sl_sample_write(const struct sl_sample *sample, double value, struct sl_buf *out)
{
    append_labels(out, sample);
    if (sample->labels_count > 0)
        sl_buf_append_u8(out, '}');
    append_number(out, value);
}

void
sl_sample_write_steps(const struct sl_sample *sample, const char *const ends[],
                      const double values[], uint32_t count, struct sl_buf *out)
{
    const size_t from = out->size;
    append_labels(out, sample);
    sl_buf_append_str(out, sample->labels_count == 0 ? "{le=\"" : ",le=\"");
    const size_t size = out->size - from;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            sl_buf_reserve(out, size); /* What is copied moves with the buffer. */
            sl_buf_append(out, out->data + from, size);
        }
        sl_buf_append_str(out, ends[i]);
        sl_buf_append(out, "\"}", 2);
        append_number(out, values[i]);
    }
}
