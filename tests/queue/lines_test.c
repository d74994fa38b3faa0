/* SPDX-License-Identifier: Apache-2.0 */
/* What a task's runs said stays with it as long as it is there, and as it was said. */
#include "queue/event.h"
#include "tests/queue/conformance.h"

static void
say(struct world *w, uint64_t task_id, const char *text)
{
    struct sl_buf event = {0};
    sl_queue_event_lines(&event, task_id, sl_slice_str(text));
    cr_assert_eq(sl_stand_commit(&w->stand, &event), SL_OK);
    sl_buf_deinit(&event);
}

CONFORMS(lines_stay_with_a_task_over_tries_and_restarts)
{
    uint64_t id = add(w, "x", .retain_ms = 100000);
    cr_assert(reads(w, id, SL_TASK_LINES, ""));
    struct sl_lease got = lease(w);
    say(w, id, "one\n");
    cr_assert(reads(w, id, SL_TASK_LINES, "one\n"));
    cr_assert_eq(finish(w, got, FAILED, .bytes = sl_slice_str("no"), .after_ms = 1), SL_OK);
    restart(w);
    cr_assert(reads(w, id, SL_TASK_LINES, "one\n"));
    pass(w, 1);
    got = lease(w);
    say(w, id, "one\ntwo\n");
    cr_assert_eq(sl_store_checkpoint(w->stand.store), SL_OK);
    cr_assert_eq(finish(w, got, DONE, .bytes = sl_slice_str("done")), SL_OK);
    restart(w);
    cr_assert(reads(w, id, SL_TASK_LINES, "one\ntwo\n"));
    cr_assert(reads(w, id, SL_TASK_RESULT, "done"));
    cr_assert_eq(order(w, id, SL_ORDER_FORGET, NULL), SL_OK);
    cr_assert_eq(sl_queue_held(w->stand.q, 1), 0);
}
