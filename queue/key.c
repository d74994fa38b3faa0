/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/key.h"

#include "queue/heap.h"
#include "queue/table.h"
#include "runtime/alloc.h"

/*
 * What must never happen is a key with room and waiters of whom none was woken. So whoever frees
 * room wakes one, and so does a woken claim that then does not take the room it was woken for:
 * because another of its keys is full, it is declined, or it leaves. To wake one too many is
 * harmless: it finds no room, and waits again in front.
 */
#define KEYS_MAGIC UINT32_C(0x4b455953)

enum state { FREE, IDLE, WAITING, WOKEN, RUNNING };

struct key {
    struct sl_table_link link;
    uint64_t scope, hash;
    uint32_t limit;
    uint32_t tasks, live; /* live: those that are not being cancelled. */
    uint32_t running, waiting;
    struct sl_rate rate;
    struct sl_bucket bucket;
    struct sl_list members; /* By join. */
    struct sl_list queue;   /* Claims that wait here. */
    uint32_t position;      /* In the heap. */
    bool is_timed;          /* In the heap: for tokens, or until it can be forgotten. */
};

/* One task at one key; the first of a task is its claim and has its state. */
struct member {
    struct key *key;
    struct key *waits_at;
    struct sl_link in_key, in_queue; /* in_queue: of a key's, or of the woken. */
    uint32_t task, claim, next;
    uint64_t since_ns; /* Of a claim: when it last began to run. */
    uint8_t state;
    bool is_doomed, was_woken;
};

struct sl_keys {
    uint32_t magic;
    uint32_t members_count, capacity, free;
    struct member *members;
    struct sl_table table;
    struct sl_heap timed;
    struct sl_list woken;
    uint64_t order_last;
};

static struct sl_items
by_key(const struct sl_keys *k)
{
    return SL_ITEMS(k->members, struct member, in_key);
}

static struct sl_items
by_queue(const struct sl_keys *k)
{
    return SL_ITEMS(k->members, struct member, in_queue);
}

static struct member *
claim_of(const struct sl_keys *k, uint32_t claim)
{
    sl_assert(k->magic == KEYS_MAGIC);
    sl_assert(claim < k->members_count && k->members[claim].claim == claim);
    sl_assert(k->members[claim].state != FREE);
    return &k->members[claim];
}

struct sl_keys *
sl_keys_create(void)
{
    struct sl_keys *k = sl_zalloc(sizeof(*k));
    k->magic = KEYS_MAGIC;
    k->free = SL_NONE;
    sl_list_init(&k->woken);
    return k;
}

void
sl_keys_destroy(struct sl_keys **keys)
{
    struct sl_keys *k = *keys;
    if (k == NULL)
        return;
    sl_assert(k->magic == KEYS_MAGIC);
    for (size_t i = 0; i < k->table.capacity; i++) {
        struct sl_table_link *link = k->table.buckets[i];
        while (link != NULL) {
            struct key *key = SL_CONTAINER(link, struct key, link);
            link = link->next;
            sl_free(key);
        }
    }
    sl_table_deinit(&k->table);
    sl_heap_deinit(&k->timed);
    sl_free(k->members);
    k->magic = 0;
    sl_free(k);
    *keys = NULL;
}

enum sl_err
sl_keys_check(const struct sl_key_spec *specs, uint32_t count)
{
    if (count == 0 || count > SL_KEYS_PER_TASK_MAX)
        return SL_EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_key_spec *s = &specs[i];
        if (s->policy < SL_KEY_QUEUE || s->policy >= SL_KEY_POLICY_COUNT ||
            (s->policy != SL_KEY_QUEUE && s->limit == 0) ||
            (s->rate.count != 0 && sl_rate_check(&s->rate) != SL_OK))
            return SL_EINVAL;
        for (uint32_t j = 0; j < i; j++) {
            if (s->scope == specs[j].scope && s->hash == specs[j].hash)
                return SL_EINVAL;
        }
    }
    return SL_OK;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static uint64_t
table_hash(uint64_t scope, uint64_t hash)
{
    return sl_table_mix(hash ^ sl_table_mix(scope));
}

static struct key *
find(const struct sl_keys *k, uint64_t scope, uint64_t hash)
{
    struct sl_table_link *link = sl_table_find(&k->table, table_hash(scope, hash));
    for (; link != NULL; link = sl_table_next(link)) {
        struct key *key = SL_CONTAINER(link, struct key, link);
        if (key->scope == scope && key->hash == hash)
            return key;
    }
    return NULL;
}

static bool
has_slot(const struct key *key)
{
    return key->limit == 0 || key->running < key->limit;
}

static bool
has_token(struct key *key, uint64_t now_ns)
{
    return key->rate.count == 0 || sl_bucket_next_ns(&key->bucket, &key->rate, now_ns, 1) <= now_ns;
}

static void
time_key(struct sl_keys *k, struct key *key, uint64_t at_ns)
{
    if (key->is_timed) {
        sl_heap_rekey(&k->timed, key->position, at_ns);
        return;
    }
    key->is_timed = true;
    sl_heap_push(&k->timed, (struct sl_heap_entry){at_ns, ++k->order_last, &key->position});
}

static void
untime_key(struct sl_keys *k, struct key *key)
{
    if (key->is_timed)
        sl_heap_remove(&k->timed, key->position);
    key->is_timed = false;
}

static void
time_token(struct sl_keys *k, struct key *key, uint64_t now_ns)
{
    time_key(k, key, sl_bucket_next_ns(&key->bucket, &key->rate, now_ns, 1));
}

/* Wake whoever waits longest, if there is room; if only tokens lack, when there is one. */
static bool
kick(struct sl_keys *k, struct key *key, uint64_t now_ns)
{
    if (sl_list_is_empty(&key->queue) || !has_slot(key))
        return false;
    if (!has_token(key, now_ns)) {
        time_token(k, key, now_ns);
        return false;
    }
    uint32_t claim = sl_list_pop_front(&key->queue, by_queue(k));
    struct member *m = &k->members[claim];
    key->waiting--;
    m->state = WOKEN;
    m->waits_at = NULL;
    m->was_woken = true;
    sl_list_push_back(&k->woken, by_queue(k), claim);
    return true;
}

static void
kick_all(struct sl_keys *k, uint32_t claim, const struct key *but, uint64_t now_ns)
{
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next) {
        if (k->members[i].key != but)
            (void)kick(k, k->members[i].key, now_ns);
    }
}

/* A key that nobody names goes, but not before its bucket is as full as a new one's. */
static void
forget(struct sl_keys *k, struct key *key, uint64_t now_ns)
{
    uint64_t full_ns = now_ns;
    if (key->rate.count != 0)
        full_ns = sl_bucket_next_ns(&key->bucket, &key->rate, now_ns, key->rate.burst);
    if (full_ns > now_ns) {
        time_key(k, key, full_ns);
        return;
    }
    untime_key(k, key);
    sl_table_remove(&k->table, &key->link);
    sl_free(key);
}

static void
set_rate(struct key *key, const struct sl_rate *rate, uint64_t now_ns)
{
    if (key->rate.count != 0 && rate->count != 0)
        sl_bucket_change(&key->bucket, &key->rate, rate, now_ns);
    else if (rate->count != 0)
        sl_bucket_init(&key->bucket, rate, now_ns);
    key->rate = *rate;
}

static bool
is_same_rate(const struct sl_rate *a, const struct sl_rate *b)
{
    return a->count == b->count && a->burst == b->burst && a->period_ns == b->period_ns;
}

static struct key *
open_key(struct sl_keys *k, const struct sl_key_spec *spec, uint64_t now_ns)
{
    struct key *key = find(k, spec->scope, spec->hash);
    if (key == NULL) {
        key = sl_zalloc(sizeof(*key));
        key->scope = spec->scope;
        key->hash = spec->hash;
        sl_list_init(&key->members);
        sl_list_init(&key->queue);
        sl_table_insert(&k->table, &key->link, table_hash(spec->scope, spec->hash));
    }
    bool is_changed = key->limit != spec->limit || !is_same_rate(&key->rate, &spec->rate);
    if (!is_same_rate(&key->rate, &spec->rate))
        set_rate(key, &spec->rate, now_ns);
    key->limit = spec->limit;
    /* Wake as many as may have room now: all of them, if need be, as each tries for itself. */
    while (is_changed && kick(k, key, now_ns)) {
    }
    return key;
}

/* ---- policies ------------------------------------------------------------------------------- */

bool
sl_keys_refuses(const struct sl_keys *k, const struct sl_key_spec *spec)
{
    const struct key *key = find(k, spec->scope, spec->hash);
    return spec->policy == SL_KEY_CANCEL_NEWEST && key != NULL && key->live >= spec->limit;
}

static bool
is_running(const struct sl_keys *k, const struct member *m)
{
    return k->members[m->claim].state == RUNNING;
}

uint32_t
sl_keys_victims(const struct sl_keys *k, const struct sl_key_spec *spec, uint32_t *ret_tasks,
                uint32_t max)
{
    const struct key *key = find(k, spec->scope, spec->hash);
    bool is_replace = spec->policy == SL_KEY_REPLACE_QUEUED;
    if (key == NULL || (!is_replace && spec->policy != SL_KEY_CANCEL_IN_PROGRESS))
        return 0;
    uint64_t stay = is_replace ? spec->limit : (uint64_t)spec->limit - 1;
    uint64_t excess = key->live > stay ? key->live - stay : 0;
    uint32_t count = 0;
    /* The newest of those that do not run, or the oldest of all. */
    uint32_t i = is_replace ? key->members.last : key->members.first;
    while (i != SL_NONE && count < SL_MIN(excess, max)) {
        const struct member *m = &k->members[i];
        if (!m->is_doomed && !(is_replace && is_running(k, m)))
            ret_tasks[count++] = m->task;
        i = is_replace ? m->in_key.prev : m->in_key.next;
    }
    return count;
}

void
sl_keys_doom(struct sl_keys *k, uint32_t claim)
{
    (void)claim_of(k, claim);
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next) {
        struct member *m = &k->members[i];
        m->key->live -= !m->is_doomed;
        m->is_doomed = true;
    }
}

/* ---- claims --------------------------------------------------------------------------------- */

static uint32_t
take_member(struct sl_keys *k)
{
    uint32_t i = k->free;
    if (i != SL_NONE) {
        k->free = k->members[i].next;
        return i;
    }
    if (k->members_count == k->capacity) {
        k->capacity = SL_MAX(k->capacity * 2, UINT32_C(16));
        k->members = sl_realloc(k->members, k->capacity * sizeof(*k->members));
    }
    return k->members_count++;
}

uint32_t
sl_keys_join(struct sl_keys *k, uint32_t task, const struct sl_key_spec *specs, uint32_t count,
             uint64_t now_ns)
{
    sl_assert(k->magic == KEYS_MAGIC);
    sl_assert(sl_keys_check(specs, count) == SL_OK);
    uint32_t claim = SL_NONE;
    /* From the last to the first, so that the chain is in the order given. */
    for (uint32_t s = count; s-- > 0;) {
        struct key *key = open_key(k, &specs[s], now_ns);
        uint32_t i = take_member(k);
        k->members[i] = (struct member){.key = key, .task = task, .next = claim, .state = IDLE};
        sl_list_push_back(&key->members, by_key(k), i);
        key->tasks++;
        key->live++;
        claim = i;
    }
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next)
        k->members[i].claim = claim;
    return claim;
}

static void
wait_at(struct sl_keys *k, uint32_t claim, struct key *key, uint64_t now_ns)
{
    struct member *m = &k->members[claim];
    bool was_woken = m->was_woken;
    m->state = WAITING;
    m->waits_at = key;
    m->was_woken = false;
    if (was_woken)
        sl_list_push_front(&key->queue, by_queue(k), claim);
    else
        sl_list_push_back(&key->queue, by_queue(k), claim);
    key->waiting++;
    if (has_slot(key))
        time_token(k, key, now_ns);
    if (was_woken)
        kick_all(k, claim, key, now_ns);
}

bool
sl_keys_acquire(struct sl_keys *k, uint32_t claim, uint64_t now_ns)
{
    struct member *m = claim_of(k, claim);
    sl_assert(m->state == IDLE);
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next) {
        struct key *key = k->members[i].key;
        if (!has_slot(key) || !has_token(key, now_ns)) {
            wait_at(k, claim, key, now_ns);
            return false;
        }
    }
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next) {
        struct key *key = k->members[i].key;
        bool is_taken = key->rate.count == 0 || sl_bucket_take(&key->bucket, &key->rate, now_ns, 1);
        sl_assert(is_taken);
        key->running++;
        if (key->rate.count != 0 && key->waiting > 0 && has_slot(key))
            time_token(k, key, now_ns);
    }
    m->state = RUNNING;
    m->since_ns = now_ns;
    m->was_woken = false;
    return true;
}

void
sl_keys_release(struct sl_keys *k, uint32_t claim, uint64_t now_ns, bool has_begun)
{
    struct member *m = claim_of(k, claim);
    sl_assert(m->state == RUNNING);
    m->state = IDLE;
    for (uint32_t i = claim; i != SL_NONE; i = k->members[i].next) {
        struct key *key = k->members[i].key;
        sl_assert(key->running > 0);
        key->running--;
        if (!has_begun && key->rate.count != 0)
            sl_bucket_give(&key->bucket, &key->rate, now_ns - SL_MIN(now_ns, m->since_ns), 1);
    }
    kick_all(k, claim, NULL, now_ns);
}

void
sl_keys_decline(struct sl_keys *k, uint32_t claim, uint64_t now_ns)
{
    struct member *m = claim_of(k, claim);
    sl_assert(m->state == IDLE);
    if (!m->was_woken)
        return;
    m->was_woken = false;
    kick_all(k, claim, NULL, now_ns);
}

static void
remove_members(struct sl_keys *k, uint32_t claim, uint64_t now_ns)
{
    for (uint32_t i = claim, next; i != SL_NONE; i = next) {
        struct member *m = &k->members[i];
        struct key *key = m->key;
        next = m->next;
        sl_list_remove(&key->members, by_key(k), i);
        key->tasks--;
        key->live -= !m->is_doomed;
        *m = (struct member){.next = k->free, .claim = SL_NONE, .state = FREE};
        k->free = i;
        if (key->tasks == 0)
            forget(k, key, now_ns);
    }
}

void
sl_keys_leave(struct sl_keys *k, uint32_t claim, uint64_t now_ns)
{
    struct member *m = claim_of(k, claim);
    switch (m->state) {
    case RUNNING:
        sl_keys_release(k, claim, now_ns, true);
        break;
    case WAITING:
        sl_list_remove(&m->waits_at->queue, by_queue(k), claim);
        m->waits_at->waiting--;
        break;
    case WOKEN:
        sl_list_remove(&k->woken, by_queue(k), claim);
        kick_all(k, claim, NULL, now_ns);
        break;
    default:
        sl_keys_decline(k, claim, now_ns);
    }
    remove_members(k, claim, now_ns);
}

uint32_t
sl_keys_woken(struct sl_keys *k)
{
    sl_assert(k->magic == KEYS_MAGIC);
    uint32_t claim = sl_list_pop_front(&k->woken, by_queue(k));
    if (claim == SL_NONE)
        return SL_NONE;
    k->members[claim].state = IDLE;
    return k->members[claim].task;
}

void
sl_keys_tick(struct sl_keys *k, uint64_t now_ns)
{
    sl_assert(k->magic == KEYS_MAGIC);
    while (k->timed.count > 0 && k->timed.entries[0].key <= now_ns) {
        struct key *key = SL_CONTAINER(k->timed.entries[0].position, struct key, position);
        untime_key(k, key);
        if (key->tasks == 0)
            forget(k, key, now_ns);
        else
            (void)kick(k, key, now_ns); /* If it takes the token, it looks for the next. */
    }
}

uint64_t
sl_keys_next_ns(const struct sl_keys *k)
{
    return k->timed.count == 0 ? UINT64_MAX : k->timed.entries[0].key;
}

bool
sl_keys_lookup(const struct sl_keys *k, uint64_t scope, uint64_t hash, struct sl_key_info *ret_info)
{
    const struct key *key = find(k, scope, hash);
    if (key == NULL || key->tasks == 0)
        return false;
    *ret_info = (struct sl_key_info){key->limit, key->tasks, key->running, key->waiting};
    return true;
}

uint32_t
sl_keys_count(const struct sl_keys *k)
{
    return (uint32_t)k->table.count;
}
