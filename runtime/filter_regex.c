/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter_regex.h"

#include "runtime/filter.h"
#include "runtime/filter_re2.h"

enum sl_err
sl_filter_regex_compile(struct sl_slice pattern, bool is_case_sensitive, struct sl_re2 **ret_regex,
                        const char **ret_why)
{
    *ret_regex = NULL;
    if (pattern.size == 0 || pattern.size > SL_FILTER_PATTERN_SIZE_MAX)
        *ret_why = "it must have 1 to 256 bytes";
    else
        *ret_why =
            sl_re2_create((const char *)pattern.data, pattern.size, is_case_sensitive, ret_regex);
    return *ret_why == NULL ? SL_OK : SL_EINVAL;
}

void
sl_filter_regex_destroy(struct sl_re2 **regex)
{
    sl_re2_destroy(*regex);
    *regex = NULL;
}

bool
sl_filter_regex_matches(const struct sl_re2 *regex, struct sl_slice subject)
{
    size_t size = SL_MIN(subject.size, (size_t)SL_FILTER_SUBJECT_SIZE_MAX);
    return sl_re2_matches(regex, subject.data == NULL ? "" : (const char *)subject.data, size);
}
