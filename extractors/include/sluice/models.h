/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models.h - models that a plugin opens by their id while it works, beside the one it may have been
 * started for (model.h). Part of extractor.h, whose rules on growth, ownership and threading hold
 * here.
 *
 *   open --(is it deployed on this machine? it is made so)--> struct sluice_model_v1 --> close
 *
 * The weights are those that every replica of the machine maps: nothing is copied. What is open
 * stays as it is and readable until it is closed, also when the model is evicted, deleted or a new
 * version of it comes meanwhile.
 */
#ifndef SLUICE_MODELS_H
#define SLUICE_MODELS_H

#include "sluice/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A flag of struct sluice_extractor: create fails without "models.v1". Then each namespace of each
 * tenant has replicas of its own, which work for it alone and open its models. */
#define SLUICE_EXTRACTOR_NEEDS_MODELS (UINT64_C(1) << 3)

/* What the calls below return. A later host may know more: those are failures, too. */
enum sluice_model_status {
    SLUICE_MODEL_OK = 0,
    SLUICE_MODEL_ABSENT = 1,  /* The namespace has no such model, or not any more. */
    SLUICE_MODEL_FULL = 3,    /* No memory or GPU for it here, or too many are open. */
    SLUICE_MODEL_AWAY = 4,    /* It was not loaded in time, or cannot be; try again later. */
    SLUICE_MODEL_REFUSED = 5, /* What was passed is at fault: an id, a model that is not open. */
};

#define SLUICE_MODEL_ID_BYTES_MAX 256
#define SLUICE_MODELS_OPEN_MAX    16 /* At a time, in one replica. */

/*
 * "models.v1": absent unless the plugin has SLUICE_EXTRACTOR_NEEDS_MODELS. Calls return an enum
 * sluice_model_status.
 */
struct sluice_models_v1 {
    uint32_t size;
    void *self;
    /*
     * Open a model of the namespace by its id ("probe_1_0_0"), NUL-terminated, and set *ret, which
     * lives until it is closed or destroy returns, as all that its calls give. Its `name` is empty.
     * One that is not deployed is deployed first, as through the API: waits for a minute at most.
     */
    int (*open)(void *self, const char *model_id, const struct sluice_model_v1 **ret);
    int (*close)(void *self, const struct sluice_model_v1 *model);
    /* Why the last open failed, for people; until the next one. "" if it did not. No secrets. */
    const char *(*why)(void *self);
};

#ifdef __cplusplus
}
#endif

#endif
