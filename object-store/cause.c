/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/cause.h"

#include <stdarg.h>
#include <stdio.h>

enum sl_err
sl_cause_set(struct sl_cause *cause, enum sl_err err, const char *format, ...)
{
    sl_assert(err != SL_OK);
    sl_assert(format != NULL);
    if (cause != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(cause->text, sizeof(cause->text), format, args);
        va_end(args);
    }
    return err;
}
