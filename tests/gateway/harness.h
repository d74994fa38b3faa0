/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness.h - handlers over a real store in a temporary directory: a call is matched, checked,
 * validated, run and committed as in the product; only the sockets and threads are missing.
 */
#ifndef SL_TESTS_GATEWAY_HARNESS_H
#define SL_TESTS_GATEWAY_HARNESS_H

#include "tests/gateway/scene.h"

struct harness {
    struct sl_gateway gateway;
    struct sl_identity who;      /* Who calls next; the operator at first. */
    const char *namespace_id;    /* X-Namespace of the next calls; NULL: none. */
    const char *user_agent;      /* NULL: none. */
    const char *idempotency_key; /* Likewise. */
    uint64_t now_ms;
    char directory[64];
    /* Of the last call; the reply lives until the next. */
    int status;
    char *text;
    struct sl_json reply;
    struct sl_json_doc *doc;
};

/* How often a call's work was run; for tests to set to 0. */
extern uint32_t harness_turns;

void harness_init(struct harness *h);   /* Opens, and runs the first start. */
void harness_reopen(struct harness *h); /* As after a restart. */
void harness_deinit(struct harness *h);

/* "POST", "/v1/buckets?x=1", a JSON body or NULL. Returns the status; the reply is in `h`. */
int harness_call(struct harness *h, const char *method, const char *target, const char *body);
/* Make a tenant and become its admin. */
void harness_tenant(struct harness *h, const char *tenant_id, const char *plan);
/* Make a namespace, and use it. */
void harness_namespace(struct harness *h, const char *name);
/* Text of a member of the last reply by path; owned; fails the test when it is no text. */
char *harness_text(struct harness *h, const char *path);
bool harness_is(struct harness *h, const char *path, const char *text);
uint64_t harness_number(struct harness *h, const char *path);
/* A digest of every row, to show that a failure changed nothing. */
uint64_t harness_digest(struct harness *h);

#endif
