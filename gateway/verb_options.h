/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb_options.h - the command line of a verb whose options are the keys of a table: --KEY VALUE
 * sets it. For verbs that join a head from elsewhere there is also what they have in common.
 *
 * What is refused is said on standard error, as "sluice VERB: ...". All functions that return int
 * return 0, or what to exit with plus 1.
 */
#ifndef SL_GATEWAY_VERB_OPTIONS_H
#define SL_GATEWAY_VERB_OPTIONS_H

#include "runtime/config.h"

#define SL_VERB_KEYS_MAX 48u

struct sl_verb {
    const char *name;
    const char *help; /* Before the list of options. */
    const struct sl_config_key *keys;
    uint32_t keys_count;
    /* One option more than the keys: its number is keys_count. NULL: none. */
    const char *extra, *extra_help;
    /* Given each option as it comes, once its key is set. May be NULL. */
    int (*take)(void *arg, uint32_t key, const char *value);
};

/* Read argv, whose first is the verb, on top of the defaults. *ret_config is made in any case but
 * SL_EXIT_FAILED. */
int sl_verb_read(const struct sl_verb *verb, int argc, char **argv, struct sl_config **ret_config,
                 void *arg);

/* For usage: returns what to exit with, plus 1. */
int sl_verb_complain(const char *verb, const char *format, ...) SL_PRINTF(2, 3);

/* A head elsewhere, as somebody named it; NULL and "" are not given. */
struct sl_verb_head {
    const char *endpoint, *data, *cert, *head_cert;
};
int sl_verb_check_head(const char *verb, const struct sl_verb_head *head);

/* Who it is: as given, or HOST-PID. Owned, also when it is refused. */
int sl_verb_name(const char *verb, const char *given, char **ret_name);

#endif
