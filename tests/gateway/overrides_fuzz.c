/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/overrides/merge.h"

/* What is good makes a configuration, and changes nothing when it is merged once more. */
static void
merge(struct sl_slice text)
{
    static struct sl_config *base;
    char *error = NULL;
    struct sl_overrides *o, *again;
    if (base == NULL)
        base = sl_up_options_load(NULL, &error);
    sl_assert(base != NULL);
    struct sl_config *config = sl_up_options_merge(base, text, &o);
    sl_assert((config == NULL) == (o->errors > 0));
    if (config != NULL) {
        struct sl_config *twice = sl_up_options_merge(config, text, &again);
        sl_assert(twice != NULL);
        struct sl_config_changes changes = sl_config_changes(config, twice);
        sl_assert(changes.count == 0);
        sl_config_changes_deinit(&changes);
        sl_config_destroy(&twice);
        sl_overrides_destroy(&again);
    }
    sl_overrides_destroy(&o);
    sl_config_destroy(&config);
}

/* Any bytes: no crash; a fault has a line that the file has, and a good file is good again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_overrides *o = sl_overrides_read(sl_slice(data, size));
    struct sl_overrides *again = sl_overrides_read(sl_slice(data, size));
    struct sl_buf first = {0}, second = {0};
    sl_overrides_print(o, "f", true, &first);
    sl_overrides_print(again, "f", true, &second);
    sl_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
    for (uint32_t i = 0; i < o->count; i++) {
        sl_assert(o->items[i].line >= 1 && o->items[i].line <= size + 1);
        sl_assert(o->items[i].path[0] != '\0');
    }
    for (uint32_t i = 0; i < o->notes_count; i++)
        sl_assert(o->notes[i].line >= 1 && o->notes[i].line <= size + 2);
    sl_buf_deinit(&first);
    sl_buf_deinit(&second);
    sl_overrides_destroy(&o);
    sl_overrides_destroy(&again);
    merge(sl_slice(data, size));
    return 0;
}
