/* SPDX-License-Identifier: Apache-2.0 */
/* Both things of an upload's request that a stranger writes: the range, and a URL to fetch. */
#include "gateway/content_range.h"
#include "gateway/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_content_range r;
    const char *cause = NULL;
    if (sl_content_range_parse(sl_slice(data, size), &r) == SL_OK) {
        sl_assert(r.is_query == (r.size_bytes == 0));
        sl_assert(r.offset + r.size_bytes <= SL_CONTENT_RANGE_MAX);
        sl_assert(!r.has_total || r.total_bytes >= r.offset + r.size_bytes);
    }
    if (sl_fetch_check_url(sl_slice(data, size), false, &cause) == SL_OK)
        sl_assert(size >= strlen("http://a"));
    else
        sl_assert(cause != NULL);
    return 0;
}
