/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/overrides/store.h"
#include "runtime/sim_disk.h"

/* Of several sectors, and told apart by every byte. */
static void
make_text(struct sl_buf *text, char letter, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sl_buf_append_u8(text, (uint8_t)letter);
}

struct world {
    struct sl_sim_disk *sim;
    struct sl_disk disk;
    struct sl_buf old, new;
};

static struct world
make(size_t old_size, size_t new_size)
{
    struct world w = {.sim = sl_sim_disk_create()};
    w.disk = sl_sim_disk_ops(w.sim);
    make_text(&w.old, 'o', old_size);
    make_text(&w.new, 'n', new_size);
    if (old_size > 0)
        cr_assert_eq(sl_overrides_save(&w.disk, sl_buf_slice(&w.old)), SL_OK);
    return w;
}

static void
drop(struct world *w)
{
    sl_buf_deinit(&w->old);
    sl_buf_deinit(&w->new);
    sl_sim_disk_destroy(&w->sim);
}

/* True: the new one. Nothing but the old one, whole, or the new one, whole, may be there. */
static bool
is_new(struct world *w)
{
    struct sl_buf found = {0};
    enum sl_err err = sl_overrides_load(&w->disk, &found);
    bool is_old = w->old.size == 0 ? err == SL_ENOTFOUND
                                   : sl_slice_equal(sl_buf_slice(&found), sl_buf_slice(&w->old));
    bool is_so = err == SL_OK && sl_slice_equal(sl_buf_slice(&found), sl_buf_slice(&w->new));
    cr_assert(is_old || is_so, "%zu bytes, %s", found.size, sl_err_name(err));
    sl_buf_deinit(&found);
    return is_so;
}

/* A save whose operation `nth` fails, and all behind it, as when it is killed there; then the power
 * goes. 0: none fails. */
static bool
survive(struct world *w, uint64_t nth, uint64_t seed)
{
    sl_sim_disk_fail_at(w->sim, nth);
    enum sl_err err = sl_overrides_save(&w->disk, sl_buf_slice(&w->new));
    sl_sim_disk_fail_at(w->sim, 0);
    if (nth == 0)
        cr_assert_eq(err, SL_OK);
    sl_sim_disk_set_torn(w->sim, seed % 2 == 1);
    sl_sim_disk_crash(w->sim, seed);
    bool is_so = is_new(w);
    cr_assert(err != SL_OK || is_so); /* What was answered for is there. */
    return is_so;
}

Test(overrides_store, fault_loop_a_save_cut_anywhere_leaves_the_old_or_the_new)
{
    static const size_t sizes[][2] = {{0, 3000}, {3000, 3000}, {9000, 40}, {40, 9000}};
    for (size_t s = 0; s < SL_COUNT_OF(sizes); s++) {
        uint32_t news = 0, olds = 0;
        for (uint64_t nth = 0; nth < 12; nth++) {
            for (uint64_t seed = 0; seed < 40; seed++) {
                struct world w = make(sizes[s][0], sizes[s][1]);
                bool is_so = survive(&w, nth, seed);
                news += is_so;
                olds += !is_so;
                /* What was left aside does not get into the next one. */
                cr_assert_eq(sl_overrides_save(&w.disk, sl_buf_slice(&w.new)), SL_OK);
                cr_assert(is_new(&w));
                drop(&w);
            }
        }
        cr_expect(news > 0 && olds > 0, "%u and %u", news, olds);
    }
}

Test(overrides_store, a_longer_one_that_a_crash_left_aside_is_no_part_of_the_next)
{
    struct world w = make(0, 40);
    struct sl_file *file;
    struct sl_buf left = {0};
    make_text(&left, 'x', 5000);
    cr_assert_eq(w.disk.open(w.disk.self, SL_OVERRIDES_FILE ".new", &file), SL_OK);
    cr_assert_eq(w.disk.write(file, 0, left.data, left.size), SL_OK);
    w.disk.close(&file);
    cr_assert_eq(sl_overrides_save(&w.disk, sl_buf_slice(&w.new)), SL_OK);
    cr_assert(is_new(&w));
    sl_buf_deinit(&left);
    drop(&w);
}

Test(overrides_store, a_full_disk_leaves_the_old)
{
    struct world w = make(3000, 3000);
    sl_sim_disk_set_full(w.sim, true);
    cr_assert_neq(sl_overrides_save(&w.disk, sl_buf_slice(&w.new)), SL_OK);
    sl_sim_disk_set_full(w.sim, false);
    cr_assert_not(is_new(&w));
    drop(&w);
}

Test(overrides_store, refuses_to_read_what_is_too_large)
{
    struct world w = make(0, 300 * 1024);
    struct sl_buf found = {0};
    cr_assert_eq(sl_overrides_save(&w.disk, sl_buf_slice(&w.new)), SL_OK);
    cr_assert_eq(sl_overrides_load(&w.disk, &found), SL_ETOOBIG);
    sl_buf_deinit(&found);
    drop(&w);
}
