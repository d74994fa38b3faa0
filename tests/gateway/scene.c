/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/scene.h"

#include <ftw.h>
#include <stdio.h>

#include "actors/index.h"
#include "actors/queue_projection.h"
#include "actors/rows.h"
#include "actors/use_counts.h"
#include "gateway/job_events.h"
#include "gateway/export.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/request_counts.h"
#include "gateway/runner.h"
#include "object-store/incoming.h"
#include "queue/look.h"
#include "runtime/alloc.h"

/* ---- the api actor -------------------------------------------------------------------------- */

static void (*pending_work)(struct sl_call *call);
static sl_handler_fn *pending_then;

void
sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    call->is_waiting = true;
    pending_work = work;
    pending_then = then;
}

void
sl_call_work_long(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    sl_call_work(call, work, then);
}

static void
do_nothing(struct sl_call *call)
{
    (void)call;
}

void
sl_call_yield(struct sl_call *call, sl_handler_fn *then)
{
    sl_call_work(call, do_nothing, then);
}

/* Nobody else does anything here: the time passes at once. */
static void
pass_time(struct sl_call *call)
{
    call->wait.error = SL_ECANCELED;
}

void
sl_call_await_queue(struct sl_call *call, uint64_t lane, uint64_t delay_ns, sl_handler_fn *then)
{
    (void)lane, (void)delay_ns;
    sl_call_work(call, pass_time, then);
}

void
sl_call_await_scope(struct sl_call *call, struct sl_scope scope, uint64_t lane, uint64_t delay_ns,
                    sl_handler_fn *then)
{
    (void)scope, (void)lane, (void)delay_ns;
    sl_call_work(call, pass_time, then);
}

void
sl_call_touch_queue(struct sl_call *call, struct sl_scope scope, uint64_t lane)
{
    (void)call, (void)scope, (void)lane;
}

void
sl_call_wake_broker(struct sl_call *call)
{
    (void)call;
}

static void
unavailable(struct sl_call *call)
{
    call->wait.error = SL_EUNAVAIL;
}

void (*scene_embed)(struct sl_slice text, float *ret_vector, uint32_t dimensions);
static struct sl_wait embedded;

static void
give_embedded(struct sl_call *call)
{
    call->wait = embedded;
}

void
sl_call_embed_all(struct sl_call *call, const struct sl_embed_texts *what, sl_handler_fn *then)
{
    uint64_t dimensions = 0;
    if (scene_embed == NULL ||
        sl_json_u64(sl_json_member(what->extraction, "dimensions"), &dimensions) != SL_OK) {
        sl_call_work(call, unavailable, then);
        return;
    }
    const float **vectors = sl_call_alloc(call, what->count * sizeof *vectors);
    for (uint32_t i = 0; i < what->count; i++) {
        float *vector = sl_call_alloc(call, dimensions * sizeof *vector);
        scene_embed(what->texts[i], vector, (uint32_t)dimensions);
        vectors[i] = vector;
    }
    embedded = (struct sl_wait){.vectors = vectors, .dimensions = (uint32_t)dimensions};
    sl_call_work(call, give_embedded, then);
}

void
sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
              sl_handler_fn *then)
{
    sl_call_embed_all(call, &(struct sl_embed_texts){extraction, &text, 1}, then);
}

bool scene_is_held;

void
sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg)
{
    (void)call;
    if (!scene_is_held)
        work(arg);
    sl_free(arg);
}

struct sl_wait scene_loaded = {.error = SL_EUNAVAIL};
uint32_t scene_load_node;

static void
give_loaded(struct sl_call *call)
{
    call->wait = scene_loaded;
}

void
sl_call_model_load(struct sl_call *call, const struct sl_model_load *what, sl_handler_fn *then)
{
    scene_load_node = what->node;
    sl_call_work(call, give_loaded, then);
}

const char *scene_nodes;

static void
give_nodes(struct sl_call *call)
{
    call->wait = (struct sl_wait){.error = scene_nodes == NULL ? SL_EUNAVAIL : SL_OK,
                                  .message = scene_nodes};
}

void
sl_call_nodes(struct sl_call *call, uint64_t what, sl_handler_fn *then)
{
    (void)what;
    sl_call_work(call, give_nodes, then);
}

void
sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order, sl_handler_fn *then)
{
    (void)node, (void)order;
    sl_call_work(call, unavailable, then);
}

void
sl_call_group_scale(struct sl_call *call, struct sl_slice group, uint64_t replicas,
                    sl_handler_fn *then)
{
    (void)group, (void)replicas;
    sl_call_work(call, unavailable, then);
}

void
sl_call_head_config(struct sl_call *call, struct sl_slice groups, struct sl_slice extractors,
                    sl_handler_fn *then)
{
    (void)groups, (void)extractors;
    sl_call_work(call, unavailable, then);
}

void
sl_call_placement(struct sl_call *call, struct sl_job_id job, sl_handler_fn *then)
{
    (void)job;
    sl_call_work(call, unavailable, then);
}

char scene_dropped[128];

void
sl_call_model_drop(struct sl_call *call, const char *directory)
{
    (void)call;
    snprintf(scene_dropped, sizeof(scene_dropped), "%s", directory);
}

void
sl_call_model_evict(struct sl_call *call, const char *directory)
{
    sl_call_model_drop(call, directory);
}

void
sl_call_wake_dispatcher(struct sl_call *call)
{
    (void)call;
}

uint32_t
scene_finish(struct sl_gateway *g, struct sl_call *call)
{
    uint32_t count = 0;
    for (; call->is_waiting; count++) {
        void (*work)(struct sl_call *) = pending_work;
        sl_assert(work != NULL);
        pending_work = NULL;
        work(call);
        sl_runner_continue(g, call, pending_then);
    }
    sl_assert(call->txn == NULL);
    sl_limits_answered(call);
    sl_meter_answered(call);
    return count;
}

/* ---- the gateway --------------------------------------------------------------------------- */

static void
must(enum sl_err err)
{
    sl_assert(err == SL_OK);
}

void
scene_open(struct sl_gateway *g, const char *directory, uint64_t now_ms)
{
    g->queue = sl_queue_create();
    g->indexes = sl_index_cache_create();
    g->keyring = sl_keyring_create();
    g->job_events = sl_job_events_create();
    g->meter = sl_meter_create();
    g->requests = sl_request_counts_create();
    g->uses = sl_use_counts_create();
    g->limits = sl_limits_create();
    g->data_directory = directory;
    g->sources = (struct sl_source_rules){.size_bytes_max = SL_MIB, .timeout_ns = SL_SECOND_NS};
    struct sl_projection queue = sl_queue_projection(g->queue);
    struct sl_store_options options = {.directory = directory,
                                       .projections = &queue,
                                       .projections_count = 1,
                                       .map_size_bytes = 256 * SL_MIB,
                                       .is_sync_off = true};
    must(sl_store_open(&options, &g->store));
    char *blobs = sl_format("%s/blobs", directory);
    must(sl_blobs_open(blobs, true, &g->blobs));
    sl_free(blobs);
    must(sl_gateway_bootstrap(g, now_ms));
}

void
scene_close(struct sl_gateway *g)
{
    sl_export_destroy(&g->export);
    g->erased.scope = SL_SCOPE_SYSTEM;
    sl_store_close(&g->store);
    sl_blobs_close(&g->blobs);
    sl_incoming_close(&g->incoming);
    sl_queue_destroy(&g->queue);
    sl_index_cache_destroy(&g->indexes);
    sl_keyring_destroy(&g->keyring);
    sl_job_events_destroy(&g->job_events);
    sl_meter_destroy(&g->meter);
    sl_request_counts_destroy(&g->requests);
    sl_use_counts_destroy(&g->uses);
    sl_limits_destroy(&g->limits);
}

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

void
scene_remove(const char *directory)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void
scene_operator_key(const char *directory, char ret_secret[SL_SECRET_SIZE + 1])
{
    char *path = sl_format("%s/admin.key", directory);
    FILE *file = fopen(path, "r");
    sl_assert(file != NULL);
    size_t size = fread(ret_secret, 1, SL_SECRET_SIZE, file);
    sl_assert(size == SL_SECRET_SIZE);
    ret_secret[size] = '\0';
    fclose(file);
    sl_free(path);
}
