/* SPDX-License-Identifier: Apache-2.0 */
/* Any path: what matches gives parameters that lie inside it and decode or are refused. */
#include "gateway/percent.h"
#include "gateway/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t decoded[4096];
    if (size < 1 || size > sizeof(decoded))
        return 0;
    enum sl_method method = data[0] % SL_METHOD_COUNT;
    struct sl_slice path = sl_slice(data + 1, size - 1);
    struct sl_slice params[SL_CALL_PARAMS_MAX] = {{NULL, 0}};
    const struct sl_route *route = NULL;
    enum sl_err err = sl_route_match(method, path, &route, params);
    unsigned methods = sl_route_methods(path);
    sl_assert((err == SL_ENOTFOUND) == (methods == 0));
    if (err != SL_OK)
        return 0;
    sl_assert(route != NULL && (methods & (1u << method)));
    uint32_t wanted = 0;
    for (const char *at = route->path; *at != '\0'; at++)
        wanted += *at == '{';
    for (uint32_t i = 0; i < wanted; i++) {
        size_t decoded_size = 0;
        sl_assert(params[i].size > 0 && params[i].data >= path.data);
        sl_assert(params[i].data + params[i].size <= path.data + path.size);
        if (sl_percent_decode(params[i], true, decoded, &decoded_size) == SL_OK)
            sl_assert(decoded_size <= params[i].size);
    }
    return 0;
}
