/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that will happen lies in one heap of events, ordered by time and then by the order of
 * making. Nothing else decides what runs next, and every random number comes from one seeded
 * source, so equal seeds give equal runs; the hash over all events shows it.
 */
#include "runtime/sim.h"

#include <stdarg.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/sim_state.h"

uint64_t
sl_sim_between(struct sl_sim *sim, uint64_t min, uint64_t max)
{
    sl_assert(min <= max);
    return min + sl_random_below(&sim->random, max - min + 1);
}

/* ---- what happened ------------------------------------------------------------------------- */

static void
mix(struct sl_sim *sim, uint64_t value)
{
    sim->hash = (sim->hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    sim->hash ^= sim->hash >> 29;
}

/* All but addresses of memory, which differ between runs. */
static void
mix_msg(struct sl_sim *sim, const struct sl_msg *msg)
{
    const unsigned char *at = msg->body;
    mix(sim, (uint64_t)msg->id << 32 ^ (uint64_t)msg->from.node << 16 ^ msg->to.actor);
    mix(sim, msg->request);
    for (uint8_t i = 0; i < msg->type->fields_count; i++) {
        struct sl_slice bytes;
        uint64_t value;
        if (msg->type->fields[i] == SL_BYTES) {
            memcpy(&bytes, at, sizeof(bytes));
            value = bytes.size == 0 ? 0 : sl_hash64(bytes);
            at += sizeof(bytes);
        } else {
            memcpy(&value, at, sizeof(value));
            at += sizeof(value);
        }
        bool is_address = msg->id == SL_M_work_done && i == 1;
        mix(sim, is_address ? 0 : value);
    }
}

/* Take note of an event. */
static void
note(struct sl_sim *sim, const struct sl_sim_event *e)
{
    sim->events_count++;
    mix(sim, sim->now_ns);
    mix(sim, (uint64_t)e->kind << 48 ^ (uint64_t)e->process << 24 ^ e->sender);
    mix(sim, e->value);
    if (e->msg == NULL)
        return;
    mix_msg(sim, e->msg);
    if (sim->options.trace_lines == 0)
        return;
    sl_buf_clear(&sim->scratch);
    sl_msg_print(e->msg, &sim->scratch);
    sl_sim_say(sim, "process %u (node %u) <- process %u: %s", e->process,
               sl_sim_node(sim, e->process), e->sender, sl_buf_text(&sim->scratch));
}

void
sl_sim_say(struct sl_sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    sl_sim_trace_add(&sim->trace, sim->now_ns, format, args);
    va_end(args);
}

void
sl_sim_trace(const struct sl_sim *sim, struct sl_buf *out)
{
    sl_sim_trace_read(&sim->trace, out);
}

/* ---- time ---------------------------------------------------------------------------------- */

void
sl_sim_at(struct sl_sim *sim, uint64_t delay_ns, void (*fn)(void *arg, uint64_t value), void *arg,
          uint64_t value)
{
    sl_sim_events_add(
        &sim->events, sim->now_ns + delay_ns,
        &(struct sl_sim_event){.kind = SL_SIM_CALL, .fn = fn, .arg = arg, .value = value});
}

/* Whether the message was lost with its sender, or with who should have had it. */
static bool
is_lost(const struct sl_sim *sim, const struct sl_sim_event *e)
{
    if (!sl_sim_process_of(sim, e->process)->is_alive)
        return true;
    if (e->sender == SL_SIM_NO_PROCESS)
        return false;
    const struct sl_sim_process *sender = sl_sim_process_of(sim, e->sender);
    return !sender->is_alive && e->sent_ns >= sender->lost_after_ns;
}

static void
take_timer(struct sl_sim_process *p, const struct sl_sim_event *e)
{
    struct sl_msg *msg = e->kind == SL_SIM_DUE
                             ? sl_msg_create(SL_M_calls_due, NULL)
                             : sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = e->value});
    msg->to = msg->from = (struct sl_addr){.node = p->node, .actor = e->actor};
    sl_msg_list_push(&p->inbox, msg);
}

static void
run_event(struct sl_sim *sim, struct sl_sim_event *e)
{
    struct sl_sim_process *p =
        e->process == SL_SIM_NO_PROCESS ? NULL : sl_sim_process_of(sim, e->process);
    switch (e->kind) {
    case SL_SIM_ARRIVE:
        if (e->session != NULL && e->session->is_over)
            break;
        if (e->session == NULL)
            sl_msg_list_push(&p->inbox, e->msg);
        else
            sl_sim_session_take(e->session, e->value, e->msg, &p->inbox);
        e->msg = NULL;
        sl_sim_run(p);
        break;
    case SL_SIM_TIMER:
    case SL_SIM_DUE:
        take_timer(p, e);
        sl_sim_run(p);
        break;
    case SL_SIM_SYNC:
        sl_sim_finish_sync(p);
        break;
    case SL_SIM_TICK:
        if (p->tick_at_ns <= sim->now_ns)
            p->tick_at_ns = UINT64_MAX;
        if (!p->is_syncing) /* Else the end of the sync ticks. */
            sl_sim_tick_store(p, true);
        break;
    case SL_SIM_CALL:
        if (e->fn != NULL)
            e->fn(e->arg, e->value);
        else
            sl_sim_run(sl_sim_process_of(sim, (uint32_t)e->value));
        break;
    }
}

bool
sl_sim_step(struct sl_sim *sim)
{
    uint64_t at_ns;
    struct sl_sim_event *e = sl_sim_events_pop(&sim->events, &at_ns);
    if (e == NULL || at_ns == UINT64_MAX) {
        if (e != NULL)
            sl_sim_events_again(&sim->events, at_ns, e);
        return false;
    }
    sim->now_ns = SL_MAX(sim->now_ns, at_ns);
    struct sl_sim_process *p =
        e->process == SL_SIM_NO_PROCESS ? NULL : sl_sim_process_of(sim, e->process);
    if (p != NULL && p->is_alive && p->stalled_until_ns > sim->now_ns) {
        sl_sim_events_again(&sim->events, p->stalled_until_ns, e);
        return true;
    }
    bool is_timer = e->kind == SL_SIM_TIMER || e->kind == SL_SIM_DUE;
    if (is_timer && p->is_alive && sl_sim_process_ns(p) < e->sent_ns) {
        /* Its clock has become slower since. */
        sl_sim_events_again(
            &sim->events, sim->now_ns + sl_sim_process_delay(p, e->sent_ns - sl_sim_process_ns(p)),
            e);
        return true;
    }
    if (p == NULL || !is_lost(sim, e)) {
        note(sim, e);
        run_event(sim, e);
    }
    sl_msg_destroy(&e->msg);
    sl_sim_events_release(&sim->events, e);
    return true;
}

uint64_t
sl_sim_now_ns(const struct sl_sim *sim)
{
    return sim->now_ns;
}

uint64_t
sl_sim_local_ns(const struct sl_sim *sim, uint32_t process)
{
    return sl_sim_process_ns(sl_sim_process_of(sim, process));
}

uint64_t
sl_sim_now_ms(const struct sl_sim *sim)
{
    return sim->options.start_ms + sim->now_ns / SL_MILLI_NS;
}

uint64_t
sl_sim_local_ms(const struct sl_sim *sim, uint32_t process)
{
    return sl_sim_now_ms(sim) + (uint64_t)sl_sim_process_of(sim, process)->wall_ms;
}

struct sl_random *
sl_sim_random(struct sl_sim *sim)
{
    return &sim->random;
}

uint64_t
sl_sim_events(const struct sl_sim *sim)
{
    return sim->events_count;
}

uint64_t
sl_sim_hash(const struct sl_sim *sim)
{
    return sim->hash;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct sl_sim *
sl_sim_create(const struct sl_sim_options *options)
{
    struct sl_sim *sim = sl_zalloc(sizeof(*sim));
    sim->options = *options;
    if (options->delay_max_ns == 0) {
        sim->options.delay_min_ns = 20 * SL_MICRO_NS;
        sim->options.delay_max_ns = 2 * SL_MILLI_NS;
    }
    if (options->sync_max_ns == 0) {
        sim->options.sync_min_ns = 50 * SL_MICRO_NS;
        sim->options.sync_max_ns = 5 * SL_MILLI_NS;
    }
    sl_random_seed(&sim->random, options->seed);
    sl_sim_trace_init(&sim->trace, options->trace_lines);
    return sim;
}

void
sl_sim_destroy(struct sl_sim **sim_arg)
{
    struct sl_sim *sim = *sim_arg;
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < sim->processes_count; i++) {
        sl_sim_kill(sim, i + 1);
        sl_free(sim->processes[i]->links);
        sl_free(sim->processes[i]);
    }
    sl_sim_trace_deinit(&sim->trace);
    sl_sim_events_deinit(&sim->events);
    sl_sim_session_destroy(&sim->sessions);
    sl_buf_deinit(&sim->scratch);
    sl_free(sim->processes);
    sl_free(sim);
    *sim_arg = NULL;
}
