/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dashboard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "gateway/exposition.h"
#include "gateway/ray_shape.h"
#include "runtime/hash.h"
#include "runtime/time.h"

#define HISTORY "/history/"

/* The files lie in the executable: there is nothing to find, and nothing to be changed under us. */
#define ASSET(name, path, file, type)                                                              \
    __asm__(".section .rodata\n"                                                                   \
            ".global sl_dashboard_" #name "\n.hidden sl_dashboard_" #name "\n"                     \
            "sl_dashboard_" #name ": .incbin \"" SL_DASHBOARD_FILES "/" file "\"\n"                \
            ".global sl_dashboard_" #name "_end\n.hidden sl_dashboard_" #name "_end\n"             \
            "sl_dashboard_" #name "_end: .byte 0\n"                                                \
            ".text\n");                                                                            \
    extern const char sl_dashboard_##name[], sl_dashboard_##name##_end[];
#include "gateway/dashboard.def"

struct asset {
    const char *path, *data, *end, *type;
};

static const struct asset assets[] = {
#define ASSET(name, path, file, type) {path, sl_dashboard_##name, sl_dashboard_##name##_end, type},
#include "gateway/dashboard.def"
};

static struct sl_slice
content(const struct asset *asset)
{
    return sl_slice(asset->data, (size_t)(asset->end - asset->data));
}

/* Of what is in it, so that a new executable has new ones. Files are small: no need to keep it. */
static void
write_tag(struct sl_slice text, char ret_tag[static SL_PAGE_TAG_SIZE])
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(text, digest);
    ret_tag[0] = '"';
    for (size_t at = 0; at < 16; at++)
        snprintf(ret_tag + 1 + 2 * at, 3, "%02x", digest[at]);
    memcpy(ret_tag + 33, "\"", 2);
}

static const struct asset *
find(const char *path)
{
    for (size_t i = 0; i < SL_COUNT_OF(assets); i++) {
        if (strcmp(assets[i].path, path) == 0)
            return &assets[i];
    }
    return NULL;
}

struct sl_slice
sl_dashboard_asset(const char *path)
{
    const struct asset *asset = find(path);
    return asset == NULL ? sl_slice(NULL, 0) : content(asset);
}

static bool
has_figures(const char *path)
{
    return strcmp(path, "/metrics") == 0 || strcmp(path, "/status.json") == 0 ||
           strncmp(path, HISTORY, sizeof(HISTORY) - 1) == 0 || sl_ray_shape_has(path);
}

static void
write_figures(const struct sl_dashboard *dashboard, const char *path, struct sl_page *page)
{
    if (strcmp(path, "/metrics") == 0) {
        page->type = SL_EXPOSITION_TYPE;
        if (!dashboard->metrics(dashboard->arg, &page->body))
            page->status = 503;
    } else if (strcmp(path, "/status.json") == 0) {
        dashboard->status(dashboard->arg, &page->body);
    } else if (sl_ray_shape_has(path)) {
        struct sl_buf status = {0};
        dashboard->status(dashboard->arg, &status);
        page->status =
            sl_ray_shape_write(path, sl_buf_slice(&status), sl_time_wall_ms(), &page->body);
        sl_buf_deinit(&status);
    } else {
        const char *span = path + sizeof(HISTORY) - 1;
        if (!dashboard->history(dashboard->arg, sl_slice(span, strcspn(span, ".")), &page->body))
            page->status = 404;
    }
}

bool
sl_dashboard_page(void *arg, const char *path, struct sl_page *page)
{
    const struct asset *asset = find(path);
    if (asset != NULL) {
        sl_buf_append_slice(&page->body, content(asset));
        page->type = asset->type;
        write_tag(content(asset), page->tag);
        page->is_open = true;
        return true;
    }
    if (!has_figures(path))
        return false;
    if (page->is_wanted)
        write_figures(arg, path, page);
    return true;
}

/* ---- what is told live --------------------------------------------------------------------- */

static uint64_t
number_of(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

/* How many of an array's objects are in which state; states of ours, so there are few. */
static void
write_states(struct sl_jsonw *w, const char *name, struct sl_json array)
{
    static const char *const states[] = {"alive",   "cordoned", "draining", "starting", "ready",
                                         "warming", "idle",     "busy",     "failed",   "crashed"};
    uint64_t counts[SL_COUNT_OF(states)] = {0};
    for (struct sl_json_iter i = sl_json_iter(array); sl_json_next(&i);) {
        for (size_t s = 0; s < SL_COUNT_OF(states); s++)
            counts[s] += sl_json_is(sl_json_member(i.value, "state"), states[s]);
    }
    sl_jsonw_name(w, name);
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", sl_json_count(array));
    for (size_t s = 0; s < SL_COUNT_OF(states); s++) {
        if (counts[s] > 0)
            sl_jsonw_member_u64(w, states[s], counts[s]);
    }
    sl_jsonw_end(w);
}

static void
write_queues(struct sl_jsonw *w, struct sl_json queues)
{
    uint64_t ready = 0, delayed = 0, leased = 0, oldest = 0;
    for (struct sl_json_iter i = sl_json_iter(queues); sl_json_next(&i);) {
        uint64_t since = number_of(i.value, "oldest_ms");
        ready += number_of(i.value, "ready");
        delayed += number_of(i.value, "delayed");
        leased += number_of(i.value, "leased");
        if (since > 0 && (oldest == 0 || since < oldest))
            oldest = since;
    }
    sl_jsonw_name(w, "queues");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", sl_json_count(queues));
    sl_jsonw_member_u64(w, "ready", ready);
    sl_jsonw_member_u64(w, "delayed", delayed);
    sl_jsonw_member_u64(w, "leased", leased);
    sl_jsonw_member_u64(w, "oldest_ms", oldest);
    sl_jsonw_end(w);
}

static void
write_summary(struct sl_jsonw *w, struct sl_json status)
{
    struct sl_json requests = sl_json_member(status, "requests");
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "version", sl_json_member(status, "version"));
    sl_jsonw_member_value(w, "node", sl_json_member(status, "node"));
    sl_jsonw_member_value(w, "groups", sl_json_member(status, "groups"));
    sl_jsonw_member_value(w, "tasks", sl_json_member(status, "tasks"));
    sl_jsonw_member_value(w, "objects", sl_json_member(status, "objects"));
    sl_jsonw_member_u64(w, "requests_waiting", number_of(requests, "waiting"));
    sl_jsonw_member_u64(w, "requests_in_flight", number_of(requests, "in_flight"));
    write_states(w, "nodes", sl_json_member(status, "nodes"));
    sl_jsonw_member_value(w, "replicas", sl_json_member(status, "replicas"));
    write_queues(w, sl_json_member(status, "queues"));
    sl_jsonw_member_value(w, "jobs", sl_json_member(status, "jobs"));
    sl_jsonw_end(w);
}

void
sl_dashboard_feed(void *arg, struct sl_buf *out)
{
    const struct sl_dashboard *dashboard = arg;
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    dashboard->brief(dashboard->arg, &text);
    if (sl_json_parse(sl_buf_slice(&text), &doc, NULL) == SL_OK &&
        sl_json_has(sl_json_member(sl_json_root(doc), "version"))) {
        sl_jsonw_init(&w, out);
        write_summary(&w, sl_json_root(doc));
        sl_jsonw_done(&w);
    }
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
}

/* ---- who may ask --------------------------------------------------------------------------- */

/* Cut ":port" off; "[::1]:80" keeps what is between the brackets. SL_EINVAL: neither form. */
static enum sl_err
host_of(struct sl_slice text, char ret_host[static 256])
{
    const uint8_t *end = NULL;
    if (text.size > 0 && text.data[0] == '[') {
        text = sl_slice(text.data + 1, text.size - 1);
        end = memchr(text.data, ']', text.size);
        if (end == NULL)
            return SL_EINVAL;
    } else if (text.size > 0) {
        end = memchr(text.data, ':', text.size);
    }
    size_t size = end == NULL ? text.size : (size_t)(end - text.data);
    if (size == 0 || size > 255)
        return SL_EINVAL;
    memcpy(ret_host, text.data, size);
    ret_host[size] = '\0';
    return SL_OK;
}

static bool
is_listed(const char *host, const char *names)
{
    size_t size = strlen(host);
    for (const char *at = names; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ", ");
        if (length == size && strncasecmp(at, host, size) == 0)
            return true;
        at += length;
        at += strspn(at, ", ");
    }
    return false;
}

static bool
is_known(struct sl_slice text, const char *names)
{
    char host[256];
    struct in6_addr address;
    if (host_of(text, host) != SL_OK)
        return false;
    return strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &address) == 1 ||
           inet_pton(AF_INET6, host, &address) == 1 || is_listed(host, names);
}

bool
sl_page_is_trusted(struct sl_slice host, struct sl_slice origin, const char *names)
{
    bool is_tls = origin.size > 5 && origin.data[4] == 's';
    const char *scheme = is_tls ? "https://" : "http://";
    size_t size = strlen(scheme);
    if (!is_known(host, names))
        return false;
    if (origin.data == NULL)
        return true;
    /* The same address, port and all: another server on this machine is another origin. */
    return origin.size > size && memcmp(origin.data, scheme, size) == 0 &&
           sl_slice_equal(sl_slice(origin.data + size, origin.size - size), host);
}
