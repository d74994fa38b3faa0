/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken is written as it was read, up to the flags that are known. */
#include "runtime/trace_context.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_trace_context context, again;
    char text[SL_TRACE_PARENT_SIZE];
    struct sl_slice all = sl_slice(data, size);
    (void)sl_trace_state_is_good(all);
    if (!sl_trace_context_parse(all, &context))
        return 0;
    sl_trace_context_format(&context, text);
    sl_assert(memcmp(text + 2, data + 2, 51) == 0);
    sl_assert(sl_trace_context_parse(sl_slice_str(text), &again));
    sl_assert(memcmp(&context, &again, sizeof(context)) == 0);
    return 0;
}
