/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - what every file may use: asserts that stay on, byte slices, checked arithmetic.
 */
#ifndef SL_RUNTIME_BASE_H
#define SL_RUNTIME_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runtime/err.h"

#define SL_MUST_CHECK         __attribute__((warn_unused_result))
#define SL_PRINTF(f, a)       __attribute__((format(printf, f, a)))
#define SL_NORETURN           __attribute__((noreturn))
#define SL_COUNT_OF(array)    (sizeof(array) / sizeof((array)[0]))
#define SL_MIN(a, b)          ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b)          ((a) > (b) ? (a) : (b))
#define SL_CONTAINER(p, T, m) ((T *)(void *)((char *)(p)-offsetof(T, m)))

#define SL_SECOND_NS          UINT64_C(1000000000)
#define SL_MILLI_NS           UINT64_C(1000000)
#define SL_MICRO_NS           UINT64_C(1000)
#define SL_KIB                UINT64_C(1024)
#define SL_MIB                (SL_KIB * 1024)
#define SL_GIB                (SL_MIB * 1024)

/* Programmer error: die, naming the place. Never used on what a peer, file or client sent. */
#define sl_assert(cond) ((cond) ? (void)0 : sl_assert_failed(#cond, __FILE__, __LINE__))

/* Believed impossible but survivable: true (and reported once per call) when `cond` holds. */
#define SL_BUG(cond) (__builtin_expect(!!(cond), 0) && sl_bug(#cond, __FILE__, __LINE__))

SL_NORETURN void sl_assert_failed(const char *cond, const char *file, int line);
bool sl_bug(const char *cond, const char *file, int line); /* Always true. */

/* Borrowed bytes; `data` may be NULL only when size is 0. Not NUL-terminated. */
struct sl_slice {
    const uint8_t *data;
    size_t size;
};

static inline struct sl_slice
sl_slice(const void *data, size_t size)
{
    return (struct sl_slice){.data = (const uint8_t *)data, .size = size};
}

static inline struct sl_slice
sl_slice_str(const char *text)
{
    return sl_slice(text, text == NULL ? 0 : strlen(text));
}

static inline bool
sl_slice_equal(struct sl_slice a, struct sl_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
sl_slice_is(struct sl_slice a, const char *text)
{
    return sl_slice_equal(a, sl_slice_str(text));
}

/* For printf's "%.*s". */
#define SL_SLICE_FMT(s) (int)SL_MIN((s).size, (size_t)INT32_MAX), (const char *)(s).data

#endif
