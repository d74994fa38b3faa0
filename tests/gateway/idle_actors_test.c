/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/idle_actors.h"

#include <criterion/criterion.h>

#include "runtime/sim.h"

Test(idle_actors, are_as_many_as_wanted_and_take_a_message_each)
{
    struct sl_sim *sim = sl_sim_create(&(struct sl_sim_options){.seed = 1});
    uint32_t process = sl_sim_start(sim, 1, NULL), count = 1000;
    sl_sim_spawn(sim, process, 7, &sl_idle_actors_class, &count);
    while (sl_sim_step(sim))
        ;
    cr_assert_eq(sl_sim_actors(sim, process), count + 1);
    uint64_t before = sl_sim_events(sim);
    cr_assert_geq(before, count, "each has handled a message");
    sl_sim_destroy(&sim);
}
