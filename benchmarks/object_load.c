/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object-load: objects of another process, once, as JSON: the part of `sluice bench object-store`
 * that benchmarks/object_peers sets beside Ray.
 */
#include "gateway/bench/arena.h"

int
main(void)
{
    return sl_bench_objects(&(struct sl_bench){.is_quick = true, .is_json = true}) ? 0 : 1;
}
