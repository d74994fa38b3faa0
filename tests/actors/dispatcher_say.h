/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher_say.h - what nodes and the head say to it, and what it said. */
#ifndef SL_TESTS_ACTORS_DISPATCHER_SAY_H
#define SL_TESTS_ACTORS_DISPATCHER_SAY_H

#include "tests/actors/dispatcher_job.h"

/* ---- what the others say ------------------------------------------------------------------- */

static inline struct sl_addr
head(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD);
}

static inline void
node_up(uint32_t node, uint64_t room)
{
    recorder_deliver(&r, head(), SL_M_node_up,
                     &(struct sl_m_node_up){.node = node, .room = room, .classes = 7});
}

static inline void
wake(void)
{
    recorder_deliver(&r, head(), SL_M_wake, &(struct sl_m_wake){0});
}

/* A lease that was sent to a node. */
struct run {
    uint32_t node;
    uint64_t task_id, epoch, is_alone;
    uint64_t first;
    char resume[8];
};

static inline struct run
expect_run(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_run_task);
    cr_assert_not_null(msg, "nothing was leased");
    const struct sl_m_run_task *m = SL_BODY(msg, run_task);
    struct run run = {msg->to.node, m->task_id, m->epoch, m->alone, m->first, ""};
    snprintf(run.resume, sizeof(run.resume), "%.*s", SL_SLICE_FMT(m->resume));
    cr_assert_eq(msg->to.actor, SL_ACTOR_AGENT);
    cr_assert_gt(m->inputs.size, 0);
    sl_msg_destroy(&msg);
    return run;
}

static inline void
done_part_after(struct run run, const char *resume, uint64_t served_ns)
{
    /* One output, {"text":"x"}, without a vector. */
    struct sl_buf out = {0};
    sl_buf_append_u32(&out, 1);
    sl_buf_append_block(&out, sl_slice_str("{\"text\":\"x\"}"));
    sl_buf_append_u32(&out, 0);
    struct sl_m_task_done m = {
        .task_id = run.task_id, .epoch = run.epoch, .outputs = sl_buf_slice(&out)};
    m.first = run.first;
    m.resume = sl_slice_str(resume);
    m.served_ns = served_ns;
    recorder_deliver(&r, sl_at(run.node, SL_ACTOR_AGENT), SL_M_task_done, &m);
    sl_buf_deinit(&out);
}

static inline void
done_part(struct run run, const char *resume)
{
    done_part_after(run, resume, 0);
}

static inline void
done(struct run run)
{
    done_part(run, "");
}

static inline void
failed(struct run run, uint64_t kind, bool is_alone)
{
    struct sl_m_task_failed m = {.task_id = run.task_id,
                                 .epoch = run.epoch,
                                 .kind = kind,
                                 .signal = kind == SL_FAIL_CRASH ? 11 : 0,
                                 .alone = is_alone,
                                 .code = sl_slice_str("bad_text"),
                                 .message = sl_slice_str("why")};
    recorder_deliver(&r, sl_at(run.node, SL_ACTOR_AGENT), SL_M_task_failed, &m);
}

/* For good. */
static inline void
failed_after(struct run run, uint64_t served_ns)
{
    struct sl_m_task_failed m = {.task_id = run.task_id,
                                 .epoch = run.epoch,
                                 .kind = SL_FAIL_PERMANENT,
                                 .code = sl_slice_str("bad_text"),
                                 .message = sl_slice_str("why"),
                                 .served_ns = served_ns};
    recorder_deliver(&r, sl_at(run.node, SL_ACTOR_AGENT), SL_M_task_failed, &m);
}

static inline struct sl_dispatcher_counts
counts(void)
{
    struct sl_dispatcher_counts c;
    sl_dispatcher_counts(r.actor, &c);
    return c;
}

static inline void
expect_job_ended(enum sl_job_state state, uint64_t tasks_done, uint64_t tasks_dead)
{
    struct sl_msg *ended = recorder_take(&r, SL_M_job_ended);
    struct sl_job_row row;
    struct sl_job_info info;
    struct sl_slice bytes;
    cr_assert_not_null(ended, "nobody was told");
    cr_assert_eq(SL_BODY(ended, job_ended)->scope, scope.id);
    sl_msg_destroy(&ended);
    struct sl_txn *t = sl_store_begin(store);
    cr_assert_eq(sl_txn_get(t, scope, SL_TABLE_JOB, sl_slice(job.bytes, 16), &bytes), SL_OK);
    cr_assert_eq(sl_job_row_decode(bytes, &row), SL_OK);
    cr_assert_eq(row.state, state);
    cr_assert_eq(row.done, tasks_done);
    cr_assert_eq(row.dead, tasks_dead);
    sl_txn_abort(&t);
    cr_assert_eq(sl_queue_job(queue, job, &info), SL_ENOTFOUND, "the queue forgets it");
}

static inline void
beat_for(int seconds, uint64_t in_flight)
{
    struct sl_m_node_beat beat = {.node = 2, .in_flight = in_flight};
    for (int i = 0; i < seconds; i++) {
        recorder_deliver(&r, head(), SL_M_node_beat, &beat);
        recorder_wait(&r, SL_SECOND_NS);
    }
}

#endif
