/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_link.h"

#include "runtime/alloc.h"
#include "runtime/limits.h"

#define RESEND_MIN_NS (50 * SL_MILLI_NS) /* A session sends again what is not acknowledged. */
#define RESEND_MAX_NS (250 * SL_MILLI_NS)
#define RESENDS_MAX   20
#define REORDER_NS    (30 * SL_MILLI_NS)

struct sl_sim_early {
    struct sl_sim_early *next;
    uint64_t number;
    struct sl_msg *msg;
};

uint32_t
sl_sim_link_place(const struct sl_sim_link *links, uint32_t count, uint32_t node)
{
    uint32_t from = 0, to = count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (links[middle].node < node)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static uint64_t
between(const struct sl_sim_network *n, uint64_t min, uint64_t max)
{
    return min + sl_random_below(n->random, max - min + 1);
}

static bool
strikes(const struct sl_sim_network *n, uint32_t per_mille)
{
    return per_mille > 0 && sl_random_below(n->random, 1000) < per_mille;
}

static uint64_t
arrival(const struct sl_sim_link *l, const struct sl_sim_network *n,
        struct sl_sim_link_counts *counts)
{
    uint64_t most_ns = SL_MAX(l->weather.delay_max_ns, n->delay_max_ns);
    uint64_t at_ns = n->now_ns + between(n, n->delay_min_ns, most_ns);
    for (int i = 0; i < RESENDS_MAX && strikes(n, l->weather.loss); i++) {
        at_ns += between(n, RESEND_MIN_NS, RESEND_MAX_NS);
        counts->lost++;
    }
    if (strikes(n, l->weather.reorder)) {
        at_ns += between(n, 1, REORDER_NS);
        counts->reordered++;
    }
    return at_ns;
}

bool
sl_sim_link_has_room(const struct sl_sim_link *l, uint64_t now_ns)
{
    bool is_narrow = now_ns < l->weather.until_ns && l->weather.room_bytes > 0;
    return l->session->bytes < (is_narrow ? l->weather.room_bytes : SL_LIMIT_LINK_BYTES);
}

void
sl_sim_link_send(struct sl_sim_link *l, const struct sl_sim_network *network,
                 struct sl_sim_link_counts *counts, struct sl_sim_frames *ret)
{
    struct sl_sim_network n = *network;
    bool is_cut = l->cut_until_ns > n.now_ns;
    *ret = (struct sl_sim_frames){0};
    counts->frames++;
    if (is_cut && l->is_lossy)
        return;
    if (is_cut)
        n.now_ns = l->cut_until_ns;
    ret->number = l->session->sent++;
    ret->count = 1;
    if (l->weather.until_ns > network->now_ns) {
        ret->at_ns[0] = arrival(l, &n, counts);
        if (strikes(&n, l->weather.duplicate)) {
            ret->at_ns[ret->count++] = arrival(l, &n, counts);
            counts->duplicates++;
        }
        return;
    }
    ret->at_ns[0] = n.now_ns + between(&n, n.delay_min_ns, n.delay_max_ns);
    l->last_ns = ret->at_ns[0] = SL_MAX(ret->at_ns[0], l->last_ns);
}

/* Keep a frame back until those before it are there; a copy of one that is kept goes. */
static void
keep(struct sl_sim_session *s, uint64_t number, struct sl_msg *msg)
{
    struct sl_sim_early **at = &s->early;
    while (*at != NULL && (*at)->number < number)
        at = &(*at)->next;
    if (*at != NULL && (*at)->number == number) {
        sl_msg_destroy(&msg);
        return;
    }
    struct sl_sim_early *early = sl_alloc(sizeof(*early));
    *early = (struct sl_sim_early){.next = *at, .number = number, .msg = msg};
    *at = early;
}

static void
hand_on(struct sl_sim_session *s, struct sl_msg *msg, struct sl_msg_list *out)
{
    s->bytes -= SL_MIN(s->bytes, (uint64_t)sl_msg_size(msg));
    s->taken++;
    sl_msg_list_push(out, msg);
}

void
sl_sim_session_take(struct sl_sim_session *s, uint64_t number, struct sl_msg *msg,
                    struct sl_msg_list *out)
{
    if (number < s->taken) {
        sl_msg_destroy(&msg);
        return;
    }
    if (number > s->taken) {
        keep(s, number, msg);
        return;
    }
    hand_on(s, msg, out);
    for (struct sl_sim_early *e; (e = s->early) != NULL && e->number == s->taken;) {
        hand_on(s, e->msg, out);
        s->early = e->next;
        sl_free(e);
    }
}

void
sl_sim_session_destroy(struct sl_sim_session **session)
{
    for (struct sl_sim_session *s = *session, *next; s != NULL; s = next) {
        next = s->next;
        for (struct sl_sim_early *e = s->early, *after; e != NULL; e = after) {
            after = e->next;
            sl_msg_destroy(&e->msg);
            sl_free(e);
        }
        sl_free(s);
    }
    *session = NULL;
}
