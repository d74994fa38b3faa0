/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/extractor/info.h"
#include "gateway/overrides/store.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"

void
sl_settings_environment(const struct sl_config *config)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(sl_slice_str(sl_config_string(config, SL_UP_env)), &doc, NULL) != SL_OK)
        return; /* Empty: the configuration was checked. */
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        if (setenv(name, value, 1) != 0)
            sl_report_warn("variable-unset", "name=%s", name);
        sl_free(name);
        sl_free(value);
    }
    sl_json_destroy(&doc);
}

void
sl_settings_disable(const struct sl_config *config)
{
    struct sl_json_doc *doc = NULL;
    const char *text = sl_config_string(config, SL_UP_extractors);
    struct sl_json root = {0};
    if (sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK)
        root = sl_json_root(doc);
    sl_extractor_infos_disable(root);
    sl_json_destroy(&doc);
}

static void
report_notes(const struct sl_overrides *o)
{
    for (uint32_t i = 0; i < o->notes_count; i++) {
        const struct sl_override_note *n = &o->notes[i];
        if (n->is_error)
            sl_report_warn("overrides-left-out", "file=%s line=%u why=\"%s\"", SL_OVERRIDES_FILE,
                           n->line, n->text);
        else
            sl_report_info("overrides", "line=%u note=\"%s\"", n->line, n->text);
    }
}

static enum sl_err
keep(const struct sl_up_options *options)
{
    struct sl_disk disk;
    enum sl_err err = sl_disk_open(options->data, &disk);
    if (err != SL_OK)
        return err;
    err = sl_overrides_save(&disk, sl_slice_str(options->overrides));
    sl_disk_close(&disk);
    return err;
}

enum sl_err
sl_settings_settle(struct sl_up_options *options)
{
    struct sl_overrides *o = NULL;
    enum sl_err err = SL_OK;
    if (options->overrides != NULL) {
        struct sl_slice text = sl_slice_str(options->overrides);
        struct sl_config *config = options->has_new_overrides
                                       ? sl_up_options_merge(options->base, text, &o)
                                       : sl_up_options_merge_good(options->base, text, &o);
        if (config == NULL) {
            struct sl_buf said = {0};
            sl_overrides_print(o, SL_OVERRIDES_FILE, false, &said);
            (void)fputs(sl_buf_text(&said), stderr);
            sl_buf_deinit(&said);
            err = SL_EINVAL;
        } else {
            sl_config_destroy(&options->config);
            options->config = config;
            report_notes(o);
            err = options->has_new_overrides ? keep(options) : SL_OK;
        }
    }
    sl_overrides_destroy(&o);
    if (err == SL_OK)
        sl_settings_disable(options->config);
    return err;
}

void
sl_settings_init(struct sl_settings *s, const struct sl_up_options *options)
{
    *s = (struct sl_settings){.base = options->base,
                              .started = options->config,
                              .config = sl_config_copy(options->config)};
}

void
sl_settings_deinit(struct sl_settings *s)
{
    sl_config_destroy(&s->config);
}

void
sl_settings_take(struct sl_settings *s, struct sl_config **config)
{
    sl_config_destroy(&s->config);
    s->config = *config;
    *config = NULL;
    sl_settings_disable(s->config);
}
