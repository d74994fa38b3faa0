/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/cluster.h"
#include "actors/node_groups.h"
#include "runtime/alloc.h"
#include "runtime/cert.h"
#include "runtime/report.h"

#define GPUS_MAX 64

struct sl_links_options
sl_up_cluster_links(const struct sl_config *config)
{
    return (struct sl_links_options){.name = "head",
                                     .watcher = SL_ACTOR_HEAD,
                                     .watcher_too = SL_ACTOR_BROKER,
                                     .takes = sl_cluster_head_takes,
                                     .dead_ns = sl_config_duration_ns(config, SL_UP_silence),
                                     .lost_ns = sl_config_duration_ns(config, SL_UP_lost)};
}

uint64_t
sl_up_group_nodes(const struct sl_config *config)
{
    struct sl_node_groups groups;
    char *why = NULL;
    if (sl_node_groups_read(sl_config_string(config, SL_UP_groups), &groups, &why) == SL_OK)
        return sl_node_groups_local_max(&groups);
    sl_free(why);
    return 0;
}

/* Devices of NVIDIA's driver; no other is used. */
uint32_t
sl_up_gpus(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < GPUS_MAX; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/dev/nvidia%u", i);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static bool
fail(const char *what, enum sl_err err)
{
    fprintf(stderr, "sluice: %s: %s (%s)\n", what, sl_err_text(err), sl_err_name(err));
    return false;
}

/* The path that was set, or the usual one below DIR/cluster. */
static char *
path_or(const struct sl_up_options *options, enum sl_up_key key, const char *usual)
{
    const char *set = sl_config_string(options->config, key);
    return set[0] != '\0' ? sl_strdup(set) : sl_format("%s/cluster/%s", options->data, usual);
}

static bool
make_directories(const char *data)
{
    char *paths[] = {sl_format("%s/cluster", data), sl_format("%s/cluster/allowed", data)};
    bool is_ok = true;
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        if (is_ok && mkdir(paths[i], 0700) != 0 && errno != EEXIST)
            is_ok = fail(paths[i], sl_err_from_errno(errno));
        sl_free(paths[i]);
    }
    return is_ok;
}

/* A head needs no ceremony before its first worker: its certificate is there when it is asked for.
 */
static bool
make_cert(const char *path)
{
    struct sl_cert cert;
    enum sl_err err = sl_cert_load(path, &cert);
    if (err == SL_ENOTFOUND) {
        err = sl_cert_create("head", &cert);
        if (err == SL_OK)
            err = sl_cert_save(&cert, path);
        if (err == SL_OK)
            sl_report_info("certificate-made", "public=%s key=%s", path, cert.public_key);
    }
    explicit_bzero(&cert, sizeof(cert));
    return err == SL_OK || fail(path, err);
}

static bool
listen_at(const char *endpoint, const char *cert, const char *allowed, struct sl_live *live)
{
    struct sl_link_security security = {.cert = cert, .allowed = allowed};
    enum sl_err err = sl_live_secure(live, &security);
    if (err != SL_OK)
        return fail(cert, err);
    err = sl_live_listen(live, endpoint);
    if (err == SL_EBUSY)
        fprintf(stderr, "sluice: %s is taken by another program; choose another port\n", endpoint);
    else if (err == SL_EINVAL)
        fprintf(stderr, "sluice: cluster.listen is tcp://HOST:PORT, not \"%s\"\n", endpoint);
    else if (err != SL_OK)
        return fail(endpoint, err);
    return err == SL_OK;
}

bool
sl_up_cluster_listen(const struct sl_up_options *options, struct sl_live *live, char **ret_endpoint)
{
    const char *endpoint = sl_config_string(options->config, SL_UP_cluster);
    *ret_endpoint = NULL;
    if (endpoint[0] == '\0')
        return true;
    if (strncmp(endpoint, "tcp://", 6) != 0) {
        fprintf(stderr, "sluice: cluster.listen is tcp://HOST:PORT, not \"%s\"\n", endpoint);
        return false;
    }
    char *cert = path_or(options, SL_UP_cluster_cert, "head");
    char *allowed = path_or(options, SL_UP_cluster_allowed, "allowed");
    bool is_ok = make_directories(options->data) && make_cert(cert) &&
                 listen_at(endpoint, cert, allowed, live);
    if (is_ok) {
        *ret_endpoint = sl_live_bound(live);
        sl_report_info("cluster", "listen=%s cert=%s allowed=%s", *ret_endpoint, cert, allowed);
    }
    sl_free(cert);
    sl_free(allowed);
    return is_ok;
}
