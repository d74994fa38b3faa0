/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the configuration in force, where it takes hold of the process: the environment, the
 * overrides that are kept in the data directory, the extractors that are disabled.
 *
 * Threading: main's, before there are others, if nothing else is said.
 */
#ifndef SL_GATEWAY_SETTINGS_H
#define SL_GATEWAY_SETTINGS_H

#include "gateway/overrides/merge.h"
#include "gateway/up/options.h"

/* The configuration while the server runs. Threading: the store's thread. */
struct sl_settings {
    const struct sl_config *base, *started; /* Without overrides; as the process was started. */
    struct sl_config *config; /* In force now, but for what waits for a start. Owned. */
    bool is_applying;         /* Overrides are being written. */
};

/* Set the variables of the key `env` for this process and those that it starts. */
void sl_settings_environment(const struct sl_config *config);

/*
 * Once extractors are installed and the data directory is ours: merge the overrides with them, keep
 * those that are new, disable what they disable. Replaces options->config. What does not fit of
 * those that were kept before is left out and reported. SL_EINVAL: of new ones, and standard error
 * says what; else the disk's errors.
 */
SL_MUST_CHECK enum sl_err sl_settings_settle(struct sl_up_options *options);

/* Before the server serves: `options`, which outlive it. Destroy: zeroed is fine. */
void sl_settings_init(struct sl_settings *settings, const struct sl_up_options *options);
void sl_settings_deinit(struct sl_settings *settings);
/* Take *config, which is nulled, and disable what it disables. */
void sl_settings_take(struct sl_settings *settings, struct sl_config **config);

/* Tell the catalogue which extractors the configuration disables. On the thread that reads it. */
void sl_settings_disable(const struct sl_config *config);

#endif
