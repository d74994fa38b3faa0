/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/bodies.h"

#include "runtime/alloc.h"

void
sl_bodies_deinit(struct sl_bodies *b)
{
    sl_free(b->bytes);
    *b = (struct sl_bodies){0};
}

/* Make room for `segment`: what lies before the oldest that is needed is let go. */
static void
reach(struct sl_bodies *b, uint32_t segment)
{
    uint32_t skip = 0;
    while (skip < b->count && b->bytes[skip] == 0)
        skip++;
    if (skip == b->count || segment < b->first)
        skip = 0;
    uint32_t before = b->count > 0 && segment < b->first ? b->first - segment : 0;
    if (b->total == 0) {
        b->first = segment;
        b->count = skip = before = 0;
    }
    uint32_t first = b->first + skip - before;
    uint32_t count = SL_MAX(b->count - skip + before, segment - first + 1);
    if (count > b->capacity) {
        b->capacity = SL_MAX(count, b->capacity * 2);
        b->bytes = sl_realloc(b->bytes, b->capacity * sizeof(b->bytes[0]));
    }
    memmove(&b->bytes[before], &b->bytes[skip], (b->count - skip) * sizeof(b->bytes[0]));
    memset(b->bytes, 0, before * sizeof(b->bytes[0]));
    for (uint32_t i = b->count - skip + before; i < count; i++)
        b->bytes[i] = 0;
    b->first = first;
    b->count = count;
}

void
sl_bodies_add(struct sl_bodies *b, struct sl_body body)
{
    if (body.size == 0)
        return;
    uint32_t segment = body.at.segment;
    if (b->count == 0 || segment < b->first || segment - b->first >= b->count)
        reach(b, segment);
    b->bytes[segment - b->first] += body.size;
    b->total += body.size;
}

void
sl_bodies_remove(struct sl_bodies *b, struct sl_body body)
{
    if (body.size == 0)
        return;
    sl_assert(body.at.segment - b->first < b->count);
    uint64_t *bytes = &b->bytes[body.at.segment - b->first];
    sl_assert(*bytes >= body.size);
    *bytes -= body.size;
    b->total -= body.size;
}

uint64_t
sl_bodies_held(const struct sl_bodies *b, uint32_t segment)
{
    return segment - b->first < b->count ? b->bytes[segment - b->first] : 0;
}
