/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/load.h"

#include <curl/curl.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"

#define POLL_MS 10

struct lane {
    CURL *curl;
    struct sl_buf body, reply;
    uint32_t index; /* Of the request under way. */
};

struct run {
    const struct sl_bench_load *load;
    CURLM *multi;
    struct curl_slist *headers;
    char *url;
    struct lane *lanes;
    uint32_t sent, taken;
};

static size_t
take_bytes(char *data, size_t size, size_t count, void *arg)
{
    struct lane *lane = arg;
    if (lane->reply.size + size * count > SL_LIMIT_REPLY_BYTES)
        return 0;
    sl_buf_append(&lane->reply, data, size * count);
    return size * count;
}

static void
add_header(struct run *r, const char *name, const char *value)
{
    char *line = sl_format("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    sl_assert(longer != NULL); /* Memory: control-plane rules. */
    r->headers = longer;
    sl_free(line);
}

static void
send_next(struct run *r, struct lane *lane)
{
    sl_buf_clear(&lane->body);
    sl_buf_clear(&lane->reply);
    lane->index = r->sent++;
    r->load->make(r->load->arg, lane->index, &lane->body);
    (void)curl_easy_setopt(lane->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)lane->body.size);
    (void)curl_easy_setopt(lane->curl, CURLOPT_POSTFIELDS, (const char *)lane->body.data);
    (void)curl_multi_add_handle(r->multi, lane->curl);
}

static void
open_lane(struct run *r, struct lane *lane)
{
    lane->curl = curl_easy_init();
    sl_assert(lane->curl != NULL);
    (void)curl_easy_setopt(lane->curl, CURLOPT_URL, r->url);
    (void)curl_easy_setopt(lane->curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(lane->curl, CURLOPT_HTTPHEADER, r->headers);
    (void)curl_easy_setopt(lane->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(lane->curl, CURLOPT_WRITEDATA, lane);
    (void)curl_easy_setopt(lane->curl, CURLOPT_PRIVATE, lane);
    (void)curl_easy_setopt(lane->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(lane->curl, CURLOPT_TIMEOUT, 60L);
    if (r->sent < r->load->requests)
        send_next(r, lane);
}

static bool
take_reply(struct run *r, const CURLMsg *message)
{
    struct lane *lane = NULL;
    long status = 0;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&lane);
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    if (message->data.result != CURLE_OK)
        return sl_bench_fail("%s: %s", r->load->path, curl_easy_strerror(message->data.result));
    if (status < 200 || status > 299)
        return sl_bench_fail("%s: %ld: %.200s", r->load->path, status, sl_buf_text(&lane->reply));
    if (!r->load->take(r->load->arg, lane->index, sl_buf_slice(&lane->reply)))
        return sl_bench_fail("%s: not the reply wanted: %.200s", r->load->path,
                             sl_buf_text(&lane->reply));
    r->taken++;
    (void)curl_multi_remove_handle(r->multi, lane->curl);
    if (r->sent < r->load->requests)
        send_next(r, lane);
    return true;
}

static bool
drive(struct run *r)
{
    while (r->taken < r->load->requests) {
        int running = 0, left = 0;
        const CURLMsg *message;
        if (curl_multi_perform(r->multi, &running) != CURLM_OK)
            return sl_bench_fail("%s: libcurl failed", r->load->path);
        while ((message = curl_multi_info_read(r->multi, &left)) != NULL) {
            if (message->msg == CURLMSG_DONE && !take_reply(r, message))
                return false;
        }
        if (r->load->tick != NULL)
            r->load->tick(r->load->arg);
        /* What take_reply has sent is on its way only after another perform. */
        if (running > 0)
            (void)curl_multi_poll(r->multi, NULL, 0, POLL_MS, NULL);
    }
    return true;
}

bool
sl_bench_load_run(const struct sl_bench_load *load)
{
    struct run r = {.load = load, .url = sl_format("%s%s", load->server->url, load->path)};
    char *bearer = sl_format("Bearer %s", load->client->key);
    sl_assert(load->connections >= 1 && load->make != NULL && load->take != NULL);
    add_header(&r, "Content-Type", "application/json");
    add_header(&r, "Expect", "");
    add_header(&r, "Authorization", bearer);
    add_header(&r, "X-Namespace", load->client->namespace_id);
    r.multi = curl_multi_init();
    sl_assert(r.multi != NULL);
    r.lanes = sl_zalloc(load->connections * sizeof(*r.lanes));
    for (uint32_t i = 0; i < load->connections; i++)
        open_lane(&r, &r.lanes[i]);
    bool is_ok = drive(&r);
    for (uint32_t i = 0; i < load->connections; i++) {
        (void)curl_multi_remove_handle(r.multi, r.lanes[i].curl);
        curl_easy_cleanup(r.lanes[i].curl);
        sl_buf_deinit(&r.lanes[i].body);
        sl_buf_deinit(&r.lanes[i].reply);
    }
    (void)curl_multi_cleanup(r.multi);
    curl_slist_free_all(r.headers);
    sl_free(r.lanes);
    sl_free(r.url);
    sl_free(bearer);
    return is_ok;
}
