/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - what all handlers share, and the api actor that runs them on the store's thread.
 */
#ifndef SL_GATEWAY_GATEWAY_H
#define SL_GATEWAY_GATEWAY_H

#include "gateway/call.h"
#include "gateway/keyring.h"
#include "gateway/object/id.h"
#include "gateway/source_fetch.h"

struct sl_blobs;
struct sl_export;
struct sl_timeline;
struct sl_trace_log;
struct sl_tracer_counts;
struct sl_incoming;
struct sl_job_events;
struct sl_limits;
struct sl_live;
struct sl_meter;
struct sl_report_tap;
struct sl_request_counts;
struct sl_settings;
struct sl_use_counts;

struct sl_gateway {
    struct sl_store *store;
    struct sl_queue *queue;
    struct sl_index_cache *indexes;
    struct sl_keyring *keyring;
    const char *data_directory;
    const char *run_directory;    /* Of the head's socket. */
    atomic_bool is_verifying;     /* A tenant's isolation: one at a time. */
    struct sl_call *running;      /* Calls that wait with an Idempotency-Key: see idempotency.h. */
    struct sl_blobs *blobs;       /* Large values and archives; NULL: none can be stored. */
    struct sl_incoming *incoming; /* Presigned uploads; NULL: none can be made. */
    struct sl_settings *settings; /* The configuration, to look at and to change; NULL: none. */
    struct sl_object_ids object_ids;       /* Of the next ones. */
    struct sl_source_rules sources;        /* What addresses in objects may name. */
    struct sl_job_events *job_events;      /* What followed jobs went through. */
    struct sl_meter *meter;                /* What calls use; NULL: nobody asks. */
    struct sl_limits *limits;              /* What they may; NULL: anything. */
    struct sl_request_counts *requests;    /* How calls ended; NULL: nobody asks. */
    struct sl_use_counts *uses;            /* What tenants used since the start; NULL likewise. */
    struct sl_timeline *timeline;          /* Of the last three days; NULL: none is kept. */
    struct sl_report_tap *lines;           /* Of this machine's processes; NULL: none are kept. */
    struct sl_live *live;                  /* The actors of this process; NULL: not known. */
    const struct sl_tracer_counts *traces; /* NULL: not known. */
    struct sl_trace_log *trace_log;        /* What was slow of late; NULL: none is kept. */
    struct sl_export *export;              /* Of a tenant that leaves; NULL: none is under way. */
    uint32_t fetching_count;               /* Requests that wait for such addresses. */
    bool has_garbage;                      /* Rows wait for sl_purge_step. */
    uint64_t passage_due_ms;               /* The next after a step's; UINT64_MAX: none. */
    char passage_last[64];                 /* Whose step ran last: the others' turn. */
    bool is_touched; /* What calls resolve to has changed, in this scope (0: any). */
    struct sl_scope touched;
    const char *plans; /* What the configuration says of plans: plan.h. NULL: nothing. */
    struct {
        struct sl_scope scope; /* Whose bytes leave the disk; 0: nobody's. */
        uint64_t ticket;       /* Of sl_store_erase. */
    } erased;
    uint64_t started_ms;      /* What was to end before it and did not, nobody ends. */
    char unpack_program[256]; /* This executable, for the child that opens archives. */
};

/* Make the operator's tenant and key on an empty store (writes DATA/admin.key, 0600); fill the
 * keyring. */
SL_MUST_CHECK enum sl_err sl_gateway_bootstrap(struct sl_gateway *g, uint64_t now_ms);

#endif
