/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/json_check.h"

#include "runtime/utf8.h"

struct check {
    const uint8_t *at, *end;
    const char *what; /* The first error; `at` stays on it. */
    uint32_t tokens;
    uint32_t depth;
};

static bool check_value(struct check *c);

static bool
fail(struct check *c, const char *what)
{
    c->what = what;
    return false;
}

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static void
skip_space(struct check *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool
next_is(const struct check *c, char byte)
{
    return c->at < c->end && *c->at == (uint8_t)byte;
}

static bool
check_digits(struct check *c)
{
    if (c->at == c->end || !is_digit(*c->at))
        return fail(c, "expected a digit");
    while (c->at < c->end && is_digit(*c->at))
        c->at++;
    return true;
}

static bool
check_number(struct check *c)
{
    if (next_is(c, '-'))
        c->at++;
    if (next_is(c, '0')) {
        c->at++;
        if (c->at < c->end && is_digit(*c->at))
            return fail(c, "a number with a leading zero");
    } else if (!check_digits(c)) {
        return false;
    }
    if (next_is(c, '.')) {
        c->at++;
        if (!check_digits(c))
            return false;
    }
    if (next_is(c, 'e') || next_is(c, 'E')) {
        c->at++;
        if (next_is(c, '+') || next_is(c, '-'))
            c->at++;
        if (!check_digits(c))
            return false;
    }
    return true;
}

/* At "uXXXX": step over it. */
static bool
check_hex(struct check *c, uint32_t *ret_code)
{
    if (c->end - c->at < 5)
        return fail(c, "a \\u escape without four hexadecimal digits");
    uint32_t code = 0;
    for (int i = 1; i <= 4; i++) {
        uint8_t byte = c->at[i];
        uint8_t lower = byte | 0x20;
        if (is_digit(byte))
            code = code << 4 | (uint32_t)(byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return fail(c, "a \\u escape without four hexadecimal digits");
    }
    c->at += 5;
    *ret_code = code;
    return true;
}

static bool
check_escape(struct check *c)
{
    c->at++; /* The backslash. */
    if (c->at == c->end)
        return fail(c, "a string without an end");
    if (*c->at != 'u') {
        if (*c->at == '\0' || strchr("\"\\/bfnrt", *c->at) == NULL)
            return fail(c, "an unknown escape");
        c->at++;
        return true;
    }
    const uint8_t *start = c->at - 1;
    uint32_t code, low;
    if (!check_hex(c, &code))
        return false;
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (code <= 0xdbff && c->end - c->at >= 6 && c->at[0] == '\\' && c->at[1] == 'u') {
        c->at++;
        if (!check_hex(c, &low))
            return false;
        if (low >= 0xdc00 && low <= 0xdfff)
            return true;
    }
    c->at = start;
    return fail(c, "a lone surrogate");
}

static bool
check_string(struct check *c)
{
    sl_assert(next_is(c, '"'));
    c->tokens++;
    c->at++;
    while (c->at < c->end) {
        if (*c->at == '"') {
            c->at++;
            return true;
        }
        if (*c->at == '\\') {
            if (!check_escape(c))
                return false;
        } else if (*c->at < 0x20) {
            return fail(c, "a control character in a string");
        } else if (*c->at < 0x80) {
            c->at++;
        } else {
            size_t size = sl_utf8_size(c->at, c->end);
            if (size == 0)
                return fail(c, "text that is not UTF-8");
            c->at += size;
        }
    }
    return fail(c, "a string without an end");
}

static bool
check_word(struct check *c, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return fail(c, "expected a value");
    c->at += size;
    return true;
}

static bool
check_member(struct check *c)
{
    skip_space(c);
    if (!next_is(c, '"'))
        return fail(c, "expected a member name in quotes");
    if (!check_string(c))
        return false;
    skip_space(c);
    if (!next_is(c, ':'))
        return fail(c, "expected ':'");
    c->at++;
    return check_value(c);
}

/* Recursion is bounded by SL_JSON_DEPTH_MAX. */
static bool
check_container(struct check *c)
{
    bool is_object = *c->at == '{';
    char end = is_object ? '}' : ']';
    if (++c->depth > SL_JSON_DEPTH_MAX)
        return fail(c, "nested too deeply");
    c->at++;
    skip_space(c);
    while (!next_is(c, end)) {
        if (!(is_object ? check_member(c) : check_value(c)))
            return false;
        skip_space(c);
        if (next_is(c, end))
            break;
        if (!next_is(c, ','))
            return fail(c, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        c->at++;
        skip_space(c);
        if (next_is(c, end))
            return fail(c, is_object ? "expected a member name in quotes" : "expected a value");
    }
    c->at++;
    c->depth--;
    return true;
}

static bool
check_value(struct check *c)
{
    skip_space(c);
    if (c->at == c->end)
        return fail(c, "expected a value");
    if (*c->at == '"')
        return check_string(c);
    c->tokens++;
    switch (*c->at) {
    case '{':
    case '[':
        return check_container(c);
    case 't':
        return check_word(c, "true");
    case 'f':
        return check_word(c, "false");
    case 'n':
        return check_word(c, "null");
    default:
        if (*c->at != '-' && !is_digit(*c->at))
            return fail(c, "expected a value");
        return check_number(c);
    }
}

void
sl_json_error_at(struct sl_slice text, size_t offset, const char *what,
                 struct sl_json_error *ret_error)
{
    *ret_error = (struct sl_json_error){.offset = offset, .line = 1, .column = 1, .what = what};
    for (size_t i = 0; i < offset; i++) {
        ret_error->column++;
        if (text.data[i] == '\n') {
            ret_error->line++;
            ret_error->column = 1;
        }
    }
}

enum sl_err
sl_json_check(struct sl_slice text, uint32_t *ret_tokens, struct sl_json_error *ret_error)
{
    struct check c = {.at = text.data, .end = text.size == 0 ? text.data : text.data + text.size};
    if (check_value(&c)) {
        skip_space(&c);
        if (c.at < c.end)
            fail(&c, "something after the value");
    }
    if (c.what != NULL) {
        sl_json_error_at(text, text.size == 0 ? 0 : (size_t)(c.at - text.data), c.what, ret_error);
        return SL_EINVAL;
    }
    *ret_tokens = c.tokens;
    return SL_OK;
}
