/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/trace_context.h"

#define VERSION_AT 0
#define TRACE_AT   3
#define SPAN_AT    36
#define FLAGS_AT   53
#define SIZE       55 /* Of version 00; later ones may be longer, behind another dash. */

static const char digits[] = "0123456789abcdef";

/* Lower case alone, as the standard says. */
static bool
read_hex(const uint8_t *text, uint8_t *ret_bytes, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (!is_digit && (text[i] < 'a' || text[i] > 'f'))
            return false;
        uint8_t value = (uint8_t)(is_digit ? text[i] - '0' : text[i] - 'a' + 10);
        ret_bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : ret_bytes[i / 2] | value);
    }
    return true;
}

static bool
is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

bool
sl_trace_context_is_set(const struct sl_trace_context *context)
{
    return !is_zero(context->trace, sizeof(context->trace)) &&
           !is_zero(context->span, sizeof(context->span));
}

bool
sl_trace_context_parse(struct sl_slice text, struct sl_trace_context *ret_context)
{
    struct sl_trace_context context = {0};
    const uint8_t *at = text.data;
    uint8_t version;
    if (text.size < SIZE || at[TRACE_AT - 1] != '-' || at[SPAN_AT - 1] != '-' ||
        at[FLAGS_AT - 1] != '-' || !read_hex(at + VERSION_AT, &version, 1) || version == 0xff)
        return false;
    if (text.size > SIZE && (version == 0 || at[SIZE] != '-'))
        return false;
    if (!read_hex(at + TRACE_AT, context.trace, sizeof(context.trace)) ||
        !read_hex(at + SPAN_AT, context.span, sizeof(context.span)) ||
        !read_hex(at + FLAGS_AT, &context.flags, 1) || !sl_trace_context_is_set(&context))
        return false;
    context.flags &= SL_TRACE_SAMPLED;
    *ret_context = context;
    return true;
}

bool
sl_trace_state_is_good(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    }
    return text.size > 0 && text.size <= SL_TRACE_STATE_MAX;
}

static void
fill(struct sl_random *random, uint8_t *bytes, size_t count)
{
    do {
        for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
            uint64_t number = sl_random_u64(random);
            memcpy(bytes + i, &number, sizeof(number));
        }
    } while (is_zero(bytes, count));
}

bool
sl_trace_context_enter(struct sl_slice parent, struct sl_random *random,
                       struct sl_trace_context *ret_context)
{
    struct sl_trace_context context = {0};
    bool is_theirs = sl_trace_context_parse(parent, &context);
    if (is_theirs)
        memcpy(context.parent, context.span, sizeof(context.parent));
    else
        fill(random, context.trace, sizeof(context.trace));
    fill(random, context.span, sizeof(context.span));
    *ret_context = context;
    return is_theirs;
}

static char *
write_hex(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

void
sl_trace_context_format(const struct sl_trace_context *context,
                        char ret_text[static SL_TRACE_PARENT_SIZE])
{
    const uint8_t version = 0;
    char *at = write_hex(ret_text, &version, 1);
    *at++ = '-';
    at = write_hex(at, context->trace, sizeof(context->trace));
    *at++ = '-';
    at = write_hex(at, context->span, sizeof(context->span));
    *at++ = '-';
    at = write_hex(at, &context->flags, 1);
    *at = '\0';
}

#define RANDOM_BITS 56 /* Of a trace's id: those that the standard has for it. */

void
sl_trace_context_sample(struct sl_trace_context *context, double ratio)
{
    uint64_t number = 0;
    for (size_t i = sizeof(context->trace) - RANDOM_BITS / 8; i < sizeof(context->trace); i++)
        number = number << 8 | context->trace[i];
    if ((double)number < ratio * (double)(UINT64_C(1) << RANDOM_BITS))
        context->flags |= SL_TRACE_SAMPLED;
}

/* The finalizer of splitmix64: numbers in a row come out far apart. */
static uint64_t
mix(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    return number ^ number >> 31;
}

void
sl_trace_span_of(uint64_t what, uint64_t which, uint8_t ret_span[static 8])
{
    uint64_t id = mix(mix(what + UINT64_C(0x9E3779B97F4A7C15)) ^ which);
    if (id == 0)
        id = 1;
    memcpy(ret_span, &id, sizeof(id));
}
