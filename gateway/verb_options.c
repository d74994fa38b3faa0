/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/verb_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "actors/node_facts.h"
#include "gateway/cli.h"
#include "runtime/alloc.h"

#define HELP_FLAG 256

int
sl_verb_complain(const char *verb, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "sluice %s: ", verb);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return SL_EXIT_USAGE + 1;
}

static int
print_help(const struct sl_verb *verb)
{
    puts(verb->help);
    for (uint32_t i = 0; i < verb->keys_count; i++) {
        const struct sl_config_key *key = &verb->keys[i];
        bool is_shown = key->fallback[0] != '\0' && strcmp(key->fallback, "0") != 0;
        printf("  --%-14s %s%s%s%s\n", key->path, key->doc, is_shown ? " (" : "",
               is_shown ? key->fallback : "", is_shown ? ")" : "");
    }
    if (verb->extra != NULL)
        printf("  --%-14s %s\n", verb->extra, verb->extra_help);
    puts("  --help           print this");
    return SL_EXIT_OK + 1;
}

static int
set(const struct sl_verb *verb, struct sl_config *config, uint32_t key, const char *value)
{
    char *error = NULL;
    enum sl_err err = SL_OK;
    if (key < verb->keys_count)
        err = sl_config_set(config, verb->keys[key].path, value, &error);
    if (err == SL_OK)
        return 0;
    int said = sl_verb_complain(verb->name, "%s", error == NULL ? sl_err_text(err) : error);
    sl_free(error);
    return said;
}

int
sl_verb_read(const struct sl_verb *verb, int argc, char **argv, struct sl_config **ret_config,
             void *arg)
{
    struct option options[SL_VERB_KEYS_MAX + 3] = {{0}};
    uint32_t count = verb->keys_count;
    char *error = NULL;
    sl_assert(count <= SL_VERB_KEYS_MAX);
    if (sl_config_load(verb->keys, count, NULL, ret_config, &error) != SL_OK) {
        sl_free(error);
        return SL_EXIT_FAILED + 1;
    }
    for (uint32_t i = 0; i < count; i++)
        options[i] = (struct option){verb->keys[i].path, required_argument, NULL, (int)i};
    options[count] = (struct option){"help", no_argument, NULL, HELP_FLAG};
    if (verb->extra != NULL)
        options[count + 1] = (struct option){verb->extra, required_argument, NULL, (int)count};
    optind = 0;
    for (int got; (got = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (got == HELP_FLAG)
            return print_help(verb);
        if (got == '?')
            return sl_verb_complain(verb->name, "try --help");
        int said = set(verb, *ret_config, (uint32_t)got, optarg);
        if (said == 0 && verb->take != NULL)
            said = verb->take(arg, (uint32_t)got, optarg);
        if (said != 0)
            return said;
    }
    return optind < argc ? sl_verb_complain(verb->name, "it takes options only; try --help") : 0;
}

/* ---- verbs that join a head ---------------------------------------------------------------- */

static bool
is_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int
sl_verb_check_head(const char *verb, const struct sl_verb_head *head)
{
    if (!is_text(head->endpoint))
        return sl_verb_complain(verb, "--head ENDPOINT is missing; try --help");
    if (strncmp(head->endpoint, "tcp://", 6) == 0 &&
        (!is_text(head->cert) || !is_text(head->head_cert)))
        return sl_verb_complain(
            verb, "--head %s: tcp takes --cert FILE, its own, and --head-cert FILE, the head's",
            head->endpoint);
    if (!is_text(head->data))
        return sl_verb_complain(
            verb, "--head %s: --data DIR is missing: the head's data directory, as seen from here",
            head->endpoint);
    return 0;
}

int
sl_verb_name(const char *verb, const char *given, char **ret_name)
{
    char host[48] = "";
    if (given[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    *ret_name = given[0] != '\0' ? sl_strdup(given) : sl_format("%s-%d", host, (int)getpid());
    return sl_node_name_is_good(sl_slice_str(*ret_name))
               ? 0
               : sl_verb_complain(verb, "--name is 1 to 64 of A-Z a-z 0-9 . _ -");
}
