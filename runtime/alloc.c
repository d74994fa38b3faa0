/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *
or_die(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "sluice: out of memory (%zu bytes wanted)\n", size);
        abort();
    }
    return memory;
}

void *
sl_alloc(size_t size)
{
    return or_die(malloc(size == 0 ? 1 : size), size);
}

void *
sl_zalloc(size_t size)
{
    return or_die(calloc(1, size == 0 ? 1 : size), size);
}

void *
sl_realloc(void *memory, size_t size)
{
    return or_die(realloc(memory, size == 0 ? 1 : size), size);
}

void *
sl_memdup(const void *data, size_t size)
{
    char *copy = sl_alloc(size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *
sl_strdup(const char *text)
{
    return text == NULL ? NULL : sl_memdup(text, strlen(text));
}

char *
sl_strndup(const void *text, size_t size)
{
    return sl_memdup(text, size);
}

char *
sl_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int size = vasprintf(&text, format, args);
    va_end(args);
    return or_die(size < 0 ? NULL : text, 0);
}

void
sl_free(void *memory)
{
    free(memory);
}
