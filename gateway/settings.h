/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the configuration in force, where it takes hold of the process: the environment, the
 * overrides that are kept in the data directory, the extractors that are disabled.
 *
 * Threading: main's, before there are others, if nothing else is said.
 */
#ifndef SL_GATEWAY_SETTINGS_H
#define SL_GATEWAY_SETTINGS_H

#include "gateway/up_options.h"

/* Set the variables of the key `env` for this process and those that it starts. */
void sl_settings_environment(const struct sl_config *config);

/*
 * Once extractors are installed and the data directory is ours: merge the overrides with them, keep
 * those that are new, disable what they disable. Replaces options->config. SL_EINVAL: standard
 * error says what does not fit; else the disk's errors.
 */
SL_MUST_CHECK enum sl_err sl_settings_settle(struct sl_up_options *options);

/* Tell the catalogue which extractors the configuration disables. On the thread that reads it. */
void sl_settings_disable(const struct sl_config *config);

#endif
