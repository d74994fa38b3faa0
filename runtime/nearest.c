/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/nearest.h"

uint32_t
sl_text_distance(struct sl_slice a, struct sl_slice b)
{
    uint32_t row[SL_NEAREST_SIZE_MAX + 1];
    size_t rows = SL_MIN(a.size, (size_t)SL_NEAREST_SIZE_MAX);
    size_t size = SL_MIN(b.size, (size_t)SL_NEAREST_SIZE_MAX);
    for (uint32_t i = 0; i <= size; i++)
        row[i] = i;
    for (uint32_t i = 1; i <= rows; i++) {
        uint32_t before = row[0];
        row[0] = i;
        for (uint32_t k = 1; k <= size; k++) {
            uint32_t change = before + (a.data[i - 1] != b.data[k - 1]);
            before = row[k];
            row[k] = SL_MIN(change, SL_MIN(row[k], row[k - 1]) + 1);
        }
    }
    return row[size];
}

bool
sl_is_near(struct sl_slice a, struct sl_slice b, uint32_t distance)
{
    return distance <= SL_MAX((size_t)2, SL_MIN(a.size, b.size) / 2);
}
