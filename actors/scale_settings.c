/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_settings.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/nearest.h"

#define SECOND UINT64_C(1000000000)

enum kind { COUNT, RATIO, SECONDS };

/* The names of fields; the first of each is the one that is written. */
static const struct field {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *aliases; /* Between spaces. */
} fields[] = {
#define AT(member) offsetof(struct sl_scale_settings, member)
    {"min_replicas", COUNT, AT(min_replicas), " minReplicas min-scale minScale "},
    {"max_replicas", COUNT, AT(max_replicas), " maxReplicas max-scale maxScale "},
    {"initial_replicas", COUNT, AT(initial_replicas), " initialReplicas initial-scale "},
    {"target_ongoing_requests", RATIO, AT(target_ongoing),
     " target_num_ongoing_requests_per_replica targetOngoingRequests target "},
    {"upscaling_factor", RATIO, AT(up_factor), " upscale_smoothing_factor upscalingFactor "},
    {"downscaling_factor", RATIO, AT(down_factor),
     " downscale_smoothing_factor downscalingFactor "},
    {"max_scale_up_rate", RATIO, AT(up_rate), " max-scale-up-rate "},
    {"max_scale_down_rate", RATIO, AT(down_rate), " max-scale-down-rate "},
    {"upscale_delay_s", SECONDS, AT(up_delay_ns), " upscaleDelayS "},
    {"downscale_delay_s", SECONDS, AT(down_delay_ns), " downscaleDelayS scale-down-delay "},
    {"downscale_to_zero_delay_s", SECONDS, AT(zero_delay_ns),
     " downscaleToZeroDelayS scale-to-zero-pod-retention-period "},
    {"look_back_period_s", SECONDS, AT(look_back_ns), " lookBackPeriodS stable-window window "},
    {"panic_window_s", SECONDS, AT(panic_ns), " panic-window "},
    {"panic_threshold", RATIO, AT(panic_threshold), " panic-threshold "},
#undef AT
};

struct sl_scale_settings
sl_scale_settings_default(void)
{
    return (struct sl_scale_settings){.min_replicas = 0,
                                      .max_replicas = 1,
                                      .target_ongoing = 2,
                                      .up_factor = 1,
                                      .down_factor = 1,
                                      .up_rate = 1000,
                                      .down_rate = 1000,
                                      .down_delay_ns = 600 * SECOND,
                                      .zero_delay_ns = 600 * SECOND,
                                      .look_back_ns = 30 * SECOND,
                                      .panic_ns = 3 * SECOND,
                                      .panic_threshold = 2};
}

const char *
sl_scale_settings_check(const struct sl_scale_settings *s)
{
    if (s->max_replicas < 1 || s->max_replicas > SL_SCALE_REPLICAS_MAX)
        return "max_replicas is not between 1 and 1000";
    if (s->min_replicas > s->max_replicas)
        return "min_replicas is more than max_replicas";
    if (s->initial_replicas > s->max_replicas)
        return "initial_replicas is more than max_replicas";
    if (!(s->target_ongoing > 0))
        return "target_ongoing_requests is not over 0";
    if (!(s->up_factor > 0) || !(s->down_factor > 0))
        return "upscaling_factor and downscaling_factor must be over 0";
    if (!(s->up_rate > 1) || !(s->down_rate > 1))
        return "max_scale_up_rate and max_scale_down_rate must be over 1";
    if (!(s->panic_threshold >= 0))
        return "panic_threshold is negative";
    if (s->panic_ns > s->look_back_ns)
        return "panic_window_s is longer than look_back_period_s";
    return NULL;
}

/* ---- by name ------------------------------------------------------------------------------- */

static bool
is_named(const struct field *f, const char *name)
{
    if (strcmp(f->name, name) == 0)
        return true;
    char *word = sl_format(" %s ", name);
    bool is_alias = strchr(name, ' ') == NULL && strstr(f->aliases, word) != NULL;
    sl_free(word);
    return is_alias;
}

static bool
read_number(const char *text, double *ret_value)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
        return false; /* strtod would take "inf", "0x1p3" and leading space. */
    *ret_value = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_value);
}

static uint32_t
distance(const char *a, const char *b)
{
    return sl_text_distance(sl_slice_str(a), sl_slice_str(b));
}

static const char *
nearest(const char *name)
{
    const char *best = fields[0].name;
    for (size_t i = 1; i < SL_COUNT_OF(fields); i++)
        if (distance(name, fields[i].name) < distance(name, best))
            best = fields[i].name;
    return best;
}

const char *
sl_scale_settings_name(const char *name)
{
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        if (is_named(&fields[i], name))
            return fields[i].name;
    }
    return NULL;
}

enum sl_err
sl_scale_settings_set(struct sl_scale_settings *settings, const char *name, const char *value,
                      char **ret_error)
{
    size_t i = 0;
    double number;
    while (i < SL_COUNT_OF(fields) && !is_named(&fields[i], name))
        i++;
    if (i == SL_COUNT_OF(fields)) {
        *ret_error = sl_format("%.100s: no such setting; is %s meant?", name, nearest(name));
        return SL_ENOTFOUND;
    }
    const struct field *f = &fields[i];
    bool is_good = read_number(value, &number) && number >= 0;
    is_good = is_good &&
              (f->kind != COUNT || (number <= SL_SCALE_REPLICAS_MAX && number == floor(number)));
    is_good = is_good && (f->kind != SECONDS || number <= 30 * 86400);
    if (!is_good) {
        *ret_error = sl_format("%s: expected %s, got \"%.60s\"", f->name,
                               f->kind == COUNT     ? "a whole number up to 1000"
                               : f->kind == SECONDS ? "seconds, up to 30 days of them"
                                                    : "a number",
                               value);
        return SL_EINVAL;
    }
    uint8_t *member = (uint8_t *)settings + f->offset;
    if (f->kind == COUNT)
        *(uint32_t *)(void *)member = (uint32_t)number;
    else if (f->kind == RATIO)
        *(double *)(void *)member = number;
    else
        *(uint64_t *)(void *)member = (uint64_t)(number * (double)SECOND + 0.5);
    return SL_OK;
}

void
sl_scale_settings_write(const struct sl_scale_settings *settings, struct sl_buf *out)
{
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        const void *member = (const uint8_t *)settings + fields[i].offset;
        double value = fields[i].kind == COUNT   ? *(const uint32_t *)member
                       : fields[i].kind == RATIO ? *(const double *)member
                                                 : (double)*(const uint64_t *)member / 1e9;
        sl_buf_printf(out, "%s\"%s\":%.17g", i == 0 ? "" : ",", fields[i].name, value);
    }
}
