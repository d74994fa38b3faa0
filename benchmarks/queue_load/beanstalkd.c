/* SPDX-License-Identifier: Apache-2.0 */
/* beanstalkd: put, reserve, delete, each answered by a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static uint32_t tubes; /* A tube cannot be emptied: each opening of a producer takes a new one. */

static void
greet(struct load_conn *c)
{
    if (c->role == LOAD_PRODUCER) {
        tubes += c->index == 0;
        sl_buf_printf(&c->out, "use load%u\r\n", tubes);
        load_expect(c, "USING");
        return;
    }
    if (c->role == LOAD_COUNTER)
        return;
    sl_buf_printf(&c->out, "watch load%u\r\n", tubes);
    load_expect(c, "WATCHING");
    sl_buf_append_str(&c->out, "ignore default\r\n");
    load_expect(c, "WATCHING");
}

static void
put(struct load_conn *c, struct sl_slice payload)
{
    static_assert(LOAD_PAYLOAD_SIZE == 200, "the size is written out below");
    sl_buf_append_str(&c->out, "put 0 0 60 200\r\n");
    sl_buf_append_slice(&c->out, payload);
    sl_buf_append_str(&c->out, "\r\n");
}

static void
ask(struct load_conn *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sl_buf_append_str(&c->out, "reserve-with-timeout 0\r\n");
}

static void
await_job(struct load_conn *c)
{
    sl_buf_append_str(&c->out, "reserve\r\n");
}

static void
ack(struct load_conn *c, struct sl_slice token)
{
    sl_buf_append_str(&c->out, "delete ");
    sl_buf_append_slice(&c->out, token);
    sl_buf_append_str(&c->out, "\r\n");
}

/* RESERVED ID SIZE, then the payload. */
static bool
take_job(struct load_conn *c, struct sl_slice line, struct load_event *ret)
{
    const uint8_t *id = line.data + strlen("RESERVED ");
    const uint8_t *end = memchr(id, ' ', line.size - strlen("RESERVED "));
    size_t whole = line.size + 2 + LOAD_PAYLOAD_SIZE + 2;
    if (end == NULL || strtoul((const char *)end, NULL, 10) != LOAD_PAYLOAD_SIZE)
        load_die("beanstalkd: %.*s", (int)line.size, (const char *)line.data);
    if (load_input(c).size < whole)
        return false;
    *ret = (struct load_event){.kind = LOAD_JOB, .token = sl_slice(id, (size_t)(end - id))};
    load_taken(c, whole);
    return true;
}

static bool
take(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice line;
    if (!load_line(c, &line))
        return false;
    if (load_starts(line, "RESERVED "))
        return take_job(c, line, ret);
    if (load_starts(line, "INSERTED "))
        *ret = (struct load_event){.kind = LOAD_PUT_DONE, .count = 1};
    else if (load_starts(line, "DELETED"))
        *ret = (struct load_event){.kind = LOAD_ACK_DONE};
    else
        load_die("beanstalkd: %.*s", (int)line.size, (const char *)line.data);
    load_taken(c, line.size + 2);
    return true;
}

static uint64_t
count_left(struct load_conn *c)
{
    sl_buf_append_str(&c->out, "stats\r\n");
    struct sl_slice line = load_need_line(c);
    unsigned long size =
        load_starts(line, "OK ") ? strtoul((const char *)line.data + 3, NULL, 10) : 0;
    load_need(c, line.size + 2 + size + 2);
    char text[4096] = {0};
    memcpy(text, load_input(c).data, SL_MIN(load_input(c).size, sizeof(text) - 1));
    const char *found = strstr(text, "current-jobs-ready: ");
    if (found == NULL)
        load_die("beanstalkd: no count of its jobs");
    return strtoull(found + strlen("current-jobs-ready: "), NULL, 10);
}

const struct load_protocol load_beanstalkd = {
    .name = "beanstalkd",
    .is_ack_answered = true,
    .open = greet,
    .put = put,
    .ask = ask,
    .wait = await_job,
    .ack = ack,
    .take = take,
    .count = count_left,
};
