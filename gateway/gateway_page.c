/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_page.h"

#include "gateway/version.h"
#include "runtime/json.h"
#include "runtime/time.h"

static const char *
state_of(const struct sl_plane *plane)
{
    if (atomic_load(&plane->view.is_refused))
        return "refused";
    if (!sl_keyring_is_filled(plane->gateway.keyring))
        return "joining";
    return atomic_load(&plane->view.is_up) ? "up" : "away";
}

static bool
is_up(const struct sl_plane *plane)
{
    return strcmp(state_of(plane), "up") == 0;
}

static void
write_counts(const struct sl_edge_view *v, struct sl_jsonw *w)
{
    sl_jsonw_member_u64(w, "workers", atomic_load(&v->nodes));
    sl_jsonw_member_u64(w, "in_flight", atomic_load(&v->pending));
    sl_jsonw_member_u64(w, "sent", atomic_load(&v->sent));
    sl_jsonw_member_u64(w, "answered", atomic_load(&v->answered));
    sl_jsonw_member_u64(w, "direct", atomic_load(&v->direct));
    sl_jsonw_member_u64(w, "refused", atomic_load(&v->refused));
    sl_jsonw_member_u64(w, "lost", atomic_load(&v->lost));
    sl_jsonw_member_u64(w, "late", atomic_load(&v->late));
}

static void
write_heads(const struct sl_gateway_page *page, bool has_counts, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "heads");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < page->planes_count; i++) {
        const struct sl_plane *plane = &page->planes[i];
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "head", plane->options.head);
        sl_jsonw_member_str(w, "state", state_of(plane));
        if (has_counts)
            write_counts(&plane->view, w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_health(const struct sl_gateway_page *page, struct sl_page *ret_page, struct sl_jsonw *w)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < page->planes_count; i++)
        up += is_up(&page->planes[i]);
    ret_page->status = up == 0 ? 503 : 200;
    sl_jsonw_member_str(w, "status",
                        up == 0                   ? "away"
                        : up < page->planes_count ? "degraded"
                                                  : "ok");
    write_heads(page, false, w);
}

static void
write_status(const struct sl_gateway_page *page, struct sl_jsonw *w)
{
    sl_jsonw_member_str(w, "version", SL_VERSION);
    sl_jsonw_member_str(w, "name", page->planes[0].options.name);
    sl_jsonw_member_u64(w, "uptime_s", (sl_time_wall_ms() - page->started_ms) / 1000);
    write_heads(page, true, w);
    sl_jsonw_name(w, "requests");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "in_flight", page->front == NULL ? 0 : sl_front_in_flight(page->front));
    sl_jsonw_member_u64(w, "total", page->front == NULL ? 0 : sl_front_posted(page->front));
    sl_jsonw_end(w);
}

bool
sl_gateway_page(void *arg, const char *path, struct sl_page *ret_page)
{
    const struct sl_gateway_page *page = arg;
    bool is_health = strcmp(path, "/healthz") == 0;
    struct sl_jsonw w;
    if (!is_health && strcmp(path, "/status.json") != 0)
        return false;
    if (!ret_page->is_wanted)
        return true;
    sl_jsonw_init(&w, &ret_page->body);
    sl_jsonw_object(&w);
    if (is_health)
        write_health(page, ret_page, &w);
    else
        write_status(page, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    return true;
}
