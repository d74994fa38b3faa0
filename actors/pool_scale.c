/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_scale.h"

struct sl_scale_settings
sl_pool_scale_defaults(uint32_t replicas_max, uint64_t idle_ns)
{
    struct sl_scale_settings s = sl_scale_settings_default();
    s.max_replicas = SL_MAX(replicas_max, 1u);
    s.down_delay_ns = s.zero_delay_ns = idle_ns;
    return s;
}

void
sl_pool_scale_deinit(struct sl_pool_scale *s)
{
    sl_autoscaler_destroy(&s->autoscaler);
    *s = (struct sl_pool_scale){0};
}

void
sl_pool_scale_set(struct sl_pool_scale *s, const struct sl_scale_settings *settings,
                  uint64_t now_ns)
{
    s->settings = *settings;
    if (s->autoscaler == NULL)
        s->autoscaler = sl_autoscaler_create(settings, now_ns);
    else
        sl_autoscaler_configure(s->autoscaler, settings, now_ns);
}

void
sl_pool_scale_look(struct sl_pool_scale *s, uint64_t now_ns, uint32_t waiting, uint32_t running,
                   uint32_t room)
{
    /* What is gone has been answered, one way or another. */
    struct sl_scale_input input = {.at_ns = now_ns,
                                   .waiting = waiting,
                                   .running = running,
                                   .arrived = s->arrived,
                                   .answered =
                                       s->arrived - SL_MIN(s->arrived, (uint64_t)waiting + running),
                                   .room = room};
    struct sl_scale_decision d = sl_autoscaler_decide(s->autoscaler, &input);
    s->last =
        (struct sl_pool_decision){.settings = s->settings, .facts = d.facts, .verdict = d.verdict};
    if (d.replicas != d.facts.has)
        s->decisions[s->changes++ % SL_POOL_DECISIONS] = s->last;
    s->wanted = d.replicas;
    s->next_ns = d.next_ns;
}

static void
write_decision(const struct sl_pool_decision *d, struct sl_jsonw *w)
{
    struct sl_buf settings = {0};
    sl_buf_printf(&settings, "{");
    sl_scale_settings_write(&d->settings, &settings);
    sl_buf_printf(&settings, "}");
    sl_jsonw_object(w);
    sl_jsonw_member_raw(w, "settings", sl_buf_slice(&settings));
    sl_jsonw_name(w, "decision");
    sl_scale_decision_write(&d->settings, &d->facts, &d->verdict, w);
    sl_jsonw_end(w);
    sl_buf_deinit(&settings);
}

bool
sl_pool_scale_is_news(const struct sl_pool_scale *s)
{
    return s->autoscaler != NULL &&
           (s->told_changes != s->changes || s->told_reason != s->last.verdict.reason);
}

void
sl_pool_scale_write(struct sl_pool_scale *s, struct sl_jsonw *w)
{
    s->told_changes = s->changes;
    s->told_reason = s->last.verdict.reason;
    uint64_t first = s->changes - SL_MIN(s->changes, (uint64_t)SL_POOL_DECISIONS);
    sl_jsonw_member_u64(w, "wanted", s->wanted);
    sl_jsonw_member_u64(w, "changes", s->changes);
    sl_jsonw_name(w, "last");
    write_decision(&s->last, w);
    sl_jsonw_name(w, "decisions");
    sl_jsonw_array(w);
    for (uint64_t i = first; i < s->changes; i++)
        write_decision(&s->decisions[i % SL_POOL_DECISIONS], w);
    sl_jsonw_end(w);
}
