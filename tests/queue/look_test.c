/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over jobs goes on wherever its last one is gone, and never looks for that for long. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "queue/event.h"
#include "queue/look.h"
#include "tests/queue/paper_log.h"

#define MANY 50000u

static struct sl_queue *q;
static struct sl_buf event;
static struct sl_paper_log paper;

static struct sl_job_id
id_of(uint32_t number)
{
    struct sl_job_id id = {{1}};
    memcpy(id.bytes + 4, &number, sizeof(number));
    return id;
}

static void
apply(void)
{
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
enqueue(uint32_t number)
{
    struct sl_enqueue e = {.job = id_of(number), .class = SL_CLASS_CPU};
    sl_queue_event_enqueue(&event, &e);
    sl_queue_event_task(&event, sl_slice_str("t"));
    apply();
}

static void
end(struct sl_job_id id)
{
    sl_queue_event_cancel(&event, id);
    apply();
}

static void
setup(void)
{
    q = sl_queue_create();
    for (uint32_t i = 0; i < MANY; i++)
        enqueue(i);
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_paper_deinit(&paper);
}

TestSuite(look, .init = setup, .fini = teardown);

/* So many from the newest on. */
static struct sl_job_walk
walk_over(uint32_t count)
{
    struct sl_job_walk walk = {0};
    struct sl_job_info info;
    bool is_end;
    for (uint32_t i = 0; i < count; i++)
        cr_assert(sl_queue_job_next(q, &walk, 1, &info, &is_end));
    return walk;
}

static struct sl_job_id
next(struct sl_job_walk walk)
{
    struct sl_job_info info;
    bool is_end;
    cr_assert(sl_queue_job_next(q, &walk, 1, &info, &is_end));
    return info.id;
}

Test(look, goes_on_behind_one_that_has_ended_near_either_end)
{
    static const uint32_t far[] = {1, 1000, MANY - 1000, MANY - 10};
    for (size_t i = 0; i < SL_COUNT_OF(far); i++) {
        struct sl_job_walk walk = walk_over(far[i]);
        struct sl_job_id before = next(walk), after;
        end(walk.id);
        after = next(walk);
        cr_expect_eq(memcmp(before.bytes, after.bytes, sizeof(before.bytes)), 0);
    }
}

Test(look, says_so_where_it_would_have_to_look_for_long)
{
    struct sl_job_walk walk = walk_over(MANY / 2);
    struct sl_job_info info;
    bool is_end = true;
    end(walk.id);
    cr_expect_not(sl_queue_job_next(q, &walk, 1, &info, &is_end));
    cr_expect(walk.is_lost);
    cr_expect_not(is_end);
    walk = (struct sl_job_walk){0};
    cr_expect(sl_queue_job_next(q, &walk, 1, &info, &is_end));
    cr_expect_not(walk.is_lost);
}
