/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/alloc.h"
#include "tests/runtime/json_oracle.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oracle_check(sl_slice(data, size));
    return 0;
}
