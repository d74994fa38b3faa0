/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/model/resources.h"

const char *
sl_model_resources_problem(const struct sl_model_resources *r, const char **ret_name)
{
    *ret_name = "num_cpus";
    if (!(r->num_cpus >= SL_MODEL_CPUS_MIN && r->num_cpus <= SL_MODEL_CPUS_MAX))
        return "must be a number in 0.1..64";
    *ret_name = "num_gpus";
    if (r->num_gpus > SL_MODEL_GPUS_MAX)
        return "must be an integer in 0..8";
    *ret_name = "memory_gb";
    if (!(r->memory_gb > 0 && r->memory_gb <= SL_MODEL_MEMORY_GB_MAX))
        return "must be a number over 0, at most 1024";
    return NULL;
}

/* False: it is there, and no such number. */
static bool
read_f64(struct sl_json object, const char *name, double scale, double *number)
{
    double read;
    struct sl_json v = sl_json_member(object, name);
    if (!sl_json_has(v))
        return true;
    if (sl_json_f64(v, &read) != SL_OK)
        return false;
    *number = read * scale;
    return true;
}

bool
sl_model_resources_read(struct sl_call *call, struct sl_json object, const char *loc,
                        struct sl_model_resources *r)
{
    struct sl_json gpus = sl_json_member(object, "num_gpus");
    const char *name = "num_cpus", *problem = "must be a number";
    bool is_read = read_f64(object, "num_cpus", 1, &r->num_cpus);
    if (is_read) {
        name = "memory";
        is_read = read_f64(object, "memory", 1 / (double)SL_GIB, &r->memory_gb) &&
                  read_f64(object, "memory_gb", 1, &r->memory_gb);
    }
    if (is_read && sl_json_has(gpus)) {
        name = "num_gpus";
        problem = "must be an integer in 0..8";
        is_read = sl_json_u64(gpus, &r->num_gpus) == SL_OK;
    }
    if (is_read)
        problem = sl_model_resources_problem(r, &name);
    if (problem != NULL)
        sl_call_invalid(call, sl_call_format(call, "%s.%s", loc, name), "out_of_range", "%s",
                        problem);
    return problem == NULL;
}

void
sl_model_resources_write(struct sl_jsonw *w, const struct sl_model_resources *r)
{
    sl_jsonw_object(w);
    sl_jsonw_member_f64(w, "num_cpus", r->num_cpus);
    sl_jsonw_member_u64(w, "num_gpus", r->num_gpus);
    sl_jsonw_member_u64(w, "memory", (uint64_t)(r->memory_gb * (double)SL_GIB));
    sl_jsonw_end(w);
}
