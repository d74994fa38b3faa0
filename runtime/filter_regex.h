/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_regex.h - regular expressions from outside, made safe: POSIX extended ones (matched by an
 * automaton), short, without back references and with small repeat counts, so that neither
 * compiling nor matching can take long. \d, \D, (?: ), a leading (?i) and "*?" are understood.
 */
#ifndef SL_RUNTIME_FILTER_REGEX_H
#define SL_RUNTIME_FILTER_REGEX_H

#include <regex.h>

#include "runtime/base.h"

/* SL_EINVAL: *ret_why is a static text. On success the caller regfree's *ret_regex. */
SL_MUST_CHECK enum sl_err sl_filter_regex_compile(struct sl_slice pattern, bool is_case_sensitive,
                                                  regex_t *ret_regex, const char **ret_why);
bool sl_filter_regex_matches(const regex_t *regex, struct sl_slice subject);

#endif
