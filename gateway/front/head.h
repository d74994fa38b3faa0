/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front/head.h - the headers of a request that anybody here asks for. They are read in one pass:
 * libmicrohttpd compares all names for each question.
 *
 * Threading: plain data of the front's thread.
 */
#ifndef SL_GATEWAY_FRONT_HEAD_H
#define SL_GATEWAY_FRONT_HEAD_H

#include "runtime/base.h"

struct sl_request;
struct sl_request_line;

enum sl_header {
#define HEADER(name, text, often) SL_HEADER_##name,
#include "gateway/header.def"
    SL_HEADER_COUNT
};

struct sl_head {
    struct sl_slice values[SL_HEADER_COUNT]; /* As sent; data NULL: absent. */
    uint32_t count;                          /* Of all headers. */
    const char *twice;                       /* One that says one thing, and was sent twice. */
    bool is_malformed;
};

void sl_head_read(struct sl_request *request); /* Fill request->head. */
/* Is it one that everybody reads alike? Knows where the body ends, then. The call fails if not. */
void sl_head_check(struct sl_request *request, const struct sl_request_line *line);
/* A value as sent; empty with data NULL when absent. Lives as long as the connection. */
struct sl_slice sl_request_header(const struct sl_request *request, enum sl_header header);

#endif
