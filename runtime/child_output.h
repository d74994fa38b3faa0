/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_output.h - what a child prints, read by its parent and passed on to standard error within a
 * budget: one that prints without end fills no disk and blocks nobody. What is over the budget is
 * counted and dropped; the first drop and the sum are reported. Control characters other than ends
 * of lines and tabs become '?'. The lines within the budget are told to the head as well.
 *
 * Threading: one owner. It never blocks: what standard error does not take is dropped, too.
 */
#ifndef SL_RUNTIME_CHILD_OUTPUT_H
#define SL_RUNTIME_CHILD_OUTPUT_H

#include "runtime/report_output.h"

#define SL_CHILD_OUTPUT_BURST  (256 * SL_KIB) /* At once. */
#define SL_CHILD_OUTPUT_SECOND (16 * SL_KIB)  /* And so much more in a second. */

struct sl_child_output {
    int fd;      /* Of a pipe's reading end, owned; -1: closed. */
    int to_fd;   /* Where it goes; borrowed. */
    int pid;     /* Whose it is, for reports. */
    bool is_cut; /* The last that was passed on did not end a line. */
    uint64_t budget, filled_ns;
    uint64_t passed, dropped; /* Bytes. */
    struct sl_report_output lines;
};

/* A pipe to be read by *ret_output; the writing end is the caller's. False: there is none. */
bool sl_child_output_open(struct sl_child_output *ret_output, int *ret_write_fd);
/* Take what is there, some 64 KiB at most; false: the other end is closed. */
bool sl_child_output_take(struct sl_child_output *o, uint64_t now_ns);
void sl_child_output_close(struct sl_child_output *o, uint64_t now_ns); /* After what is left. */

#endif
