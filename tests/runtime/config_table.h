/* SPDX-License-Identifier: Apache-2.0 */
/* config_table.h - a table with a key of every type, for the configuration's tests. */
#ifndef SL_TESTS_RUNTIME_CONFIG_TABLE_H
#define SL_TESTS_RUNTIME_CONFIG_TABLE_H

#include "runtime/config.h"

enum { KEY_BOOL, KEY_INT, KEY_SIZE, KEY_DURATION, KEY_STRING, KEY_FLOAT, KEY_FREE, KEY_MAP };

static const struct sl_config_key table[] = {
    {"http.enabled", SL_CONFIG_BOOL, "true", 0, 0, "", "Whether to listen."},
    {"http.port", SL_CONFIG_INT, "8080", 1, 65535, "", "Where to listen."},
    {"log.segment.size", SL_CONFIG_SIZE, "64MiB", 4096, INT64_C(1) << 40, "", "Of one file."},
    {"log.delay", SL_CONFIG_DURATION, "5s", 0, INT64_C(86400) * 1000000000, "", "Between."},
    {"name", SL_CONFIG_STRING, "it's", 1, 40, "", "Of the node."},
    {"share", SL_CONFIG_FLOAT, "0.5", 0, 1, "of the machine", "How much to take."},
    {"log.free", SL_CONFIG_INT, "-1", 0, 0, "", "Any number."},
    {"http.groups", SL_CONFIG_MAP, "", 0, 200, "", "By name."},
};

#endif
