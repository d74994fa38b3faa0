/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/template.h"

#include "runtime/buf.h"

struct hole {          /* One {{...}} of a text. */
    size_t start, end; /* Of the whole, braces included. */
    struct sl_slice path;
};

static size_t
find_pair(struct sl_slice text, size_t from, uint8_t brace)
{
    for (size_t i = from; i + 1 < text.size; i++) {
        if (text.data[i] == brace && text.data[i + 1] == brace)
            return i;
    }
    return SIZE_MAX;
}

static bool
find_hole(struct sl_slice text, size_t from, struct hole *ret_hole)
{
    size_t open = find_pair(text, from, '{');
    size_t close = open == SIZE_MAX ? SIZE_MAX : find_pair(text, open + 2, '}');
    if (close == SIZE_MAX)
        return false;
    size_t start = open + 2, end = close;
    while (start < end && text.data[start] <= ' ')
        start++;
    while (end > start && text.data[end - 1] <= ' ')
        end--;
    *ret_hole = (struct hole){.start = open, .end = close + 2};
    ret_hole->path = sl_slice(text.data + start, end - start);
    return true;
}

/* Split "INPUT.a.b" into what INPUT stands for and "a.b". False: no root of ours. */
static bool
resolve(struct sl_slice path, const struct sl_template_scope *scope, struct sl_json *ret_value)
{
    const struct {
        const char *names[3];
        struct sl_json root;
    } roots[] = {
        {{"INPUT", "inputs", "input"}, scope->input},
        {{"DOC", "doc", "document"}, scope->doc},
        {{"CONTEXT", "context", "CONTEXT"}, scope->context},
        {{"STAGE", "stage", "STAGE"}, scope->stage},
    };
    const uint8_t *dot = path.size == 0 ? NULL : memchr(path.data, '.', path.size);
    size_t size = dot == NULL ? path.size : (size_t)(dot - path.data);
    for (size_t i = 0; i < SL_COUNT_OF(roots); i++) {
        for (size_t j = 0; j < SL_COUNT_OF(roots[i].names); j++) {
            if (!sl_slice_is(sl_slice(path.data, size), roots[i].names[j]))
                continue;
            if (sl_json_kind(roots[i].root) == SL_JSON_NONE)
                return false;
            *ret_value = dot == NULL
                             ? roots[i].root
                             : sl_json_path(roots[i].root, sl_slice(dot + 1, path.size - size - 1));
            return true;
        }
    }
    return false;
}

static void
append_value(struct sl_json value, struct sl_buf *out)
{
    struct sl_buf memory = {0};
    struct sl_slice text;
    if (sl_json_text(value, &memory, &text) == SL_OK)
        sl_buf_append_slice(out, text);
    else if (sl_json_has(value))
        sl_buf_append_slice(out, sl_json_raw(value));
    sl_buf_deinit(&memory);
}

static void
expand_text(struct sl_slice text, const struct sl_template_scope *scope, struct sl_jsonw *w)
{
    struct sl_buf out = {0};
    struct hole hole;
    struct sl_json value;
    size_t at = 0;
    if (find_hole(text, 0, &hole) && hole.start == 0 && hole.end == text.size &&
        resolve(hole.path, scope, &value)) {
        sl_jsonw_value(w, value);
        return;
    }
    while (find_hole(text, at, &hole)) {
        sl_buf_append(&out, text.data + at, hole.start - at);
        if (resolve(hole.path, scope, &value))
            append_value(value, &out);
        else
            sl_buf_append(&out, text.data + hole.start, hole.end - hole.start);
        at = hole.end;
    }
    sl_buf_append(&out, text.data + at, text.size - at);
    sl_jsonw_slice(w, sl_buf_slice(&out));
    sl_buf_deinit(&out);
}

static void
expand_members(struct sl_json v, const struct sl_template_scope *scope, struct sl_jsonw *w)
{
    bool is_object = sl_json_kind(v) == SL_JSON_OBJECT;
    if (is_object)
        sl_jsonw_object(w);
    else
        sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        struct sl_buf memory = {0};
        struct sl_slice name;
        if (is_object && sl_json_text(i.name, &memory, &name) == SL_OK)
            sl_jsonw_name_slice(w, name);
        sl_template_expand(i.value, scope, w);
        sl_buf_deinit(&memory);
    }
    sl_jsonw_end(w);
}

/* Recursion is as deep as the JSON nests: SL_JSON_DEPTH_MAX. */
void
sl_template_expand(struct sl_json v, const struct sl_template_scope *scope, struct sl_jsonw *w)
{
    struct sl_buf memory = {0};
    struct sl_slice text;
    enum sl_json_kind kind = sl_json_kind(v);
    if (kind == SL_JSON_OBJECT || kind == SL_JSON_ARRAY)
        expand_members(v, scope, w);
    else if (kind == SL_JSON_STRING && sl_json_text(v, &memory, &text) == SL_OK)
        expand_text(text, scope, w);
    else
        sl_jsonw_value(w, v);
    sl_buf_deinit(&memory);
}
