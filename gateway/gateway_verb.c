/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_verb.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "actors/node_facts.h"
#include "actors/router.h"
#include "gateway/api.h"
#include "gateway/cli.h"
#include "gateway/edge.h"
#include "gateway/front.h"
#include "object-store/blob.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"
#include "runtime/config.h"
#include "runtime/hash.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define HELP_FLAG       256
#define EXIT_WAS_HELPED (-1)
#define ENDPOINT_MAX    (100 + 6)           /* Of sun_path's 108, and "ipc://". */
#define LOST_NS         (500 * SL_MILLI_NS) /* A peer whose connection broke, unless it is back. */
#define DRAIN_POLL_NS   (20 * SL_MILLI_NS)
#define SL_ACTOR_DRAIN  18 /* Looks now and then whether all requests have ended. */

enum key {
#define OPTION(name, flag, type, fallback, min, max, unit, doc) KEY_##name,
#include "gateway/gateway_verb.def"
    KEY_COUNT
};

static const struct sl_config_key keys[KEY_COUNT] = {
#define OPTION(name, flag, type, fallback, min, max, unit, doc)                                    \
    [KEY_##name] = {flag, SL_CONFIG_##type, fallback, min, max, unit, doc},
#include "gateway/gateway_verb.def"
};

struct process {
    struct sl_config *config;
    char *data, *name, *endpoint;
    struct sl_gateway gateway; /* Its keyring, blobs and incoming; there is no store here. */
    struct sl_live *live;
    struct sl_front *front;
    int signal_fd, lock_fd;
    bool is_refused;
    uint32_t signals;
    uint64_t drain_until_ns;
};

/* ---- the command line ---------------------------------------------------------------------- */

static int
print_help(void)
{
    puts("usage: sluice gateway --head ENDPOINT --data DIR [OPTIONS]\n"
         "Serve the API for a head that is elsewhere. Several may serve one head. While the head "
         "is\n"
         "away, requests that need it are answered 503. SIGTERM or ctrl-c finishes what is under\n"
         "way and stops; a second one stops at once.\n");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        bool is_shown = keys[i].fallback[0] != '\0';
        printf("  --%-10s %s%s%s%s\n", keys[i].path, keys[i].doc, is_shown ? " (" : "",
               is_shown ? keys[i].fallback : "", is_shown ? ")" : "");
    }
    puts("  --help       print this");
    return EXIT_WAS_HELPED;
}

static int
complain(const char *what)
{
    fprintf(stderr, "sluice gateway: %s\n", what);
    return SL_EXIT_USAGE;
}

static int
fail(const char *what, enum sl_err err)
{
    fprintf(stderr, "sluice gateway: %s: %s (%s)\n", what, sl_err_text(err), sl_err_name(err));
    return SL_EXIT_FAILED;
}

static int
set(struct process *p, size_t key, const char *value)
{
    char *error = NULL;
    enum sl_err err = sl_config_set(p->config, keys[key].path, value, &error);
    if (err == SL_OK)
        return SL_EXIT_OK;
    int code = complain(error == NULL ? sl_err_text(err) : error);
    sl_free(error);
    return code;
}

static int
read_line(struct process *p, int argc, char **argv)
{
    struct option options[KEY_COUNT + 2] = {{0}};
    for (size_t i = 0; i < KEY_COUNT; i++)
        options[i] = (struct option){keys[i].path, required_argument, NULL, (int)i};
    options[KEY_COUNT] = (struct option){"help", no_argument, NULL, HELP_FLAG};
    optind = 0;
    for (int got; (got = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (got == HELP_FLAG)
            return print_help();
        if (got == '?')
            return complain("try --help");
        int code = set(p, (size_t)got, optarg);
        if (code != SL_EXIT_OK)
            return code;
    }
    if (optind < argc)
        return complain("it takes options only; try --help");
    const char *head = sl_config_string(p->config, KEY_head);
    if (head[0] == '\0')
        return complain("--head ENDPOINT is missing; try --help");
    bool has_certs = sl_config_string(p->config, KEY_cert)[0] != '\0' &&
                     sl_config_string(p->config, KEY_head_cert)[0] != '\0';
    if (strncmp(head, "tcp://", 6) == 0 && !has_certs)
        return complain("tcp takes --cert FILE, its own, and --head-cert FILE, the head's");
    return sl_config_string(p->config, KEY_data)[0] == '\0'
               ? complain("--data DIR is missing: the head's data directory, as seen from here")
               : SL_EXIT_OK;
}

static int
make_name(struct process *p)
{
    char host[48] = "";
    const char *name = sl_config_string(p->config, KEY_name);
    if (name[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    p->name = name[0] != '\0' ? sl_strdup(name) : sl_format("%s-%d", host, (int)getpid());
    return sl_node_name_is_good(sl_slice_str(p->name))
               ? SL_EXIT_OK
               : complain("--name is 1 to 64 of A-Z a-z 0-9 . _ -");
}

/* ---- its parts ----------------------------------------------------------------------------- */

/* What the head has made there: a gateway makes nothing of its own before. */
static int
open_data(struct process *p)
{
    p->data = realpath(sl_config_string(p->config, KEY_data), NULL);
    char *address = sl_format("%s/address", p->data == NULL ? "" : p->data);
    bool is_there = p->data != NULL && access(address, R_OK) == 0;
    sl_free(address);
    if (!is_there) {
        fprintf(stderr, "sluice gateway: %s is no directory that a head has served from\n",
                sl_config_string(p->config, KEY_data));
        return SL_EXIT_FAILED;
    }
    char *blobs = sl_format("%s/blobs", p->data), *uploads = sl_format("%s/uploads", p->data);
    enum sl_err err = sl_blobs_join(blobs, &p->gateway.blobs);
    if (err == SL_OK)
        err = sl_incoming_open(uploads, false, &p->gateway.incoming);
    sl_free(blobs);
    sl_free(uploads);
    if (err != SL_OK)
        return fail(p->data, err);
    sl_incoming_share(p->gateway.incoming);
    p->gateway.data_directory = p->data;
    p->gateway.keyring = sl_keyring_create();
    sl_keyring_await(p->gateway.keyring);
    return SL_EXIT_OK;
}

static void
take_reply(void *arg, struct sl_msg *msg)
{
    struct process *p = arg;
    struct sl_call *call = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call;
    sl_front_reply(p->front, &call);
    sl_msg_destroy(&msg);
}

static void
on_refused(void *arg, struct sl_msg *msg)
{
    struct process *p = arg;
    struct sl_slice why = SL_BODY(msg, edge_refused)->why;
    sl_report_error("refused", "name=%s why=\"%.*s\"", p->name, SL_SLICE_FMT(why));
    fprintf(stderr, "sluice gateway: the head refuses it: %.*s\n", SL_SLICE_FMT(why));
    p->is_refused = true;
    sl_msg_destroy(&msg);
    sl_live_stop(p->live);
}

static void
post_call(void *arg, struct sl_call *call)
{
    struct process *p = arg;
    struct sl_msg *msg =
        sl_msg_create(SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
    msg->to.actor = SL_ACTOR_EDGE;
    sl_live_post(p->live, msg);
}

static enum sl_err
connect_head(struct process *p, const char *head)
{
    struct sl_link_security security = {.cert = sl_config_string(p->config, KEY_cert),
                                        .server = sl_config_string(p->config, KEY_head_cert)};
    enum sl_err err = SL_OK;
    if (strncmp(head, "tcp://", 6) == 0)
        err = sl_live_secure(p->live, &security);
    return err == SL_OK ? sl_live_connect(p->live, SL_NODE_HEAD, head) : err;
}

/* What other nodes may send here; that the edge takes only the head's it sees to itself. */
static bool
takes(const struct sl_msg *msg)
{
    if (msg->to.actor == SL_ACTOR_ROUTER)
        return msg->id == SL_M_embedded;
    return msg->to.actor == SL_ACTOR_EDGE &&
           (msg->id >> 16 == SL_PROTOCOL_RELAY || msg->id == SL_M_node_hello ||
            msg->id == SL_M_node_open);
}

/* From its name, so that workers find one that was started again by the link they have to it. */
static uint32_t
number_of(const char *name)
{
    uint8_t digest[SL_SHA256_SIZE];
    uint32_t bits;
    sl_sha256(sl_slice_str(name), digest);
    memcpy(&bits, digest, sizeof(bits));
    return SL_NODE_WORKERS_FIRST + bits % (SL_NODE_WORKERS_LAST - SL_NODE_WORKERS_FIRST);
}

/* Two of a name would take each other's socket. */
static int
lock_name(struct process *p)
{
    char *path = sl_format("%s.lock", p->endpoint + strlen("ipc://"));
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum sl_err err = p->lock_fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    bool is_taken = err == SL_OK && flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0;
    if (is_taken)
        fprintf(stderr, "sluice gateway: another gateway of the name %s runs\n", p->name);
    else if (err != SL_OK)
        fail(path, err);
    sl_free(path);
    if (is_taken) {
        close(p->lock_fd);
        p->lock_fd = -1;
    }
    return err == SL_OK && !is_taken ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static int
make_endpoint(struct process *p, uint32_t number)
{
    const char *run = sl_config_string(p->config, KEY_run);
    p->endpoint = run[0] != '\0' ? sl_format("ipc://%s/gateway-%u", run, number)
                                 : sl_format("ipc://%s/run/gateway-%u", p->data, number);
    if (strlen(p->endpoint) > ENDPOINT_MAX)
        return complain("the data directory's path is too long for a socket: give --run DIR");
    return lock_name(p);
}

static int
start_actors(struct process *p)
{
    uint32_t number = number_of(p->name);
    const char *head = sl_config_string(p->config, KEY_head);
    struct sl_links_options links = {.name = p->name,
                                     .group = "gateway",
                                     .watcher = SL_ACTOR_EDGE,
                                     .takes = takes,
                                     .lost_ns = LOST_NS};
    int code = make_endpoint(p, number);
    if (code != SL_EXIT_OK)
        return code;
    p->live = sl_live_create(&(struct sl_live_options){.node = number, .links = &links});
    enum sl_err err = sl_live_listen(p->live, p->endpoint);
    if (err != SL_OK)
        return fail(p->endpoint, err);
    err = connect_head(p, head);
    if (err != SL_OK)
        return fail(head, err);
    struct sl_edge_options edge = {.gateway = &p->gateway,
                                   .name = p->name,
                                   .endpoint = p->endpoint,
                                   .pid = (uint64_t)getpid(),
                                   .silence_ns = sl_config_duration_ns(p->config, KEY_silence),
                                   .timeout_ns = sl_config_duration_ns(p->config, KEY_timeout)};
    sl_live_port(p->live, SL_PORT_FRONT, take_reply, p);
    sl_live_port(p->live, SL_PORT_NODE, on_refused, p);
    sl_live_spawn(p->live, SL_ACTOR_ROUTER, &sl_router_class, NULL);
    sl_live_spawn(p->live, SL_ACTOR_API, &sl_api_class,
                  &(struct sl_api_options){.gateway = &p->gateway});
    sl_live_spawn(p->live, SL_ACTOR_EDGE, &sl_edge_class, &edge);
    return SL_EXIT_OK;
}

static int
start_front(struct process *p)
{
    const char *http = sl_config_string(p->config, KEY_http);
    struct sl_front_options options = {.address = http,
                                       .keyring = p->gateway.keyring,
                                       .blobs = p->gateway.blobs,
                                       .incoming = p->gateway.incoming,
                                       .post = post_call,
                                       .arg = p,
                                       .is_relayed = true};
    enum sl_err err = sl_front_start(&options, &p->front);
    if (err == SL_EBUSY)
        fprintf(stderr, "sluice gateway: %s is taken by another program; choose another port\n",
                http);
    else if (err != SL_OK)
        fail(http, err);
    return err == SL_OK ? SL_EXIT_OK : SL_EXIT_FAILED;
}

/* ---- its end ------------------------------------------------------------------------------- */

/* While it drains: looks until nothing is under way, says goodbye, and stops the loop. */
static void
drain_look(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct process *p = *(struct process **)self;
    (void)msg;
    if (sl_front_in_flight(p->front) > 0 && sl_time_mono_ns() < p->drain_until_ns) {
        sl_after(ctx, DRAIN_POLL_NS, 0);
        return;
    }
    sl_edge_leave(sl_live_state(p->live, SL_ACTOR_EDGE), ctx);
    sl_live_stop(p->live);
}

static void
drain_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    *(struct process **)self = (struct process *)(uintptr_t)argument;
    sl_after(ctx, 0, 0);
}

static const struct sl_actor_class drain_class = {.name = "drain",
                                                  .state_size = sizeof(struct process *),
                                                  .init = drain_init,
                                                  .handle = drain_look};

static void
on_signal(void *arg)
{
    struct process *p = arg;
    struct signalfd_siginfo info;
    while (read(p->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (p->signals++ > 0) {
            sl_report_warn("stopping", "how=at-once");
            sl_live_stop(p->live);
            return;
        }
        sl_report_info("stopping", "how=drain signal=%u", info.ssi_signo);
        sl_front_drain(p->front);
        p->drain_until_ns = sl_time_mono_ns() + sl_config_duration_ns(p->config, KEY_drain);
        sl_live_spawn(p->live, SL_ACTOR_DRAIN, &drain_class, p);
    }
}

static int
serve(struct process *p)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    p->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    if (p->signal_fd < 0)
        return SL_EXIT_FAILED;
    sl_live_watch(p->live, p->signal_fd, on_signal, p);
    sl_report_info("ready", "http=%u name=%s head=%s", sl_front_port(p->front), p->name,
                   sl_config_string(p->config, KEY_head));
    puts("ready");
    (void)fflush(stdout);
    return sl_live_run(p->live) == SL_OK && !p->is_refused ? SL_EXIT_OK : SL_EXIT_FAILED;
}

/* Threads start with these blocked, so that only the scheduler's descriptor hears them. */
static void
prepare_process(void)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    sl_report_role_set("gateway");
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_relay);
}

static void
deinit(struct process *p)
{
    if (p->front != NULL)
        sl_front_stop(&p->front);
    sl_live_destroy(&p->live);
    sl_keyring_destroy(&p->gateway.keyring);
    sl_blobs_close(&p->gateway.blobs);
    sl_incoming_close(&p->gateway.incoming);
    if (p->signal_fd >= 0)
        close(p->signal_fd);
    if (p->lock_fd >= 0) {
        unlink(p->endpoint + strlen("ipc://")); /* The lock's file stays: somebody may wait. */
        close(p->lock_fd);
    }
    sl_free(p->endpoint);
    sl_free(p->data);
    sl_free(p->name);
    sl_config_destroy(&p->config);
}

int
sl_gateway_main(int argc, char **argv)
{
    struct process p = {.signal_fd = -1, .lock_fd = -1};
    char *error = NULL;
    if (sl_config_load(keys, KEY_COUNT, NULL, &p.config, &error) != SL_OK) {
        sl_free(error);
        return SL_EXIT_FAILED;
    }
    int code = read_line(&p, argc, argv);
    if (code == SL_EXIT_OK)
        code = make_name(&p);
    if (code == SL_EXIT_OK)
        code = open_data(&p);
    if (code == SL_EXIT_OK) {
        prepare_process();
        code = start_actors(&p);
    }
    if (code == SL_EXIT_OK)
        code = start_front(&p);
    if (code == SL_EXIT_OK)
        code = serve(&p);
    deinit(&p);
    return code == EXIT_WAS_HELPED ? SL_EXIT_OK : code;
}
