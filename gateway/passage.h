/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passage.h - a tenant's ways in and out: onboarding and offboarding, which are several steps. Each
 * is a transaction of its own, which brings about what it says and notes that it is done, in the
 * tenant's row and in the passage's (SL_TABLE_PASSAGE). So whoever is killed goes on behind the
 * last step that was committed; what a step does outside of the store it does again without harm.
 *
 *   begin --> step --> step --> ... --> ended: the passage's row is gone
 *               ^        |
 *               `--------' sl_passage_any, by the api actor between calls, also after a start
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_PASSAGE_H
#define SL_GATEWAY_PASSAGE_H

#include "gateway/gateway.h"
#include "queue/look.h"

enum sl_passage_state {
    SL_PASSAGE_MORE,  /* The next step is due, or this one is to be looked at again. */
    SL_PASSAGE_ENDED, /* There is none: it is over, or nothing was under way. */
};

/* What a step works with; all of it lives as long as the step. */
struct sl_passage {
    struct sl_call *call;      /* No client's: its transaction is the step's. */
    struct sl_identity tenant; /* Who it is about. */
    struct sl_json row, note;  /* The tenant's row, and the passage's. */
    uint64_t again_ms;         /* Until a step that is not done is looked at again. */
};

/* Run the next step of a tenant's passage, due or not. Errors: the commit's; nothing has changed.
 */
SL_MUST_CHECK enum sl_err sl_passage_step(struct sl_gateway *g, const char *tenant_id,
                                          uint64_t now_ms, enum sl_passage_state *ret_state);
/* The same of any passage that is due, each in its turn. *ret_is_more: there may be another step;
 * else g->passage_due_ms says when. */
SL_MUST_CHECK enum sl_err sl_passage_any(struct sl_gateway *g, uint64_t now_ms, bool *ret_is_more);

/* ---- for the steps -------------------------------------------------------------------------- */
void sl_passage_put(struct sl_call *call, const char *tenant_id, struct sl_slice note);
void sl_passage_put_row(struct sl_passage *p, const struct sl_buf *row); /* The tenant's. */
void sl_passage_end(struct sl_passage *p);                               /* Delete its row. */
/* The passage's task, as its note says: how many of its steps are done, and how it ended. */
struct sl_passage_task {
    uint64_t done, total;
    enum sl_job_state state;
    const char *error; /* "": none. */
};
void sl_passage_put_task(struct sl_passage *p, const struct sl_passage_task *task);
/* A new task in the caller's scope; its id, in arena memory. */
const char *sl_passage_new_task(struct sl_call *call, const char *kind, uint64_t total,
                                const char *about);

uint64_t sl_passage_number(struct sl_json note, const char *name); /* 0: it has none. */

#endif
