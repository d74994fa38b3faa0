/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "actors/image_message.h"
#include "actors/node.h"
#include "actors/node_facts.h"
#include "extractors/replica.h"
#include "gateway/cli.h"
#include "gateway/plugin_path.h"
#include "gateway/verb_options.h"
#include "runtime/alloc.h"
#include "runtime/config.h"
#include "runtime/json.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/time.h"

enum key {
#define OPTION(name, flag, type, fallback, min, max, unit, doc) KEY_##name,
#include "gateway/worker.def"
    KEY_COUNT
};

static const struct sl_config_key keys[KEY_COUNT] = {
#define OPTION(name, flag, type, fallback, min, max, unit, doc)                                    \
    [KEY_##name] = {flag, SL_CONFIG_##type, fallback, min, max, unit, doc},
#include "gateway/worker.def"
};

struct worker {
    struct sl_config *config;
    struct sl_buf labels; /* JSON object. */
    uint32_t labels_count;
    char *name, *facts, *endpoint, *directory, *plugins;
    struct sl_node *node;
    int signal_fd;
    uint32_t signals;
    bool is_refused;
};

/* ---- the command line ---------------------------------------------------------------------- */

static const char help[] =
    "usage: sluice worker --head ENDPOINT --data DIR [OPTIONS]\n"
    "Run a node for a head that is elsewhere. SIGTERM or ctrl-c finishes what is under way,\n"
    "leaves and stops; a second one stops at once.\n";

static bool
add_label(struct worker *w, const char *text)
{
    struct sl_jsonw j;
    struct sl_buf pair = {0};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || w->labels_count == SL_NODE_LABELS_MAX)
        return false;
    char *key = sl_strndup(text, (size_t)(equals - text));
    sl_jsonw_init(&j, &pair);
    sl_jsonw_object(&j);
    sl_jsonw_member_str(&j, key, equals + 1);
    sl_jsonw_end(&j);
    sl_jsonw_done(&j);
    /* {"k":"v"} without its braces, behind what is there. */
    sl_buf_append_str(&w->labels, w->labels_count == 0 ? "" : ",");
    sl_buf_append_slice(&w->labels, sl_slice(pair.data + 1, pair.size - 2));
    w->labels_count++;
    sl_free(key);
    sl_buf_deinit(&pair);
    return true;
}

static int
take(void *arg, uint32_t key, const char *value)
{
    return key < KEY_COUNT || add_label(arg, value)
               ? 0
               : sl_verb_complain("worker", "--label takes KEY=VALUE, at most 32 times");
}

/* NULL: there is no such group. */
static const char *
group_of(const struct worker *w)
{
    return sl_node_group(sl_slice_str(sl_config_string(w->config, KEY_group)));
}

static int
read_line(struct worker *w, int argc, char **argv)
{
    static const struct sl_verb verb = {.name = "worker",
                                        .help = help,
                                        .keys = keys,
                                        .keys_count = KEY_COUNT,
                                        .extra = "label",
                                        .extra_help =
                                            "KEY=VALUE, for placement; as often as wanted",
                                        .take = take};
    int said = sl_verb_read(&verb, argc, argv, &w->config, w);
    if (said != 0)
        return said;
    struct sl_verb_head head = {.endpoint = sl_config_string(w->config, KEY_head),
                                .data = sl_config_string(w->config, KEY_data),
                                .cert = sl_config_string(w->config, KEY_cert),
                                .head_cert = sl_config_string(w->config, KEY_head_cert)};
    said = sl_verb_check_head("worker", &head);
    struct sl_slice taint = sl_slice_str(sl_config_string(w->config, KEY_taint));
    if (said == 0 && taint.size > 0 && sl_home_tenant(taint).size == 0)
        said = sl_verb_complain("worker", "--taint is tenant=ID, with the tenant's id");
    if (said == 0 && group_of(w) == NULL)
        said =
            sl_verb_complain("worker", "--group is cpu-workers, batch-workers, gpu-workers or any");
    return said != 0 ? said
                     : sl_verb_name("worker", sl_config_string(w->config, KEY_name), &w->name);
}

/* ---- who it is ----------------------------------------------------------------------------- */

static void
make_facts(struct worker *w)
{
    struct sl_node_facts facts = {.gpus = (uint64_t)sl_config_int(w->config, KEY_gpus),
                                  .cpus = (uint64_t)sl_config_int(w->config, KEY_cpus),
                                  .memory_bytes = sl_config_size(w->config, KEY_memory)};
    struct sl_buf text = {0};
    if (gethostname(facts.host, sizeof(facts.host) - 1) != 0)
        facts.host[0] = '\0';
    (void)snprintf(facts.group, sizeof(facts.group), "%s", group_of(w));
    if (facts.cpus == 0)
        facts.cpus = (uint64_t)SL_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    (void)snprintf(facts.taint, sizeof(facts.taint), "%s", sl_config_string(w->config, KEY_taint));
    facts.labels = sl_format("{%s}", sl_buf_text(&w->labels));
    sl_node_facts_write(&facts, &text);
    w->facts = sl_strdup(sl_buf_text(&text));
    sl_node_facts_deinit(&facts);
    sl_buf_deinit(&text);
}

/* The directory of the socket that replicas connect to. */
static int
make_directory(struct worker *w)
{
    const char *run = sl_config_string(w->config, KEY_run);
    w->directory = run[0] != '\0' ? sl_strdup(run) : sl_strdup("/tmp/sluice-worker-XXXXXX");
    if (run[0] == '\0' && mkdtemp(w->directory) == NULL) {
        fprintf(stderr, "sluice worker: %s: %s\n", w->directory, strerror(errno));
        return SL_EXIT_FAILED;
    }
    return SL_EXIT_OK;
}

/* ---- its life ------------------------------------------------------------------------------ */

static void
on_refused(void *arg, struct sl_msg *msg)
{
    struct worker *w = arg;
    struct sl_slice why = SL_BODY(msg, node_refused)->why;
    sl_report_error("refused", "name=%s why=\"%.*s\"", w->name, SL_SLICE_FMT(why));
    fprintf(stderr, "sluice worker: the head refuses it: %.*s\n", SL_SLICE_FMT(why));
    w->is_refused = true;
    sl_msg_destroy(&msg);
    sl_live_stop(sl_node_live(w->node));
}

static void
on_gone(void *arg, struct sl_msg *msg)
{
    struct worker *w = arg;
    sl_msg_destroy(&msg);
    sl_live_stop(sl_node_live(w->node));
}

static void
on_signal(void *arg)
{
    struct worker *w = arg;
    struct signalfd_siginfo info;
    struct sl_live *live = sl_node_live(w->node);
    while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGALRM || w->signals++ > 0) {
            sl_report_warn("stopping", "how=at-once");
            sl_live_stop(live);
            return;
        }
        sl_report_info("stopping", "how=drain signal=%u", info.ssi_signo);
        alarm((unsigned)SL_MAX(sl_config_duration_ns(w->config, KEY_drain) / SL_SECOND_NS,
                               UINT64_C(1)));
        struct sl_msg *drain = sl_msg_create(SL_M_drain, &(struct sl_m_drain){0});
        drain->to.actor = SL_ACTOR_AGENT;
        sl_live_post(live, drain);
    }
}

static int
open_node(struct worker *w)
{
    struct sl_random random;
    const struct sl_config *c = w->config;
    sl_random_seed_secret(&random);
    uint32_t number =
        SL_NODE_WORKERS_FIRST +
        (uint32_t)sl_random_below(&random, SL_NODE_WORKERS_LAST - SL_NODE_WORKERS_FIRST);
    w->endpoint = sl_format("ipc://%s/node-%u", w->directory, number);
    w->plugins = sl_plugin_path(sl_config_string(c, KEY_plugins));
    struct sl_link_security security = {.cert = sl_config_string(c, KEY_cert),
                                        .server = sl_config_string(c, KEY_head_cert)};
    char *spill = sl_format("%s/spill", sl_config_string(c, KEY_data));
    char *fetched = sl_format("%s/fetched", sl_config_string(c, KEY_data));
    struct sl_node_options options = {
        .head = sl_config_string(c, KEY_head),
        .security = strncmp(sl_config_string(c, KEY_head), "tcp://", 6) == 0 ? &security : NULL,
        .data = sl_config_string(c, KEY_data),
        .pool = {.node = number,
                 .endpoint = w->endpoint,
                 .plugin_directories = w->plugins,
                 .threads = (uint32_t)sl_config_int(c, KEY_threads),
                 .replicas_max = (uint32_t)sl_config_int(c, KEY_replicas),
                 .idle_ns = sl_config_duration_ns(c, KEY_idle),
                 .task_ns = sl_config_duration_ns(c, KEY_task_timeout),
                 .settings = {.is_open = !sl_config_bool(c, KEY_sandbox),
                              .memory_bytes = sl_config_size(c, KEY_replica_memory),
                              .readable = (char *)(uintptr_t)sl_config_string(c, KEY_readable),
                              .devices = (char *)(uintptr_t)sl_config_string(c, KEY_devices)}},
        .objects_bytes = sl_config_size(c, KEY_objects),
        .objects_tenant_bytes = sl_config_size(c, KEY_objects_tenant),
        .objects_spill_bytes = sl_config_size(c, KEY_objects_spill),
        .spill_directory = spill,
        .images_directory = fetched,
        .images_bytes = sl_config_size(c, KEY_models_size),
        .spawner_fd = -1,
        .program = "/proc/self/exe",
        .name = w->name,
        .facts = w->facts,
        .group = sl_config_string(c, KEY_group)};
    options.pool.settings.memory_bytes = sl_replica_memory(&options.pool.settings);
    enum sl_err err = sl_node_open(&options, &w->node);
    sl_free(spill);
    sl_free(fetched);
    if (err == SL_OK)
        return SL_EXIT_OK;
    bool is_cert = err == SL_EDENIED || err == SL_ENOTFOUND;
    fprintf(stderr, "sluice worker: %s (%s); %s\n", sl_err_text(err), sl_err_name(err),
            is_cert ? "--cert and --head-cert are files of `sluice cert new`, secrets mode 0600"
                    : "--head is ipc://PATH or tcp://HOST:PORT");
    return SL_EXIT_FAILED;
}

static int
serve(struct worker *w)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGALRM);
    w->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signal_fd < 0)
        return SL_EXIT_FAILED;
    struct sl_live *live = sl_node_live(w->node);
    sl_live_watch(live, w->signal_fd, on_signal, w);
    sl_live_port(live, SL_PORT_DRAIN, on_gone, w);
    sl_live_port(live, SL_PORT_NODE, on_refused, w);
    puts("ready");
    (void)fflush(stdout);
    return sl_live_run(live) == SL_OK && !w->is_refused ? SL_EXIT_OK : SL_EXIT_FAILED;
}

/* Threads start with these blocked, so that only the scheduler's descriptor hears them. */
static void
prepare_process(void)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGALRM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    sl_report_role_set("worker");
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
}

static void
deinit(struct worker *w)
{
    sl_node_close(&w->node);
    if (w->signal_fd >= 0)
        close(w->signal_fd);
    if (w->directory != NULL && sl_config_string(w->config, KEY_run)[0] == '\0')
        (void)rmdir(w->directory);
    sl_free(w->name);
    sl_free(w->facts);
    sl_free(w->endpoint);
    sl_free(w->directory);
    sl_free(w->plugins);
    sl_buf_deinit(&w->labels);
    sl_config_destroy(&w->config);
}

static int
run(struct worker *w)
{
    make_facts(w);
    int code = make_directory(w);
    if (code == SL_EXIT_OK) {
        prepare_process();
        code = open_node(w);
    }
    return code == SL_EXIT_OK ? serve(w) : code;
}

void
sl_worker_reference(struct sl_buf *out)
{
    sl_config_reference(keys, KEY_COUNT, "--", out);
}

int
sl_worker_main(int argc, char **argv)
{
    struct worker w = {.signal_fd = -1};
    int said = read_line(&w, argc, argv);
    int code = said == 0 ? run(&w) : said - 1;
    deinit(&w);
    return code;
}
