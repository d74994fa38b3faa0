/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_regex.h - regular expressions from outside, made safe: short ones, matched by an automaton
 * of bounded size, so that neither compiling nor matching can take long (docs/decisions/0020).
 * RE2's dialect: Perl's without back references and look-around.
 * Threading: what was compiled is asked by any thread.
 */
#ifndef SL_RUNTIME_FILTER_REGEX_H
#define SL_RUNTIME_FILTER_REGEX_H

#include "runtime/base.h"

struct sl_re2;

/* SL_EINVAL: *ret_why is a static text. On success the caller destroys *ret_regex. */
SL_MUST_CHECK enum sl_err sl_filter_regex_compile(struct sl_slice pattern, bool is_case_sensitive,
                                                  struct sl_re2 **ret_regex, const char **ret_why);
void sl_filter_regex_destroy(struct sl_re2 **regex); /* NULL is fine; NULL afterwards. */
bool sl_filter_regex_matches(const struct sl_re2 *regex, struct sl_slice subject);

#endif
