/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models.h - rows of SL_TABLE_MODEL, found by id. A row is the Model object as clients see it, and
 * "directory", where its files lie.
 *
 * Models of a namespace have its id in their key; those of the organization SL_MODELS_ORGANIZATION
 * in its place. A namespace that enabled one of these has a row of its own for it, with
 * "is_of_organization" and the same directory.
 */
#ifndef SL_GATEWAY_MODELS_H
#define SL_GATEWAY_MODELS_H

#include "gateway/call.h"
#include "gateway/model/resources.h"
#include "gateway/plan.h"
#include "gateway/resource.h"
#include "gateway/unpack.h"
#include "runtime/time.h"

#define SL_MODELS_ORGANIZATION "organization" /* No id of a namespace. */

/* False: there is none; the call does not fail. */
bool sl_model_find(struct sl_call *call, const char *namespace_id, struct sl_slice id,
                   struct sl_resource *ret_model);

struct sl_model_new {
    const char *namespace_id; /* Or SL_MODELS_ORGANIZATION. */
    struct sl_slice name, version, framework, description;
    const char *format, *task, *hash;
    struct sl_model_resources resources;

    /* Of sl_model_prepare. */
    const char *model_id, *index, *directory;
    struct sl_unpack_request request;
};

bool sl_model_name_is_good(struct sl_slice name);
bool sl_model_version_is_good(struct sl_slice version);
const char *sl_model_format(struct sl_slice name); /* NULL: unknown. */
/* Of the caller's plan. */
struct sl_plan_limits sl_model_limits(struct sl_call *call);
/* 403 and 409 as a text: what forbids another model of this name there; NULL: nothing does. */
const char *sl_model_obstacle(struct sl_call *call, const struct sl_model_new *m,
                              enum sl_api_error *ret_error);
/* Fill in the id, the index and what unpacking needs but the archive. Arena. */
void sl_model_prepare(struct sl_call *call, struct sl_model_new *m);
/* Give its unpacked image its place, whose name is its own and ends in the image's digest: so
 * nobody takes it for another that lay there. It goes again where the call commits nothing. As
 * sl_unpack_keep. */
SL_MUST_CHECK enum sl_err sl_model_keep(struct sl_call *call, struct sl_model_new *m,
                                        const struct sl_unpack_report *report);
/* Put its row, not deployed; returns it. */
struct sl_json sl_model_put(struct sl_call *call, const struct sl_model_new *m,
                            const struct sl_unpack_report *report);

/* Write the row's members but those that are ours alone. */
void sl_model_write(struct sl_call *call, struct sl_json row);
/* Does some collection of the namespace make its vectors with this model? */
bool sl_model_is_used(struct sl_call *call, const char *namespace_id, const char *model_id);
/* Does another namespace have the same files deployed? */
bool sl_model_is_kept_elsewhere(struct sl_call *call, const char *namespace_id,
                                const char *directory);
/* After the commit, which takes its row away: no node has it any more, and its files go; those of
 * the organization's stay, and so does their memory while another namespace has it deployed. */
void sl_model_let_go(struct sl_call *call, const char *namespace_id, struct sl_json row);
void sl_models_let_go(struct sl_call *call, const char *namespace_id); /* All of a namespace. */
/* Delete the row and let it go. 409 on the call: it is used. */
bool sl_model_delete(struct sl_call *call, const char *namespace_id,
                     const struct sl_resource *model);
/* Have the weights loaded, then run `then`, which calls sl_model_deployed; the call's state is ours
 * meanwhile. False: the call has failed. */
bool sl_model_deploy(struct sl_call *call, const char *namespace_id,
                     const struct sl_resource *model, sl_handler_fn *then);
/* The same on that node alone; a row that says "deployed" stays as it is, whatever comes of it. */
bool sl_model_deploy_at(struct sl_call *call, const char *namespace_id,
                        const struct sl_resource *model, uint32_t node, sl_handler_fn *then);
/* Whether what an extraction embeds with may run: a model that needs GPUs does where it is
 * deployed, and nowhere in their place. False: the call has failed with 503. */
bool sl_model_may_run(struct sl_call *call, struct sl_json extraction);
/* Note in the row how that ended. False: the call has failed, with why. */
bool sl_model_deployed(struct sl_call *call, const char *namespace_id,
                       const struct sl_resource *model);

#endif
