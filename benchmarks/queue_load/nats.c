/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NATS JetStream: a stream with the retention of a work queue, kept in `option` (file or memory),
 * and a pull consumer. An ack is a message without an answer, as its clients send it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define STREAM                                                                                     \
    "{\"name\":\"LOAD%u\",\"subjects\":[\"load%u\"],\"retention\":\"workqueue\",\"storage\":\"%"   \
    "s\","                                                                                         \
    "\"num_replicas\":1,\"max_msgs\":-1,\"max_bytes\":-1}"
#define CONSUMER                                                                                   \
    "{\"stream_name\":\"LOAD%u\",\"config\":{\"durable_name\":\"W\",\"ack_policy\":\"explicit\","  \
    "\"deliver_policy\":\"all\",\"max_ack_pending\":20000,\"max_waiting\":5000}}"

/* A deleted stream's files go away later: each opening of a first producer takes a new name. */
static uint32_t streams;

/* Answers to a connection that is gone may come late: none has an inbox that another had. */
static uint32_t inboxes;

static uint32_t
inbox_of(const struct load_conn *c)
{
    return (uint32_t)c->state[0];
}

/* To $JS.API.VERB.LOAD, with `suffix`; its answer comes to the connection's inbox. */
static void
request(struct load_conn *c, const char *verb, const char *suffix, const char *text)
{
    sl_buf_printf(&c->out, "PUB $JS.API.%s.LOAD%u%s inbox.%u %zu\r\n%s\r\n", verb, streams, suffix,
                  inbox_of(c), strlen(text), text);
}

/* One message or control line. Its subject to answer to, and its payload; false: not here wholly.
 * What is no message, or one with headers only (a pull that ran out), gives an empty payload. */
static bool
take_message(struct load_conn *c, struct sl_slice *ret_reply, struct sl_slice *ret_payload)
{
    struct sl_slice line;
    *ret_reply = *ret_payload = (struct sl_slice){0};
    if (!load_line(c, &line))
        return false;
    bool is_plain = load_starts(line, "MSG ");
    if (!is_plain && !load_starts(line, "HMSG ")) {
        if (load_starts(line, "-ERR"))
            load_die("nats: %.*s", SL_SLICE_FMT(line));
        if (load_starts(line, "PING"))
            sl_buf_append_str(&c->out, "PONG\r\n");
        load_taken(c, line.size + 2);
        return true;
    }
    /* MSG subject sid [reply] size: the size is the last word, a fifth word makes the fourth. */
    const uint8_t *words[6] = {0};
    size_t count = 0;
    for (size_t i = 0; i < line.size && count < 6; i++) {
        if (line.data[i] == ' ')
            words[count++] = line.data + i + 1;
    }
    size_t size = strtoul((const char *)words[count - 1], NULL, 10),
           whole = line.size + 2 + size + 2;
    if (load_input(c).size < whole)
        return false;
    if (is_plain && count == 4)
        *ret_reply = sl_slice(words[2], (size_t)(words[3] - words[2]) - 1);
    if (is_plain)
        *ret_payload = sl_slice(line.data + line.size + 2, size);
    load_taken(c, whole);
    return true;
}

static struct sl_slice
answer(struct load_conn *c)
{
    struct sl_slice reply, payload;
    do {
        load_need_line(c);
        while (!take_message(c, &reply, &payload))
            load_need(c, load_input(c).size + 1);
    } while (payload.size == 0);
    return payload;
}

static bool
is_error(struct sl_slice payload)
{
    return memmem(payload.data, payload.size, "\"error\"", 7) != NULL;
}

static void
make_stream(struct load_conn *c)
{
    char text[512];
    if (streams > 0) {
        request(c, "STREAM.DELETE", "", "");
        answer(c);
    }
    streams++;
    snprintf(text, sizeof(text), STREAM, streams, streams, c->option);
    request(c, "STREAM.CREATE", "", text);
    struct sl_slice payload = answer(c);
    if (is_error(payload))
        load_die("nats: %.*s", SL_SLICE_FMT(payload));
    snprintf(text, sizeof(text), CONSUMER, streams);
    request(c, "CONSUMER.DURABLE.CREATE", ".W", text);
    payload = answer(c);
    if (is_error(payload))
        load_die("nats: %.*s", SL_SLICE_FMT(payload));
}

static void
greet(struct load_conn *c)
{
    c->state[0] = ++inboxes;
    sl_buf_printf(&c->out,
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,"
                  "\"no_responders\":true,\"protocol\":1}\r\nSUB inbox.%u 1\r\n",
                  inbox_of(c));
    load_expect(c, "INFO");
    if (c->role == LOAD_PRODUCER && c->index == 0)
        make_stream(c);
}

static void
put(struct load_conn *c, struct sl_slice payload)
{
    sl_buf_printf(&c->out, "PUB load%u inbox.%u %zu\r\n", streams, inbox_of(c), payload.size);
    sl_buf_append_slice(&c->out, payload);
    sl_buf_append_str(&c->out, "\r\n");
}

static void
ask(struct load_conn *c, uint32_t count)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"batch\":%u,\"expires\":30000000000}", count);
    request(c, "CONSUMER.MSG.NEXT", ".W", text);
}

static void
await_job(struct load_conn *c)
{
    ask(c, 1);
}

static void
ack(struct load_conn *c, struct sl_slice token)
{
    sl_buf_append_str(&c->out, "PUB ");
    sl_buf_append_slice(&c->out, token);
    sl_buf_append_str(&c->out, " 4\r\n+ACK\r\n");
}

static bool
take(struct load_conn *c, struct load_event *ret)
{
    struct sl_slice reply, payload;
    if (!take_message(c, &reply, &payload))
        return false;
    *ret = (struct load_event){.kind = LOAD_NOTHING};
    if (payload.size == 0)
        return true;
    if (c->role == LOAD_WORKER && reply.size > 0)
        *ret = (struct load_event){.kind = LOAD_JOB, .token = reply};
    else if (c->role == LOAD_PRODUCER && !is_error(payload))
        *ret = (struct load_event){.kind = LOAD_PUT_DONE, .count = 1};
    else
        load_die("nats: %.*s", SL_SLICE_FMT(payload));
    return true;
}

static uint64_t
count_left(struct load_conn *c)
{
    streams = 1; /* A counter's server is new, and so is its only stream. */
    request(c, "STREAM.INFO", "", "");
    struct sl_slice payload = answer(c);
    const char *found = memmem(payload.data, payload.size, "\"messages\":", 11);
    return found == NULL ? 0 : strtoull(found + 11, NULL, 10); /* No stream: nothing is left. */
}

const struct load_protocol load_nats = {
    .name = "nats",
    .open = greet,
    .put = put,
    .ask = ask,
    .wait = await_job,
    .ack = ack,
    .take = take,
    .count = count_left,
};
