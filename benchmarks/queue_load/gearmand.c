/* SPDX-License-Identifier: Apache-2.0 */
/* gearmand: background jobs, kept in its memory alone. A WORK_COMPLETE is not answered. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum packet {
    CAN_DO = 1,
    PRE_SLEEP = 4,
    NOOP = 6,
    JOB_CREATED = 8,
    GRAB_JOB = 9,
    JOB_ASSIGN = 11,
    WORK_COMPLETE = 13,
    SUBMIT_JOB_BG = 18,
};

static uint32_t functions; /* Its queue cannot be emptied: a producer takes a new name. */

static void
packet(struct load_conn *c, enum packet type, size_t size)
{
    uint32_t head[2] = {htonl(type), htonl((uint32_t)size)};
    sl_buf_append(&c->out, "\0REQ", 4);
    sl_buf_append(&c->out, head, sizeof(head));
}

static size_t
function_name(char *name, size_t size)
{
    return (size_t)snprintf(name, size, "load%u", functions);
}

static void
greet(struct load_conn *c)
{
    if (c->role == LOAD_PRODUCER && c->index == 0)
        functions++;
    if (c->role != LOAD_WORKER)
        return;
    char name[32];
    size_t size = function_name(name, sizeof(name));
    packet(c, CAN_DO, size);
    sl_buf_append(&c->out, name, size);
}

static void
put(struct load_conn *c, struct sl_slice payload)
{
    char name[32];
    size_t size = function_name(name, sizeof(name)) + 1;
    packet(c, SUBMIT_JOB_BG, size + 1 + payload.size);
    sl_buf_append(&c->out, name, size);
    sl_buf_append_u8(&c->out, 0); /* No unique id. */
    sl_buf_append_slice(&c->out, payload);
}

static void
ask(struct load_conn *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        packet(c, GRAB_JOB, 0);
}

static void
await_job(struct load_conn *c)
{
    packet(c, PRE_SLEEP, 0);
}

static void
ack(struct load_conn *c, struct sl_slice token)
{
    packet(c, WORK_COMPLETE, token.size + 1);
    sl_buf_append_slice(&c->out, token);
    sl_buf_append_u8(&c->out, 0);
}

static bool
take(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice input = load_input(c);
    uint32_t head[3];
    if (input.size < sizeof(head))
        return false;
    memcpy(head, input.data, sizeof(head));
    uint32_t type = ntohl(head[1]), size = ntohl(head[2]);
    if (memcmp(input.data, "\0RES", 4) != 0 || size > SL_MIB)
        load_die("gearmand: no packet");
    if (input.size < sizeof(head) + size)
        return false;
    const uint8_t *body = input.data + sizeof(head);
    const uint8_t *end = size == 0 ? NULL : memchr(body, 0, size);
    *ret = (struct load_event){.kind = LOAD_NOTHING};
    if (type == JOB_CREATED)
        *ret = (struct load_event){.kind = LOAD_PUT_DONE, .count = 1};
    else if (type == JOB_ASSIGN && end != NULL)
        *ret = (struct load_event){.kind = LOAD_JOB, .token = sl_slice(body, (size_t)(end - body))};
    else if (type == NOOP) /* It wakes a sleeper, who must ask. */
        ask(c, 1);
    else
        load_die("gearmand: packet %u", type);
    load_taken(c, sizeof(head) + size);
    return true;
}

static uint64_t
count_left(struct load_conn *c)
{
    uint64_t total = 0;
    sl_buf_append_str(&c->out, "status\n");
    for (;;) { /* Lines of NAME, TAB, JOBS, TAB, ... and a dot at the end, without CR. */
        struct sl_slice input = load_input(c);
        const uint8_t *end = input.size == 0 ? NULL : memchr(input.data, '\n', input.size);
        if (end == NULL) {
            load_need(c, input.size + 1);
            continue;
        }
        size_t size = (size_t)(end + 1 - input.data);
        const char *tab = memchr(input.data, '\t', size);
        if (tab == NULL)
            return total;
        total += strtoull(tab + 1, NULL, 10);
        load_taken(c, size);
    }
}

const struct load_protocol load_gearmand = {
    .name = "gearmand",
    .open = greet,
    .put = put,
    .ask = ask,
    .wait = await_job,
    .ack = ack,
    .take = take,
    .count = count_left,
};
