/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_path.h - where extractor plugins are looked for. */
#ifndef SL_GATEWAY_PLUGIN_PATH_H
#define SL_GATEWAY_PLUGIN_PATH_H

/* Directories with ':' between: `more` (which may be empty), then the one that came with this
 * program. Owned by the caller. */
char *sl_plugin_path(const char *more);

#endif
