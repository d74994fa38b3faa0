/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/batch/failure.h"

#include "gateway/arena.h"
#include "gateway/ask.h"

void
sl_batch_failures(struct sl_call *call, const struct sl_batch *b, sl_batch_failure_fn *visit,
                  void *arg)
{
    bool goes_on = true;
    for (uint32_t t = 0; goes_on && t < b->tiers_count; t++) {
        for (struct sl_json_iter i = sl_json_iter(b->tiers[t].jobs); goes_on && sl_json_next(&i);) {
            struct sl_batch_failure f = {.tier = t};
            struct sl_buf prefix = {0};
            struct sl_scan scan = {0};
            const char *job = (const char *)sl_call_text(call, i.value).data;
            sl_txn_scan(call->txn, call->who.scope, SL_TABLE_FAILURE,
                        sl_key_prefix(&prefix, 1, job), sl_slice(NULL, 0), false, &scan);
            while (goes_on && sl_scan_next(&scan)) {
                struct sl_arena_mark mark = sl_arena_mark(call->arena);
                f.key = scan.key;
                f.value = scan.value;
                goes_on = visit(call, arg, &f);
                sl_arena_rewind(call->arena, mark);
            }
            sl_scan_end(&scan);
            sl_buf_deinit(&prefix);
        }
    }
}

struct sl_json
sl_batch_failure_row(struct sl_call *call, const struct sl_batch_failure *f)
{
    return sl_call_parse(call, f->value);
}

uint64_t
sl_batch_number(struct sl_json row, const char *name)
{
    uint64_t value = 0;
    (void)!sl_json_u64(sl_json_member(row, name), &value);
    return value;
}
