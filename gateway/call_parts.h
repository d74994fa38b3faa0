/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_parts.h - what a call (call.h, which includes this) consists of. Slices live as long as it.
 */
#ifndef SL_GATEWAY_CALL_PARTS_H
#define SL_GATEWAY_CALL_PARTS_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/trace_context.h"

#define SL_CALL_PARAMS_MAX 6
#define SL_CALL_QUERY_MAX  24
#define SL_CALL_FORM_MAX   24
struct sl_pair {
    struct sl_slice name, value; /* Percent-decoded. */
};
struct sl_upload { /* A file part that was streamed to disk. */
    int fd;        /* The file, which has no name; closed with the call. -1: there is none. */
    char name[33]; /* Of a call that goes to a head elsewhere: the file, below blobs/tmp, not fd. */
    char blob[65]; /* SHA-256, hex; "" when there is none. */
    uint64_t size_bytes;
    struct sl_slice filename;
    bool is_query; /* Of a presigned PUT: it asks what is there, and brought nothing. */
};

struct sl_call_headers {
    struct sl_slice last_event_id; /* Of who follows; empty: none. */
    struct sl_slice trace_state;   /* tracestate, where the trace is the caller's; empty: none. */
    struct sl_trace_context trace; /* The call's span; not set: of a call that is no request. */
};

struct sl_wait { /* What an ask brought back. */
    enum sl_err error;
    const char *message;         /* For people; NULL: none. Lives as long as the call. */
    const float *const *vectors; /* Of sl_call_embed_all, one for each text; as long as the call. */
    uint32_t dimensions;
    bool is_cached; /* Of sl_call_model_load: the weights were there when the call came. */
};

struct sl_call_origin { /* The gateway process that a call came from. */
    uint32_t node;      /* 0: it came from a front in this process. */
    uint64_t term;      /* Of the gateway's membership. */
    uint64_t touches;   /* How often what calls resolve to had changed. */
};

struct sl_call_asker { /* The actor that a call is for, where no client waits for it. */
    uint32_t node;     /* 0: a client does. */
    uint32_t actor;
    uint64_t request;
};

struct sl_limit_state;

struct sl_used {          /* What it has used: meter.h's, then limits.h's. */
    uint64_t begun_ns;    /* When the api actor took it. */
    uint64_t received_ms; /* When this process's front did; 0: another's. */
    uint64_t asked_ns;    /* When it first had to wait for others; 0: it has not. */
    uint64_t ended_ns;    /* When its handler was through with it. */
    struct {
        uint64_t queued_ns, batched_ns, computed_ns;
    } replica;       /* What the last answer of one says: where its time went. */
    bool is_patient; /* It waits for what may come, if anything does: that is not slow. */
    struct sl_buf entries;
    uint64_t taken[32]; /* By limit: of stock.h, in this transaction. */
    bool is_staged;     /* And the call itself, in its last transaction. */
    uint32_t retry_after_s;
    struct sl_limit_state *tenant;      /* Whose limits were looked at. */
    struct sl_limit_state *running;     /* Where it counts as under way. */
    const struct sl_limit_state *shown; /* What its reply tells of. */
};

/*
 * What a call that embeds texts runs on. The head's handler says it, so that gateways can run the
 * next call of the kind without the head; there it is given. Empty: not said.
 */
struct sl_resolved {
    struct sl_slice extraction; /* A row: extraction.h. */
    struct sl_slice model;      /* Directory, as for sl_call_model_load; "": none. */
    uint8_t rule;               /* Whether without the head: enum sl_loan_rule. */
};

#endif
