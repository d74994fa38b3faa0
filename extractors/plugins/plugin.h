/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - small things that the built-in plugins share.
 */
#ifndef SL_EXTRACTORS_PLUGINS_PLUGIN_H
#define SL_EXTRACTORS_PLUGINS_PLUGIN_H

#include <stdarg.h>
#include <stdio.h>

#include "runtime/base.h"
#include "sluice/extractor.h"

/* Fill an error in. Returns -1, as create does then. */
SL_PRINTF(4, 5)
static inline int
plugin_fail(struct sluice_error *error, enum sluice_error_kind kind, const char *code,
            const char *format, ...)
{
    va_list args;
    error->kind = kind;
    snprintf(error->code, sizeof(error->code), "%s", code);
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return -1;
}

/* The input of that name, or NULL. */
static inline const struct sluice_input *
plugin_input(const struct sluice_item *item, const char *name)
{
    for (uint32_t i = 0; i < item->input_count; i++) {
        const struct sluice_input *input = SLUICE_AT(struct sluice_input, item->inputs, i);
        if (strcmp(input->name, name) == 0)
            return input;
    }
    return NULL;
}

#endif
