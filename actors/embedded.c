/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/embedded.h"

/* The first vector of the first output: what an embedding call wants. */
static struct sl_slice
first_vector(struct sl_slice outputs)
{
    struct sl_reader in = sl_reader(outputs);
    if (sl_read_u32(&in) == 0)
        return (struct sl_slice){0};
    (void)sl_read_block(&in);
    if (sl_read_u32(&in) == 0)
        return (struct sl_slice){0};
    (void)sl_read_block(&in);
    return sl_read_block(&in);
}

struct sl_m_embedded
sl_embedded_of_outputs(struct sl_slice outputs, const struct sl_item_times *times)
{
    struct sl_item_phases phases = sl_item_phases_of(times);
    struct sl_m_embedded m = {.vector = first_vector(outputs),
                              .queued_ns = phases.queued_ns,
                              .batched_ns = phases.batched_ns,
                              .computed_ns = phases.computed_ns};
    if (m.vector.size == 0) {
        m.err = SL_EINVAL;
        m.message = sl_slice_str("the text gives no vector");
    }
    return m;
}

struct sl_m_embedded
sl_embedded_of_failure(uint64_t kind, struct sl_slice message)
{
    enum sl_err err = kind == SL_FAIL_PERMANENT ? SL_EINVAL
                      : kind == SL_FAIL_CRASH   ? SL_ECRASHED
                                                : SL_EUNAVAIL;
    return (struct sl_m_embedded){.err = err, .message = message};
}
