/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class.h - which workers a task is for, and what names a job.
 */
#ifndef SL_QUEUE_CLASS_H
#define SL_QUEUE_CLASS_H

#include "runtime/base.h"

/* Which workers a task is for: those of a group, of all tenants; or whoever leases from the
 * tenant's own queue of a name. */
enum sl_class {
    SL_CLASS_CPU,
    SL_CLASS_BATCH,
    SL_CLASS_GPU,
    SL_CLASS_COUNT, /* Of those that have worker groups. */
    SL_CLASS_OWN = SL_CLASS_COUNT
};
const char *sl_class_name(enum sl_class class); /* "cpu", "batch", "gpu", "own" */

struct sl_job_id {
    uint8_t bytes[16];
};

#endif
