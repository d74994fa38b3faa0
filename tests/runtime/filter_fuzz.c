/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a filter tree, a newline, a row. Compiling and asking must be quick and touch nothing. */
#include "runtime/filter.h"
#include "runtime/alloc.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = sl_strndup(data, size);
    const char *cut = memchr(copy, '\n', size);
    struct sl_json_doc *tree = NULL, *row = NULL;
    struct sl_filter *filter = NULL;
    char *why = NULL;
    if (cut == NULL) {
        sl_free(copy);
        return 0;
    }
    struct sl_slice head = sl_slice(copy, (size_t)(cut - copy));
    struct sl_slice rest = sl_slice(cut + 1, size - head.size - 1);
    if (sl_json_parse(head, &tree, NULL) == SL_OK && sl_json_parse(rest, &row, NULL) == SL_OK) {
        struct sl_filter_options options = {.inputs = sl_json_root(row)};
        if (sl_filter_compile(sl_json_root(tree), &options, &filter, &why) == SL_OK)
            (void)sl_filter_matches(filter, sl_json_root(row));
        else
            sl_assert(why != NULL && filter == NULL);
    }
    sl_free(why);
    sl_filter_destroy(&filter);
    sl_json_destroy(&tree);
    sl_json_destroy(&row);
    sl_free(copy);
    return 0;
}
