/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_life.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/pool.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

enum { STARTING, WARMING, READY, DRAINING, STATES };

static const char *const names[STATES] = {"starting", "warming", "ready", "draining"};

static uint32_t
state_of(const struct sl_replica *r)
{
    switch (r->state) {
    case SL_REPLICA_READY:
        return r->is_spare || r->is_unwanted ? DRAINING : READY;
    case SL_REPLICA_STOPPING:
        return DRAINING;
    case SL_REPLICA_STARTING:
    case SL_REPLICA_FREE:
        break;
    }
    return r->pid == 0 ? STARTING : WARMING;
}

const char *
sl_replica_state_name(const struct sl_replica *r)
{
    return names[state_of(r)];
}

void
sl_pool_note_end(struct sl_pool *p, const struct sl_replica *r, const struct sl_replica_end *end,
                 bool has_said_why, uint64_t now_ms)
{
    if (end == NULL) {
        p->life.stopped++;
        return;
    }
    p->life.crashed++;
    p->ends[r->is_killed ? SL_REPLICA_CAUSE_OVERDUE : end->cause]++;
    if (r->state == SL_REPLICA_STARTING && !has_said_why) {
        sl_free(p->error);
        p->error = sl_strdup(end->text);
    }
    bool is_start = r->state == SL_REPLICA_STARTING && p->error != NULL;
    p->life.ended_ms = now_ms;
    (void)snprintf(p->life.ended, sizeof(p->life.ended), "%s%s",
                   r->is_killed ? "it was killed, for it took too long: " : "",
                   is_start ? p->error : end->text);
}

/* What is written, but for times that pass. */
struct summary {
    uint64_t counts[STATES], stopped, crashed, failures, not_before_ns, has_work;
};

static struct summary
summary_of(const struct sl_pool *p)
{
    struct summary s = {.stopped = p->life.stopped,
                        .crashed = p->life.crashed,
                        .failures = p->failures,
                        .not_before_ns = p->not_before_ns,
                        .has_work = sl_pool_has_work(p)};
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        if (p->replicas[i].state != SL_REPLICA_FREE)
            s.counts[state_of(&p->replicas[i])]++;
    }
    return s;
}

static uint64_t
number_of(const struct summary *s)
{
    return sl_hash64(sl_slice(s, sizeof(*s)));
}

bool
sl_pool_life_is_news(const struct sl_pool *p)
{
    struct summary s = summary_of(p);
    return p->life.told != number_of(&s);
}

static const char *
state_of_all(const struct sl_pool *p, const struct summary *s)
{
    if (s->counts[READY] > 0)
        return names[READY];
    if (p->failures > 0)
        return "crashed";
    for (uint32_t i = WARMING + 1; i-- > 0;) {
        if (s->counts[i] > 0)
            return names[i];
    }
    return s->counts[DRAINING] > 0 ? names[DRAINING] : "stopped";
}

/* Why there is none, and when there may be one. */
static void
write_reason(const struct sl_pool *p, const struct summary *s, uint64_t left_ms, struct sl_jsonw *w)
{
    struct sl_buf text = {0};
    if (p->failures == 1)
        sl_buf_append_str(&text, "the last replica ended before it had done anything: ");
    else
        sl_buf_printf(&text, "the last %" PRIu32 " replicas ended before they had done anything: ",
                      p->failures);
    sl_buf_printf(&text, "%s; ", p->life.ended);
    if (s->counts[STARTING] + s->counts[WARMING] > 0)
        sl_buf_append_str(&text, "another is being started");
    else if (left_ms > 0)
        sl_buf_printf(&text,
                      "the next is started at the earliest %" PRIu64
                      " ms after this was told, and pauses double",
                      left_ms);
    else
        sl_buf_append_str(&text, "the next is started when work comes");
    sl_jsonw_member_str(w, "reason", sl_buf_text(&text));
    sl_buf_deinit(&text);
}

void
sl_pool_life_write(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_jsonw *w)
{
    struct summary s = summary_of(p);
    uint64_t left_ms = p->failures == 0 || p->not_before_ns <= ctx->now_ns
                           ? 0
                           : (p->not_before_ns - ctx->now_ns + SL_MILLI_NS - 1) / SL_MILLI_NS;
    const char *state = state_of_all(p, &s);
    p->life.told = number_of(&s);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "state", state);
    for (uint32_t i = 0; i < STATES; i++)
        sl_jsonw_member_u64(w, names[i], s.counts[i]);
    sl_jsonw_member_u64(w, "stopped", s.stopped);
    sl_jsonw_member_u64(w, "crashed", s.crashed);
    sl_jsonw_member_u64(w, "failures", p->failures);
    if (p->life.ended_ms != 0) {
        sl_jsonw_member_str(w, "ended", p->life.ended);
        sl_jsonw_member_time(w, "ended_at", p->life.ended_ms);
    }
    if (left_ms > 0)
        sl_jsonw_member_time(w, "next_start_at", ctx->now_ms + left_ms);
    if (p->failures > 0 && s.counts[READY] == 0)
        write_reason(p, &s, left_ms, w);
    sl_jsonw_end(w);
}
