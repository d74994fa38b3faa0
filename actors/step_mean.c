/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/step_mean.h"

static uint64_t
bucket_ns(const struct sl_step_mean *m)
{
    return SL_MAX(m->window_ns / SL_STEP_BUCKETS, UINT64_C(1));
}

static double *
area_of(struct sl_step_mean *m, uint64_t bucket)
{
    return &m->areas[bucket % (SL_STEP_BUCKETS + 1)];
}

void
sl_step_mean_init(struct sl_step_mean *m, uint64_t window_ns, uint64_t now_ns, double value)
{
    *m = (struct sl_step_mean){
        .window_ns = window_ns, .start_ns = now_ns, .at_ns = now_ns, .value = value};
}

static void
advance(struct sl_step_mean *m, uint64_t now_ns)
{
    uint64_t width = bucket_ns(m);
    uint64_t skip_ns = (SL_STEP_BUCKETS + 2) * width;
    if (now_ns - m->at_ns > skip_ns) /* All before is out of the window by then. */
        m->at_ns = now_ns - skip_ns;
    while (m->at_ns < now_ns) {
        uint64_t bucket = m->at_ns / width;
        uint64_t end_ns = SL_MIN((bucket + 1) * width, now_ns);
        if (m->at_ns % width == 0)
            *area_of(m, bucket) = 0;
        *area_of(m, bucket) += m->value * (double)(end_ns - m->at_ns);
        m->at_ns = end_ns;
    }
}

void
sl_step_mean_push(struct sl_step_mean *m, uint64_t now_ns, double value)
{
    advance(m, now_ns);
    m->value = value;
}

double
sl_step_mean_get(struct sl_step_mean *m, uint64_t now_ns, uint64_t *ret_next_ns)
{
    uint64_t width = bucket_ns(m), window_ns = width * SL_STEP_BUCKETS;
    uint64_t known_ns = SL_MIN(now_ns - m->start_ns, window_ns);
    advance(m, now_ns);
    *ret_next_ns = UINT64_MAX;
    if (m->window_ns == 0 || known_ns == 0)
        return m->value;
    uint64_t first_ns = now_ns - known_ns, first = first_ns / width, last = now_ns / width;
    double area = 0;
    bool is_flat = true;
    for (uint64_t bucket = first; bucket <= last; bucket++) {
        uint64_t begin_ns = SL_MAX(bucket * width, m->start_ns);
        uint64_t end_ns = SL_MIN((bucket + 1) * width, now_ns);
        if (begin_ns >= end_ns)
            continue;
        double known = (double)(end_ns - begin_ns);
        double part = (double)(end_ns - SL_MAX(begin_ns, first_ns));
        double mean = *area_of(m, bucket) / known;
        is_flat = is_flat && mean == m->value;
        area += mean * part;
    }
    if (!is_flat)
        *ret_next_ns = now_ns + width;
    return is_flat ? m->value : area / (double)known_ns;
}
