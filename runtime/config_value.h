/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_value.h - one value's text: read, bounded by its row, and written back. For config.c, and
 * for who reads the mappings that it keeps as texts.
 */
#ifndef SL_RUNTIME_CONFIG_VALUE_H
#define SL_RUNTIME_CONFIG_VALUE_H

#include "runtime/config.h"

struct sl_config_value {
    int64_t number; /* BOOL, INT, SIZE, DURATION. */
    double real;    /* FLOAT. */
    char *text;     /* STRING; owned. */
};

/* Replace *value. On failure returns false, with the reason appended to *why. */
bool sl_config_value_read(const struct sl_config_key *key, const char *text,
                          struct sl_config_value *value, struct sl_buf *why);

/* Append a number of the row's type as it would be written in a file. */
void sl_config_number_write(enum sl_config_type type, int64_t number, struct sl_buf *out);
void sl_config_value_write(const struct sl_config_key *key, const struct sl_config_value *value,
                           struct sl_buf *out);

#endif
