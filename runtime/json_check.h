/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_check.h - the strict RFC 8259 grammar, one pass over a text, without memory. For json.c
 * only. (jsmn splits texts well but accepts much that is not JSON: so it is shown checked texts
 * alone.)
 */
#ifndef SL_RUNTIME_JSON_CHECK_H
#define SL_RUNTIME_JSON_CHECK_H

#include "runtime/json.h"

/* SL_EINVAL: not JSON; *ret_error says where. *ret_tokens: values and member names in the text. */
SL_MUST_CHECK
enum sl_err sl_json_check(struct sl_slice text, uint32_t *ret_tokens,
                          struct sl_json_error *ret_error);

/* Fill *ret_error for a place in a text. */
void sl_json_error_at(struct sl_slice text, size_t offset, const char *what,
                      struct sl_json_error *ret_error);

#endif
