/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.h - a handler that looks at every row of something large does so in turns: after a few
 * thousand rows others are served, then it goes on behind the last one. It may walk over several
 * ranges of keys, numbered from 0 in the order they are walked.
 *
 *   static void go_on(struct sl_call *call)
 *   {
 *       struct mine *m = call->state;             // holds the turn; outlives each of them
 *       for (uint32_t i = 0; i < m->count; i++)
 *           if (!sl_turn_walk(&m->turn, call, &(struct sl_turn_range){i, ...}, look, m)) {
 *               sl_turn_give(&m->turn, call, go_on);
 *               return;
 *           }
 *       ...                                       // all rows were seen
 *   }
 *
 * Between two turns rows come and go: one that was there all the time is seen once. What the
 * handler found in an earlier turn may be gone.
 */
#ifndef SL_GATEWAY_TURN_H
#define SL_GATEWAY_TURN_H

#include "gateway/call.h"

struct sl_turn { /* Zeroed: before the first row. */
    uint32_t range;
    struct sl_buf after;
    uint64_t cost; /* Of this turn. */
};

struct sl_turn_range {
    uint32_t number;
    uint8_t table;
    const char *id; /* The first part of the keys. */
};

/* False: enough, of this range and those after it. What it takes of the arena is given back. */
typedef bool sl_turn_row_fn(struct sl_call *call, void *arg, struct sl_slice key,
                            struct sl_slice value);

/* True: the range is through, now or in an earlier turn. False: the turn is over. */
bool sl_turn_walk(struct sl_turn *turn, struct sl_call *call, const struct sl_turn_range *range,
                  sl_turn_row_fn *row, void *arg);
/* Serve others, then run `then` with a new transaction. The handler returns. */
void sl_turn_give(struct sl_turn *turn, struct sl_call *call, sl_handler_fn *then);
void sl_turn_end(struct sl_turn *turn); /* Frees; zeroed is fine. */

#endif
