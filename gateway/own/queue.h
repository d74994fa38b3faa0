/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own/queue.h - what handlers of a tenant's own queues share: finding one, who may change what
 * about it, jobs as clients see them, and which jobs are meant by a filter.
 *
 * A queue is found by its name alone (a tenant sees its own). A job is "job_" and 16 hex digits,
 * the epoch of a lease up to 16; clients are to compare them only. Threading: the store's thread.
 */
#ifndef SL_GATEWAY_OWN_QUEUE_H
#define SL_GATEWAY_OWN_QUEUE_H

#include "gateway/call.h"
#include "queue/store_backend.h"

#define SL_OWN_QUEUES_MAX 1000   /* Of a tenant. */
#define SL_OWN_SLOTS_MAX  200000 /* Tasks of all tenants that one call looks at. */
#define SL_OWN_PAGE_MAX   1000   /* Jobs that one call lists or changes. */

/* ---- queues -------------------------------------------------------------------------------- */

/* Whether a name can be an own queue's: those of classes, and "-" of any queue, cannot. */
bool sl_own_name_is_valid(struct sl_slice name);
/* The queue that the path's first parameter names. False: the call has failed with 404. */
bool sl_own_find(struct sl_call *call, struct sl_queue_depth *ret_depth);
/* The same by name, without failing. */
bool sl_own_lookup(struct sl_call *call, struct sl_slice name, struct sl_queue_depth *ret_depth);
/* What may be set about any queue, as members of an open object. */
void sl_own_write_settings(const struct sl_lane_settings *settings, struct sl_jsonw *w);

/* ---- settings ------------------------------------------------------------------------------ */

/* The members of a body that are settings, on top of *settings; which they are, as bits. False: the
 * call has failed with 422. The schema has checked the numbers. */
bool sl_own_read_settings(struct sl_call *call, struct sl_json body,
                          struct sl_lane_settings *settings, uint32_t *ret_fields);
#define SL_OWN_FIELD_MODE UINT32_C(1) /* The bit of "mode". */

/*
 * An operator that names a mode but "open", or a limit but 0, holds it until it opens the queue, or
 * takes the limit away. A tenant that names what is held fails with 403, and this is false; what an
 * operator names is noted. `name` as the tenant names it.
 */
struct sl_own_change {
    struct sl_scope scope;
    struct sl_slice name;
    uint32_t fields;
    const struct sl_lane_settings *to;
};
bool sl_own_may_change(struct sl_call *call, const struct sl_own_change *change);
/* The queue is removed, and with it what is held of it: an operator's to do while anything is.
 * False: the call has failed with 403. */
bool sl_own_may_drop(struct sl_call *call, struct sl_scope scope, struct sl_slice name);
/* Member "held": the names of what is held. */
void sl_own_write_held(struct sl_call *call, struct sl_scope scope, struct sl_slice name,
                       struct sl_jsonw *w);

/* ---- the backend --------------------------------------------------------------------------- */

/* The backend for one call: what it changes is staged in the call's transaction, or commits by
 * itself if that has ended. sl_store_backend_deinit it. */
void sl_own_backend(struct sl_call *call, struct sl_store_backend *ret_backend);
struct sl_when sl_own_when(const struct sl_call *call);
/* After a commit, whoever waits for tasks, or for when they are due, looks again. */
void sl_own_wake(struct sl_call *call);
/* What is set of a queue has changed: after the commit all that wait for its jobs, or for its
 * events, look again. */
void sl_own_touch(struct sl_call *call, struct sl_scope scope, struct sl_slice name);

/* ---- jobs ---------------------------------------------------------------------------------- */

const char *sl_own_job_id(struct sl_call *call, uint64_t task_id); /* Arena. */
/* The job of the path {queue}/jobs/{job}; "-" is any queue. False: the call has failed with 404. */
bool sl_own_find_job(struct sl_call *call, struct sl_task_info *ret_info);
bool sl_own_parse_id(struct sl_slice text, uint64_t *ret_task_id);
bool sl_own_parse_epoch(struct sl_slice text, uint64_t *ret_epoch);
/* Bytes as JSON if they are some, else NAME_base64. */
void sl_own_write_bytes(struct sl_jsonw *w, const char *name, struct sl_slice bytes);
/* Members NAME (JSON, verbatim) or NAME_base64 of `object`; neither: empty. False: *ret_why says
 * what is wrong. */
bool sl_own_read_bytes(struct sl_call *call, struct sl_json object, const char *name,
                       struct sl_slice *ret_bytes, const char **ret_why);

struct sl_own_view {
    struct sl_backend *backend;
    const struct sl_task_info *info;
    bool has_bytes; /* Payload and result too. */
};
/* A job as an object. */
void sl_own_write_job(struct sl_call *call, const struct sl_own_view *view, struct sl_jsonw *w);
/* When it ended; 0: it has not. */
uint64_t sl_own_ended_ms(const struct sl_task_info *info);

/* Member "error" {type, message, status} of an open object. */
void sl_own_write_error(struct sl_jsonw *w, enum sl_err err, const char *message);
/* Fail the call by an error of the backend about `what`. */
void sl_own_fail(struct sl_call *call, enum sl_err err, const char *what);

#endif
