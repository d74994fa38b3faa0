/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document is checked by json_check.c, then split into tokens by jsmn. jsmn's parent link is of
 * no use once it is done, so its field is overwritten with the index of the first token after the
 * value: stepping over a subtree is one load.
 */
#include "runtime/json.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json_check.h"
#include "runtime/utf8.h"

#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define DOC_MAGIC        0x736a646fu
#define TEXT_SIZE_MAX    ((size_t)INT32_MAX) /* jsmn counts in ints. */
#define NAMES_PAIRED_MAX 8                   /* Above this, names are sorted to find equal ones. */

struct sl_json_doc {
    uint32_t magic;
    uint32_t count;
    struct sl_slice text;
    jsmntok_t tokens[];
};

#define NONE ((struct sl_json){0})

static const jsmntok_t *
token_of(struct sl_json v)
{
    if (v.doc == NULL)
        return NULL;
    sl_assert(v.doc->magic == DOC_MAGIC);
    sl_assert(v.token < v.doc->count);
    return &v.doc->tokens[v.token];
}

static struct sl_slice
inner(const struct sl_json_doc *doc, uint32_t token)
{
    const jsmntok_t *t = &doc->tokens[token];
    return sl_slice(doc->text.data + t->start, (size_t)(t->end - t->start));
}

static uint32_t
after(const struct sl_json_doc *doc, uint32_t token)
{
    return (uint32_t)doc->tokens[token].parent;
}

/* ---- unescaping ---------------------------------------------------------------------------- */

static uint32_t
hex4(const uint8_t *at)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    return code;
}

/* At a backslash of a checked string: append what it means, return the bytes it takes. */
static size_t
unescape_one(const uint8_t *at, struct sl_buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (at[1] != 'u') {
        sl_buf_append_u8(out, (uint8_t)to[strchr(from, at[1]) - from]);
        return 2;
    }
    size_t used = 6;
    uint32_t code = hex4(at + 2);
    if (code >= 0xd800 && code <= 0xdbff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(at + 8) - 0xdc00);
        used = 12;
    }
    uint8_t bytes[4];
    sl_buf_append(out, bytes, sl_utf8_encode(code, bytes));
    return used;
}

static bool
has_escape(struct sl_slice raw)
{
    return raw.size > 0 && memchr(raw.data, '\\', raw.size) != NULL;
}

static void
unescape(struct sl_slice raw, struct sl_buf *out)
{
    const uint8_t *at = raw.data, *end = raw.data + raw.size;
    sl_buf_reserve(out, raw.size);
    while (at < end) {
        const uint8_t *escape = memchr(at, '\\', (size_t)(end - at));
        if (escape == NULL)
            escape = end;
        sl_buf_append(out, at, (size_t)(escape - at));
        at = escape == end ? end : escape + unescape_one(escape, out);
    }
}

/* Whether the string of checked text `raw` means `text`. */
static bool
raw_means(struct sl_slice raw, struct sl_slice text)
{
    if (raw.size <= text.size) /* Unescaping always shortens. */
        return sl_slice_equal(raw, text) && !has_escape(raw);
    if (!has_escape(raw))
        return false;
    struct sl_buf buf = {0};
    unescape(raw, &buf);
    bool is_same = sl_slice_equal(sl_buf_slice(&buf), text);
    sl_buf_deinit(&buf);
    return is_same;
}

/* ---- duplicate names ----------------------------------------------------------------------- */

struct name {
    struct sl_slice text; /* Unescaped. */
    uint32_t token;
};

/* Scratch for the names of one object after the other. */
struct names {
    struct name *items;
    uint32_t capacity;
    struct sl_buf text; /* Unescaped names; reserved before use, so that slices into it stay. */
};

static int
compare_names(const void *a_arg, const void *b_arg)
{
    const struct name *a = a_arg, *b = b_arg;
    size_t size = SL_MIN(a->text.size, b->text.size);
    int order = size == 0 ? 0 : memcmp(a->text.data, b->text.data, size);
    if (order != 0)
        return order;
    return (a->text.size > b->text.size) - (a->text.size < b->text.size);
}

static void
collect_names(const struct sl_json_doc *doc, uint32_t object, struct names *names)
{
    uint32_t count = (uint32_t)doc->tokens[object].size;
    size_t escaped_size = 0;
    uint32_t token = object + 1;
    for (uint32_t i = 0; i < count; i++, token = after(doc, token + 1))
        if (has_escape(inner(doc, token)))
            escaped_size += inner(doc, token).size;
    sl_buf_clear(&names->text);
    sl_buf_reserve(&names->text, escaped_size);
    if (names->capacity < count) {
        names->capacity = count;
        names->items = sl_realloc(names->items, count * sizeof(names->items[0]));
    }
    token = object + 1;
    for (uint32_t i = 0; i < count; i++, token = after(doc, token + 1)) {
        struct sl_slice raw = inner(doc, token);
        size_t start = names->text.size;
        if (has_escape(raw)) {
            unescape(raw, &names->text);
            raw = sl_slice(names->text.data + start, names->text.size - start);
        }
        names->items[i] = (struct name){.text = raw, .token = token};
    }
}

/* The token of a name that is in the object twice; 0: none (0 is the root, never a name). */
static uint32_t
find_duplicate(const struct sl_json_doc *doc, uint32_t object, struct names *names)
{
    uint32_t count = (uint32_t)doc->tokens[object].size;
    if (count < 2)
        return 0;
    collect_names(doc, object, names);
    const struct name *n = names->items;
    if (count <= NAMES_PAIRED_MAX) {
        for (uint32_t i = 1; i < count; i++)
            for (uint32_t j = 0; j < i; j++)
                if (sl_slice_equal(n[i].text, n[j].text))
                    return n[i].token;
        return 0;
    }
    /* Sorted, not hashed: whoever sends the names cannot make it quadratic by choosing them. */
    qsort(names->items, count, sizeof(n[0]), compare_names);
    for (uint32_t i = 1; i < count; i++)
        if (sl_slice_equal(n[i - 1].text, n[i].text))
            return SL_MAX(n[i - 1].token, n[i].token);
    return 0;
}

static enum sl_err
check_duplicates(const struct sl_json_doc *doc, struct sl_json_error *ret_error)
{
    struct names names = {0};
    uint32_t token = 0;
    for (uint32_t i = 0; i < doc->count && token == 0; i++)
        if (doc->tokens[i].type == JSMN_OBJECT)
            token = find_duplicate(doc, i, &names);
    if (token != 0)
        sl_json_error_at(doc->text, (size_t)doc->tokens[token].start - 1, "a duplicate name",
                         ret_error);
    sl_free(names.items);
    sl_buf_deinit(&names.text);
    return token == 0 ? SL_OK : SL_EINVAL;
}

/* ---- parsing ------------------------------------------------------------------------------- */

/* Overwrite jsmn's parent links with the token after each value. */
static void
link_siblings(struct sl_json_doc *doc)
{
    uint32_t open[SL_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < doc->count; i++) {
        jsmntok_t *t = &doc->tokens[i];
        while (depth > 0 && doc->tokens[open[depth - 1]].end <= t->start)
            doc->tokens[open[--depth]].parent = (int)i;
        if (t->type == JSMN_OBJECT || t->type == JSMN_ARRAY) {
            sl_assert(depth < SL_JSON_DEPTH_MAX);
            open[depth++] = i;
        } else {
            t->parent = (int)i + 1;
        }
    }
    while (depth > 0)
        doc->tokens[open[--depth]].parent = (int)doc->count;
}

enum sl_err
sl_json_parse(struct sl_slice text, struct sl_json_doc **ret_doc, struct sl_json_error *ret_error)
{
    struct sl_json_error error;
    if (ret_error == NULL)
        ret_error = &error;
    if (text.size > TEXT_SIZE_MAX) {
        *ret_error = (struct sl_json_error){.line = 1, .column = 1, .what = "too large"};
        return SL_ETOOBIG;
    }
    uint32_t count;
    enum sl_err err = sl_json_check(text, &count, ret_error);
    if (err != SL_OK)
        return err;

    struct sl_json_doc *doc = sl_alloc(sizeof(*doc) + count * sizeof(doc->tokens[0]));
    *doc = (struct sl_json_doc){.magic = DOC_MAGIC, .count = count, .text = text};
    jsmn_parser parser;
    jsmn_init(&parser);
    int made = jsmn_parse(&parser, (const char *)text.data, text.size, doc->tokens, count);
    if (SL_BUG(made < 0 || (uint32_t)made != count)) {
        sl_json_destroy(&doc);
        sl_json_error_at(text, 0, "not tokenised", ret_error);
        return SL_EINVAL;
    }
    link_siblings(doc);
    err = check_duplicates(doc, ret_error);
    if (err != SL_OK) {
        sl_json_destroy(&doc);
        return err;
    }
    *ret_doc = doc;
    return SL_OK;
}

void
sl_json_destroy(struct sl_json_doc **doc)
{
    if (*doc == NULL)
        return;
    sl_assert((*doc)->magic == DOC_MAGIC);
    (*doc)->magic = 0;
    sl_free(*doc);
    *doc = NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct sl_json
sl_json_root(const struct sl_json_doc *doc)
{
    return (struct sl_json){.doc = doc};
}

enum sl_json_kind
sl_json_kind(struct sl_json v)
{
    const jsmntok_t *t = token_of(v);
    if (t == NULL)
        return SL_JSON_NONE;
    switch (t->type) {
    case JSMN_OBJECT:
        return SL_JSON_OBJECT;
    case JSMN_ARRAY:
        return SL_JSON_ARRAY;
    case JSMN_STRING:
        return SL_JSON_STRING;
    default:
        break;
    }
    switch (v.doc->text.data[t->start]) {
    case 'n':
        return SL_JSON_NULL;
    case 't':
    case 'f':
        return SL_JSON_BOOL;
    default:
        return SL_JSON_NUMBER;
    }
}

struct sl_slice
sl_json_raw(struct sl_json v)
{
    const jsmntok_t *t = token_of(v);
    if (t == NULL)
        return (struct sl_slice){0};
    struct sl_slice raw = inner(v.doc, v.token);
    if (t->type == JSMN_STRING) {
        raw.data--;
        raw.size += 2;
    }
    return raw;
}

uint32_t
sl_json_count(struct sl_json v)
{
    const jsmntok_t *t = token_of(v);
    if (t == NULL || (t->type != JSMN_OBJECT && t->type != JSMN_ARRAY))
        return 0;
    return (uint32_t)t->size;
}

struct sl_json
sl_json_member_slice(struct sl_json object, struct sl_slice name)
{
    if (sl_json_kind(object) != SL_JSON_OBJECT)
        return NONE;
    uint32_t count = sl_json_count(object);
    uint32_t token = object.token + 1;
    for (uint32_t i = 0; i < count; i++) {
        if (raw_means(inner(object.doc, token), name))
            return (struct sl_json){.doc = object.doc, .token = token + 1};
        token = after(object.doc, token + 1);
    }
    return NONE;
}

struct sl_json
sl_json_member(struct sl_json object, const char *name)
{
    return sl_json_member_slice(object, sl_slice_str(name));
}

static struct sl_json
element(struct sl_json array, struct sl_slice index_text)
{
    uint32_t index = 0;
    if (index_text.size == 0 || index_text.size > 9)
        return NONE;
    for (size_t i = 0; i < index_text.size; i++) {
        if (index_text.data[i] < '0' || index_text.data[i] > '9')
            return NONE;
        index = index * 10 + (uint32_t)(index_text.data[i] - '0');
    }
    if (index >= sl_json_count(array))
        return NONE;
    uint32_t token = array.token + 1;
    while (index-- > 0)
        token = after(array.doc, token);
    return (struct sl_json){.doc = array.doc, .token = token};
}

struct sl_json
sl_json_path(struct sl_json v, struct sl_slice path)
{
    for (;;) {
        struct sl_json whole = sl_json_member_slice(v, path);
        if (whole.doc != NULL)
            return whole;
        const uint8_t *dot = path.size == 0 ? NULL : memchr(path.data, '.', path.size);
        struct sl_slice head = path;
        if (dot != NULL)
            head.size = (size_t)(dot - path.data);
        if (sl_json_kind(v) == SL_JSON_ARRAY)
            v = element(v, head);
        else
            v = dot == NULL ? NONE : sl_json_member_slice(v, head);
        if (v.doc == NULL || dot == NULL)
            return v;
        path = sl_slice(dot + 1, path.size - head.size - 1);
    }
}

struct sl_json_iter
sl_json_iter(struct sl_json v)
{
    return (struct sl_json_iter){.value.doc = v.doc, .next = v.token + 1, .left = sl_json_count(v)};
}

bool
sl_json_next(struct sl_json_iter *i)
{
    if (i->left == 0)
        return false;
    const struct sl_json_doc *doc = i->value.doc;
    uint32_t token = i->next;
    i->name = NONE;
    /* A member's name is the only string token that has a child. */
    if (doc->tokens[token].type == JSMN_STRING && doc->tokens[token].size == 1)
        i->name = (struct sl_json){.doc = doc, .token = token++};
    i->value.token = token;
    i->next = after(doc, token);
    i->left--;
    return true;
}

enum sl_err
sl_json_text(struct sl_json v, struct sl_buf *scratch, struct sl_slice *ret_text)
{
    if (sl_json_kind(v) != SL_JSON_STRING)
        return SL_EINVAL;
    struct sl_slice raw = inner(v.doc, v.token);
    if (!has_escape(raw)) {
        *ret_text = raw;
        return SL_OK;
    }
    size_t start = scratch->size;
    unescape(raw, scratch);
    *ret_text = sl_slice(scratch->data + start, scratch->size - start);
    return SL_OK;
}

char *
sl_json_strdup(struct sl_json v)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    char *copy = NULL;
    if (sl_json_text(v, &scratch, &text) == SL_OK &&
        (text.size == 0 || memchr(text.data, '\0', text.size) == NULL))
        copy = sl_strndup(text.data, text.size);
    sl_buf_deinit(&scratch);
    return copy;
}

bool
sl_json_is(struct sl_json v, const char *text)
{
    return sl_json_kind(v) == SL_JSON_STRING &&
           raw_means(inner(v.doc, v.token), sl_slice_str(text));
}

bool
sl_json_bool(struct sl_json v, bool fallback)
{
    if (sl_json_kind(v) != SL_JSON_BOOL)
        return fallback;
    return sl_json_raw(v).data[0] == 't';
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* The magnitude of an integer's text; false: not an integer, or over 64 bits. */
static bool
magnitude(struct sl_json v, bool *ret_is_negative, uint64_t *ret_value)
{
    if (sl_json_kind(v) != SL_JSON_NUMBER)
        return false;
    struct sl_slice raw = sl_json_raw(v);
    uint64_t value = 0;
    size_t i = raw.data[0] == '-';
    *ret_is_negative = i == 1;
    for (; i < raw.size; i++) {
        uint8_t byte = raw.data[i];
        if (byte < '0' || byte > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(byte - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

enum sl_err
sl_json_i64(struct sl_json v, int64_t *ret_value)
{
    bool is_negative;
    uint64_t value;
    if (!magnitude(v, &is_negative, &value) || value > (uint64_t)INT64_MAX + is_negative)
        return SL_EINVAL;
    *ret_value = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return SL_OK;
}

enum sl_err
sl_json_u64(struct sl_json v, uint64_t *ret_value)
{
    bool is_negative;
    uint64_t value;
    if (!magnitude(v, &is_negative, &value) || (is_negative && value != 0))
        return SL_EINVAL;
    *ret_value = value;
    return SL_OK;
}

/*
 * Decimal digits below 2^53 times a power of ten that is a double itself: one rounding, so the
 * result is the nearest double. Most numbers people send (and most parts of a vector) are of this
 * kind.
 */
static bool
f64_quick(struct sl_slice raw, double *ret_value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    size_t decimals = 0;
    bool is_negative = raw.data[0] == '-', has_point = false;
    if (raw.size > 18) /* At most 17 digits: no overflow below. */
        return false;
    for (size_t i = is_negative; i < raw.size; i++) {
        if (raw.data[i] == '.') {
            has_point = true;
            continue;
        }
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return false;
        digits = digits * 10 + (uint64_t)(raw.data[i] - '0');
        decimals += has_point;
    }
    if (digits > UINT64_C(1) << 53)
        return false;
    double value = (double)digits / powers[decimals];
    *ret_value = is_negative ? -value : value;
    return true;
}

enum sl_err
sl_json_f64(struct sl_json v, double *ret_value)
{
    if (sl_json_kind(v) != SL_JSON_NUMBER)
        return SL_EINVAL;
    struct sl_slice raw = sl_json_raw(v);
    if (f64_quick(raw, ret_value))
        return SL_OK;
    /* strtod wants a NUL, which the text may lack. */
    char *text = sl_strndup(raw.data, raw.size);
    double value = strtod(text, NULL);
    sl_free(text);
    if (!isfinite(value))
        return SL_EINVAL;
    *ret_value = value;
    return SL_OK;
}
