/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_image.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "runtime/report.h"

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
}

TestSuite(simulate_image, .init = setup);

static struct sl_simulate_image_result
run(uint64_t seed, bool is_fair)
{
    struct sl_simulate_image_result r;
    sl_simulate_image(
        &(struct sl_simulate_image_options){.seed = seed, .is_fair = is_fair, .trace_lines = 60},
        &r);
    cr_assert(r.is_ok, "seed %" PRIu64 ": %s\n%.*s", seed, r.failure, (int)r.trace.size,
              (const char *)r.trace.data);
    sl_simulate_image_result_deinit(&r);
    return r;
}

Test(simulate_image, in_fair_weather_every_fetch_succeeds_and_nothing_comes_twice)
{
    struct sl_simulate_image_result r = run(5, true);
    cr_assert_eq(r.failed, 0);
    cr_assert_gt(r.fetched, 30);
    cr_assert_eq(r.bad, 0);
    /* Asking for what is here moves nothing: four workers, each image once. */
    cr_assert_lt(r.chunks_bytes, r.image_bytes);
}

Test(simulate_image, holds_under_faults_and_equal_seeds_give_equal_runs)
{
    uint64_t faults = 0, failed = 0, bad = 0, resumed = 0;
    /* Among them some in which a fetch is cut and goes on, some with bad chunks, and stars. */
    static const uint64_t seeds[] = {1, 2, 3, 18, 20, 25, 26, 4, 9, 14, 19};
    for (size_t i = 0; i < SL_COUNT_OF(seeds); i++) {
        uint64_t seed = seeds[i];
        struct sl_simulate_image_result r = run(seed, false);
        faults += r.faults;
        failed += r.failed;
        bad += r.bad;
        resumed += r.resumed;
        if (seed == 3)
            cr_assert_eq(run(seed, false).hash, r.hash);
    }
    cr_assert_gt(faults, 60);
    cr_assert_gt(resumed, 0);
    cr_assert_gt(bad, 0);
    cr_log_info("resumed chunks: %" PRIu64, resumed);
    cr_log_info("failed fetches: %" PRIu64 ", bad chunks: %" PRIu64, failed, bad);
}
