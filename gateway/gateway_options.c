/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_options.h"

#include "gateway/verb_options.h"
#include "runtime/alloc.h"

static const struct sl_config_key keys[SL_GATEWAY_KEY_COUNT] = {
#define OPTION(name, flag, type, fallback, min, max, unit, doc)                                    \
    [SL_GATEWAY_##name] = {flag, SL_CONFIG_##type, fallback, min, max, unit, doc},
#include "gateway/gateway_verb.def"
};

static const char help[] =
    "usage: sluice gateway --head ENDPOINT --data DIR [--head ENDPOINT --data DIR ...] "
    "[OPTIONS]\n"
    "Serve the API for a head that is elsewhere, or for up to 16, each of which has tenants "
    "of\n"
    "its own: a request goes to the first head that knows its key. --data and --head-cert "
    "are\n"
    "of the --head before them. Several gateways may serve one head. While a head is away,\n"
    "requests that need it are answered 503. SIGTERM or ctrl-c finishes what is under way and\n"
    "stops; a second one stops at once.\n";

static int
complain(const struct sl_gateway_head *head, const char *what)
{
    return sl_verb_complain("gateway", "--head %s: %s",
                            head->endpoint == NULL ? "(not given yet)" : head->endpoint, what);
}

/* --data and --head-cert before the first --head are its as well. */
static int
set_of_head(struct sl_gateway_options *o, size_t key, const char *value)
{
    bool is_begun = o->heads_count > 0;
    if (key == SL_GATEWAY_head && o->heads_count == SL_GATEWAY_HEADS_MAX)
        return sl_verb_complain("gateway", "there are more than 16 heads");
    if (key == SL_GATEWAY_head)
        o->heads_count++;
    struct sl_gateway_head *head = &o->heads[is_begun ? o->heads_count - 1 : 0];
    char **at = key == SL_GATEWAY_head   ? &head->endpoint
                : key == SL_GATEWAY_data ? &head->data
                                         : &head->cert;
    if (*at != NULL)
        return complain(head,
                        key == SL_GATEWAY_data ? "--data comes twice" : "--head-cert comes twice");
    *at = sl_strdup(value);
    return 0;
}

static int
take(void *arg, uint32_t key, const char *value)
{
    bool is_of_head =
        key == SL_GATEWAY_head || key == SL_GATEWAY_data || key == SL_GATEWAY_head_cert;
    return is_of_head ? set_of_head(arg, key, value) : 0;
}

/* ---- all of them --------------------------------------------------------------------------- */

static int
check_head(const struct sl_gateway_options *o, const struct sl_gateway_head *head)
{
    struct sl_verb_head named = {.endpoint = head->endpoint,
                                 .data = head->data,
                                 .cert = sl_config_string(o->config, SL_GATEWAY_cert),
                                 .head_cert = head->cert};
    int said = sl_verb_check_head("gateway", &named);
    if (said != 0)
        return said;
    for (const struct sl_gateway_head *other = o->heads; other < head; other++) {
        if (strcmp(other->endpoint, head->endpoint) == 0)
            return complain(head, "it comes twice");
    }
    return 0;
}

int
sl_gateway_options_read(int argc, char **argv, struct sl_gateway_options *o)
{
    static const struct sl_verb verb = {.name = "gateway",
                                        .help = help,
                                        .keys = keys,
                                        .keys_count = SL_GATEWAY_KEY_COUNT,
                                        .take = take};
    *o = (struct sl_gateway_options){0};
    int said = sl_verb_read(&verb, argc, argv, &o->config, o);
    for (uint32_t i = 0; said == 0 && i < SL_MAX(o->heads_count, 1u); i++)
        said = check_head(o, &o->heads[i]);
    return said != 0
               ? said
               : sl_verb_name("gateway", sl_config_string(o->config, SL_GATEWAY_name), &o->name);
}

void
sl_gateway_options_deinit(struct sl_gateway_options *o)
{
    for (uint32_t i = 0; i < SL_GATEWAY_HEADS_MAX; i++) {
        sl_free(o->heads[i].endpoint);
        sl_free(o->heads[i].data);
        sl_free(o->heads[i].cert);
    }
    sl_free(o->name);
    sl_config_destroy(&o->config);
}

void
sl_gateway_reference(struct sl_buf *out)
{
    sl_config_reference(keys, SL_GATEWAY_KEY_COUNT, "--", out);
}
