/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/finish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "queue/task.h"

#define CLASS_MAX  64 /* Bytes of an error's class that are kept. */
#define SUFFIX_MAX 40 /* Room for the reason why it is not tried again. */

/* ---- why ----------------------------------------------------------------------------------- */

struct why {
    char text[SL_QUEUE_ERROR_MAX];
    size_t size;
};

static bool
is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* At most `max` bytes of the beginning, and no part of a character. */
static struct sl_slice
head_of(struct sl_slice s, size_t max)
{
    const char *text = (const char *)s.data;
    if (s.size <= max)
        return s;
    while (max > 0 && is_continuation(text[max]))
        max--;
    return sl_slice(text, max);
}

/* At most `max` bytes of the end: whole lines if one fits, else whole characters. */
static struct sl_slice
tail_of(struct sl_slice s, size_t max)
{
    const char *text = (const char *)s.data;
    while (s.size > 0 && text[s.size - 1] == '\n')
        s.size--;
    if (s.size <= max)
        return s;
    size_t start = s.size - max;
    const char *before = memchr(text + start - 1, '\n', s.size - start + 1);
    if (before != NULL)
        start = (size_t)(before + 1 - text);
    while (start < s.size && is_continuation(text[start]))
        start++;
    return sl_slice(text + start, s.size - start);
}

static void
add(struct why *why, struct sl_slice s, size_t size_max)
{
    s = head_of(s, SL_MIN(size_max, sizeof(why->text) - why->size));
    if (s.size > 0)
        memcpy(why->text + why->size, s.data, s.size);
    why->size += s.size;
}

static void
add_text(struct why *why, const char *text)
{
    add(why, sl_slice_str(text), SIZE_MAX);
}

static const char *
final_text(enum sl_retry_verdict verdict)
{
    switch (verdict) {
    case SL_RETRY_SPENT:
        return " [no attempt is left]";
    case SL_RETRY_LATE:
        return " [it failed for too long]";
    case SL_RETRY_FINAL:
        return " [such are not tried again]";
    case SL_RETRY_AGAIN:
        break;
    }
    return "";
}

static struct why
failure_of(const struct sl_run *run, enum sl_retry_verdict verdict)
{
    struct why why = {.size = 0};
    struct sl_slice class = run->class.size == 0 ? sl_slice_str("error") : run->class;
    add(&why, class, CLASS_MAX);
    if (run->message.size > 0) {
        add_text(&why, ": ");
        add(&why, run->message, sizeof(why.text) - why.size - SUFFIX_MAX);
    }
    add_text(&why, final_text(verdict));
    return why;
}

static struct why
crash_of(const struct sl_run *run)
{
    struct why why = {.size = 0};
    char line[128];
    const char *name = run->signal > INT32_MAX ? NULL : sigabbrev_np((int)run->signal);
    if (run->signal == 0)
        snprintf(line, sizeof(line), "its process went away");
    else
        snprintf(line, sizeof(line), "its process died of signal %" PRIu32 "%s%s", run->signal,
                 name == NULL ? "" : " SIG", name == NULL ? "" : name);
    add_text(&why, line);
    if (run->peak_bytes != 0) {
        snprintf(line, sizeof(line), ", peak memory %" PRIu64 " bytes", run->peak_bytes);
        add_text(&why, line);
    }
    struct sl_slice lines = tail_of(run->lines, sizeof(why.text) - why.size - 1);
    if (lines.size > 0) {
        add_text(&why, "\n");
        add(&why, lines, SIZE_MAX);
    }
    return why;
}

/* ---- deciding ------------------------------------------------------------------------------ */

struct end {
    const struct sl_lease *lease;
    const struct sl_run *run;
    const struct sl_extra *extra; /* NULL: the task has none. */
    struct sl_buf *out;
    struct sl_finish finish;
};

static uint16_t
more(uint16_t count)
{
    return count == UINT16_MAX ? count : (uint16_t)(count + 1);
}

/* What is stored was checked as it came; if a newer version wrote it, the default must do. */
static struct sl_retry_policy
policy_of(const struct sl_extra *extra)
{
    struct sl_retry_policy policy = {0};
    if (extra != NULL && extra->policy_size > 0 &&
        sl_retry_decode(sl_slice(extra->policy, extra->policy_size), &policy) != SL_OK)
        policy = (struct sl_retry_policy){0};
    return policy;
}

static void
again(struct end *e, uint64_t delay_ms, uint64_t failed_ms, const struct why *why)
{
    struct sl_finish *f = &e->finish;
    uint64_t now_ms = SL_MIN(e->run->now_ms, SL_TIME_MAX_MS);
    f->not_before_ms = delay_ms == 0 ? 0 : SL_MIN(now_ms + delay_ms, SL_TIME_MAX_MS);
    f->state = f->not_before_ms == 0 ? SL_STATE_QUEUED : SL_STATE_SCHEDULED;
    sl_queue_event_retry(e->out, &(struct sl_retry){.task_id = e->lease->task_id,
                                                    .not_before_ms = f->not_before_ms,
                                                    .attempts = f->attempts,
                                                    .crashes = f->crashes,
                                                    .snoozes = f->snoozes,
                                                    .failed_ms = failed_ms,
                                                    .why = sl_slice(why->text, why->size)});
}

static void
give_up(struct end *e, enum sl_state state, const struct why *why)
{
    e->finish.state = state;
    sl_queue_event_kill(e->out, &(struct sl_task_end){.task_id = e->lease->task_id,
                                                      .ended_ms = e->run->now_ms,
                                                      .state = state,
                                                      .is_counted = true,
                                                      .attempts = e->finish.attempts,
                                                      .crashes = e->finish.crashes,
                                                      .bytes = sl_slice(why->text, why->size)});
}

static void
fail(struct end *e)
{
    const struct sl_run *run = e->run;
    struct sl_retry_policy policy = policy_of(e->extra);
    uint64_t first_ms = e->extra == NULL ? 0 : e->extra->failed_ms, delay_ms = 0;
    e->finish.attempts = more(e->finish.attempts);
    struct sl_retry_failure failure = {.attempts = e->finish.attempts,
                                       .first_failed_ms = first_ms,
                                       .now_ms = run->now_ms,
                                       .after_ms = run->after_ms,
                                       .class = run->class};
    e->finish.verdict = sl_retry_decide(&policy, &failure, run->random, &delay_ms);
    struct why why = failure_of(run, e->finish.verdict);
    if (e->finish.verdict != SL_RETRY_AGAIN)
        give_up(e, SL_STATE_DEAD, &why);
    else /* Only a policy with such a limit asks when the first failure was. */
        again(e, delay_ms, policy.retry_for_ms != 0 && first_ms == 0 ? run->now_ms : 0, &why);
}

static void
crash(struct end *e)
{
    struct why why = crash_of(e->run);
    e->finish.crashes = more(e->finish.crashes);
    if (e->finish.crashes >= SL_QUEUE_CRASHES_MAX)
        give_up(e, SL_STATE_QUARANTINED, &why);
    else
        again(e, 0, 0, &why);
}

enum sl_err
sl_queue_finish(const struct sl_queue *q, const struct sl_lease *lease, const struct sl_run *run,
                struct sl_buf *out, struct sl_finish *ret_finish)
{
    static const struct why none;
    struct sl_lease live;
    if (sl_queue_check(q, lease->task_id, lease->epoch, &live) != SL_OK)
        return SL_ESTALE;
    if (run->end > SL_RUN_RELEASED ||
        (run->end == SL_RUN_SNOOZED && (run->after_ms == 0 || run->after_ms > SL_TIME_MAX_MS)))
        return SL_EINVAL;
    const struct sl_task *task = sl_task_at(q, sl_task_slot(q, live.task_id));
    struct end e = {.lease = &live,
                    .run = run,
                    .extra = sl_task_extra_lookup(q, task),
                    .out = out,
                    .finish = {.state = SL_STATE_QUEUED,
                               .attempts = live.attempts,
                               .crashes = live.crashes,
                               .snoozes = live.snoozes,
                               .has_event = run->end != SL_RUN_RELEASED}};
    switch (run->end) {
    case SL_RUN_FAILED:
        fail(&e);
        break;
    case SL_RUN_CRASHED:
        crash(&e);
        break;
    case SL_RUN_SNOOZED:
        e.finish.snoozes = more(e.finish.snoozes);
        again(&e, run->after_ms, 0, &none);
        break;
    case SL_RUN_RELEASED:
        break;
    }
    *ret_finish = e.finish;
    return SL_OK;
}
