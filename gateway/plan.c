/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/plan.h"

#include "gateway/limit.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/json.h"
#include "runtime/limits.h"

#define MODELS_MAX 50
#define LIMITS     "limits"

/* Who has no models of its own has their limits all the same: for when a plan is changed. */
static const struct sl_plan plans[] = {
    {"free",
     "free",
     "free",
     "logical",
     {10, 10, 10, 10, 10},
     MODELS_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     false},
    {"starter",
     "starter",
     "pro",
     "logical",
     {60, 60, 30, 10, 10},
     MODELS_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     true},
    {"growth",
     "standard",
     "team",
     "logical",
     {600, 600, 300, 60, 60},
     MODELS_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     false},
    {"scale",
     "premium",
     "enterprise",
     "process",
     {3000, 3000, 1500, 300, 300},
     MODELS_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     false},
    {"enterprise",
     "platinum",
     "enterprise",
     "physical",
     {0},
     MODELS_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     false},
    {"unlimited",
     "unlimited",
     "enterprise",
     "logical",
     {0},
     UINT32_MAX,
     SL_LIMIT_ARCHIVE_BYTES,
     false},
};

/* What the configuration may say of a plan. */
enum { KEY_MODELS, KEY_ARCHIVE, KEY_COUNT };
static const struct sl_config_key keys[KEY_COUNT] = {
    [KEY_MODELS] = {"models", SL_CONFIG_INT, "50", 0, 1000000, "models", "Of one namespace."},
    [KEY_ARCHIVE] = {"archive", SL_CONFIG_SIZE, "10GiB", 1, SL_LIMIT_ARCHIVE_BYTES, "",
                     "Of one model."},
};

const struct sl_plan *
sl_plan_lookup(struct sl_slice name)
{
    for (size_t i = 0; i < SL_COUNT_OF(plans); i++) {
        if (sl_slice_is(name, plans[i].name) || sl_slice_is(name, plans[i].alias))
            return &plans[i];
    }
    return NULL;
}

static enum sl_err
check_defaults(struct sl_json limits, char **ret_error)
{
    for (struct sl_json_iter i = sl_json_iter(limits); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        uint64_t max;
        enum sl_limit limit = sl_limit_of(sl_slice_str(name == NULL ? "" : name));
        bool is_good = limit != SL_LIMIT_NONE && sl_limit_read(limit, i.value, &max) == SL_OK;
        if (!is_good)
            *ret_error =
                sl_format("limits: %.64s: there is no such limit, or it is no number above "
                          "0, and a whole one but for budgets",
                          name == NULL ? "" : name);
        sl_free(name);
        if (!is_good)
            return SL_EINVAL;
    }
    if (sl_json_kind(limits) == SL_JSON_OBJECT)
        return SL_OK;
    *ret_error = sl_strdup("limits: it is no mapping of limits");
    return SL_EINVAL;
}

/* One plan's object over *limits. */
static enum sl_err
read_plan(struct sl_json plan, struct sl_plan_limits *limits, char **ret_error)
{
    struct sl_config *values = NULL;
    enum sl_err err = sl_config_load(keys, KEY_COUNT, NULL, &values, ret_error);
    if (err == SL_OK && sl_json_kind(plan) != SL_JSON_OBJECT) {
        *ret_error = sl_strdup("it is no mapping of limits");
        err = SL_EINVAL;
    }
    for (struct sl_json_iter i = sl_json_iter(plan); err == SL_OK && sl_json_next(&i);) {
        if (sl_json_is(i.name, LIMITS)) {
            err = check_defaults(i.value, ret_error);
            continue;
        }
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        err = name == NULL || value == NULL ? SL_EINVAL
                                            : sl_config_set(values, name, value, ret_error);
        if (err == SL_OK && strcmp(name, keys[KEY_MODELS].path) == 0)
            limits->models_max = (uint32_t)sl_config_int(values, KEY_MODELS);
        else if (err == SL_OK)
            limits->archive_bytes_max = sl_config_size(values, KEY_ARCHIVE);
        sl_free(name);
        sl_free(value);
    }
    sl_config_destroy(&values);
    return err == SL_OK ? SL_OK : SL_EINVAL;
}

static enum sl_err
read_config(const char *config, struct sl_json_doc **ret_doc, char **ret_error)
{
    *ret_doc = NULL;
    if (config == NULL || config[0] == '\0')
        return SL_OK;
    if (sl_json_parse(sl_slice_str(config), ret_doc, NULL) == SL_OK &&
        sl_json_kind(sl_json_root(*ret_doc)) == SL_JSON_OBJECT)
        return SL_OK;
    sl_json_destroy(ret_doc);
    *ret_error = sl_strdup("plans: it is no mapping of plans");
    return SL_EINVAL;
}

enum sl_err
sl_plan_limits_read(const char *config, struct sl_slice name, struct sl_plan_limits *ret_limits,
                    char **ret_error)
{
    const struct sl_plan *plan = sl_plan_lookup(name);
    struct sl_json_doc *doc = NULL;
    char *error = NULL;
    if (plan == NULL)
        plan = &plans[0];
    struct sl_plan_limits limits = {plan->models_max, plan->archive_bytes_max};
    enum sl_err err = read_config(config, &doc, &error);
    struct sl_json said = {0};
    if (doc != NULL)
        said = sl_json_member(sl_json_root(doc), plan->name);
    if (sl_json_has(said))
        err = read_plan(said, &limits, &error);
    sl_json_destroy(&doc);
    if (err == SL_OK)
        *ret_limits = limits;
    if (ret_error != NULL)
        *ret_error = error;
    else
        sl_free(error);
    return err;
}

struct sl_json
sl_plan_defaults(const char *config, struct sl_slice name, struct sl_json_doc **ret_doc)
{
    const struct sl_plan *plan = sl_plan_lookup(name);
    char *error = NULL;
    struct sl_json none = {0};
    *ret_doc = NULL;
    if (plan == NULL || read_config(config, ret_doc, &error) != SL_OK || *ret_doc == NULL) {
        sl_free(error); /* It was checked at the start. */
        return none;
    }
    return sl_json_member(sl_json_member(sl_json_root(*ret_doc), plan->name), LIMITS);
}

enum sl_err
sl_plans_check(const char *config, char **ret_error)
{
    struct sl_json_doc *doc = NULL;
    enum sl_err err = read_config(config, &doc, ret_error);
    if (doc == NULL)
        return err;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc));
         err == SL_OK && sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *why = NULL;
        const struct sl_plan *plan = sl_plan_lookup(sl_slice_str(name == NULL ? "" : name));
        struct sl_plan_limits limits;
        if (plan == NULL || strcmp(name, plan->name) != 0)
            err = SL_EINVAL;
        else
            err = read_plan(i.value, &limits, &why);
        if (err != SL_OK)
            *ret_error = sl_format("plans: %.64s: %s", name == NULL ? "" : name,
                                   why == NULL ? "there is no such plan, or no such limit" : why);
        sl_free(why);
        sl_free(name);
    }
    sl_json_destroy(&doc);
    return err;
}
