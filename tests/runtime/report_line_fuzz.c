/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is reported, it is one line, of which a terminal obeys nothing, and JSON is JSON. */
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[SL_REPORT_LINE_MAX];
    char *details = sl_strndup((const char *)data, size);
    const struct sl_report_line what = {
        .level = "warn", .role = "main", .event = "e", .details = details};
    struct sl_json_doc *doc = NULL;
    size_t used = sl_report_line_text(&what, line);
    sl_assert(used <= sizeof(line) && line[used - 1] == '\n');
    for (size_t i = 0; i + 1 < used; i++)
        sl_assert((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    used = sl_report_line_json(&what, line);
    sl_assert(used <= sizeof(line) && line[used - 1] == '\n');
    for (size_t i = 0; i + 1 < used; i++)
        sl_assert((unsigned char)line[i] >= ' ' && line[i] != '<');
    sl_assert(sl_json_parse(sl_slice(line, used - 1), &doc, NULL) == SL_OK);
    sl_json_destroy(&doc);
    sl_free(details);
    return 0;
}
