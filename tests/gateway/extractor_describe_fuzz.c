/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin prints about itself: any bytes. What is taken must be JSON that a client can be
 * shown. */
#include "gateway/extractor/describe.h"

static void
expect_json(const char *text)
{
    struct sl_json_doc *doc = NULL;
    sl_assert(text == NULL || sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK);
    sl_json_destroy(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_arena *arena = sl_arena_create();
    struct sl_extractor_info info = {.name = "mine", .version = "v1", .id = "mine_v1"};
    struct sl_cause cause;
    if (sl_extractor_description_read(sl_slice(data, size), arena, &info, &cause) == SL_OK) {
        expect_json(info.inputs);
        expect_json(info.inputs_required);
        expect_json(info.outputs);
        expect_json(info.parameters);
        expect_json(info.defaults);
        expect_json(info.position_fields);
    }
    sl_arena_destroy(&arena);
    return 0;
}
