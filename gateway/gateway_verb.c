/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process: planes, one for each head, and before them the front. This thread sets up, then
 * waits for a signal, or for the last head to refuse us.
 */
#include "gateway/gateway_verb.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gateway/api.h"
#include "gateway/cli.h"
#include "gateway/front.h"
#include "gateway/gateway_options.h"
#include "gateway/gateway_page.h"
#include "gateway/plane.h"
#include "gateway/transport.h"
#include "gateway/up/process.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "runtime/tls.h"

#define DRAIN_POLL_MS 20

static_assert(SL_GATEWAY_HEADS_MAX <= SL_FRONT_PLANES_MAX, "a plane for each head");

struct process {
    struct sl_gateway_options options;
    struct sl_plane planes[SL_GATEWAY_HEADS_MAX];
    uint32_t planes_count;
    struct sl_front *front, *status;
    struct sl_gateway_page page;
    struct sl_transport transport;
    int signal_fd;
    int refused_fd; /* An event for each plane that was refused. */
};

/* ---- its parts ----------------------------------------------------------------------------- */

static void
take_reply(void *arg, struct sl_call *call)
{
    const struct process *p = arg;
    sl_front_reply(p->front, &call);
}

static void
on_refused(void *arg)
{
    const struct process *p = arg;
    uint64_t one = 1;
    ssize_t size = write(p->refused_fd, &one, sizeof(one));
    (void)size; /* It is never full. */
}

static void
post_call(void *arg, struct sl_call *call)
{
    struct process *p = arg;
    sl_assert(call->plane < p->planes_count);
    sl_plane_post(&p->planes[call->plane], call);
}

/* Whichever head has it, the other is away for ever. */
static bool
is_data_twice(const struct process *p, const char *data)
{
    char *path = realpath(data, NULL);
    bool is_twice = false;
    for (uint32_t i = 0; path != NULL && i < p->planes_count; i++)
        is_twice = is_twice || strcmp(p->planes[i].data, path) == 0;
    if (is_twice)
        fprintf(stderr, "sluice gateway: %s is the data directory of two heads\n", path);
    sl_free(path);
    return is_twice;
}

static int
open_planes(struct process *p)
{
    const struct sl_config *config = p->options.config;
    for (uint32_t i = 0; i < p->options.heads_count; i++) {
        const struct sl_gateway_head *head = &p->options.heads[i];
        struct sl_plane_options options = {
            .head = head->endpoint,
            .data = head->data,
            .cert = sl_config_string(config, SL_GATEWAY_cert),
            .head_cert = head->cert == NULL ? "" : head->cert,
            .run = sl_config_string(config, SL_GATEWAY_run),
            .name = p->options.name,
            .index = i,
            .silence_ns = sl_config_duration_ns(config, SL_GATEWAY_silence),
            .timeout_ns = sl_config_duration_ns(config, SL_GATEWAY_timeout),
            .reply = take_reply,
            .refused = on_refused,
            .arg = p};
        if (is_data_twice(p, head->data))
            return SL_EXIT_USAGE;
        if (!sl_plane_open(&p->planes[i], &options))
            return SL_EXIT_FAILED;
        p->planes_count++;
    }
    return SL_EXIT_OK;
}

static bool
open_transport(struct process *p)
{
    const struct sl_config *config = p->options.config;
    struct sl_transport_files files = {.cert = sl_config_string(config, SL_GATEWAY_tls_cert),
                                       .key = sl_config_string(config, SL_GATEWAY_tls_key),
                                       .proxies =
                                           sl_config_string(config, SL_GATEWAY_trusted_proxy)};
    return sl_transport_open("gateway", &files, &p->transport);
}

static int
start_front(const struct sl_front_options *options, struct sl_front **ret_front)
{
    enum sl_err err = sl_front_start(options, ret_front);
    if (err == SL_EBUSY)
        fprintf(stderr, "sluice gateway: %s is taken by another program; choose another port\n",
                options->address);
    else if (err != SL_OK)
        fprintf(stderr, "sluice gateway: %s: %s (%s)\n", options->address, sl_err_text(err),
                sl_err_name(err));
    return err == SL_OK ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static int
start_fronts(struct process *p)
{
    struct sl_front_options api = {
        .address = sl_config_string(p->options.config, SL_GATEWAY_http),
        .planes_count = p->planes_count,
        .connections_max = (uint32_t)sl_config_int(p->options.config, SL_GATEWAY_connections),
        .post = post_call,
        .arg = p,
        .transport = &p->transport,
        .is_relayed = true};
    for (uint32_t i = 0; i < p->planes_count; i++)
        api.planes[i] = (struct sl_front_plane){.keyring = p->planes[i].gateway.keyring,
                                                .blobs = p->planes[i].gateway.blobs,
                                                .incoming = p->planes[i].gateway.incoming,
                                                .is_up = &p->planes[i].view.is_up};
    int code = start_front(&api, &p->front);
    struct sl_front_options status = {.address =
                                          sl_config_string(p->options.config, SL_GATEWAY_status),
                                      .page = sl_gateway_page,
                                      .arg = &p->page,
                                      .transport = &p->transport,
                                      .connections_max = 64};
    p->page = (struct sl_gateway_page){.planes = p->planes,
                                       .planes_count = p->planes_count,
                                       .front = p->front,
                                       .started_ms = sl_time_wall_ms()};
    if (code == SL_EXIT_OK && status.address[0] != '\0')
        code = start_front(&status, &p->status);
    return code;
}

/* ---- its end ------------------------------------------------------------------------------- */

static bool
has_signal(const struct process *p)
{
    struct signalfd_siginfo info;
    while (read(p->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGHUP)
            return true;
        sl_tls_reload();
    }
    return false;
}

/* Nothing is under way, and nothing will be. */
static bool
is_idle(const struct process *p)
{
    return sl_front_in_flight(p->front) == 0 && sl_front_shut(p->front) &&
           sl_front_in_flight(p->front) == 0;
}

/* Until all requests have ended, the time is over, or a second signal comes: true, then. */
static bool
drain(struct process *p)
{
    uint64_t until_ns =
        sl_time_mono_ns() + sl_config_duration_ns(p->options.config, SL_GATEWAY_drain);
    sl_report_info("stopping", "how=drain");
    sl_front_drain(p->front);
    while (!is_idle(p) && sl_time_mono_ns() < until_ns) {
        struct pollfd fd = {.fd = p->signal_fd, .events = POLLIN};
        if (poll(&fd, 1, DRAIN_POLL_MS) > 0 && has_signal(p))
            return true;
    }
    return false;
}

static void
stop_planes(struct process *p, bool is_at_once)
{
    if (is_at_once)
        sl_report_warn("stopping", "how=at-once");
    for (uint32_t i = 0; i < p->planes_count; i++) {
        if (is_at_once)
            sl_plane_stop(&p->planes[i]);
        else
            sl_plane_leave(&p->planes[i]);
    }
    for (uint32_t i = 0; i < p->planes_count; i++)
        sl_plane_join(&p->planes[i]);
}

/* True: a signal came; false: no head wants us. */
static bool
wait_for_end(struct process *p)
{
    struct pollfd fds[] = {{.fd = p->signal_fd, .events = POLLIN},
                           {.fd = p->refused_fd, .events = POLLIN}};
    for (uint64_t refused = 0, count = 0; refused < p->planes_count;) {
        if (poll(fds, SL_COUNT_OF(fds), -1) <= 0)
            continue;
        if (has_signal(p))
            return true;
        if (read(p->refused_fd, &count, sizeof(count)) == sizeof(count))
            refused += count;
    }
    return false;
}

static int
serve(struct process *p)
{
    for (uint32_t i = 0; i < p->planes_count; i++) {
        sl_plane_start(&p->planes[i]);
        sl_report_info("head", "index=%u head=%s data=%s", i + 1, p->planes[i].options.head,
                       p->planes[i].data);
    }
    sl_report_info("ready", "http=%u name=%s heads=%u", sl_front_port(p->front), p->options.name,
                   p->planes_count);
    puts("ready");
    (void)fflush(stdout);
    bool is_signal = wait_for_end(p);
    stop_planes(p, is_signal ? drain(p) : false);
    return is_signal ? SL_EXIT_OK : SL_EXIT_FAILED;
}

/* All threads start with these blocked, so that this one alone hears them. */
static int
prepare_process(struct process *p)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGHUP);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    sl_report_role_set("gateway");
    sl_process_descriptors((uint64_t)sl_config_int(p->options.config, SL_GATEWAY_connections));
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_relay);
    p->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    p->refused_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return p->signal_fd < 0 || p->refused_fd < 0 ? SL_EXIT_FAILED : SL_EXIT_OK;
}

static void
deinit(struct process *p)
{
    sl_front_stop(&p->status);
    sl_front_stop(&p->front);
    sl_transport_close(&p->transport);
    for (uint32_t i = 0; i < p->planes_count; i++)
        sl_plane_destroy(&p->planes[i]);
    if (p->signal_fd >= 0)
        close(p->signal_fd);
    if (p->refused_fd >= 0)
        close(p->refused_fd);
    sl_gateway_options_deinit(&p->options);
}

int
sl_gateway_main(int argc, char **argv)
{
    struct process p = {.signal_fd = -1, .refused_fd = -1};
    int said = sl_gateway_options_read(argc, argv, &p.options);
    int code = said == 0 ? prepare_process(&p) : said - 1;
    if (said == 0 && code == SL_EXIT_OK)
        code = open_planes(&p);
    if (said == 0 && code == SL_EXIT_OK && !open_transport(&p))
        code = SL_EXIT_USAGE;
    if (said == 0 && code == SL_EXIT_OK)
        code = start_fronts(&p);
    if (said == 0 && code == SL_EXIT_OK)
        code = serve(&p);
    deinit(&p);
    return code;
}
