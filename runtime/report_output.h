/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_output.h - what a child prints, told line by line (report_sink.h) with whose it is. Within
 * 64 KiB at once and 8 KiB a second, a line counted as 128 bytes more than it has: a socket that
 * others need is not filled by one. A line has 1 KiB; the rest of it is left out.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_REPORT_OUTPUT_H
#define SL_RUNTIME_REPORT_OUTPUT_H

#include "runtime/report_entry.h"

#define SL_REPORT_OUTPUT_LINE   1024
#define SL_REPORT_OUTPUT_BURST  (64 * SL_KIB)
#define SL_REPORT_OUTPUT_SECOND (8 * SL_KIB)

/* Whose lines they are. */
struct sl_report_source {
    const char *role; /* Static. */
    char extractor[96], node[32];
    uint64_t scope; /* Of the one tenant that it works for; 0: of several. */
    uint32_t pid;
};

struct sl_report_output {
    struct sl_report_source source;
    uint64_t budget, filled_ns;
    uint32_t size, missed;
    char line[SL_REPORT_OUTPUT_LINE]; /* [0, size): begun. */
};

void sl_report_output_init(struct sl_report_output *o, const struct sl_report_source *source);
void sl_report_output_take(struct sl_report_output *o, struct sl_slice bytes, uint64_t now_ns);
void sl_report_output_end(struct sl_report_output *o, uint64_t now_ns); /* A line without an end. */

#endif
