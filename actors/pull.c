/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pull.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/alloc.h"

#define PULL_MAGIC  0x70756c6cu
#define HOLDER_MAX  8
#define OVERALL_MAX 16
#define ASKS_MAX    64
#define ANSWER_NS   (10 * SL_SECOND_NS)
#define PAUSE_NS    (5 * SL_SECOND_NS)
#define PATIENCE_NS (120 * SL_SECOND_NS)
#define PROBE_NS    (200 * SL_MILLI_NS) /* One that lacked what we want may have it by now. */

enum chunk_state { WANTED, ASKED, COME, THERE };

struct holder {
    uint32_t node;
    uint32_t asked;
    uint64_t heard_ns;
    uint64_t paused_until_ns; /* It was silent, or it failed. */
    uint64_t probe_ns;        /* When to ask for what it does not say it has. */
    uint8_t *have;            /* Bits; NULL: all. */
    bool is_bad;              /* Kept, so that it is not taken again. */
};

struct ask {
    uint32_t node, index;
    uint64_t asked_ns;
};

struct sl_pull {
    uint32_t magic;
    struct sl_pull_options options;
    enum sl_pull_state state;
    enum sl_err err;
    char why[160];
    struct sl_chunks chunks;
    uint8_t *states; /* enum chunk_state of each chunk. */
    uint32_t left;   /* Not THERE. */
    uint32_t come;
    uint32_t passed; /* So many chunks from `first` on are not WANTED. */
    struct holder holders[SL_PULL_HOLDERS_MAX];
    uint32_t holders_count;
    struct ask asks[ASKS_MAX];
    uint32_t asks_count;
    uint64_t progress_ns;
    struct sl_pull_counts counts;
};

static void
check(const struct sl_pull *p)
{
    sl_assert(p != NULL);
    sl_assert(p->magic == PULL_MAGIC);
}

struct sl_pull *
sl_pull_create(const struct sl_pull_options *options, uint64_t now_ns)
{
    struct sl_pull *p = sl_zalloc(sizeof(*p));
    struct sl_pull_options o = *options;
    o.holder_max = o.holder_max == 0 ? HOLDER_MAX : o.holder_max;
    o.overall_max = o.overall_max == 0 ? OVERALL_MAX : SL_MIN(o.overall_max, (uint32_t)ASKS_MAX);
    o.answer_ns = o.answer_ns == 0 ? ANSWER_NS : o.answer_ns;
    o.pause_ns = o.pause_ns == 0 ? PAUSE_NS : o.pause_ns;
    o.patience_ns = o.patience_ns == 0 ? PATIENCE_NS : o.patience_ns;
    *p = (struct sl_pull){.magic = PULL_MAGIC, .options = o, .progress_ns = now_ns};
    return p;
}

void
sl_pull_destroy(struct sl_pull **pull)
{
    struct sl_pull *p = *pull;
    if (p == NULL)
        return;
    check(p);
    for (uint32_t i = 0; i < p->holders_count; i++)
        sl_free(p->holders[i].have);
    sl_chunks_deinit(&p->chunks);
    sl_free(p->states);
    p->magic = 0;
    sl_free(p);
    *pull = NULL;
}

/* ---- looking ------------------------------------------------------------------------------- */

enum sl_pull_state
sl_pull_state(const struct sl_pull *p)
{
    check(p);
    return p->state;
}

enum sl_err
sl_pull_error(const struct sl_pull *p, const char **ret_why)
{
    check(p);
    *ret_why = p->why;
    return p->err;
}

const struct sl_chunks *
sl_pull_chunks(const struct sl_pull *p)
{
    check(p);
    return &p->chunks;
}

uint32_t
sl_pull_left(const struct sl_pull *p)
{
    check(p);
    return p->left;
}

bool
sl_pull_has(const struct sl_pull *p, uint32_t index)
{
    check(p);
    return p->states != NULL && index < p->chunks.count && p->states[index] == THERE;
}

void
sl_pull_have(const struct sl_pull *p, struct sl_buf *out)
{
    check(p);
    for (uint32_t i = 0; i < p->chunks.count; i += 8) {
        uint8_t byte = 0;
        for (uint32_t k = 0; k < 8 && i + k < p->chunks.count; k++)
            byte |= (uint8_t)(sl_pull_has(p, i + k) << k);
        sl_buf_append_u8(out, byte);
    }
}

void
sl_pull_counts(const struct sl_pull *p, struct sl_pull_counts *ret_counts)
{
    check(p);
    *ret_counts = p->counts;
}

static bool
is_over(const struct sl_pull *p)
{
    return p->state == SL_PULL_DONE || p->state == SL_PULL_FAILED;
}

void
sl_pull_fail(struct sl_pull *p, enum sl_err err, const char *why)
{
    check(p);
    if (is_over(p))
        return;
    p->state = SL_PULL_FAILED;
    p->err = err;
    (void)snprintf(p->why, sizeof(p->why), "%s", why);
}

/* ---- chunks and questions ------------------------------------------------------------------ */

static uint32_t
place_of(const struct sl_pull *p, uint32_t passed)
{
    return (uint32_t)(((uint64_t)p->options.first + passed) % p->chunks.count);
}

static void
want(struct sl_pull *p, uint32_t index)
{
    p->states[index] = WANTED;
    p->passed = 0; /* It may lie before. */
}

static struct holder *
holder_of(struct sl_pull *p, uint32_t node)
{
    for (uint32_t i = 0; i < p->holders_count; i++) {
        if (p->holders[i].node == node)
            return &p->holders[i];
    }
    return NULL;
}

/* Forget a question; what it was about is wanted again if nobody else brought it meanwhile. */
static void
take_back(struct sl_pull *p, uint32_t at)
{
    struct ask a = p->asks[at];
    struct holder *h = holder_of(p, a.node);
    p->asks[at] = p->asks[--p->asks_count];
    if (h != NULL)
        h->asked--;
    if (a.index != SL_PULL_LIST && p->states != NULL && p->states[a.index] == ASKED)
        want(p, a.index);
}

static void
take_back_all(struct sl_pull *p, uint32_t node)
{
    for (uint32_t i = p->asks_count; i-- > 0;) {
        if (p->asks[i].node == node)
            take_back(p, i);
    }
}

/* The question that an answer belongs to; false: it was taken back, or never asked. */
static bool
end_ask(struct sl_pull *p, uint32_t node, uint32_t index)
{
    for (uint32_t i = 0; i < p->asks_count; i++) {
        if (p->asks[i].node != node || p->asks[i].index != index)
            continue;
        take_back(p, i);
        return true;
    }
    return false;
}

/* ---- holders ------------------------------------------------------------------------------- */

enum sl_err
sl_pull_add(struct sl_pull *p, uint32_t node)
{
    check(p);
    struct holder *h = holder_of(p, node);
    if (h != NULL)
        return h->is_bad ? SL_EDENIED : SL_OK;
    if (p->holders_count == SL_PULL_HOLDERS_MAX)
        return SL_EFULL;
    p->holders[p->holders_count++] = (struct holder){.node = node};
    return SL_OK;
}

void
sl_pull_lose(struct sl_pull *p, uint32_t node)
{
    check(p);
    struct holder *h = holder_of(p, node);
    if (h == NULL || h->is_bad)
        return;
    take_back_all(p, node);
    sl_free(h->have);
    *h = p->holders[--p->holders_count];
}

static void
blame(struct sl_pull *p, uint32_t node)
{
    struct holder *h = holder_of(p, node);
    p->counts.bad++;
    if (h == NULL)
        return;
    h->is_bad = true;
    take_back_all(p, node);
}

uint32_t
sl_pull_holders(const struct sl_pull *p)
{
    check(p);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->holders_count; i++)
        count += !p->holders[i].is_bad;
    return count;
}

static bool
is_usable(const struct holder *h, uint64_t now_ns)
{
    return !h->is_bad && now_ns >= h->paused_until_ns;
}

static bool
has_chunk(const struct holder *h, uint32_t index)
{
    return h->have == NULL || (h->have[index / 8] >> index % 8 & 1) != 0;
}

/* A wanted chunk that a holder has, or, when it is time to see, may have by now. */
static bool
pick(const struct sl_pull *p, const struct holder *h, uint64_t now_ns, uint32_t *ret_index)
{
    bool is_probe = h->have != NULL && h->asked == 0 && now_ns >= h->probe_ns, has_any = false;
    for (uint32_t i = p->passed; i < p->chunks.count; i++) {
        uint32_t index = place_of(p, i);
        if (p->states[index] != WANTED)
            continue;
        if (has_chunk(h, index)) {
            *ret_index = index;
            return true;
        }
        if (is_probe && !has_any)
            *ret_index = index;
        has_any = true;
    }
    return is_probe && has_any;
}

bool
sl_pull_needs_holders(const struct sl_pull *p, uint64_t now_ns)
{
    check(p);
    uint32_t index;
    if (is_over(p) || p->state == SL_PULL_STOCKING)
        return false;
    for (uint32_t i = 0; i < p->holders_count; i++) {
        const struct holder *h = &p->holders[i];
        if (is_usable(h, now_ns) &&
            (h->asked > 0 || p->state == SL_PULL_LISTING || pick(p, h, now_ns, &index)))
            return false;
    }
    return p->come == 0;
}

/* ---- asking -------------------------------------------------------------------------------- */

static void
ask(struct sl_pull *p, struct holder *h, uint64_t now_ns, struct sl_pull_ask *ret_ask)
{
    if (h->asked == 0)
        h->heard_ns = now_ns; /* Its time begins. */
    h->asked++;
    p->asks[p->asks_count++] =
        (struct ask){.node = h->node, .index = ret_ask->index, .asked_ns = now_ns};
    ret_ask->node = h->node;
}

static bool
next_list(struct sl_pull *p, uint64_t now_ns, struct sl_pull_ask *ret_ask)
{
    for (uint32_t i = 0; i < p->holders_count && p->asks_count == 0; i++) {
        struct holder *h = &p->holders[i];
        if (!is_usable(h, now_ns))
            continue;
        ret_ask->index = SL_PULL_LIST;
        ask(p, h, now_ns, ret_ask);
        return true;
    }
    return false;
}

static bool
next_chunk(struct sl_pull *p, uint64_t now_ns, struct sl_pull_ask *ret_ask)
{
    uint32_t tried = 0;
    while (p->passed < p->chunks.count && p->states[place_of(p, p->passed)] != WANTED)
        p->passed++;
    for (;;) { /* Who is busy least first. */
        struct holder *best = NULL;
        for (uint32_t i = 0; i < p->holders_count; i++) {
            struct holder *h = &p->holders[i];
            if ((tried >> i & 1) == 0 && is_usable(h, now_ns) && h->asked < p->options.holder_max &&
                (best == NULL || h->asked < best->asked))
                best = h;
        }
        if (best == NULL)
            return false;
        tried |= 1u << (best - p->holders);
        if (!pick(p, best, now_ns, &ret_ask->index))
            continue;
        p->states[ret_ask->index] = ASKED;
        if (!has_chunk(best, ret_ask->index))
            best->probe_ns = now_ns + PROBE_NS;
        ask(p, best, now_ns, ret_ask);
        return true;
    }
}

bool
sl_pull_next(struct sl_pull *p, uint64_t now_ns, struct sl_pull_ask *ret_ask)
{
    check(p);
    if (p->state == SL_PULL_LISTING)
        return next_list(p, now_ns, ret_ask);
    if (p->state != SL_PULL_PULLING || p->asks_count + p->come >= p->options.overall_max)
        return false;
    return next_chunk(p, now_ns, ret_ask);
}

/* ---- hearing ------------------------------------------------------------------------------- */

/* What a holder says it has; nonsense counts as nothing. */
static void
note_have(struct sl_pull *p, struct holder *h, struct sl_slice have)
{
    size_t size = ((size_t)p->chunks.count + 7) / 8;
    sl_free(h->have);
    h->have = NULL;
    if (have.size == 0)
        return;
    h->have = sl_zalloc(SL_MAX(size, (size_t)1));
    if (have.size == size)
        memcpy(h->have, have.data, size);
}

/* Its answer was no. */
static void
note_refusal(struct sl_pull *p, struct holder *h, uint64_t now_ns,
             const struct sl_pull_answer *answer)
{
    bool is_partial = answer->err == SL_ENOTFOUND && answer->have.size > 0;
    if (answer->err == SL_ECORRUPT) { /* It has looked, and what lies there is something else. */
        blame(p, h->node);
        return;
    }
    if (answer->err == SL_ENOTFOUND && !is_partial && answer->index != SL_PULL_LIST) {
        sl_pull_lose(p, h->node); /* Evicted. */
        return;
    }
    if (is_partial && p->state == SL_PULL_PULLING) {
        note_have(p, h, answer->have);
        h->probe_ns = now_ns + PROBE_NS;
        if (!has_chunk(h, answer->index))
            return;
    }
    h->paused_until_ns =
        now_ns + (is_partial || answer->index == SL_PULL_LIST ? PROBE_NS : p->options.pause_ns);
}

void
sl_pull_take_list(struct sl_pull *p, uint64_t now_ns, const struct sl_pull_answer *answer)
{
    check(p);
    struct holder *h = holder_of(p, answer->node);
    (void)end_ask(p, answer->node, SL_PULL_LIST);
    if (p->state != SL_PULL_LISTING || h == NULL || h->is_bad) {
        p->counts.ignored++;
        return;
    }
    h->heard_ns = now_ns;
    if (answer->err != SL_OK) {
        note_refusal(p, h, now_ns, answer);
        return;
    }
    struct sl_chunks chunks = {.size_bytes = answer->size_bytes,
                               .count = (uint32_t)(answer->bytes.size / SL_SHA256_SIZE)};
    uint8_t digest[SL_SHA256_SIZE];
    bool is_ok = answer->bytes.size <= (size_t)SL_CHUNKS_COUNT_MAX * SL_SHA256_SIZE &&
                 answer->bytes.size % SL_SHA256_SIZE == 0 &&
                 answer->size_bytes <= SL_CHUNKS_COUNT_MAX * SL_CHUNK_BYTES &&
                 chunks.count == (answer->size_bytes + SL_CHUNK_BYTES - 1) / SL_CHUNK_BYTES;
    if (is_ok) {
        chunks.digests = sl_alloc(SL_MAX(answer->bytes.size, (size_t)1));
        if (answer->bytes.size > 0)
            memcpy(chunks.digests, answer->bytes.data, answer->bytes.size);
        sl_chunks_digest(&chunks, digest);
        is_ok = memcmp(digest, p->options.name.digest, sizeof(digest)) == 0;
    }
    if (!is_ok) {
        sl_chunks_deinit(&chunks);
        blame(p, answer->node);
        return;
    }
    p->chunks = chunks;
    note_have(p, h, answer->have);
    p->state = SL_PULL_STOCKING;
    p->progress_ns = now_ns;
}

bool
sl_pull_take_chunk(struct sl_pull *p, uint64_t now_ns, const struct sl_pull_answer *answer)
{
    check(p);
    struct holder *h = holder_of(p, answer->node);
    bool is_asked = answer->index != SL_PULL_LIST && end_ask(p, answer->node, answer->index);
    if (p->state != SL_PULL_PULLING || h == NULL || h->is_bad || answer->index >= p->chunks.count) {
        p->counts.ignored++;
        return false;
    }
    h->heard_ns = now_ns;
    if (answer->err != SL_OK) {
        if (is_asked)
            note_refusal(p, h, now_ns, answer);
        return false;
    }
    h->paused_until_ns = 0;
    note_have(p, h, answer->have);
    /* A late one is as good as any, unless another holder was quicker; a flood is not. */
    uint8_t *state = &p->states[answer->index];
    if (*state == THERE || *state == COME || p->come >= 2 * p->options.overall_max) {
        p->counts.ignored++;
        return false;
    }
    *state = COME;
    p->come++;
    return true;
}

static void
end_if_whole(struct sl_pull *p)
{
    if (p->left == 0)
        p->state = SL_PULL_DONE;
}

void
sl_pull_stocked(struct sl_pull *p, uint64_t now_ns, const struct sl_chunks *chunks,
                const uint8_t *has)
{
    check(p);
    if (p->state != SL_PULL_LISTING && p->state != SL_PULL_STOCKING)
        return;
    if (p->state == SL_PULL_LISTING) {
        size_t size = (size_t)chunks->count * SL_SHA256_SIZE;
        p->chunks = *chunks;
        p->chunks.digests = sl_alloc(SL_MAX(size, (size_t)1));
        if (size > 0)
            memcpy(p->chunks.digests, chunks->digests, size);
        while (p->asks_count > 0)
            take_back(p, 0);
    }
    sl_assert(p->chunks.count == chunks->count);
    p->states = sl_zalloc(SL_MAX(chunks->count, 1u));
    p->left = chunks->count;
    for (uint32_t i = 0; i < chunks->count; i++) {
        p->states[i] = has[i] != 0 ? THERE : WANTED;
        p->counts.stocked += has[i] != 0;
    }
    p->left -= p->counts.stocked;
    p->state = SL_PULL_PULLING;
    p->progress_ns = now_ns;
    end_if_whole(p);
}

void
sl_pull_wrote(struct sl_pull *p, uint64_t now_ns, const struct sl_pull_ask *from, enum sl_err err)
{
    check(p);
    if (p->state != SL_PULL_PULLING)
        return;
    sl_assert(from->index < p->chunks.count && p->states[from->index] == COME);
    p->come--;
    if (err == SL_OK) {
        p->states[from->index] = THERE;
        p->left--;
        p->counts.taken_bytes += sl_chunk_size(&p->chunks, from->index);
        p->progress_ns = now_ns;
        end_if_whole(p);
        return;
    }
    want(p, from->index);
    if (err == SL_ECORRUPT)
        blame(p, from->node);
    else
        sl_pull_fail(p, err, "what came cannot be written to the disk");
}

/* ---- time ---------------------------------------------------------------------------------- */

void
sl_pull_tick(struct sl_pull *p, uint64_t now_ns)
{
    check(p);
    if (is_over(p))
        return;
    for (uint32_t i = p->asks_count; i-- > 0;) {
        struct holder *h = holder_of(p, p->asks[i].node);
        uint64_t since_ns = h == NULL ? 0 : SL_MAX(p->asks[i].asked_ns, h->heard_ns);
        if (now_ns - since_ns < p->options.answer_ns)
            continue;
        if (h != NULL)
            h->paused_until_ns = now_ns + p->options.pause_ns;
        p->counts.overdue++;
        take_back(p, i);
    }
    if (p->state != SL_PULL_STOCKING && p->come == 0 &&
        now_ns - p->progress_ns >= p->options.patience_ns)
        sl_pull_fail(p, SL_EUNAVAIL,
                     "no node that has it could be reached, or none sent what it should; it is "
                     "tried again from where it stopped");
}
