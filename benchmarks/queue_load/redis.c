/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis as a queue, in its two usual forms: a list (LPUSH; RPOPLPUSH to a list of those at work;
 * LREM from there) and a stream with a consumer group (XADD; XREADGROUP; XACK and XDEL).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* state[0]: entries still to come of the answer to XREADGROUP; state[1]: XACK's, not XDEL's, is
 * next. */
enum { STATE_ENTRIES, STATE_IS_XACKED };

static void
append_bulk(struct sl_buf *out, struct sl_slice value)
{
    char head[16];
    int size = snprintf(head, sizeof(head), "$%zu\r\n", value.size);
    sl_buf_append(out, head, (size_t)size);
    sl_buf_append_slice(out, value);
    sl_buf_append_str(out, "\r\n");
}

static void
greet(struct load_conn *c)
{
    if (c->role != LOAD_PRODUCER || c->index > 0)
        return;
    sl_buf_append_str(&c->out, "FLUSHALL\r\n");
    load_expect(c, "+OK");
}

static void
greet_stream(struct load_conn *c)
{
    greet(c);
    if (c->role != LOAD_PRODUCER || c->index > 0)
        return;
    sl_buf_append_str(&c->out, "XGROUP CREATE load g 0 MKSTREAM\r\n");
    load_expect(c, "+OK");
}

static void
put_list(struct load_conn *c, struct sl_slice payload)
{
    sl_buf_append_str(&c->out, "*3\r\n$5\r\nLPUSH\r\n$4\r\nload\r\n");
    append_bulk(&c->out, payload);
}

static void
put_stream(struct load_conn *c, struct sl_slice payload)
{
    sl_buf_append_str(&c->out, "*5\r\n$4\r\nXADD\r\n$4\r\nload\r\n$1\r\n*\r\n$1\r\np\r\n");
    append_bulk(&c->out, payload);
}

static void
ask_list(struct load_conn *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sl_buf_append_str(&c->out, "*3\r\n$9\r\nRPOPLPUSH\r\n$4\r\nload\r\n$4\r\nwork\r\n");
}

static void
ask_stream(struct load_conn *c, uint32_t count)
{
    sl_buf_printf(&c->out, "XREADGROUP GROUP g w COUNT %u STREAMS load >\r\n", count);
}

static void
wait_list(struct load_conn *c)
{
    sl_buf_append_str(&c->out, "BRPOPLPUSH load work 0\r\n");
}

static void
wait_stream(struct load_conn *c)
{
    sl_buf_append_str(&c->out, "XREADGROUP GROUP g w COUNT 1 BLOCK 0 STREAMS load >\r\n");
}

/* From its tail, where the oldest are: the one looked for is the first. */
static void
ack_list(struct load_conn *c, struct sl_slice token)
{
    sl_buf_append_str(&c->out, "*4\r\n$4\r\nLREM\r\n$4\r\nwork\r\n$2\r\n-1\r\n");
    append_bulk(&c->out, token);
}

static void
ack_stream(struct load_conn *c, struct sl_slice token)
{
    sl_buf_append_str(&c->out, "*4\r\n$4\r\nXACK\r\n$4\r\nload\r\n$1\r\ng\r\n");
    append_bulk(&c->out, token);
    sl_buf_append_str(&c->out, "*3\r\n$4\r\nXDEL\r\n$4\r\nload\r\n");
    append_bulk(&c->out, token);
}

/* A bulk string at `offset` of the input, and the offset after it; false: not here wholly. */
static bool
read_bulk(struct sl_slice input, size_t *offset, struct sl_slice *ret)
{
    const uint8_t *at = input.data + *offset;
    size_t rest = input.size - *offset;
    const uint8_t *end = rest == 0 ? NULL : memchr(at, '\n', rest);
    if (end == NULL)
        return false;
    if (at[0] != '$' || at[1] == '-')
        load_die("redis: %.*s, no value", (int)(end - at), (const char *)at);
    size_t size = strtoul((const char *)at + 1, NULL, 10), head = (size_t)(end + 1 - at);
    if (rest < head + size + 2)
        return false;
    *ret = sl_slice(at + head, size);
    *offset += head + size + 2;
    return true;
}

/* Past `count` heads of arrays at `offset`, the last one's size in *ret_size. */
static bool
skip_arrays(struct sl_slice input, size_t *offset, uint32_t count, uint64_t *ret_size)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = input.data + *offset;
        const uint8_t *end = *offset == input.size ? NULL : memchr(at, '\n', input.size - *offset);
        if (end == NULL)
            return false;
        if (at[0] != '*' || at[1] == '-')
            load_die("redis: %.*s, no array", (int)(end - at), (const char *)at);
        *ret_size = strtoull((const char *)at + 1, NULL, 10);
        *offset += (size_t)(end + 1 - at);
    }
    return true;
}

/* An integer, or an id after XADD: the only answers that a producer gets. */
static bool
take_number(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice line;
    if (!load_line(c, &line))
        return false;
    if (!load_starts(line, ":") || load_starts(line, ":0"))
        load_die("redis: %.*s", SL_SLICE_FMT(line));
    *ret = (struct load_event){.kind = c->role == LOAD_WORKER ? LOAD_ACK_DONE : LOAD_PUT_DONE,
                               .count = 1};
    load_taken(c, line.size + 2);
    return true;
}

static bool
take_list(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice input = load_input(c), value;
    size_t offset = 0;
    if (input.size == 0 || input.data[0] != '$')
        return input.size > 0 && take_number(c, ret);
    if (!read_bulk(input, &offset, &value))
        return false;
    *ret = (struct load_event){.kind = LOAD_JOB, .token = value};
    load_taken(c, offset);
    return true;
}

/* The head of an XREADGROUP's answer: one stream, its name, so many entries. */
static bool
take_entries(struct load_conn *c)
{
    struct sl_slice input = load_input(c), name;
    size_t offset = 0;
    uint64_t entries;
    if (!skip_arrays(input, &offset, 2, &entries) || !read_bulk(input, &offset, &name) ||
        !skip_arrays(input, &offset, 1, &entries))
        return false;
    c->state[STATE_ENTRIES] = entries;
    load_taken(c, offset);
    return true;
}

static bool
take_entry(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice input = load_input(c), id, field, value;
    size_t offset = 0;
    uint64_t size;
    if (!skip_arrays(input, &offset, 1, &size) || !read_bulk(input, &offset, &id) ||
        !skip_arrays(input, &offset, 1, &size) || !read_bulk(input, &offset, &field) ||
        !read_bulk(input, &offset, &value))
        return false;
    c->state[STATE_ENTRIES]--;
    *ret = (struct load_event){.kind = LOAD_JOB, .token = id};
    load_taken(c, offset);
    return true;
}

static bool
take_stream(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice input = load_input(c), id;
    size_t offset = 0;
    if (input.size == 0)
        return false;
    if (c->role == LOAD_PRODUCER) {
        if (!read_bulk(input, &offset, &id))
            return false;
        *ret = (struct load_event){.kind = LOAD_PUT_DONE, .count = 1};
        load_taken(c, offset);
        return true;
    }
    if (c->state[STATE_ENTRIES] > 0)
        return take_entry(c, ret);
    if (input.data[0] == '*') {
        *ret = (struct load_event){.kind = LOAD_NOTHING};
        return take_entries(c);
    }
    if (!take_number(c, ret))
        return false;
    c->state[STATE_IS_XACKED] ^= 1;
    if (c->state[STATE_IS_XACKED] != 0)
        ret->kind = LOAD_NOTHING;
    return true;
}

static uint64_t
ask_number(struct load_conn *c, const char *command)
{
    sl_buf_append_str(&c->out, command);
    struct sl_slice line = load_need_line(c);
    if (!load_starts(line, ":"))
        load_die("redis: %.*s", SL_SLICE_FMT(line));
    return strtoull((const char *)line.data + 1, NULL, 10);
}

static uint64_t
count_list(struct load_conn *c)
{
    return ask_number(c, "LLEN load\r\n");
}

static uint64_t
count_stream(struct load_conn *c)
{
    return ask_number(c, "XLEN load\r\n");
}

const struct load_protocol load_redis_lists = {
    .name = "redis_lists",
    .is_ack_answered = true,
    .open = greet,
    .put = put_list,
    .ask = ask_list,
    .wait = wait_list,
    .ack = ack_list,
    .take = take_list,
    .count = count_list,
};

const struct load_protocol load_redis_streams = {
    .name = "redis_streams",
    .is_ack_answered = true,
    .open = greet_stream,
    .put = put_stream,
    .ask = ask_stream,
    .wait = wait_stream,
    .ack = ack_stream,
    .take = take_stream,
    .count = count_stream,
};
