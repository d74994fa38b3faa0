/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline.h - the last 72 hours in rings of a fixed size: each sample goes into three of them,
 * which hold the last hour in steps of 10 s, the last 12 hours in steps of a minute, and all 72 in
 * steps of 10 minutes. 80 KiB in all; nothing is allocated later, and nothing is stored.
 *
 * Steps are those of the clock that the samples tell; one that goes back is not believed, until it
 * has caught up. Where it goes back by more than a whole ring, that ring begins anew: the clock was
 * ahead before, and what was noted then is of no time at all. A step without a sample is a gap.
 *
 * Threading: the owner's.
 */
#ifndef SL_GATEWAY_TIMELINE_H
#define SL_GATEWAY_TIMELINE_H

#include "runtime/json.h"

#define SL_TIMELINE_STEP_MS UINT64_C(10000) /* A sample is due so often. */

enum sl_timeline_series {
#define SERIES(name, unit, kind, doc) SL_TIMELINE_##name,
#include "gateway/timeline.def"
    SL_TIMELINE_SERIES
};

enum sl_timeline_span { SL_TIMELINE_1H, SL_TIMELINE_12H, SL_TIMELINE_72H, SL_TIMELINE_SPANS };

struct sl_timeline;

struct sl_timeline *sl_timeline_create(void);
void sl_timeline_destroy(struct sl_timeline **timeline); /* NULL inside is fine. */

/* A value that is not finite is a gap. */
void sl_timeline_add(struct sl_timeline *timeline, uint64_t now_ms,
                     const float values[static SL_TIMELINE_SERIES]);

/* "1h", "12h" or "72h"; SL_TIMELINE_SPANS: none of them. */
enum sl_timeline_span sl_timeline_span(struct sl_slice text);

/*
 * An object: step_s, end (when the last step ends, in s since 1970), units, and series: of each an
 * array of as many values as the span has steps, null where there is a gap.
 */
void sl_timeline_write(const struct sl_timeline *timeline, enum sl_timeline_span span,
                       struct sl_jsonw *w);

#endif
