/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/placement.h"

#include <criterion/criterion.h>

#include "queue/event.h"
#include "runtime/limits.h"

static struct sl_candidate
node(uint64_t in_flight, bool is_warm)
{
    return (struct sl_candidate){
        .classes = 1 << SL_CLASS_CPU, .room = 1000, .in_flight = in_flight, .is_warm = is_warm};
}

Test(placement, says_why_a_node_gets_nothing)
{
    struct sl_candidate n = node(0, true);
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_GOOD);
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_GPU), SL_PLACE_OTHER_GROUP);
    n.bytes = SL_LIMIT_NODE_BYTES;
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_FULL);
    n.bytes--;
    cr_expect(sl_placement_has_room(&n));
    n.expected_ns = SL_PLACEMENT_AHEAD_NS;
    cr_expect(sl_placement_has_room(&n), "so few are to be had in any case");
    n.in_flight = SL_PLACEMENT_LEAST;
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_FULL);
    n.expected_ns--;
    cr_expect(sl_placement_has_room(&n));
    n.is_link_full = true;
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_LINK_FULL);
    cr_expect_not(sl_placement_has_room(&n));
    n.is_link_full = false;
    n.in_flight = n.room;
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_FULL);
    n.is_closed = true;
    cr_expect_eq(sl_placement_judge(&n, SL_CLASS_CPU), SL_PLACE_CLOSED);
    cr_expect_str_eq(sl_placement_name(SL_PLACE_CLOSED), "closed");
}

Test(placement, stays_where_it_is_warm_until_a_start_costs_less)
{
    struct sl_candidate cold = node(0, false), warm = node(SL_PLACEMENT_COLD - 1, true);
    cr_expect(sl_placement_prefers(&cold, &warm, SL_CLASS_CPU));
    warm.in_flight++;
    cr_expect_not(sl_placement_prefers(&cold, &warm, SL_CLASS_CPU), "equal: whose turn it is");
    cold.in_flight = 10;
    cr_expect(sl_placement_prefers(&cold, &warm, SL_CLASS_CPU));
    warm.is_closed = true;
    cr_expect_not(sl_placement_prefers(&cold, &warm, SL_CLASS_CPU));
}

Test(placement, a_node_of_one_tenant_takes_its_work_alone_and_that_goes_nowhere_else)
{
    for (uint64_t taint = 0; taint < 3; taint++) {
        for (uint64_t home = 0; home < 3; home++) {
            struct sl_candidate n = node(0, true), other = node(1, true);
            n.taint = taint;
            n.home = other.home = home;
            other.taint = home;
            enum sl_placement judged = sl_placement_judge(&n, SL_CLASS_CPU);
            cr_expect_eq(judged, taint == home ? SL_PLACE_GOOD : SL_PLACE_OTHER_TAINT);
            cr_expect_eq(sl_placement_prefers(&other, &n, SL_CLASS_CPU), taint == home,
                         "idler, and not its place");
        }
    }
    cr_expect_str_eq(sl_placement_name(SL_PLACE_OTHER_TAINT), "other_taint");
}
