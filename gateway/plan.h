/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - the plans that tenants have, and their limits: one table, and what the configuration
 * says of it ("plans: {scale: {models: 10, archive: 2GiB, limits: {max_batch_size: 100}}}").
 *
 * Threading: tables are only read; the configuration's text is the caller's.
 */
#ifndef SL_GATEWAY_PLAN_H
#define SL_GATEWAY_PLAN_H

#include "runtime/base.h"
#include "runtime/json.h"

struct sl_plan {
    const char *name, *alias, *account_type, *isolation;
    uint32_t per_minute[5]; /* metadata data search upload compute; 0: no limit */
    uint32_t models_max;    /* Of one namespace. */
    uint64_t archive_bytes_max;
    bool is_soft; /* Its limits of a day or month slow before they refuse: limit.h. */
};
/* By name or alias; NULL: there is none. */
const struct sl_plan *sl_plan_lookup(struct sl_slice name);

struct sl_plan_limits {
    uint32_t models_max;
    uint64_t archive_bytes_max;
};

/*
 * The limits of a plan as `config` (a JSON object of plans, "" for none) has them; those of the
 * least plan for a name that is none. SL_EINVAL: the configuration, with *ret_error set, which is
 * the caller's to free; NULL there to be told nothing.
 */
SL_MUST_CHECK enum sl_err sl_plan_limits_read(const char *config, struct sl_slice name,
                                              struct sl_plan_limits *ret_limits, char **ret_error);

/*
 * The limits that tenants of a plan have where they have none of their own ("limits", by the names
 * of limit.def); none where the configuration has none. Borrows from *ret_doc, the caller's to
 * destroy, NULL inside or not.
 */
struct sl_json sl_plan_defaults(const char *config, struct sl_slice name,
                                struct sl_json_doc **ret_doc);

/* Is all of the configuration good? Errors as above. */
SL_MUST_CHECK enum sl_err sl_plans_check(const char *config, char **ret_error);

#endif
