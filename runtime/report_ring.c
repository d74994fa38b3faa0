/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_ring.h"

#include <assert.h>
#include <stdalign.h>
#include <strings.h>

#include "runtime/alloc.h"

#define CHUNK_BYTES   (16 * SL_KIB)
#define CHUNKS        (SL_REPORT_RING_BYTES / CHUNK_BYTES)
#define CHUNKS_SOURCE (SL_REPORT_SOURCE_BYTES / CHUNK_BYTES)
#define LOOK_BYTES    (512 * SL_KIB)
#define MAGIC         0x6c72696eu

static_assert(CHUNKS <= 256 && CHUNK_BYTES <= 16384, "a place has 8 bits and 14 bits");

struct chunk {
    uint64_t source, group; /* Hashes; a source's: also of what its group's is. */
    uint64_t first, last;   /* Sequences; last 0: it is free. */
    uint32_t used;
};

struct sl_report_ring {
    uint32_t magic;
    uint64_t oldest, newest; /* All there ever were: oldest is the first's. */
    uint64_t missed;
    struct chunk chunks[CHUNKS];
    uint32_t places[SL_REPORT_RING_LINES]; /* By sequence: chunk and offset. */
    alignas(8) uint8_t bytes[CHUNKS][CHUNK_BYTES];
};

struct sl_report_ring *
sl_report_ring_create(uint64_t now_ms)
{
    struct sl_report_ring *ring = sl_zalloc(sizeof(*ring));
    ring->magic = MAGIC;
    ring->newest = now_ms << 16;
    ring->oldest = ring->newest + 1;
    return ring;
}

void
sl_report_ring_destroy(struct sl_report_ring **ring)
{
    sl_free(*ring);
    *ring = NULL;
}

uint64_t
sl_report_ring_newest(const struct sl_report_ring *ring)
{
    return ring->newest;
}

uint64_t
sl_report_ring_missed(const struct sl_report_ring *ring)
{
    return ring->missed;
}

/* ---- whose chunk --------------------------------------------------------------------------- */

static uint64_t
mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void
source_of(const struct sl_report_entry *e, uint64_t *ret_source, uint64_t *ret_group)
{
    static const enum sl_report_field of_group[] = {SL_REPORT_role, SL_REPORT_extractor,
                                                    SL_REPORT_node};
    uint64_t hash = UINT64_C(0xcbf29ce484222325), scope = e->is_output ? e->scope : 0;
    /* Processes of ours say of whom they speak: that makes them no other source. */
    size_t count = e->is_output ? SL_COUNT_OF(of_group) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *text = e->texts[of_group[i]];
        hash = mix(hash, text == NULL ? "" : text, text == NULL ? 1 : strlen(text) + 1);
    }
    *ret_group = mix(hash, &scope, sizeof(scope));
    *ret_source = mix(*ret_group, &e->pid, sizeof(e->pid));
}

struct share {
    uint64_t hash;
    uint32_t count;
    uint64_t last; /* Of the oldest of its chunks. */
    uint32_t oldest;
};

/* What a source or group has; group 0: any. */
static struct share
share_of(const struct sl_report_ring *ring, uint64_t hash, bool is_group)
{
    struct share s = {.hash = hash, .last = UINT64_MAX};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const struct chunk *c = &ring->chunks[i];
        if (c->last == 0 || (is_group ? c->group : c->source) != hash)
            continue;
        s.count++;
        if (c->last < s.last) {
            s.last = c->last;
            s.oldest = i;
        }
    }
    return s;
}

static bool
is_larger(struct share a, struct share b)
{
    return a.count > b.count || (a.count == b.count && a.last < b.last);
}

/* The oldest chunk of the largest source of the largest group. Chunks that are in turn are few: a
   chunk is taken every 16 KiB. */
static uint32_t
largest(const struct sl_report_ring *ring)
{
    struct share group = {0}, source = {0};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct share s = share_of(ring, ring->chunks[i].group, true);
        if (group.count == 0 || is_larger(s, group))
            group = s;
    }
    for (uint32_t i = 0; i < CHUNKS; i++) {
        if (ring->chunks[i].group != group.hash)
            continue;
        struct share s = share_of(ring, ring->chunks[i].source, false);
        if (source.count == 0 || is_larger(s, source))
            source = s;
    }
    return source.oldest;
}

static uint32_t
take_chunk(const struct sl_report_ring *ring, uint64_t source)
{
    struct share own = share_of(ring, source, false);
    if (own.count >= CHUNKS_SOURCE)
        return own.oldest;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        if (ring->chunks[i].last == 0)
            return i;
    }
    return largest(ring);
}

static uint32_t
chunk_for(struct sl_report_ring *ring, const struct sl_report_entry *e, size_t size)
{
    uint64_t source, group, last = 0;
    uint32_t found = CHUNKS;
    source_of(e, &source, &group);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const struct chunk *c = &ring->chunks[i];
        if (c->last > last && c->source == source) {
            last = c->last;
            found = i;
        }
    }
    if (found < CHUNKS && ring->chunks[found].used + size <= CHUNK_BYTES)
        return found;
    found = take_chunk(ring, source);
    ring->chunks[found] =
        (struct chunk){.source = source, .group = group, .first = e->sequence, .last = e->sequence};
    return found;
}

void
sl_report_ring_add(struct sl_report_ring *ring, const struct sl_report_entry *entry)
{
    alignas(8) uint8_t record[SL_REPORT_RECORD_MAX];
    struct sl_report_entry e = *entry;
    sl_assert(ring->magic == MAGIC);
    e.sequence = ++ring->newest;
    size_t size = sl_report_entry_write(&e, record);
    uint32_t index = chunk_for(ring, &e, size);
    struct chunk *c = &ring->chunks[index];
    memcpy(ring->bytes[index] + c->used, record, size);
    ring->places[e.sequence % SL_REPORT_RING_LINES] = index << 14 | c->used;
    c->used += (uint32_t)size;
    c->last = e.sequence;
    ring->missed += e.missed;
}

/* ---- lines that are there ------------------------------------------------------------------ */

/* The line of that sequence, which is not above the newest; its bytes. NULL: it has gone. A chunk
   that was given to another source has no sequence as low as those that it had before. */
static const uint8_t *
line_at(const struct sl_report_ring *ring, uint64_t sequence, struct sl_report_entry *ret_entry)
{
    uint32_t place = ring->places[sequence % SL_REPORT_RING_LINES];
    uint32_t index = place >> 14, offset = place & 16383;
    const struct chunk *c = &ring->chunks[index];
    if (c->last == 0 || sequence < c->first || sequence > c->last || offset >= c->used)
        return NULL;
    const uint8_t *at = ring->bytes[index] + offset;
    if (!sl_report_entry_read(sl_slice(at, c->used - offset), ret_entry) ||
        ret_entry->sequence != sequence)
        return NULL;
    return at;
}

static uint64_t
lowest(const struct sl_report_ring *ring)
{
    uint64_t count = ring->newest - ring->oldest + 1;
    return ring->newest - SL_MIN(count, (uint64_t)SL_REPORT_RING_LINES) + 1;
}

/* Whether a line is about a tenant: by number where it has one. A number is never used again, a
   name may be. */
static bool
is_about(const struct sl_report_entry *e, uint64_t scope, const char *tenant)
{
    const char *name = e->texts[SL_REPORT_tenant];
    if (e->scope != 0)
        return e->scope == scope;
    return *name != '\0' && tenant != NULL && strcmp(name, tenant) == 0;
}

static bool
is_wanted(const struct sl_report_entry *e, const struct sl_report_wanted *w)
{
    bool is_tenants = w->scope != 0 || w->texts[SL_REPORT_tenant] != NULL;
    if (is_tenants && !is_about(e, w->scope, w->texts[SL_REPORT_tenant]))
        return false;
    if ((w->levels != 0 && (w->levels >> e->level & 1) == 0) || e->at_ms < w->since_ms)
        return false;
    for (uint32_t i = 0; i < SL_REPORT_message; i++) {
        if (i != SL_REPORT_tenant && w->texts[i] != NULL && strcmp(w->texts[i], e->texts[i]) != 0)
            return false;
    }
    const char *part = w->texts[SL_REPORT_message];
    return part == NULL || strcasestr(e->texts[SL_REPORT_message], part) != NULL ||
           strcasestr(e->texts[SL_REPORT_event], part) != NULL;
}

void
sl_report_ring_find(const struct sl_report_ring *ring, const struct sl_report_wanted *w,
                    void (*take)(void *arg, const struct sl_report_entry *entry), void *arg,
                    struct sl_report_walk *ret_walk)
{
    uint64_t low = lowest(ring), high = ring->newest, bytes = 0;
    sl_assert(ring->magic == MAGIC);
    *ret_walk = (struct sl_report_walk){.walked_to = w->from};
    if (w->is_forward)
        low = SL_MAX(low, w->from + 1);
    else if (w->from != 0)
        high = SL_MIN(high, w->from - 1);
    for (uint64_t left = high < low ? 0 : high - low + 1; left > 0; left--) {
        uint64_t at = w->is_forward ? high - left + 1 : low + left - 1;
        struct sl_report_entry e;
        const uint8_t *line = line_at(ring, at, &e);
        if (line != NULL && (bytes >= LOOK_BYTES || ret_walk->count >= w->limit)) {
            ret_walk->is_more = true;
            return;
        }
        ret_walk->walked_to = at;
        if (line == NULL)
            continue;
        bytes += (size_t)(e.texts[SL_REPORT_message] - (const char *)line) +
                 strlen(e.texts[SL_REPORT_message]);
        if (is_wanted(&e, w)) {
            take(arg, &e);
            ret_walk->count++;
        }
    }
}

void
sl_report_ring_forget(struct sl_report_ring *ring, uint64_t scope, const char *tenant)
{
    for (uint64_t at = lowest(ring); at <= ring->newest; at++) {
        struct sl_report_entry e;
        const uint8_t *line = line_at(ring, at, &e);
        if (line == NULL || !is_about(&e, scope, tenant))
            continue;
        uint32_t place = ring->places[at % SL_REPORT_RING_LINES];
        const char *last = e.texts[SL_REPORT_message];
        size_t size = (size_t)(last - (const char *)line) + strlen(last);
        memset(ring->bytes[place >> 14] + (place & 16383), 0, size);
    }
}
