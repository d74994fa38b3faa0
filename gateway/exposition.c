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

static void
append_value(struct sl_buf *out, struct sl_slice value)
{
    const uint8_t *end = value.data + value.size;
    for (const uint8_t *at = value.data; at < end;) {
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

void
sl_sample_write(const struct sl_sample *sample, double value, struct sl_buf *out)
{
    sl_buf_append_str(out, sample->family);
    if (sample->suffix != NULL)
        sl_buf_append_str(out, sample->suffix);
    for (uint32_t i = 0; i < sample->labels_count; i++) {
        sl_buf_append_str(out, i == 0 ? "{" : ",");
        sl_buf_append_str(out, sample->labels[i].name);
        sl_buf_append_str(out, "=\"");
        append_value(out, sample->labels[i].value);
        sl_buf_append_u8(out, '"');
    }
    if (sample->labels_count > 0)
        sl_buf_append_u8(out, '}');
    bool is_whole = fabs(value) <= EXACT_MAX && value == nearbyint(value);
    sl_buf_printf(out, is_whole ? " %.0f\n" : " %.12g\n", value);
}
