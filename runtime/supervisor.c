/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervisor.h"

#include "runtime/alloc.h"
#include "runtime/report.h"

#define STOP_DEFAULT_NS (5 * SL_SECOND_NS)

enum child_state { GONE, RUNNING, STOPPING };

struct child {
    struct sl_addr addr;
    enum child_state state;
    bool is_due;   /* Starts again, once it and those after it that are due have ended. */
    uint64_t stop; /* STOPPING: the number of its request, which its timer carries. */
};

struct supervisor {
    struct sl_supervisor_spec spec;
    struct sl_restart_budget budget;
    struct child *children;
    uint64_t restarts, stops;
    bool is_ending;
    enum sl_err reason; /* Of its own end. */
};

/* ---- starts and stops: one step, then wait for who was asked ------------------------------- */

static void
begin_end(struct supervisor *self, enum sl_err reason)
{
    if (self->is_ending)
        return; /* The first reason is the one. */
    self->is_ending = true;
    self->reason = reason;
}

static void
start_child(struct supervisor *self, struct sl_ctx *ctx, uint32_t index)
{
    const struct sl_child_spec *spec = &self->spec.children[index];
    struct child *c = &self->children[index];
    struct sl_spawn_options options = spec->options;
    options.is_linked = true;
    c->is_due = false;
    enum sl_err err = sl_spawn(ctx, spec->class, spec->argument, &options, &c->addr);
    if (err != SL_OK) {
        sl_report_error("child-not-started", "supervisor=%u child=%s err=%s", ctx->self.actor,
                        spec->name, sl_err_name(err));
        begin_end(self, err);
        return;
    }
    c->state = RUNNING;
}

static void
ask_to_stop(struct supervisor *self, struct sl_ctx *ctx, uint32_t index)
{
    uint64_t stop_ns = self->spec.children[index].stop_ns;
    struct child *c = &self->children[index];
    c->state = STOPPING;
    c->stop = ++self->stops;
    sl_exit(ctx, c->addr, SL_ECANCELED);
    sl_after(ctx, stop_ns == 0 ? STOP_DEFAULT_NS : stop_ns, c->stop);
}

/* Backwards, one at a time: who was started later may depend on who was before. True: all have
   ended that are to. */
static bool
stop_next(struct supervisor *self, struct sl_ctx *ctx)
{
    for (uint32_t i = self->spec.children_count; i-- > 0;) {
        struct child *c = &self->children[i];
        if (c->state == RUNNING && (self->is_ending || c->is_due))
            ask_to_stop(self, ctx, i);
        if (c->state == STOPPING)
            return false;
    }
    return true;
}

static void
start_due(struct supervisor *self, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < self->spec.children_count && !self->is_ending; i++) {
        if (self->children[i].is_due)
            start_child(self, ctx, i);
    }
}

static void
go_on(struct supervisor *self, struct sl_ctx *ctx)
{
    if (!stop_next(self, ctx))
        return;
    start_due(self, ctx);
    if (!self->is_ending || !stop_next(self, ctx))
        return;
    if (self->reason == SL_OK)
        sl_stop(ctx);
    else
        sl_fail(ctx, self->reason);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void
mark_due(struct supervisor *self, struct sl_restart_range range, uint32_t failed)
{
    for (uint32_t i = range.begin; i < range.end; i++) {
        struct child *c = &self->children[i];
        /* A temporary one goes with the others, and is not replaced. */
        c->is_due |= i == failed || c->state != GONE;
    }
}

static void
child_ended(struct supervisor *self, struct sl_ctx *ctx, uint32_t index, enum sl_err reason)
{
    const struct sl_child_spec *spec = &self->spec.children[index];
    struct child *c = &self->children[index];
    c->state = GONE;
    c->addr = (struct sl_addr){0};
    if (c->is_due && spec->kind == SL_TEMPORARY)
        c->is_due = false;
    else if (!c->is_due && !self->is_ending) {
        struct sl_restart_range range = sl_restart_decide(self->spec.strategy, spec->kind, reason,
                                                          index, self->spec.children_count);
        if (range.begin == range.end)
            return;
        if (sl_restart_budget_take(&self->budget, ctx->now_ns)) {
            self->restarts++;
            mark_due(self, range, index);
            sl_report_warn(
                "child-restarted", "supervisor=%u child=%s err=%s action=\"%u start again\"",
                ctx->self.actor, spec->name, sl_err_name(reason), range.end - range.begin);
        } else {
            begin_end(self, SL_EFULL);
            sl_report_error("restarts-exhausted", "supervisor=%u child=%s err=%s restarts=%u",
                            ctx->self.actor, spec->name, sl_err_name(reason),
                            self->spec.restarts_max);
        }
    }
    go_on(self, ctx);
}

static void
on_link_down(struct supervisor *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    uint64_t said = SL_BODY(msg, link_down)->reason;
    enum sl_err reason = said < SL_ERR_COUNT ? (enum sl_err)said : SL_EINVAL;
    for (uint32_t i = 0; i < self->spec.children_count; i++) {
        const struct child *c = &self->children[i];
        if (c->state != GONE && c->addr.actor == msg->from.actor) {
            child_ended(self, ctx, i, reason);
            return;
        }
    }
    begin_end(self, reason); /* Who started us has ended. */
    go_on(self, ctx);
}

static void
on_timer(struct supervisor *self, struct sl_ctx *ctx, uint64_t stop)
{
    for (uint32_t i = 0; i < self->spec.children_count; i++) {
        const struct child *c = &self->children[i];
        if (c->state != STOPPING || c->stop != stop)
            continue;
        sl_report_warn("child-killed", "supervisor=%u child=%s action=\"did not end when asked\"",
                       ctx->self.actor, self->spec.children[i].name);
        sl_kill(ctx, c->addr, SL_ECANCELED);
    }
}

/* ---- the actor ----------------------------------------------------------------------------- */

static void
supervisor_init(void *state, struct sl_ctx *ctx, const void *argument)
{
    struct supervisor *self = state;
    self->spec = *(const struct sl_supervisor_spec *)argument;
    self->budget.restarts_max = self->spec.restarts_max;
    self->budget.window_ns = self->spec.window_ns;
    self->children = sl_zalloc(SL_MAX(self->spec.children_count, 1) * sizeof(*self->children));
    for (uint32_t i = 0; i < self->spec.children_count; i++)
        self->children[i].is_due = true;
    go_on(self, ctx);
}

static void
supervisor_handle(void *state, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct supervisor *self = state;
    switch (msg->id) {
    case SL_M_link_down:
        on_link_down(self, ctx, msg);
        break;
    case SL_M_timer:
        on_timer(self, ctx, SL_BODY(msg, timer)->token);
        break;
    case SL_M_exit: {
        uint64_t reason = SL_BODY(msg, exit)->reason;
        begin_end(self, reason < SL_ERR_COUNT ? (enum sl_err)reason : SL_EINVAL);
        go_on(self, ctx);
        break;
    }
    default:
        sl_report_warn("message-unknown", "actor=supervisor message=%s", msg->type->name);
    }
}

static void
supervisor_deinit(void *state)
{
    struct supervisor *self = state;
    sl_free(self->children);
}

const struct sl_actor_class sl_supervisor_class = {.name = "supervisor",
                                                   .state_size = sizeof(struct supervisor),
                                                   .init = supervisor_init,
                                                   .handle = supervisor_handle,
                                                   .deinit = supervisor_deinit,
                                                   .is_trapping = true};

struct sl_addr
sl_supervisor_child(const void *self, uint32_t index)
{
    const struct supervisor *s = self;
    sl_assert(index < s->spec.children_count);
    return s->children[index].addr;
}

uint64_t
sl_supervisor_restarts(const void *self)
{
    return ((const struct supervisor *)self)->restarts;
}
