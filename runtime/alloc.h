/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - control-plane memory. These never return NULL: when memory cannot be had the process
 * ends, and what it had acknowledged is in the log. Payload-sized memory is bounded by its callers.
 */
#ifndef SL_RUNTIME_ALLOC_H
#define SL_RUNTIME_ALLOC_H

#include <stddef.h>

#include "runtime/base.h"

void *sl_alloc(size_t size);                    /* Uninitialised. */
void *sl_zalloc(size_t size);                   /* Zeroed. */
void *sl_realloc(void *memory, size_t size);    /* `memory` may be NULL. */
void *sl_memdup(const void *data, size_t size); /* One NUL is appended. */
char *sl_strdup(const char *text);              /* NULL gives NULL. */
char *sl_strndup(const void *text, size_t size);
char *sl_format(const char *format, ...) SL_PRINTF(1, 2); /* Owned by the caller. */
void sl_free(void *memory);                               /* NULL is fine. */

#endif
