/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes tell of their replicas, taken in. */
#include <stdio.h>
#include <stdlib.h>

#include "actors/served_state.h"
#include "runtime/alloc.h"

#define DECISIONS_FIRST UINT64_C(2)
static_assert((SL_SERVED_DECISIONS & (SL_SERVED_DECISIONS - 1)) == 0, "the ring doubles");

#define SUM_MS_MAX 1e15 /* What a node may tell of a pool's life; more is nonsense. */

static const char *const states[SERVED_STATES] = {"starting", "warming", "ready", "draining"};

struct sl_served *
sl_served_create(void)
{
    return sl_zalloc(sizeof(struct sl_served));
}

void
sl_served_destroy(struct sl_served **served)
{
    struct sl_served *s = *served;
    if (s == NULL)
        return;
    sl_assert(s->nodes_count == 0);
    for (uint32_t i = 0; i < s->entries_count; i++) {
        sl_free(s->entries[i]->decisions);
        sl_free(s->entries[i]);
    }
    sl_free(s->entries);
    sl_free(s->nodes);
    sl_free(s);
    *served = NULL;
}

/* ---- entries ------------------------------------------------------------------------------- */

static int
order(const struct served_entry *e, struct sl_slice name, uint64_t tenant)
{
    size_t size = strlen(e->name), least = SL_MIN(size, name.size);
    int order = least == 0 ? 0 : memcmp(e->name, name.data, least);
    if (order == 0 && size != name.size)
        order = size < name.size ? -1 : 1;
    if (order == 0 && e->tenant != tenant)
        order = e->tenant < tenant ? -1 : 1;
    return order;
}

uint32_t
served_place(const struct sl_served *s, struct sl_slice name, uint64_t tenant, bool *ret_is_there)
{
    uint32_t low = 0, high = s->entries_count;
    *ret_is_there = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int at = order(s->entries[middle], name, tenant);
        *ret_is_there = *ret_is_there || at == 0;
        if (at < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* NULL: there are too many, or it is no name. */
static struct served_entry *
entry_for(struct sl_served *s, struct sl_slice name, uint64_t tenant)
{
    bool is_there;
    if (name.size == 0 || name.size > SL_SERVED_NAME_MAX || memchr(name.data, 0, name.size) != NULL)
        return NULL;
    uint32_t at = served_place(s, name, tenant, &is_there);
    if (is_there)
        return s->entries[at];
    if (s->entries_count == SL_SERVED_MAX) {
        s->left_out++;
        return NULL;
    }
    if (s->entries_count == s->entries_capacity) {
        s->entries_capacity = SL_MAX(2 * s->entries_capacity, 16u);
        s->entries = sl_realloc(s->entries, s->entries_capacity * sizeof(s->entries[0]));
    }
    memmove(&s->entries[at + 1], &s->entries[at], (s->entries_count - at) * sizeof(s->entries[0]));
    struct served_entry *e = sl_zalloc(sizeof(*e));
    memcpy(e->name, name.data, name.size);
    e->tenant = tenant;
    s->entries[at] = e;
    s->entries_count++;
    return e;
}

/* One of a tenant's own goes with its last replica; those that are known stay. */
static void
drop_unused(struct sl_served *s, struct served_entry *e)
{
    bool is_there;
    if (e->is_known || e->shares != NULL)
        return;
    uint32_t at = served_place(s, sl_slice_str(e->name), e->tenant, &is_there);
    if (SL_BUG(!is_there))
        return;
    memmove(&s->entries[at], &s->entries[at + 1],
            (s->entries_count - at - 1) * sizeof(s->entries[0]));
    s->entries_count--;
    sl_free(e->decisions);
    sl_free(e);
}

static struct served_entry *
entry_named(struct sl_served *s, struct sl_json name, uint64_t tenant)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    struct served_entry *e = NULL;
    if (sl_json_text(name, &scratch, &text) == SL_OK)
        e = entry_for(s, text, tenant);
    sl_buf_deinit(&scratch);
    return e;
}

void
sl_served_know(struct sl_served *s, struct sl_slice object)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(object, &doc, NULL) != SL_OK)
        return;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        struct served_entry *e = entry_named(s, i.name, 0);
        if (e != NULL)
            e->is_known = true;
    }
    sl_json_destroy(&doc);
}

void
sl_served_configure(struct sl_served *s, struct sl_slice config)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(config, &doc, NULL) != SL_OK)
        return;
    struct sl_json root = sl_json_root(doc);
    for (uint32_t i = 0; i < s->entries_count; i++) {
        struct sl_json page = sl_json_member(root, s->entries[i]->name);
        struct sl_json disabled = sl_json_member(page, "disabled");
        s->entries[i]->is_disabled = sl_json_bool(disabled, false) || sl_json_is(disabled, "true");
    }
    sl_json_destroy(&doc);
}

/* ---- nodes --------------------------------------------------------------------------------- */

uint32_t
served_node_place(const struct sl_served *s, uint32_t number)
{
    uint32_t low = 0, high = s->nodes_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->nodes[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sl_served_node *
node_for(struct sl_served *s, struct sl_served_node **node, uint32_t number)
{
    if (*node != NULL)
        return *node;
    if (s->nodes_count == s->nodes_capacity) {
        s->nodes_capacity = SL_MAX(2 * s->nodes_capacity, 16u);
        s->nodes = sl_realloc(s->nodes, s->nodes_capacity * sizeof(s->nodes[0]));
    }
    uint32_t at = served_node_place(s, number);
    memmove(&s->nodes[at + 1], &s->nodes[at], (s->nodes_count - at) * sizeof(s->nodes[0]));
    s->nodes_count++;
    s->nodes[at] = *node = sl_zalloc(sizeof(**node));
    (*node)->number = number;
    return *node;
}

static void
end_share(struct sl_served *s, struct served_share *share)
{
    struct served_entry *e = share->entry;
    if (share->prev == NULL)
        e->shares = share->next;
    else
        share->prev->next = share->next;
    if (share->next != NULL)
        share->next->prev = share->prev;
    sl_free(share);
    drop_unused(s, e);
}

/* NULL: no name, or the node has too many. */
static struct served_share *
share_for(struct sl_served *s, struct sl_served_node *node, struct sl_json pool,
          uint32_t *ret_index)
{
    uint64_t tenant = 0;
    if (sl_json_u64(sl_json_member(pool, "tenant"), &tenant) != SL_OK)
        tenant = 0;
    struct served_entry *e = entry_named(s, sl_json_member(pool, "extractor"), tenant);
    if (e == NULL)
        return NULL;
    for (uint32_t i = 0; i < node->shares_count; i++) {
        *ret_index = i;
        if (node->shares[i]->entry == e)
            return node->shares[i];
    }
    if (node->shares_count == SL_SERVED_SHARES) {
        s->left_out++;
        drop_unused(s, e);
        return NULL;
    }
    struct served_share *share = sl_zalloc(sizeof(*share));
    *share = (struct served_share){.entry = e, .next = e->shares, .node = node};
    if (e->shares != NULL)
        e->shares->prev = share;
    e->shares = share;
    *ret_index = node->shares_count;
    node->shares[node->shares_count++] = share;
    return share;
}

void
sl_served_forget(struct sl_served *s, struct sl_served_node **node)
{
    struct sl_served_node *n = *node;
    if (n == NULL)
        return;
    for (uint32_t i = 0; i < n->shares_count; i++)
        end_share(s, n->shares[i]);
    uint32_t at = served_node_place(s, n->number);
    sl_assert(at < s->nodes_count && s->nodes[at] == n);
    memmove(&s->nodes[at], &s->nodes[at + 1], (s->nodes_count - at - 1) * sizeof(s->nodes[0]));
    s->nodes_count--;
    sl_free(n->replicas);
    sl_free(n);
    *node = NULL;
}

/* ---- replicas ------------------------------------------------------------------------------ */

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

static double
fraction(struct sl_json object, const char *name)
{
    double value = 0;
    return sl_json_f64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

/* How long its work took stays as it was told last while it has no replica. */
static void
forget_beat(struct served_share *share)
{
    share->ongoing = share->waiting = 0;
    share->is_measured = share->has_memory = false;
    memset(share->memory, 0, sizeof(share->memory));
    memset(share->counts, 0, sizeof(share->counts));
}

static void
forget_measures(struct served_share *share)
{
    share->items = share->answered = share->failed = share->cold_ms = 0;
    share->p50_ms = share->p95_ms = share->p99_ms = 0;
    share->is_measured = true;
    memset(share->items_of, 0, sizeof(share->items_of));
    memset(share->sum_ms, 0, sizeof(share->sum_ms));
}

static void
take_phases(struct served_share *share, struct sl_json times)
{
    static const char *const kinds[] = {"calls", "tasks"};
    static const char *const phases[] = {"wait", "batch_wait", "compute"};
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        struct sl_json of = sl_json_member(times, kinds[i]);
        uint64_t count = number(of, "count");
        share->items += count;
        share->items_of[i] += count;
        for (size_t j = 0; j < SL_COUNT_OF(phases); j++) {
            double ms = fraction(sl_json_member(of, phases[j]), "sum_ms");
            if (ms >= 0 && ms <= SUM_MS_MAX)
                share->sum_ms[i][j] += ms;
        }
    }
}

/* What its pool says of all of them, once for each pool: the greatest of the pools' quantiles. */
static void
take_pool(struct served_share *share, struct sl_json replica)
{
    struct sl_json times = sl_json_member(replica, "times");
    if (!share->is_measured)
        forget_measures(share);
    struct sl_json of = sl_json_member(times, "calls");
    if (number(of, "count") == 0)
        of = sl_json_member(times, "tasks");
    struct sl_json total = sl_json_member(of, "total");
    take_phases(share, times);
    share->p50_ms = SL_MAX(share->p50_ms, fraction(total, "p50_ms"));
    share->p95_ms = SL_MAX(share->p95_ms, fraction(total, "p95_ms"));
    share->p99_ms = SL_MAX(share->p99_ms, fraction(total, "p99_ms"));
    share->waiting += number(replica, "waiting");
    share->answered += number(replica, "answered");
    share->failed += number(replica, "failed");
    share->cold_ms = SL_MAX(share->cold_ms, number(replica, "cold_start_ms"));
}

static uint8_t
state_of(struct sl_json replica)
{
    struct sl_json state = sl_json_member(replica, "state");
    for (uint8_t i = 0; i < SERVED_STATES; i++) {
        if (sl_json_is(state, states[i]))
            return i;
    }
    return SERVED_STARTING;
}

static int
by_number(const void *a, const void *b)
{
    const struct served_replica *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static const char *const memories[SL_SERVED_MEMORIES] = {[SL_MEMORY_RESIDENT] = "resident_bytes",
                                                         [SL_MEMORY_PRIVATE] = "private_bytes",
                                                         [SL_MEMORY_HOST] = "host_bytes",
                                                         [SL_MEMORY_DEVICE] = "device_bytes"};

static void
take_replica(struct served_replica *r, struct served_share *share, struct sl_json replica,
             uint64_t now_ms)
{
    struct sl_json memory = sl_json_member(replica, "memory");
    uint64_t age_ms = number(replica, "age_ms");
    r->number = (uint32_t)number(replica, "id");
    r->state = state_of(replica);
    r->pid = number(replica, "pid");
    r->ongoing = number(replica, "ongoing");
    r->done = number(replica, "done");
    r->started_ms = now_ms - SL_MIN(now_ms, age_ms);
    r->is_background = sl_json_bool(sl_json_member(replica, "background"), false);
    r->resident_bytes = number(memory, "resident_bytes");
    r->device_bytes = number(memory, "device_bytes");
    share->has_memory = share->has_memory || sl_json_has(memory);
    for (size_t i = 0; i < SL_COUNT_OF(memories); i++) { /* Plugins say it: it may be anything. */
        uint64_t bytes = number(memory, memories[i]);
        share->memory[i] += SL_MIN(bytes, UINT64_MAX - share->memory[i]);
    }
    share->counts[r->state]++;
    share->ongoing += r->ongoing;
}

/* Shares that neither beat nor pools speak of any more. */
static void
end_unused(struct sl_served *s, struct sl_served_node *node)
{
    uint16_t moved[SL_SERVED_SHARES];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->shares_count; i++) {
        struct served_share *share = node->shares[i];
        uint64_t count = 0;
        for (uint32_t k = 0; k < SERVED_STATES; k++)
            count += share->counts[k];
        moved[i] = (uint16_t)kept;
        if (count > 0 || share->has_pool)
            node->shares[kept++] = share;
        else
            end_share(s, share);
    }
    node->shares_count = kept;
    for (uint32_t i = 0; i < node->replicas_count; i++)
        node->replicas[i].share = moved[node->replicas[i].share];
}

void
sl_served_take_replicas(struct sl_served *s, struct sl_served_node **node,
                        const struct sl_served_word *word)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(word->text, &doc, NULL) != SL_OK ||
        sl_json_kind(sl_json_root(doc)) != SL_JSON_ARRAY) {
        sl_json_destroy(&doc);
        return;
    }
    struct sl_json root = sl_json_root(doc);
    struct sl_served_node *n = node_for(s, node, word->node);
    uint32_t count = SL_MIN(sl_json_count(root), SL_SERVED_REPLICAS), index;
    for (uint32_t i = 0; i < n->shares_count; i++)
        forget_beat(n->shares[i]);
    sl_free(n->replicas);
    n->replicas = count == 0 ? NULL : sl_zalloc(count * sizeof(n->replicas[0]));
    n->replicas_count = 0;
    for (struct sl_json_iter i = sl_json_iter(root);
         n->replicas_count < count && sl_json_next(&i);) {
        struct served_share *share = share_for(s, n, i.value, &index);
        if (share == NULL)
            continue;
        if (sl_json_bool(sl_json_member(i.value, "is_first"), false))
            take_pool(share, i.value); /* Each tells of its pool; one is enough. */
        n->replicas[n->replicas_count].share = (uint16_t)index;
        take_replica(&n->replicas[n->replicas_count++], share, i.value, word->now_ms);
    }
    end_unused(s, n);
    if (n->replicas_count > 1)
        qsort(n->replicas, n->replicas_count, sizeof(n->replicas[0]), by_number);
    sl_json_destroy(&doc);
}

/* ---- pools --------------------------------------------------------------------------------- */

static void
copy_text(struct sl_json from, char *to, size_t size)
{
    char *text = sl_json_strdup(from);
    (void)snprintf(to, size, "%s", text == NULL ? "" : text);
    sl_free(text);
}

/* A node that was lost and has come back tells what it told before. */
static bool
is_kept(const struct served_entry *e, uint32_t node, uint64_t at_ns)
{
    uint64_t count = SL_MIN(e->decisions_count, (uint64_t)SL_SERVED_DECISIONS);
    for (uint64_t i = 0; i < count; i++) {
        if (e->decisions[i].node == node && e->decisions[i].at_ns == at_ns)
            return true;
    }
    return false;
}

/* The ring grows until it is whole: most extractors have had a decision or two. */
static void
make_room(struct served_entry *e)
{
    uint64_t count = e->decisions_count;
    bool is_full = count == 0 || (count >= DECISIONS_FIRST && (count & (count - 1)) == 0);
    if (count < SL_SERVED_DECISIONS && is_full)
        e->decisions =
            sl_realloc(e->decisions, SL_MAX(2 * count, DECISIONS_FIRST) * sizeof(e->decisions[0]));
}

/* Its clock is the node's: `last_ns` by that is about now. */
static void
take_decision(struct served_entry *e, const struct sl_served_word *word, struct sl_json d,
              uint64_t last_ns)
{
    uint64_t at_ns = number(d, "at_ns"), age_ms = (last_ns - SL_MIN(last_ns, at_ns)) / SL_MILLI_NS;
    if (is_kept(e, word->node, at_ns))
        return;
    make_room(e);
    struct served_decision *to = &e->decisions[e->decisions_count++ % SL_SERVED_DECISIONS];
    *to = (struct served_decision){.at_ms = word->now_ms - SL_MIN(word->now_ms, age_ms),
                                   .at_ns = at_ns,
                                   .node = word->node,
                                   .from = (uint32_t)number(d, "has"),
                                   .to = (uint32_t)number(d, "replicas"),
                                   .waiting = (uint32_t)number(d, "waiting"),
                                   .running = (uint32_t)number(d, "running")};
    copy_text(sl_json_member(d, "reason"), to->reason, sizeof(to->reason));
    copy_text(sl_json_member(d, "why"), to->text, sizeof(to->text));
}

/* Those that are later than what the node's last word on this extractor had. */
static void
take_decisions(struct served_share *share, const struct sl_served_word *word, struct sl_json pool)
{
    struct sl_json last = sl_json_member(sl_json_member(pool, "last"), "decision");
    uint64_t last_ns = number(last, "at_ns");
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(pool, "decisions"));
         sl_json_next(&i);) {
        struct sl_json d = sl_json_member(i.value, "decision");
        if (number(d, "at_ns") > share->told_ns)
            take_decision(share->entry, word, d, last_ns);
    }
    share->newest_ns = SL_MAX(share->newest_ns, last_ns);
}

static void
take_settings(struct served_entry *e, struct sl_json settings)
{
    e->has_settings = e->has_settings || sl_json_has(settings);
    if (!sl_json_has(settings))
        return;
    e->min_replicas = (uint32_t)fraction(settings, "min_replicas");
    e->max_replicas = (uint32_t)fraction(settings, "max_replicas");
    e->target_ongoing = fraction(settings, "target_ongoing_requests");
    e->down_delay_s = fraction(settings, "downscale_delay_s");
}

static void
take_word(struct served_share *share, const struct sl_served_word *word, struct sl_json pool)
{
    struct sl_json life = sl_json_member(pool, "life"), last = sl_json_member(pool, "last");
    struct sl_json reason = sl_json_member(sl_json_member(last, "decision"), "reason");
    take_decisions(share, word, pool);
    take_settings(share->entry, sl_json_member(last, "settings"));
    share->wanted += number(pool, "wanted");
    share->changes += number(pool, "changes");
    share->stopped += number(life, "stopped");
    share->crashed += number(life, "crashed");
    share->is_crashed = share->is_crashed || sl_json_is(sl_json_member(life, "state"), "crashed");
    share->is_at_limit =
        share->is_at_limit || sl_json_is(reason, "at_max") || sl_json_is(reason, "no_room");
    share->has_pool = true;
}

void
sl_served_take_pools(struct sl_served *s, struct sl_served_node **node,
                     const struct sl_served_word *word)
{
    struct sl_json_doc *doc = NULL;
    uint32_t index;
    if (sl_json_parse(word->text, &doc, NULL) != SL_OK ||
        sl_json_kind(sl_json_root(doc)) != SL_JSON_ARRAY) {
        sl_json_destroy(&doc);
        return;
    }
    struct sl_served_node *n = node_for(s, node, word->node);
    for (uint32_t i = 0; i < n->shares_count; i++) {
        struct served_share *share = n->shares[i];
        share->wanted = share->changes = share->stopped = share->crashed = 0;
        share->is_crashed = share->is_at_limit = share->has_pool = false;
        share->told_ns = share->newest_ns;
    }
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        struct served_share *share = share_for(s, n, i.value, &index);
        if (share != NULL)
            take_word(share, word, i.value);
    }
    end_unused(s, n);
    sl_json_destroy(&doc);
}
