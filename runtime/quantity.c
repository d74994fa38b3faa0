/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/quantity.h"

#include <math.h>
#include <stdlib.h>

#define QUANTITY_MAX 1e18

static const struct {
    const char *name;
    double factor;
} suffixes[] = {
    {"", 1},        {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},
    {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
    {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60},
};

/* Bytes of "12", "1.5", ".5" or "3." at the start of the text; 0: no number. */
static size_t
number_size(const char *text)
{
    size_t whole = strspn(text, "0123456789"), size = whole, part = 0;
    if (text[size] == '.') {
        part = strspn(text + size + 1, "0123456789");
        size += 1 + part;
    }
    return whole + part == 0 ? 0 : size;
}

/* Whether it is "e3", "E-3": "E" alone is a suffix. */
static bool
is_exponent(const char *text)
{
    if (*text != 'e' && *text != 'E')
        return false;
    text++;
    text += *text == '-' || *text == '+';
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 3 && text[digits] == '\0';
}

bool
sl_quantity_read(const char *text, double *ret_value)
{
    size_t size = number_size(text);
    if (size == 0 || size > 40)
        return false;
    double factor = -1;
    for (size_t i = 0; i < SL_COUNT_OF(suffixes); i++) {
        if (strcmp(text + size, suffixes[i].name) == 0)
            factor = suffixes[i].factor;
    }
    if (factor < 0 && !is_exponent(text + size))
        return false;
    double value = strtod(text, NULL) * (factor < 0 ? 1 : factor);
    if (!isfinite(value) || value > QUANTITY_MAX)
        return false;
    *ret_value = value;
    return true;
}
