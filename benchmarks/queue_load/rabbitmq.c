/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RabbitMQ by AMQP 0-9-1: a queue of the type in `option` (quorum: persistent messages; classic:
 * transient ones), publisher confirms, deliveries pushed within a prefetch, each acked by itself.
 * Acks are not answered.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "runtime/alloc.h"

#define METHOD(class, number) ((uint32_t)(class) << 16 | (number))
enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };
enum { STATE_CONFIRMED, STATE_TAG };
enum method {
    START = METHOD(10, 10),
    START_OK = METHOD(10, 11),
    TUNE = METHOD(10, 30),
    TUNE_OK = METHOD(10, 31),
    OPEN = METHOD(10, 40),
    OPEN_OK = METHOD(10, 41),
    CHANNEL_OPEN = METHOD(20, 10),
    CHANNEL_OPEN_OK = METHOD(20, 11),
    QUEUE_DECLARE = METHOD(50, 10),
    QUEUE_DECLARE_OK = METHOD(50, 11),
    QUEUE_PURGE = METHOD(50, 30),
    QUEUE_PURGE_OK = METHOD(50, 31),
    QOS = METHOD(60, 10),
    QOS_OK = METHOD(60, 11),
    CONSUME = METHOD(60, 20),
    CONSUME_OK = METHOD(60, 21),
    PUBLISH = METHOD(60, 40),
    DELIVER = METHOD(60, 60),
    ACK = METHOD(60, 80),
    CONFIRM = METHOD(85, 10),
    CONFIRM_OK = METHOD(85, 11),
};

#define CONFIRMS (2 * LOAD_WINDOW_MAX) /* A producer's `own`: a bool for each tag. */

struct frame {
    uint8_t type;
    struct sl_slice payload;
    size_t whole;
};

static void
append_u16(struct sl_buf *b, uint16_t v)
{
    v = htons(v);
    sl_buf_append(b, &v, sizeof(v));
}

static void
append_u32(struct sl_buf *b, uint32_t v)
{
    v = htonl(v);
    sl_buf_append(b, &v, sizeof(v));
}

static void
append_short(struct sl_buf *b, const char *text)
{
    sl_buf_append_u8(b, (uint8_t)strlen(text));
    sl_buf_append_str(b, text);
}

static void
append_long(struct sl_buf *b, const void *data, size_t size)
{
    append_u32(b, (uint32_t)size);
    sl_buf_append(b, data, size);
}

/* The head of a frame; its channel is 1, except before there is one. */
static void
begin(struct load_conn *c, uint8_t type, uint16_t channel, size_t size)
{
    sl_buf_append_u8(&c->out, type);
    append_u16(&c->out, channel);
    append_u32(&c->out, (uint32_t)size);
}

static void
send_method(struct load_conn *c, uint16_t channel, enum method method,
            const struct sl_buf *arguments)
{
    struct sl_slice rest = arguments == NULL ? (struct sl_slice){0} : sl_buf_slice(arguments);
    begin(c, FRAME_METHOD, channel, 4 + rest.size);
    append_u32(&c->out, method);
    sl_buf_append_slice(&c->out, rest);
    sl_buf_append_u8(&c->out, 0xCE);
}

static bool
peek(struct load_conn *c, struct frame *ret)
{
    struct sl_slice input = load_input(c);
    if (input.size < 7)
        return false;
    uint32_t size;
    memcpy(&size, input.data + 3, sizeof(size));
    size = ntohl(size);
    if (size > SL_MIB)
        load_die("rabbitmq: a frame of %u bytes", size);
    if (input.size < 7 + (size_t)size + 1)
        return false;
    *ret = (struct frame){input.data[0], sl_slice(input.data + 7, size), 7 + (size_t)size + 1};
    return true;
}

static uint32_t
method_of(const struct frame *f)
{
    uint32_t method = 0;
    if (f->type == FRAME_METHOD && f->payload.size >= sizeof(method))
        memcpy(&method, f->payload.data, sizeof(method));
    return ntohl(method);
}

/* Wait for the answer; its payload is borrowed until the next read. */
static struct sl_slice
expect(struct load_conn *c, enum method method)
{
    struct frame f;
    while (!peek(c, &f))
        load_need(c, load_input(c).size + 1);
    if (method_of(&f) != method)
        load_die("rabbitmq: not method %#x but %#x %.*s", method, method_of(&f),
                 SL_SLICE_FMT(f.payload));
    load_taken(c, f.whole);
    return f.payload;
}

static void
log_in(struct load_conn *c)
{
    struct sl_buf b = {0};
    sl_buf_append(&c->out, "AMQP\0\0\x09\x01", 8);
    expect(c, START);
    append_u32(&b, 0); /* Our properties: none. */
    append_short(&b, "PLAIN");
    append_long(&b, "\0guest\0guest", 12);
    append_short(&b, "en_US");
    send_method(c, 0, START_OK, &b);
    expect(c, TUNE);
    sl_buf_clear(&b);
    append_u16(&b, 16);
    append_u32(&b, 131072);
    append_u16(&b, 0); /* No heartbeats. */
    send_method(c, 0, TUNE_OK, &b);
    sl_buf_clear(&b);
    append_short(&b, "/");
    append_short(&b, "");
    sl_buf_append_u8(&b, 0);
    send_method(c, 0, OPEN, &b);
    expect(c, OPEN_OK);
    sl_buf_clear(&b);
    append_short(&b, "");
    send_method(c, 1, CHANNEL_OPEN, &b);
    expect(c, CHANNEL_OPEN_OK);
    sl_buf_deinit(&b);
}

/* The queue, unless it is there; passive: only look how much is in it. */
static struct sl_slice
declare(struct load_conn *c, bool is_passive)
{
    struct sl_buf b = {0}, table = {0};
    append_short(&table, "x-queue-type");
    sl_buf_append_u8(&table, 'S');
    append_long(&table, c->option, strlen(c->option));
    append_u16(&b, 0);
    append_short(&b, "load");
    sl_buf_append_u8(&b, (uint8_t)(is_passive | 2)); /* Durable. */
    struct sl_slice arguments = sl_buf_slice(&table);
    append_long(&b, arguments.data, arguments.size);
    send_method(c, 1, QUEUE_DECLARE, &b);
    sl_buf_deinit(&table);
    sl_buf_deinit(&b);
    return expect(c, QUEUE_DECLARE_OK);
}

static void
greet_producer(struct load_conn *c)
{
    struct sl_buf b = {0};
    c->own = sl_zalloc(CONFIRMS * sizeof(bool));
    if (c->index == 0) {
        declare(c, false);
        append_u16(&b, 0);
        append_short(&b, "load");
        sl_buf_append_u8(&b, 0);
        send_method(c, 1, QUEUE_PURGE, &b);
        expect(c, QUEUE_PURGE_OK);
    }
    sl_buf_clear(&b);
    sl_buf_append_u8(&b, 0);
    send_method(c, 1, CONFIRM, &b);
    expect(c, CONFIRM_OK);
    sl_buf_deinit(&b);
}

static void
consume(struct load_conn *c)
{
    struct sl_buf b = {0};
    append_u32(&b, 0);
    append_u16(&b, LOAD_WINDOW_MAX);
    sl_buf_append_u8(&b, 0);
    send_method(c, 1, QOS, &b);
    expect(c, QOS_OK);
    sl_buf_clear(&b);
    append_u16(&b, 0);
    append_short(&b, "load");
    append_short(&b, "w");
    sl_buf_append_u8(&b, 0);
    append_u32(&b, 0);
    send_method(c, 1, CONSUME, &b);
    expect(c, CONSUME_OK);
    sl_buf_deinit(&b);
}

static void
greet(struct load_conn *c)
{
    log_in(c);
    if (c->role == LOAD_PRODUCER)
        greet_producer(c);
    else if (c->role == LOAD_WORKER)
        consume(c);
}

static void
put(struct load_conn *c, struct sl_slice payload)
{
    static const char publish[] = "\0\0\0\4load"; /* Ticket, the default exchange, the queue. */
    begin(c, FRAME_METHOD, 1, 4 + 9);
    append_u32(&c->out, PUBLISH);
    sl_buf_append(&c->out, publish, 8);
    sl_buf_append(&c->out, "\0\xCE", 2);

    begin(c, FRAME_HEADER, 1, 15);
    append_u16(&c->out, 60);
    append_u16(&c->out, 0);
    sl_buf_append_u64be(&c->out, payload.size);
    append_u16(&c->out, 0x1000); /* Only the delivery mode follows. */
    sl_buf_append_u8(&c->out, strcmp(c->option, "quorum") == 0 ? 2 : 1);
    sl_buf_append_u8(&c->out, 0xCE);

    begin(c, FRAME_BODY, 1, payload.size);
    sl_buf_append_slice(&c->out, payload);
    sl_buf_append_u8(&c->out, 0xCE);
}

static void
ask(struct load_conn *c, uint32_t count)
{
    (void)c; /* It pushes. */
    (void)count;
}

static void
await_job(struct load_conn *c)
{
    (void)c;
}

static void
ack(struct load_conn *c, struct sl_slice token)
{
    begin(c, FRAME_METHOD, 1, 4 + 9);
    append_u32(&c->out, ACK);
    sl_buf_append_slice(&c->out, token);
    sl_buf_append(&c->out, "\0\xCE", 2);
}

/* Count `tag` as confirmed, or all up to it; one alone may come before those below it. */
static uint64_t
confirm(struct load_conn *c, uint64_t tag, bool is_multiple)
{
    uint64_t *below = &c->state[STATE_CONFIRMED], count = 0; /* All up to *below are confirmed. */
    bool *is_confirmed = c->own;
    if (tag <= *below || tag - *below > CONFIRMS)
        load_die("rabbitmq: a confirm of %" PRIu64 " after %" PRIu64, tag, *below);
    for (uint64_t t = is_multiple ? *below + 1 : tag; t <= tag; t++) {
        count += !is_confirmed[t % CONFIRMS];
        is_confirmed[t % CONFIRMS] = true;
    }
    while (is_confirmed[(*below + 1) % CONFIRMS])
        is_confirmed[++*below % CONFIRMS] = false;
    return count;
}

static void
take_confirm(struct load_conn *c, struct sl_slice body, struct load_event *ret)
{
    uint64_t tag;
    if (body.size < 4 + sizeof(tag) + 1)
        load_die("rabbitmq: a short ack");
    memcpy(&tag, body.data + 4, sizeof(tag));
    bool is_multiple = (body.data[4 + sizeof(tag)] & 1) != 0;
    uint64_t count = confirm(c, be64toh(tag), is_multiple);
    *ret = (struct load_event){.kind = LOAD_PUT_DONE, .count = count};
}

static void
take_method(struct load_conn *c, const struct frame *f, struct load_event *ret)
{
    uint32_t method = method_of(f);
    if (method == ACK && c->role == LOAD_PRODUCER) {
        take_confirm(c, f->payload, ret);
    } else if (method == DELIVER && f->payload.size > 5) {
        size_t offset = 4 + 1 + (size_t)f->payload.data[4]; /* Past the consumer's tag. */
        if (offset + sizeof(uint64_t) > f->payload.size)
            load_die("rabbitmq: a short delivery");
        memcpy(&c->state[STATE_TAG], f->payload.data + offset, sizeof(uint64_t));
    } else {
        load_die("rabbitmq: method %#x %.*s", method, SL_SLICE_FMT(f->payload));
    }
}

static bool
take(struct load_conn *c, struct load_event *ret)
{
    struct frame f;
    if (!peek(c, &f))
        return false;
    *ret = (struct load_event){.kind = LOAD_NOTHING};
    if (f.type == FRAME_METHOD)
        take_method(c, &f, ret);
    else if (f.type == FRAME_BODY) /* A payload of ours fits in one frame: the job is whole. */
        *ret = (struct load_event){
            .kind = LOAD_JOB,
            .token = sl_slice(&c->state[STATE_TAG], sizeof(uint64_t)),
        };
    load_taken(c, f.whole);
    return true;
}

static uint64_t
count_left(struct load_conn *c)
{
    struct sl_slice ok = declare(c, true);
    uint32_t count;
    if (ok.size < 4 + 1 + 4 + sizeof(count))
        load_die("rabbitmq: no count of its jobs");
    memcpy(&count, ok.data + 4 + 1 + ok.data[4], sizeof(count));
    return ntohl(count);
}

const struct load_protocol load_rabbitmq = {
    .name = "rabbitmq",
    .open = greet,
    .put = put,
    .ask = ask,
    .wait = await_job,
    .ack = ack,
    .take = take,
    .count = count_left,
};
