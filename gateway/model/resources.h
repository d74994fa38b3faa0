/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model/resources.h - what a model asks of a node: read, checked, and as its row keeps it.
 * Threading: handlers'.
 */
#ifndef SL_GATEWAY_MODEL_RESOURCES_H
#define SL_GATEWAY_MODEL_RESOURCES_H

#include "gateway/call.h"

#define SL_MODEL_CPUS_MIN      0.1
#define SL_MODEL_CPUS_MAX      64.0
#define SL_MODEL_GPUS_MAX      8
#define SL_MODEL_MEMORY_GB_MAX 1024.0

struct sl_model_resources {
    double num_cpus;
    uint64_t num_gpus;
    double memory_gb; /* GiB. */
};

/* What a model asks for that says nothing. */
#define SL_MODEL_RESOURCES_DEFAULT                                                                 \
    ((struct sl_model_resources){.num_cpus = 1.0, .num_gpus = 0, .memory_gb = 4.0})

/* NULL, or what is wrong with it: *ret_name is the member's name. */
const char *sl_model_resources_problem(const struct sl_model_resources *r, const char **ret_name);

/*
 * Take what `object` says: num_cpus, num_gpus, and memory in bytes or memory_gb; the rest of *r
 * stays. `loc` is where the object lies in the request. False: the call has failed with 422.
 */
bool sl_model_resources_read(struct sl_call *call, struct sl_json object, const char *loc,
                             struct sl_model_resources *r);

/* The value of resource_requirements. */
void sl_model_resources_write(struct sl_jsonw *w, const struct sl_model_resources *r);

#endif
