/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_re2.h - the door to RE2, which is C++: only for filter_regex.c. Plain types alone.
 * Threading: what was made is asked by any thread.
 */
#ifndef SL_RUNTIME_FILTER_RE2_H
#define SL_RUNTIME_FILTER_RE2_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_re2;

/* NULL, and *ret_re2 is there; else why not, a static text. */
const char *sl_re2_create(const char *pattern, size_t size, bool is_case_sensitive,
                          struct sl_re2 **ret_re2);
void sl_re2_destroy(struct sl_re2 *re2);
bool sl_re2_matches(const struct sl_re2 *re2, const char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
