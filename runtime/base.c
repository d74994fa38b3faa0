/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/report.h"

void
sl_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "sluice: assertion failed: %s (%s:%d)\n", cond, file, line);
    abort();
}

bool
sl_bug(const char *cond, const char *file, int line)
{
    sl_report_error("bug", "cond=\"%s\" file=%s line=%d", cond, file, line);
    return true;
}
