/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-load PORT SECONDS CONNECTIONS: the load of `sluice bench serve` on any server of this
 * machine, over connections that stay open: the request on standard input, head and body, again
 * and again on each. Prints a line of JSON. For benchmarks/serve_peers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench/http.h"
#include "runtime/time.h"

#define REQUEST_MAX     (64 * SL_KIB)
#define CONNECTIONS_MAX 1024

int
main(int argc, char **argv)
{
    static char request[REQUEST_MAX];
    unsigned long port = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    double seconds = argc == 4 ? strtod(argv[2], NULL) : 0;
    unsigned long connections = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    size_t size = fread(request, 1, sizeof(request), stdin);
    if (port == 0 || port > UINT16_MAX || !(seconds > 0 && seconds <= 600) || connections == 0 ||
        connections > CONNECTIONS_MAX || size == 0 || size == sizeof(request)) {
        (void)fprintf(stderr, "http-load PORT SECONDS CONNECTIONS <REQUEST\n");
        return 2;
    }
    struct sl_bench_http_kind kind = {.request = sl_slice(request, size),
                                      .connections = (uint32_t)connections};
    struct sl_bench_http load = {.port = (uint16_t)port,
                                 .kinds = &kind,
                                 .kinds_count = 1,
                                 .warm_ns = (uint64_t)(SL_MAX(seconds / 2, 1.0) * SL_SECOND_NS),
                                 .measured_ns = (uint64_t)(seconds * SL_SECOND_NS)};
    struct sl_bench_http_result result;
    if (!sl_bench_http_run(&load, &result))
        return 1;
    printf("{\"good\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           result.good, result.refused, result.per_s, result.p50_us, result.p99_us);
    return 0;
}
