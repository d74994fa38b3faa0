/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cause.h - a sentence for the person who sent a file that was refused: what is wrong with it and
 * what to do about it. An enum sl_err says which kind of failure it was; this says which tensor.
 */
#ifndef SL_OBJECT_STORE_CAUSE_H
#define SL_OBJECT_STORE_CAUSE_H

#include "runtime/base.h"

#define SL_CAUSE_SIZE 384

struct sl_cause {
    char text[SL_CAUSE_SIZE]; /* NUL-terminated; long texts are cut. */
};

/* Write the text and return `err`, so that a refusal is one statement. `cause` may be NULL. */
enum sl_err sl_cause_set(struct sl_cause *cause, enum sl_err err, const char *format, ...)
    SL_PRINTF(3, 4);

#endif
