/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/queue_waits.h"

#include "runtime/alloc.h"

#define BUCKETS 256

struct entry {
    struct entry *next;
    struct sl_queue_wait wait;
};

/* First in, first out. */
struct line {
    struct entry *first, *last;
};

struct sl_queue_waits {
    uint32_t count; /* Waiting and ready. */
    struct line waiting[BUCKETS];
    struct line ready;
};

static void
push(struct line *line, struct entry *e)
{
    e->next = NULL;
    if (line->last == NULL)
        line->first = e;
    else
        line->last->next = e;
    line->last = e;
}

/* Take `e`, which follows `before` (NULL: it is the first). */
static void
take(struct line *line, struct entry *before, struct entry *e)
{
    if (before == NULL)
        line->first = e->next;
    else
        before->next = e->next;
    if (line->last == e)
        line->last = before;
}

static void
drop(struct line *line)
{
    for (struct entry *e = line->first, *next; e != NULL; e = next) {
        next = e->next;
        sl_free(e);
    }
}

/* The lane is a hash already. */
static struct line *
line_of(struct sl_queue_waits *w, struct sl_scope scope, uint64_t lane)
{
    return &w->waiting[(lane ^ scope.id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (BUCKETS - 1)];
}

struct sl_queue_waits *
sl_queue_waits_create(void)
{
    return sl_zalloc(sizeof(struct sl_queue_waits));
}

void
sl_queue_waits_destroy(struct sl_queue_waits **waits)
{
    struct sl_queue_waits *w = *waits;
    if (w == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        drop(&w->waiting[i]);
    drop(&w->ready);
    sl_free(w);
    *waits = NULL;
}

void
sl_queue_waits_add(struct sl_queue_waits *w, const struct sl_queue_wait *wait)
{
    struct entry *e = sl_zalloc(sizeof(*e));
    e->wait = *wait;
    push(line_of(w, wait->scope, wait->lane), e);
    w->count++;
}

static bool
remove_from(struct line *line, uint64_t serial)
{
    struct entry *before = NULL, *e = line->first;
    while (e != NULL && e->wait.serial != serial) {
        before = e;
        e = e->next;
    }
    if (e == NULL)
        return false;
    take(line, before, e);
    sl_free(e);
    return true;
}

void
sl_queue_waits_remove(struct sl_queue_waits *w, const struct sl_queue_wait *wait)
{
    if (remove_from(line_of(w, wait->scope, wait->lane), wait->serial) ||
        remove_from(&w->ready, wait->serial))
        w->count--;
}

bool
sl_queue_waits_touch(struct sl_queue_waits *w, struct sl_scope scope, uint64_t lane, bool is_all)
{
    if (w->count == 0) /* Each change of the queue comes by here. */
        return false;
    struct line *line = line_of(w, scope, lane);
    struct entry *before = NULL, *next;
    bool was_empty = w->ready.first == NULL, is_found = false;
    for (struct entry *e = line->first; e != NULL && (is_all || !is_found); e = next) {
        next = e->next;
        if (e->wait.scope.id == scope.id && e->wait.lane == lane) {
            take(line, before, e);
            push(&w->ready, e);
            is_found = true;
        } else {
            before = e;
        }
    }
    return is_found && was_empty;
}

bool
sl_queue_waits_touch_all(struct sl_queue_waits *w)
{
    bool was_empty = w->ready.first == NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (w->waiting[i].first != NULL) {
            struct entry *e = w->waiting[i].first;
            take(&w->waiting[i], NULL, e);
            push(&w->ready, e);
        }
    }
    return was_empty && w->ready.first != NULL;
}

bool
sl_queue_waits_take(struct sl_queue_waits *w, uint64_t *ret_serial)
{
    struct entry *e = w->ready.first;
    if (e == NULL)
        return false;
    take(&w->ready, NULL, e);
    *ret_serial = e->wait.serial;
    w->count--;
    sl_free(e);
    return true;
}

uint32_t
sl_queue_waits_count(const struct sl_queue_waits *w)
{
    return w->count;
}
