/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/json.h"
#include "runtime/time.h"
#include "runtime/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static_assert(SL_JSON_DEPTH_MAX <= 64, "one bit for each depth");

void
sl_jsonw_init(struct sl_jsonw *w, struct sl_buf *out)
{
    *w = (struct sl_jsonw){.out = out};
}

void
sl_jsonw_done(struct sl_jsonw *w)
{
    sl_assert(w->depth == 0);
    sl_assert(!w->has_name);
}

static uint64_t
bit(const struct sl_jsonw *w)
{
    return UINT64_C(1) << (w->depth - 1);
}

static bool
is_in_object(const struct sl_jsonw *w)
{
    return w->depth > 0 && (w->is_object & bit(w)) != 0;
}

static void
comma(struct sl_jsonw *w)
{
    if (w->has_items & bit(w))
        sl_buf_append_u8(w->out, ',');
    w->has_items |= bit(w);
}

/* Called before every value: a comma in arrays, a check in objects. */
static void
begin_value(struct sl_jsonw *w)
{
    sl_assert(w->has_name == is_in_object(w));
    w->has_name = false;
    if (w->depth > 0 && !is_in_object(w))
        comma(w);
}

static void
open(struct sl_jsonw *w, bool is_object)
{
    begin_value(w);
    sl_assert(w->depth < SL_JSON_DEPTH_MAX);
    w->depth++;
    w->has_items &= ~bit(w);
    w->is_object = is_object ? w->is_object | bit(w) : w->is_object & ~bit(w);
    sl_buf_append_u8(w->out, is_object ? '{' : '[');
}

void
sl_jsonw_object(struct sl_jsonw *w)
{
    open(w, true);
}

void
sl_jsonw_array(struct sl_jsonw *w)
{
    open(w, false);
}

void
sl_jsonw_end(struct sl_jsonw *w)
{
    sl_assert(w->depth > 0);
    sl_assert(!w->has_name);
    sl_buf_append_u8(w->out, is_in_object(w) ? '}' : ']');
    w->depth--;
}

static void
append_control(struct sl_buf *out, uint8_t byte)
{
    switch (byte) {
    case '"':
        sl_buf_append_str(out, "\\\"");
        break;
    case '\\':
        sl_buf_append_str(out, "\\\\");
        break;
    case '\n':
        sl_buf_append_str(out, "\\n");
        break;
    case '\r':
        sl_buf_append_str(out, "\\r");
        break;
    case '\t':
        sl_buf_append_str(out, "\\t");
        break;
    default:
        sl_buf_printf(out, "\\u%04x", byte);
        break;
    }
}

static bool
is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void
append_string(struct sl_buf *out, struct sl_slice text)
{
    sl_buf_reserve(out, text.size + 2);
    const uint8_t *at = text.data, *end = text.size == 0 ? at : at + text.size;
    uint8_t *to = out->data + out->size;
    *to++ = '"';
    while (at < end && is_plain(*at)) /* All of most names and texts. */
        *to++ = *at++;
    out->size = (size_t)(to - out->data);
    while (at < end) {
        const uint8_t *run = at;
        size_t size = 0;
        while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' &&
               (size = *at < 0x80 ? 1 : sl_utf8_size(at, end)) > 0)
            at += size;
        sl_buf_append(out, run, (size_t)(at - run));
        if (at == end)
            break;
        if (*at < 0x80)
            append_control(out, *at);
        else
            sl_buf_append_str(out, REPLACEMENT);
        at++;
    }
    sl_buf_append_u8(out, '"');
}

void
sl_jsonw_name_slice(struct sl_jsonw *w, struct sl_slice name)
{
    sl_assert(is_in_object(w));
    sl_assert(!w->has_name);
    comma(w);
    append_string(w->out, name);
    sl_buf_append_u8(w->out, ':');
    w->has_name = true;
}

void
sl_jsonw_name(struct sl_jsonw *w, const char *name)
{
    sl_jsonw_name_slice(w, sl_slice_str(name));
}

void
sl_jsonw_raw(struct sl_jsonw *w, struct sl_slice json)
{
    sl_assert(json.size > 0);
    begin_value(w);
    sl_buf_append_slice(w->out, json);
}

void
sl_jsonw_null(struct sl_jsonw *w)
{
    sl_jsonw_raw(w, sl_slice_str("null"));
}

void
sl_jsonw_bool(struct sl_jsonw *w, bool v)
{
    sl_jsonw_raw(w, sl_slice_str(v ? "true" : "false"));
}

void
sl_jsonw_u64(struct sl_jsonw *w, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    sl_jsonw_raw(w, sl_slice(text + at, sizeof(text) - at));
}

void
sl_jsonw_i64(struct sl_jsonw *w, int64_t v)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, v);
    sl_jsonw_raw(w, sl_slice(text, (size_t)size));
}

void
sl_jsonw_f64(struct sl_jsonw *w, double v)
{
    if (!isfinite(v)) {
        sl_jsonw_null(w);
        return;
    }
    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        sl_jsonw_i64(w, (int64_t)v);
        return;
    }
    char text[40];
    int size = 0;
    for (int digits = DBL_DIG; digits <= 17; digits++) {
        size = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    sl_jsonw_raw(w, sl_slice(text, (size_t)size));
}

void
sl_jsonw_f32(struct sl_jsonw *w, float v)
{
    if (!isfinite(v)) {
        sl_jsonw_null(w);
        return;
    }
    char text[40];
    int size = 0;
    for (int digits = FLT_DIG; digits <= 9; digits++) {
        size = snprintf(text, sizeof(text), "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    sl_jsonw_raw(w, sl_slice(text, (size_t)size));
}

void
sl_jsonw_slice(struct sl_jsonw *w, struct sl_slice text)
{
    begin_value(w);
    append_string(w->out, text);
}

void
sl_jsonw_str(struct sl_jsonw *w, const char *text)
{
    if (text == NULL)
        sl_jsonw_null(w);
    else
        sl_jsonw_slice(w, sl_slice_str(text));
}

void
sl_jsonw_value(struct sl_jsonw *w, struct sl_json v)
{
    if (sl_json_kind(v) == SL_JSON_NONE)
        sl_jsonw_null(w);
    else
        sl_jsonw_raw(w, sl_json_raw(v));
}

void
sl_jsonw_time(struct sl_jsonw *w, uint64_t wall_ms)
{
    char text[SL_TIME_TEXT_SIZE];
    if (wall_ms == 0) {
        sl_jsonw_null(w);
        return;
    }
    sl_time_format(wall_ms, text);
    sl_jsonw_str(w, text);
}

void
sl_jsonw_member_str(struct sl_jsonw *w, const char *name, const char *text)
{
    sl_jsonw_name(w, name);
    sl_jsonw_str(w, text);
}

void
sl_jsonw_member_slice(struct sl_jsonw *w, const char *name, struct sl_slice text)
{
    sl_jsonw_name(w, name);
    sl_jsonw_slice(w, text);
}

void
sl_jsonw_member_i64(struct sl_jsonw *w, const char *name, int64_t v)
{
    sl_jsonw_name(w, name);
    sl_jsonw_i64(w, v);
}

void
sl_jsonw_member_u64(struct sl_jsonw *w, const char *name, uint64_t v)
{
    sl_jsonw_name(w, name);
    sl_jsonw_u64(w, v);
}

void
sl_jsonw_member_f64(struct sl_jsonw *w, const char *name, double v)
{
    sl_jsonw_name(w, name);
    sl_jsonw_f64(w, v);
}

void
sl_jsonw_member_bool(struct sl_jsonw *w, const char *name, bool v)
{
    sl_jsonw_name(w, name);
    sl_jsonw_bool(w, v);
}

void
sl_jsonw_member_null(struct sl_jsonw *w, const char *name)
{
    sl_jsonw_name(w, name);
    sl_jsonw_null(w);
}

void
sl_jsonw_member_raw(struct sl_jsonw *w, const char *name, struct sl_slice json)
{
    sl_jsonw_name(w, name);
    sl_jsonw_raw(w, json);
}

void
sl_jsonw_member_value(struct sl_jsonw *w, const char *name, struct sl_json v)
{
    sl_jsonw_name(w, name);
    sl_jsonw_value(w, v);
}

void
sl_jsonw_member_time(struct sl_jsonw *w, const char *name, uint64_t wall_ms)
{
    sl_jsonw_name(w, name);
    sl_jsonw_time(w, wall_ms);
}
