/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/utf8.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* The name to write with comes first among equals, and larger units before smaller. */
static const struct unit sizes[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"Ti", INT64_C(1) << 40},
    {"Gi", INT64_C(1) << 30},
    {"Mi", INT64_C(1) << 20},
    {"Ki", INT64_C(1) << 10},
    {"TB", INT64_C(1000000000000)},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"", 1},
    {"B", 1},
};

static const struct unit durations[] = {
    {"d", INT64_C(86400) * 1000000000},
    {"h", INT64_C(3600) * 1000000000},
    {"m", INT64_C(60) * 1000000000},
    {"s", 1000000000},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};

static bool
read_int(const char *text, int64_t *ret_number)
{
    char *end;
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text)
        return false;
    *ret_number = number;
    return true;
}

/* Digits and one of the units. */
static bool
read_unit(const char *text, const struct unit *units, size_t count, int64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19)
        return false;
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(text + digits, units[i].name) == 0)
            return !__builtin_mul_overflow((int64_t)number, units[i].factor, ret_number);
    *ret_number = 0;
    return number == 0 && text[digits] == '\0';
}

static bool
read_bool(const char *text, int64_t *ret_number)
{
    *ret_number = strcmp(text, "true") == 0;
    return *ret_number == 1 || strcmp(text, "false") == 0;
}

static bool
read_float(const char *text, double *ret_real)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
        return false; /* strtod would take "inf", "0x1p3" and leading space. */
    *ret_real = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_real);
}

static bool
is_object(const char *text)
{
    struct sl_json_doc *doc = NULL;
    bool is_good = sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK;
    sl_json_destroy(&doc);
    return is_good;
}

static bool
read_typed(const struct sl_config_key *key, const char *text, struct sl_config_value *value)
{
    switch (key->type) {
    case SL_CONFIG_BOOL:
        return read_bool(text, &value->number);
    case SL_CONFIG_INT:
        return read_int(text, &value->number);
    case SL_CONFIG_SIZE:
        return read_unit(text, sizes, SL_COUNT_OF(sizes), &value->number);
    case SL_CONFIG_DURATION:
        return read_unit(text, durations, SL_COUNT_OF(durations), &value->number);
    case SL_CONFIG_FLOAT:
        return read_float(text, &value->real);
    case SL_CONFIG_MAP:
        value->number = (int64_t)strlen(text);
        return text[0] == '{' ? is_object(text) : sl_utf8_is_valid(sl_slice_str(text));
    case SL_CONFIG_STRING:
        value->number = (int64_t)strlen(text);
        return sl_utf8_is_valid(sl_slice_str(text));
    }
    return false;
}

static bool
is_text(const struct sl_config_key *key)
{
    return key->type == SL_CONFIG_STRING || key->type == SL_CONFIG_MAP;
}

static bool
is_in_range(const struct sl_config_key *key, const struct sl_config_value *value)
{
    if (key->type == SL_CONFIG_BOOL || (key->min == 0 && key->max == 0))
        return true;
    if (key->type == SL_CONFIG_FLOAT)
        return value->real >= (double)key->min && value->real <= (double)key->max;
    return value->number >= key->min && value->number <= key->max;
}

bool
sl_config_value_read(const struct sl_config_key *key, const char *text,
                     struct sl_config_value *value, struct sl_buf *why)
{
    static const char *const wanted[] = {
        [SL_CONFIG_BOOL] = "true or false",
        [SL_CONFIG_INT] = "a whole number",
        [SL_CONFIG_SIZE] = "a size such as 64MiB",
        [SL_CONFIG_DURATION] = "a duration such as 250ms or 5s",
        [SL_CONFIG_STRING] = "a text",
        [SL_CONFIG_FLOAT] = "a number",
        [SL_CONFIG_MAP] = "keys or a text",
    };
    struct sl_config_value read = {0};
    if (!read_typed(key, text, &read)) {
        sl_buf_printf(why, "expected %s, got \"%.60s\"", wanted[key->type], text);
        return false;
    }
    if (!is_in_range(key, &read)) {
        enum sl_config_type type = is_text(key) ? SL_CONFIG_INT : key->type;
        sl_buf_printf(why, "%s \"%.60s\" is not between ",
                      is_text(key) ? "the length of" : "the value", text);
        sl_config_number_write(type, key->min, why);
        sl_buf_append_str(why, " and ");
        sl_config_number_write(type, key->max, why);
        return false;
    }
    if (is_text(key))
        read.text = sl_strdup(text);
    sl_free(value->text);
    *value = read;
    return true;
}

void
sl_config_number_write(enum sl_config_type type, int64_t number, struct sl_buf *out)
{
    const struct unit *units = type == SL_CONFIG_SIZE ? sizes : durations;
    size_t count = type == SL_CONFIG_SIZE ? SL_COUNT_OF(sizes) : SL_COUNT_OF(durations);
    if (type == SL_CONFIG_BOOL) {
        sl_buf_append_str(out, number ? "true" : "false");
        return;
    }
    if (number <= 0 || (type != SL_CONFIG_SIZE && type != SL_CONFIG_DURATION)) {
        sl_buf_printf(out, "%" PRId64, number);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        /* Only powers of 1024 for sizes: 65536000 is clearer as it is. */
        bool is_usual = type == SL_CONFIG_DURATION || i < 4 || units[i].factor == 1;
        if (is_usual && number % units[i].factor == 0) {
            sl_buf_printf(out, "%" PRId64 "%s", number / units[i].factor, units[i].name);
            return;
        }
    }
}

/* The character at *at, behind which *at is left. The text is UTF-8. */
static uint32_t
next_code(const uint8_t **at)
{
    size_t size = sl_utf8_size(*at, *at + strnlen((const char *)*at, 4));
    uint32_t code = size == 1 ? (*at)[0] : (*at)[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((*at)[i] & 0x3fu);
    *at += size;
    return code;
}

/* Whether YAML keeps a character as it is within quotes: not a control, not a break of lines (which
 * it folds), not what it takes for an encoding's mark or for no character. */
static bool
is_kept(uint32_t code)
{
    bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool is_break = code == 0x2028 || code == 0x2029;
    return !is_control && !is_break && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

/* `text` in which what is_kept refuses is an escape that JSON and YAML share. */
static void
write_escaped(const char *text, struct sl_buf *out)
{
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0';) {
        const uint8_t *start = at;
        uint32_t code = next_code(&at);
        if (is_kept(code))
            sl_buf_append(out, start, (size_t)(at - start));
        else
            sl_buf_printf(out, "\\u%04x", code);
    }
}

/* In single quotes, which escape nothing but themselves; in double ones where that is not enough.
 */
static void
write_text(const char *text, struct sl_buf *out)
{
    bool is_plain = true;
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0' && is_plain;)
        is_plain = is_kept(next_code(&at));
    struct sl_buf quoted = {0};
    for (const char *c = text; *c != '\0'; c++) {
        if (is_plain ? *c == '\'' : *c == '"' || *c == '\\')
            sl_buf_append_u8(&quoted, is_plain ? '\'' : '\\');
        sl_buf_append_u8(&quoted, (uint8_t)*c);
    }
    sl_buf_append_u8(out, is_plain ? '\'' : '"');
    write_escaped(sl_buf_text(&quoted), out);
    sl_buf_append_u8(out, is_plain ? '\'' : '"');
    sl_buf_deinit(&quoted);
}

void
sl_config_value_write(const struct sl_config_key *key, const struct sl_config_value *value,
                      struct sl_buf *out)
{
    if (key->type == SL_CONFIG_MAP && value->text[0] == '{')
        write_escaped(value->text, out); /* JSON is YAML. */
    else if (is_text(key))
        write_text(value->text, out);
    else if (key->type == SL_CONFIG_FLOAT)
        sl_buf_printf(out, "%.17g", value->real);
    else
        sl_config_number_write(key->type, value->number, out);
}
