/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/alloc.h"
#include "tests/runtime/config_table.h"

/* Any bytes: no crash; an error has a text; what was accepted can be printed and loaded again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_config *config = NULL, *again = NULL;
    struct sl_buf first = {0}, second = {0};
    char *error;
    enum sl_err err = sl_config_load(table, SL_COUNT_OF(table), NULL, &config, &error);
    sl_assert(err == SL_OK);
    err = sl_config_parse(config, "fuzz", sl_slice(data, size), &error);
    sl_assert((err == SL_OK) == (error == NULL));
    sl_free(error);
    sl_config_print(config, &first);
    err = sl_config_load(table, SL_COUNT_OF(table), NULL, &again, &error);
    sl_assert(err == SL_OK);
    err = sl_config_parse(again, "again", sl_buf_slice(&first), &error);
    sl_assert(err == SL_OK);
    sl_config_print(again, &second);
    sl_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
    sl_config_destroy(&config);
    sl_config_destroy(&again);
    sl_buf_deinit(&first);
    sl_buf_deinit(&second);
    return 0;
}
