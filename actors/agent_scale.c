/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent_scale.h"

#include "runtime/alloc.h"
#include "runtime/report.h"

bool
sl_agent_scale_take(struct sl_scale_book *book, const struct sl_m_scale_config *m,
                    struct sl_pool pools[SL_POOLS_MAX], uint64_t now_ns)
{
    struct sl_scale_book read;
    char *why = NULL;
    const struct sl_scale_settings defaults =
        sl_pool_scale_defaults((uint32_t)m->replicas_max, m->idle_ns);
    if (sl_scale_settings_check(&defaults) != NULL ||
        sl_scale_book_read(m->extractors, &defaults, &read, &why) != SL_OK) {
        sl_report_warn("scale-config-refused", "why=\"%s\"", why == NULL ? "its defaults" : why);
        sl_free(why);
        return false;
    }
    if (sl_scale_book_is_same(book, &read)) {
        sl_scale_book_deinit(&read);
        return false;
    }
    sl_scale_book_deinit(book);
    *book = read;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (pools[i].is_used)
            sl_pool_rescale(&pools[i], now_ns);
    }
    return true;
}

void
sl_agent_scale_keep(const struct sl_scale_book *book, struct sl_slice indexes,
                    void (*add)(void *agent, const struct sl_work_spec *spec), void *agent)
{
    struct sl_json_doc *doc = NULL;
    bool has = sl_json_parse(indexes, &doc, NULL) == SL_OK;
    for (uint32_t i = 0; i < book->count; i++) {
        const struct sl_scale_page *page = &book->pages[i];
        struct sl_json known = {0};
        if (has)
            known = sl_json_member(sl_json_root(doc), page->extractor);
        if (page->settings.min_replicas == 0 || sl_json_kind(known) == SL_JSON_NULL)
            continue;
        char *index = sl_json_strdup(known);
        struct sl_work_spec spec = {
            .extractor = page->extractor, .index = "", .model = "", .space = ""};
        if (index != NULL)
            spec.index = index;
        add(agent, &spec);
        sl_free(index);
    }
    sl_json_destroy(&doc);
}

static void
write_pool(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "extractor", p->extractor);
    sl_jsonw_member_str(w, "index", p->index);
    sl_jsonw_member_str(w, "model", p->model);
    sl_jsonw_member_u64(w, "tenant", p->tenant);
    sl_pool_scale_write(&p->scale, w);
    sl_jsonw_name(w, "life");
    sl_pool_life_write(p, ctx, w);
    sl_jsonw_end(w);
}

void
sl_agent_scale_tell(struct sl_pool pools[SL_POOLS_MAX], struct sl_ctx *ctx, bool is_anyway)
{
    bool is_news = is_anyway;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++)
        is_news = is_news || (pools[i].is_used && (sl_pool_scale_is_news(&pools[i].scale) ||
                                                   sl_pool_life_is_news(&pools[i])));
    if (!is_news)
        return;
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (pools[i].is_used && pools[i].scale.autoscaler != NULL)
            write_pool(&pools[i], ctx, &w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_m_node_scaling m = {.pools = sl_buf_slice(&text)};
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_node_scaling, &m);
    sl_buf_deinit(&text);
}

void
sl_agent_scale_park(struct sl_pool pools[SL_POOLS_MAX], struct sl_slice model)
{
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (pools[i].is_used && sl_slice_is(model, pools[i].model))
            sl_pool_park(&pools[i]);
    }
}
