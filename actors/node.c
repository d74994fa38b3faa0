/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/agent.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "extractors/replica.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define BAD_START_EXIT 3
#define NEIGHBOURS_MAX 16 /* Nodes that share a directory, each with one for images in it. */

struct sl_node {
    struct sl_live *live;
    struct sl_spawn_port *spawner;
    struct sl_object_node *objects;
    char *blobs, *endpoint;
    struct sl_images images;
    char *images_directory; /* NULL: it fetches none. */
    int images_lock;
};

static void
on_spawner_gone(void *arg)
{
    (void)arg;
    _exit(0); /* As the lifeline would do: replicas are gone, leases will be void. */
}

/* A gateway that it has connected to before is found again by its endpoint: nothing is to do. */
static void
take_gate(void *arg, struct sl_msg *msg)
{
    struct sl_node *n = arg;
    if (msg->id == SL_M_gate_down) {
        sl_live_disconnect(n->live, (uint32_t)SL_BODY(msg, gate_down)->gate);
        sl_msg_destroy(&msg);
        return;
    }
    const struct sl_m_gate_up *m = SL_BODY(msg, gate_up);
    char *endpoint = sl_strndup(m->endpoint.data, m->endpoint.size);
    enum sl_err err = sl_live_connect(n->live, (uint32_t)m->gate, endpoint);
    if (err != SL_OK && err != SL_EEXIST)
        sl_report_warn("gateway-unlinked", "node=%" PRIu64 " endpoint=%s err=%s", m->gate, endpoint,
                       sl_err_name(err));
    sl_free(endpoint);
    sl_msg_destroy(&msg);
}

/* ---- objects ------------------------------------------------------------------------------- */

static int
grant_objects(void *arg, uint64_t tenant, uint64_t tag)
{
    struct sl_node *n = arg;
    int fd = -1;
    enum sl_err err = sl_object_node_grant(
        n->objects, &(struct sl_object_peer){.tenant = tenant, .tag = tag}, &fd);
    if (err != SL_OK)
        sl_report_warn("objects-ungranted", "replica=%" PRIu64 " err=%s", tag, sl_err_name(err));
    return err == SL_OK ? fd : -1;
}

/* What a process that was dropped holds may be used again, so it must not go on. */
static void
take_told(void *arg)
{
    struct sl_node *n = arg;
    struct sl_object_want told;
    struct sl_ctx ctx = sl_live_context(n->live, SL_ACTOR_AGENT);
    while (sl_object_node_told(n->objects, &told)) {
        if (told.ticket != 0) {
            struct sl_m_model_wanted wanted = {
                .replica = told.tag, .ticket = told.ticket, .model = told.model};
            sl_send(&ctx, sl_at(0, SL_ACTOR_AGENT), SL_M_model_wanted, &wanted);
            continue;
        }
        struct sl_m_spawn_kill kill = {.tag = told.tag, .signal = SIGKILL};
        sl_report_warn("objects-misused", "replica=%" PRIu64 " action=kill", kill.tag);
        sl_send(&ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill, &kill);
    }
}

/* A process that does not hear of it stops waiting by itself. */
static void
give_model(void *arg, struct sl_msg *msg)
{
    struct sl_node *n = arg;
    const struct sl_m_model_given *m = SL_BODY(msg, model_given);
    struct sl_object_given given = {.ticket = m->ticket,
                                    .err = (enum sl_err)m->err,
                                    .fd = (int)m->fd,
                                    .size_bytes = m->size_bytes,
                                    .text = m->message};
    enum sl_err err = sl_object_node_give(n->objects, &given);
    if (err != SL_OK)
        sl_report_warn("model-ungiven", "err=%s", sl_err_name(err));
    sl_msg_destroy(&msg);
}

static void
write_objects(const struct sl_node *n, struct sl_buf *out)
{
    struct sl_object_node_stats s;
    struct sl_jsonw w;
    sl_object_node_measure(n->objects, &s);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "objects", s.objects);
    sl_jsonw_member_u64(&w, "object_bytes", s.object_bytes);
    sl_jsonw_member_u64(&w, "memory_bytes", s.memory_bytes);
    sl_jsonw_member_u64(&w, "memory_max_bytes", s.memory_max_bytes);
    sl_jsonw_member_u64(&w, "spilled_bytes", s.spilled_bytes);
    sl_jsonw_member_u64(&w, "tenants", s.tenants);
    sl_jsonw_member_u64(&w, "clients", s.clients);
    sl_jsonw_member_u64(&w, "pins", s.pins);
    sl_jsonw_member_u64(&w, "holds", s.holds);
    sl_jsonw_member_u64(&w, "evictions", s.evictions);
    sl_jsonw_member_u64(&w, "spills", s.spills);
    sl_jsonw_member_u64(&w, "drops", s.drops);
    sl_jsonw_member_u64(&w, "handed", s.handed);
    sl_jsonw_member_u64(&w, "lost", s.lost);
    sl_jsonw_member_u64(&w, "models", s.models);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static enum sl_err
open_objects(struct sl_node *n, const struct sl_node_options *options)
{
    struct sl_object_node_options objects = {.memory_bytes = options->objects_bytes,
                                             .tenant_bytes = options->objects_tenant_bytes,
                                             .spill_bytes = options->objects_spill_bytes,
                                             .spill_directory = options->spill_directory};
    if (options->spill_directory == NULL)
        objects.spill_bytes = 0;
    sl_random_secret(&objects.seed, sizeof(objects.seed));
    enum sl_err err = sl_object_node_open(&objects, &n->objects);
    if (err == SL_OK)
        sl_live_watch(n->live, sl_object_node_fd(n->objects), take_told, n);
    return err;
}

/* ---- images -------------------------------------------------------------------------------- */

static void
write_stores(void *arg, struct sl_buf *objects, struct sl_buf *images)
{
    const struct sl_node *n = arg;
    struct sl_jsonw w;
    write_objects(n, objects);
    if (n->images_directory == NULL)
        return;
    sl_jsonw_init(&w, images);
    sl_image_node_write(sl_live_state(n->live, SL_ACTOR_IMAGES), &w);
    sl_jsonw_done(&w);
}

/* SL_EBUSY: another process has it. */
static enum sl_err
lock_images(struct sl_node *n, const char *directory)
{
    char *path = sl_format("%s/lock", directory);
    enum sl_err err = sl_disk_open(directory, &n->images.disk);
    if (err == SL_OK) {
        n->images_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        err = n->images_lock < 0 ? sl_err_from_errno(errno) : SL_OK;
    }
    if (err == SL_OK && flock(n->images_lock, LOCK_EX | LOCK_NB) != 0) {
        close(n->images_lock);
        n->images_lock = -1;
        err = SL_EBUSY;
    }
    if (err != SL_OK)
        sl_disk_close(&n->images.disk);
    sl_free(path);
    return err;
}

/* A node goes on without: it may see all models where they are, and have no right to write. */
static void
open_images(struct sl_node *n, const struct sl_node_options *options)
{
    enum sl_err err = options->images_directory == NULL ? SL_OK : SL_EBUSY;
    if (err != SL_OK)
        (void)mkdir(options->data, 0700); /* If it was missing, this node has it for itself. */
    for (uint32_t i = 1; err == SL_EBUSY && i <= NEIGHBOURS_MAX; i++) {
        char *path = i == 1 ? sl_strdup(options->images_directory)
                            : sl_format("%s-%u", options->images_directory, i);
        err = lock_images(n, path);
        if (err == SL_OK)
            n->images_directory = path;
        else
            sl_free(path);
    }
    if (err != SL_OK)
        sl_report_warn("images-unavailable",
                       "directory=%s err=%s action=\"models are loaded from where they are, and "
                       "not fetched\"",
                       options->images_directory, sl_err_name(err));
}

static void
close_images(struct sl_node *n)
{
    if (n->images_directory == NULL)
        return;
    sl_disk_close(&n->images.disk);
    close(n->images_lock);
    sl_free(n->images_directory);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void
spawn_actors(struct sl_node *n, const struct sl_node_options *options)
{
    struct sl_agent_options agent = {.data_directory = options->data,
                                     .images_directory = n->images_directory,
                                     .pool = options->pool,
                                     .pid = (uint64_t)getpid(),
                                     .room = options->room,
                                     .stores = write_stores,
                                     .shell = n,
                                     .name = options->name,
                                     .facts = options->facts};
    struct sl_image_node_options images = {.images = &n->images,
                                           .bytes_max = options->images_bytes};
    agent.pool.blob_directory = n->blobs;
    agent.pool.has_shortcuts = options->program == NULL; /* Its spawner is the head's. */
    agent.pool.endpoint = n->endpoint;
    agent.pool.settings.object_bytes = sl_object_node_largest(n->objects);
    if (n->images_directory != NULL)
        sl_live_spawn(n->live, SL_ACTOR_IMAGES, &sl_image_node_class, &images);
    sl_live_spawn(n->live, SL_ACTOR_AGENT, &sl_agent_class, &agent);
}

enum sl_err
sl_node_open(const struct sl_node_options *options, struct sl_node **ret_node)
{
    struct sl_node *n = sl_zalloc(sizeof(*n));
    n->blobs = sl_format("%s/blobs", options->data);
    n->endpoint = sl_strdup(options->pool.endpoint);
    struct sl_links_options links = {.name = options->name,
                                     .group = options->group,
                                     .watcher = SL_ACTOR_AGENT,
                                     .takes = sl_cluster_node_takes};
    open_images(n, options);
    links.watcher_too = n->images_directory == NULL ? 0 : SL_ACTOR_IMAGES;
    n->live =
        sl_live_create(&(struct sl_live_options){.node = options->pool.node, .links = &links});
    struct sl_spawn_port_options port = {.live = n->live,
                                         .actor = SL_ACTOR_AGENT,
                                         .fd = options->spawner_fd,
                                         .program = options->program,
                                         .keep_fd = -1,
                                         .objects = grant_objects,
                                         .has_channels = options->program == NULL,
                                         .arg = n,
                                         .lost = options->program == NULL ? on_spawner_gone : NULL};
    enum sl_err err = sl_live_listen(n->live, n->endpoint);
    if (err == SL_OK && options->security != NULL)
        err = sl_live_secure(n->live, options->security);
    if (err == SL_OK)
        err = sl_live_connect(n->live, SL_NODE_HEAD, options->head);
    if (err == SL_OK)
        err = open_objects(n, options);
    if (err == SL_OK)
        err = sl_spawn_port_open(&port, &n->spawner);
    if (err != SL_OK) {
        sl_node_close(&n);
        return err;
    }
    sl_live_port(n->live, SL_PORT_GATES, take_gate, n);
    sl_live_port(n->live, SL_PORT_OBJECTS, give_model, n);
    spawn_actors(n, options);
    *ret_node = n;
    return SL_OK;
}

struct sl_live *
sl_node_live(struct sl_node *node)
{
    return node->live;
}

void
sl_node_close(struct sl_node **node)
{
    struct sl_node *n = *node;
    if (n == NULL)
        return;
    *node = NULL;
    sl_spawn_port_close(&n->spawner);
    if (n->objects != NULL)
        sl_live_unwatch(n->live, sl_object_node_fd(n->objects));
    sl_live_destroy(&n->live);
    sl_object_node_close(&n->objects);
    close_images(n);
    unlink(n->endpoint + strlen("ipc://"));
    sl_free(n->blobs);
    sl_free(n->endpoint);
    sl_free(n);
}

/* ---- a child of the head's ----------------------------------------------------------------- */

static uint64_t
size_member(struct sl_json object, const char *name, uint64_t fallback)
{
    uint64_t value;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : fallback;
}

static uint32_t
number_member(struct sl_json object, const char *name, uint32_t fallback)
{
    uint64_t value = size_member(object, name, UINT64_MAX);
    return value <= UINT32_MAX ? (uint32_t)value : fallback;
}

/* Nothing is left to do for a node that is not wanted any more. */
static void
on_drained(void *live, struct sl_msg *msg)
{
    sl_msg_destroy(&msg);
    sl_live_stop(live);
}

static bool
run(struct sl_json text, const struct sl_child *child)
{
    char *head = sl_json_strdup(sl_json_member(text, "head"));
    char *directory = sl_json_strdup(sl_json_member(text, "run"));
    char *plugins = sl_json_strdup(sl_json_member(text, "plugins"));
    char *data = sl_json_strdup(sl_json_member(text, "data"));
    uint32_t number = number_member(text, "node", 0);
    char *endpoint = sl_format("ipc://%s/node-%u", directory == NULL ? "" : directory, number);
    char *spill = sl_format("%s/spill", data == NULL ? "" : data);
    struct sl_node *node = NULL;
    struct sl_node_options options = {
        .head = head,
        .data = data,
        .room = number_member(text, "room", 0),
        .pool = {.node = number,
                 .endpoint = endpoint,
                 .plugin_directories = plugins,
                 .threads = number_member(text, "threads", 0),
                 .replicas_max = SL_MIN(number_member(text, "replicas", 1), SL_REPLICAS_MAX),
                 .idle_ns = number_member(text, "idle_ms", 600000) * SL_MILLI_NS,
                 .task_ns = number_member(text, "task_ms", 600000) * SL_MILLI_NS},
        .objects_bytes = size_member(text, "objects", 0),
        .objects_tenant_bytes = size_member(text, "objects_tenant", 0),
        .objects_spill_bytes = size_member(text, "objects_spill", 0),
        .spill_directory = spill,
        .spawner_fd = child->spawner_fd};
    sl_replica_settings_read(sl_json_member(text, "settings"), &options.pool.settings);
    bool is_ok = head != NULL && directory != NULL && plugins != NULL && data != NULL &&
                 number > SL_NODE_HEAD && sl_node_open(&options, &node) == SL_OK;
    if (is_ok)
        sl_live_port(sl_node_live(node), SL_PORT_DRAIN, on_drained, sl_node_live(node));
    is_ok = is_ok && sl_live_run(sl_node_live(node)) == SL_OK;
    sl_node_close(&node);
    sl_replica_settings_deinit(&options.pool.settings);
    sl_free(head);
    sl_free(directory);
    sl_free(plugins);
    sl_free(data);
    sl_free(endpoint);
    sl_free(spill);
    return is_ok;
}

int
sl_node_run(const struct sl_child *child)
{
    struct sl_json_doc *doc = NULL;
    signal(SIGPIPE, SIG_IGN);
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    if (sl_json_parse(sl_slice_str(child->text), &doc, NULL) != SL_OK)
        return BAD_START_EXIT;
    bool is_ok = run(sl_json_root(doc), child);
    sl_json_destroy(&doc);
    return is_ok ? 0 : BAD_START_EXIT;
}
