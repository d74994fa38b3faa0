/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_source.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

void
sl_replica_source(const char *text, struct sl_report_source *source)
{
    struct sl_json_doc *doc = NULL;
    uint64_t number = 0;
    if (sl_json_parse(sl_slice_str(text), &doc, NULL) != SL_OK)
        return;
    struct sl_json root = sl_json_root(doc);
    char *extractor = sl_json_strdup(sl_json_member(root, "extractor"));
    (void)snprintf(source->extractor, sizeof(source->extractor), "%s",
                   extractor == NULL ? "" : extractor);
    if (sl_json_u64(sl_json_member(root, "agent"), &number) == SL_OK)
        (void)snprintf(source->node, sizeof(source->node), "%" PRIu64, number);
    if (sl_json_u64(sl_json_member(root, "tenant"), &number) == SL_OK)
        source->scope = number;
    sl_free(extractor);
    sl_json_destroy(&doc);
}
