/* SPDX-License-Identifier: Apache-2.0 */
/* How each kind of fault strikes. All that a fault draws comes from its own number. */
#include <stdio.h>

#include "actors/simulate_queue.h"
#include "actors/simulate_world.h"
#include "runtime/alloc.h"

#define REPLICA_ACTOR 1

static uint64_t
between(struct sl_random *random, uint64_t min, uint64_t max)
{
    return min + sl_random_below(random, max - min + 1);
}

static uint64_t
for_a_while(const struct sl_world *w, struct sl_random *random, uint64_t most_ns)
{
    return sl_sim_now_ns(w->sim) + between(random, 50 * SL_MILLI_NS, most_ns);
}

/* Any process: mostly a node or a replica, else the main one. */
static uint32_t
pick_process(struct sl_world *w, struct sl_random *random)
{
    uint32_t child;
    uint64_t kind = sl_random_below(random, 3);
    if (kind < 2 && sl_world_pick_child(w, random, kind, &child))
        return w->children[child].process;
    return w->main;
}

static void
end_any(struct sl_world *w, struct sl_random *random, uint64_t kind)
{
    uint32_t child;
    if (sl_world_pick_child(w, random, kind, &child))
        sl_world_end_child(w, child, 9, 0);
}

static void
hang_any(struct sl_world *w, struct sl_random *random)
{
    uint32_t child;
    if (sl_world_pick_child(w, random, SL_CHILD_REPLICA, &child))
        sl_world_hang(sl_sim_state(w->sim, w->children[child].process, REPLICA_ACTOR));
}

static void
pause_any(struct sl_world *w, struct sl_random *random)
{
    uint32_t process = pick_process(w, random);
    uint64_t duration_ns = between(random, 50 * SL_MILLI_NS, 15 * SL_SECOND_NS);
    sl_sim_stall(w->sim, process, duration_ns);
    if (process != w->main)
        return;
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_PAUSE, .value = duration_ns});
    sl_simq_stalled(w->own, duration_ns);
}

static void
skew_any(struct sl_world *w, struct sl_random *random)
{
    int64_t rate_ppm = (int64_t)sl_random_below(random, 2001) - 1000;
    int64_t wall_ms = (int64_t)sl_random_below(random, 4001) - 2000;
    uint32_t process = pick_process(w, random);
    if (process == w->main)
        sl_simq_skewed(w->own);
    sl_sim_skew(w->sim, process, rate_ppm, wall_ms);
}

/*
 * What is lost on a link that was back before the head gave up the node comes to light when the
 * node tells that it is idle, and its leases lapse.
 */
static void
cut_any(struct sl_world *w, struct sl_random *random, bool is_one_way)
{
    uint32_t child;
    if (!sl_world_pick_child(w, random, SL_CHILD_NODE, &child))
        return;
    uint32_t process = w->children[child].process;
    uint32_t how = (sl_random_below(random, 2) == 0 ? SL_SIM_CUT_LOSSY : 0) |
                   (is_one_way ? SL_SIM_CUT_ONE_WAY : 0);
    uint64_t most_ns = sl_random_below(random, 2) == 0 ? 30 * SL_SECOND_NS : 2 * SL_SECOND_NS;
    uint64_t duration_ns = between(random, 50 * SL_MILLI_NS, most_ns);
    bool is_from_head = sl_random_below(random, 2) == 0;
    if (w->options.plant == SL_PLANT_DOUBLE)
        (void)sl_queue_release_holder(w->queue, sl_sim_node(w->sim, process));
    sl_sim_cut(w->sim, is_from_head ? w->main : process, is_from_head ? process : w->main,
               duration_ns, how);
}

/* Where nothing takes its time, nothing piles up. */
static void
narrow(struct sl_random *random, struct sl_sim_weather *weather)
{
    weather->room_bytes = between(random, 1, 1000);
    weather->delay_max_ns = between(random, 5, 500) * SL_MILLI_NS;
}

static void
bad_weather(struct sl_world *w, struct sl_random *random, enum sl_fault_number number)
{
    uint32_t child, share = (uint32_t)between(random, 20, 500);
    struct sl_sim_weather weather = {.until_ns = for_a_while(w, random, 15 * SL_SECOND_NS)};
    if (!sl_world_pick_child(w, random, SL_CHILD_NODE, &child))
        return;
    if (number == SL_FAULT_NUMBER_DELAY)
        weather.delay_max_ns = between(random, 5, 500) * SL_MILLI_NS;
    else if (number == SL_FAULT_NUMBER_LOSS)
        weather.loss = share * 3 / 5;
    else if (number == SL_FAULT_NUMBER_DUPLICATE)
        weather.duplicate = share;
    else if (number == SL_FAULT_NUMBER_NARROW)
        narrow(random, &weather);
    else
        weather.reorder = share;
    sl_sim_weather(w->sim, w->main, w->children[child].process, &weather);
}

static void
crash_head(struct sl_world *w, struct sl_random *random)
{
    if (sl_random_below(random, 3) == 0)
        sl_world_crash(w, false);
    else
        w->is_crash_armed = true;
}

static void
empty_disk(void *world, uint64_t ignored)
{
    (void)ignored;
    sl_sim_disk_set_full(((struct sl_world *)world)->storage.log, false);
}

static void
fill_disk(struct sl_world *w, struct sl_random *random)
{
    sl_sim_disk_set_full(w->storage.log, true);
    sl_sim_at(w->sim, between(random, 50 * SL_MILLI_NS, 20 * SL_SECOND_NS), empty_disk, w, 0);
}

static void
strike(struct sl_world *w, const struct sl_fault_event *e)
{
    struct sl_random random;
    sl_random_seed(&random, e->draw);
    switch (e->number) {
    case SL_FAULT_NUMBER_REPLICA:
    case SL_FAULT_NUMBER_NODE:
        end_any(w, &random, e->number == SL_FAULT_NUMBER_NODE ? SL_CHILD_NODE : SL_CHILD_REPLICA);
        break;
    case SL_FAULT_NUMBER_HANG:
        hang_any(w, &random);
        break;
    case SL_FAULT_NUMBER_START:
        w->start_fails_until_ns = for_a_while(w, &random, 20 * SL_SECOND_NS);
        break;
    case SL_FAULT_NUMBER_ITEM:
        w->item_fails_until_ns = for_a_while(w, &random, 20 * SL_SECOND_NS);
        break;
    case SL_FAULT_NUMBER_PAUSE:
        pause_any(w, &random);
        break;
    case SL_FAULT_NUMBER_SKEW:
        skew_any(w, &random);
        break;
    case SL_FAULT_NUMBER_HEAD:
        crash_head(w, &random);
        break;
    case SL_FAULT_NUMBER_POWER:
        sl_sim_disk_set_torn(w->storage.log, sl_random_below(&random, 2) == 0);
        sl_world_crash(w, true);
        break;
    case SL_FAULT_NUMBER_SPAWNER:
        sl_world_kill_spawner(w);
        break;
    case SL_FAULT_NUMBER_DELAY:
    case SL_FAULT_NUMBER_LOSS:
    case SL_FAULT_NUMBER_DUPLICATE:
    case SL_FAULT_NUMBER_REORDER:
    case SL_FAULT_NUMBER_NARROW:
        bad_weather(w, &random, e->number);
        break;
    case SL_FAULT_NUMBER_PARTITION:
    case SL_FAULT_NUMBER_ONEWAY:
        cut_any(w, &random, e->number == SL_FAULT_NUMBER_ONEWAY);
        break;
    case SL_FAULT_NUMBER_EIO:
        sl_sim_disk_fail_at(w->storage.log, between(&random, 1, 8));
        sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_UNREAD});
        break;
    case SL_FAULT_NUMBER_ENOSPC:
        fill_disk(w, &random);
        break;
    case SL_FAULT_NUMBER_FLIP:
        w->flip_draw = sl_random_u64(&random) | 1;
        sl_world_crash(w, false);
        break;
    case SL_FAULT_NUMBER_SCALE:
        w->nodes_wanted = (uint32_t)between(&random, 1, SL_WORLD_NODES_MAX);
        sl_world_crash(w, false);
        break;
    case SL_FAULT_NUMBER_HAND: /* See sl_simq_strike. */
    case SL_FAULTS_COUNT:
        break;
    }
}

static void
inject(void *world, uint64_t place)
{
    struct sl_world *w = world;
    const struct sl_fault_event *e = &w->plan.events[place];
    if (w->main == 0)
        return;
    sl_sim_say(w->sim, "fault %u: %s", (unsigned)place, sl_fault_kinds[e->number].name);
    w->result->faults++;
    strike(w, e);
    sl_simq_strike(w->own, e);
}

void
sl_world_plan_faults(struct sl_world *w)
{
    const struct sl_simulate_options *o = &w->options;
    sl_fault_plan_init(&w->plan, o->seed, o->faults, w->fault_until_ns);
    w->result->faults_planned = w->plan.count;
    uint32_t at = 0;
    for (uint32_t i = 0; i < w->plan.count; i++) {
        while (o->only != NULL && at < o->only_count && o->only[at] < i)
            at++;
        if (o->only == NULL || (at < o->only_count && o->only[at] == i))
            sl_sim_at(w->sim, w->plan.events[i].at_ns, inject, w, i);
    }
}

void
sl_simulate_list_faults(const struct sl_simulate_options *options, struct sl_buf *out)
{
    struct sl_fault_plan plan;
    uint64_t minutes = options->minutes == 0 ? SL_WORLD_MINUTES : options->minutes;
    sl_fault_plan_init(&plan, options->seed, options->faults, minutes * 60 * SL_SECOND_NS);
    uint32_t count = options->only == NULL ? plan.count : options->only_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = options->only == NULL ? i : options->only[i];
        if (place >= plan.count)
            continue;
        const struct sl_fault_kind *kind = &sl_fault_kinds[plan.events[place].number];
        sl_buf_printf(out, "  %4u  %9.3f s  %-10s %s\n", place,
                      (double)plan.events[place].at_ns / 1e9, kind->name, kind->what);
    }
    sl_fault_plan_deinit(&plan);
}
