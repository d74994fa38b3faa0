/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overrides/merge.h - overrides put on top of a configuration of `sluice up`, so that there is one
 * effective configuration and nothing else needs to know of overrides; and what that changes.
 *
 * An extractor goes by its name here (text_extractor), its id (text_extractor_v1), or either behind
 * its maker's (acme__text_extractor). A name that is none of these stays as it is: it counts when
 * an extractor of that name is installed.
 *
 * Threading: that of the configuration's owner.
 */
#ifndef SL_GATEWAY_OVERRIDES_MERGE_H
#define SL_GATEWAY_OVERRIDES_MERGE_H

#include "gateway/overrides.h"
#include "gateway/up/options.h"
#include "runtime/json.h"

/*
 * Set in `config` what the overrides say. What does not fit what is there, or the extractors that
 * sl_extractor_infos has, is noted in `o` and left out: how the extractor scales, the group's
 * limits, or, where only the whole does not fit, the key.
 */
void sl_overrides_merge(struct sl_overrides *o, struct sl_config *config);
/* Of it the environment alone, which needs no extractors. */
void sl_overrides_merge_env(struct sl_overrides *o, struct sl_config *config);

/* One value of the effective configuration that is another now. */
struct sl_config_change {
    char *path;      /* "extractors.text_extractor.autoscaling_config.max_replicas" */
    char *old, *new; /* NULL: not set. Values of `env` are not told. */
    bool is_live;    /* A running server takes it; else the next start does. */
};

struct sl_config_changes {
    struct sl_config_change *items; /* By path. */
    uint32_t count, capacity;
};

/* Append an object of all values that are set, by their paths; those of `env` are not told. */
void sl_config_write(const struct sl_config *config, struct sl_jsonw *w);
/* What differs between two configurations of the same table, that of sluice up. */
struct sl_config_changes sl_config_changes(const struct sl_config *old,
                                           const struct sl_config *new);
void sl_config_changes_deinit(struct sl_config_changes *changes);
/* Append "path: old -> new" lines. */
void sl_config_changes_print(const struct sl_config_changes *changes, struct sl_buf *out);

#endif
