/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "extractors/batcher.h"
#include "extractors/host.h"
#include "extractors/model_service.h"
#include "extractors/object_service.h"
#include "extractors/replica_channel.h"
#include "extractors/replica_confine.h"
#include "extractors/replica_end.h"
#include "extractors/replica_items.h"
#include "extractors/replica_memory.h"
#include "extractors/replica_settings.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "runtime/sandbox.h"
#include "runtime/time.h"

#define SL_PROTOCOL_DEF  "extractors/replica.def"
#define SL_PROTOCOL_NAME replica
#define SL_PROTOCOL_ID   SL_PROTOCOL_REPLICA
#include "runtime/message_table.h"

#define REPLICA_ACTOR   1
#define POLLS_MAX       4
#define ASK_NS          SL_MILLI_NS
#define OPEN_NS         (60 * SL_SECOND_NS) /* More than the node takes: actors/model_opens.h. */
#define REPORT_NS       SL_SECOND_NS
#define DIAL_NS         (10 * SL_SECOND_NS) /* The node listens long before it wants a replica. */
#define WAIT_NS         (60 * SL_SECOND_NS)
#define DIAL_MS         5
#define BACKGROUND_NICE 10 /* A ninth of the processor beside one that is as it was. */

enum { BY_AGENT, STRAIGHT, WAYS };

/* Messages of one way, oldest first. */
struct early {
    struct sl_msg *oldest, **tail;
};

struct replica {
    struct sl_json_doc *doc;
    struct sl_json text;
    uint32_t number, agent;
    uint32_t agent_actor; /* Who the first message came from; replies go there. */
    struct sl_links *links;
    struct sl_replica_channel channel;
    struct sl_host *host;
    struct sl_object_service *objects; /* NULL: it works for several tenants. */
    struct sl_model_service *models;   /* NULL: it works for several namespaces. */
    char *blobs, *index, *name;
    char *plugin; /* Its file; NULL: no directory has it. */
    bool is_stopping;
    struct sl_batch_override override;
    /* Of the batch that runs. The plugin may ask from any thread; links are this one's alone. */
    struct batch *running;
    bool is_agents_turn; /* The last batch was what came over links. */
    uint64_t asked_ns;   /* When links were last looked at for it. */
    uint64_t until_ns;   /* Nobody waits for any of it from then on; UINT64_MAX: somebody does. */
    uint32_t unwanted_count;  /* Items of it that nobody waits for any more. */
    atomic_bool is_unwanted;  /* All of it. */
    struct early early[WAYS]; /* Came meanwhile. */
    struct sl_batcher *waiting[WAYS];
    struct sl_m_replica_report report; /* Its counts; the rest when it is sent. */
    uint64_t reported_ns;
    bool has_news; /* To report. */
};

/* On the thread that has the links; NULL on those that the plugin started. */
static _Thread_local const struct replica *own;

struct took { /* How long: the items of a batch on average, and one of them; since when. */
    uint64_t mean_ns, own_ns, begun_ns;
};

/* What the plugin is handed, and whose it is. */
struct batch {
    struct sl_replica_item *entries[SL_BATCH_ITEMS_MAX];
    struct sluice_item items[SL_BATCH_ITEMS_MAX];
    uint32_t count;
};

static struct sl_replica_item *
item_of(const struct sl_batch_entry *entry)
{
    return SL_CONTAINER(entry, struct sl_replica_item, entry);
}

static uint32_t
way_of(const struct sl_msg *msg)
{
    return sl_replica_channel_is(msg) ? STRAIGHT : BY_AGENT;
}

static uint32_t
number_member(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    if (sl_json_u64(sl_json_member(object, name), &value) != SL_OK || value > UINT32_MAX)
        return 0;
    return (uint32_t)value;
}

static void
send_message(struct replica *r, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = (struct sl_addr){r->agent, r->agent_actor};
    msg->from = (struct sl_addr){r->number, REPLICA_ACTOR};
    if (sl_links_add(r->links, msg) != SL_OK)
        sl_report_warn("reply-unsent", "message=%s", msg->type->name);
    sl_msg_destroy(&msg);
}

/* As it came. */
static void
reply(struct replica *r, const struct sl_msg *msg, const struct sl_m_processed *m)
{
    if (sl_replica_channel_is(msg))
        sl_replica_channel_answer(&r->channel, m);
    else
        send_message(r, SL_M_processed, m);
}

/* Not after each batch: nobody decides anything by it. */
static void
report(struct replica *r, uint64_t now_ns)
{
    struct sl_replica_memory memory = {0};
    if (!r->has_news || now_ns - r->reported_ns < REPORT_NS)
        return;
    r->has_news = false;
    r->reported_ns = now_ns;
    if (sl_replica_memory_read(&memory) != SL_OK)
        memory = (struct sl_replica_memory){0};
    r->report.resident = memory.resident;
    r->report.private = memory.private;
    r->report.host = sl_host_memory(r->host, SLUICE_MEMORY_HOST);
    r->report.device = sl_host_memory(r->host, SLUICE_MEMORY_DEVICE);
    send_message(r, SL_M_replica_report, &r->report);
}

/* ---- start --------------------------------------------------------------------------------- */

/* The plugin's file in the first directory that has it; NULL: none has. */
static char *
find_plugin(const char *directories, const char *extractor)
{
    while (*directories != '\0') {
        size_t size = strcspn(directories, ":");
        char *path = sl_format("%.*s/%s.so", (int)size, directories, extractor);
        if (access(path, R_OK) == 0)
            return path;
        sl_free(path);
        directories += size + (directories[size] == ':');
    }
    return NULL;
}

static bool is_cancelled(void *self);

static enum sl_err
open_host(struct replica *r, const struct sl_child *child, struct sl_cause *ret_cause)
{
    bool has_model = sl_replica_channel_others(child) > 0 &&
                     sl_json_bool(sl_json_member(r->text, "model"), false);
    struct sl_json params = sl_json_member(r->text, "params");
    if (r->plugin == NULL)
        return sl_cause_set(ret_cause, SL_ENOTFOUND, "no plugin of that name in %.*s",
                            SL_SLICE_FMT(sl_json_raw(sl_json_member(r->text, "plugins"))));
    struct sl_host_options options = {.params = sl_json_raw(params),
                                      .threads = number_member(r->text, "threads"),
                                      .has_model = has_model,
                                      .model_fd = has_model ? child->fds[0] : -1,
                                      .model_name = r->index,
                                      .model_id = r->index,
                                      .name = r->name,
                                      .is_cancelled = is_cancelled,
                                      .self = r};
    if (r->objects != NULL)
        options.objects = sl_object_service_face(r->objects);
    if (r->models != NULL)
        options.models = sl_model_service_face(r->models);
    return sl_host_open(r->plugin, &options, &r->host, ret_cause);
}

static enum sl_err
open_model(void *arg, struct sl_slice id, int *ret_fd, struct sl_cause *ret_cause)
{
    return sl_object_client_model(arg, id, OPEN_NS, ret_fd, ret_cause);
}

/* Its socket lies behind the model, if it was given one, and before its channel. */
static bool
has_objects(const struct replica *r, const struct sl_child *child)
{
    return sl_replica_channel_others(child) > sl_json_bool(sl_json_member(r->text, "model"), false);
}

static void
open_objects(struct replica *r, const struct sl_child *child)
{
    uint64_t tenant = 0;
    if (sl_json_u64(sl_json_member(r->text, "tenant"), &tenant) == SL_OK && tenant > 0 &&
        has_objects(r, child))
        r->objects = sl_object_service_create(
            child->fds[sl_json_bool(sl_json_member(r->text, "model"), false)], tenant);
    if (r->objects != NULL && sl_json_bool(sl_json_member(r->text, "models"), false))
        r->models = sl_model_service_create(&(struct sl_model_source){
            .open = open_model, .arg = sl_object_service_client(r->objects)});
}

/* It is connected before it is confined: no sockets can be made then. */
static bool
connect_to_node(struct replica *r)
{
    char *endpoint = sl_json_strdup(sl_json_member(r->text, "endpoint"));
    uint64_t until_ns = sl_time_mono_ns() + DIAL_NS;
    r->links = sl_links_create(r->number);
    bool is_ok = endpoint != NULL && sl_links_connect(r->links, r->agent, endpoint) == SL_OK;
    sl_free(endpoint);
    while (is_ok && !sl_links_is_connected(r->links, r->agent)) {
        struct sl_msg *none = sl_links_receive(r->links); /* Which dials again. */
        sl_msg_destroy(&none);
        poll(NULL, 0, DIAL_MS);
        is_ok = sl_time_mono_ns() < until_ns;
    }
    return is_ok;
}

/* Before the plugin is loaded, and before there is a second thread. What is in force; for ready. */
static uint64_t
confine(struct replica *r, const struct sl_child *child)
{
    struct sl_replica_settings settings;
    uint64_t tenant = 0, states;
    if (sl_json_u64(sl_json_member(r->text, "tenant"), &tenant) != SL_OK)
        tenant = 0;
    sl_replica_settings_read(sl_json_member(r->text, "settings"), &settings);
    struct sl_replica_place place = {.plugin = r->plugin,
                                     .blobs = r->blobs,
                                     .tenant = tenant,
                                     .has_objects = has_objects(r, child)};
    states = sl_replica_confine(&settings, &place);
    char *text = sl_sandbox_text(states);
    bool is_held = sl_sandbox_state(states, SL_SANDBOX_LANDLOCK) == SL_SANDBOX_ENFORCED &&
                   sl_sandbox_state(states, SL_SANDBOX_SECCOMP) == SL_SANDBOX_ENFORCED;
    sl_report(is_held ? SL_REPORT_INFO : SL_REPORT_WARN, "sandbox", "extractor=%s %s",
              r->name == NULL ? "" : r->name, text);
    sl_free(text);
    r->override = settings.batch;
    sl_replica_settings_deinit(&settings);
    sl_child_guard(child, sl_replica_watch_look, NULL);
    return states;
}

static void
begin_waiting(struct replica *r)
{
    struct sl_batch_plan plan = sl_host_batch_plan(r->host, &r->override);
    if (plan.units_max != 0 || plan.delay_ns != 0 || plan.items_max != 0)
        sl_report_info("batch-plan",
                       "extractor=%s items_max=%u units_max=%" PRIu64 " unit=%s delay_us=%" PRIu64,
                       r->name, plan.items_max, plan.units_max, sl_host_batch_unit(r->host),
                       plan.delay_ns / 1000);
    for (uint32_t way = 0; way < WAYS; way++)
        r->waiting[way] = sl_batcher_create(&plan);
}

static bool
start(struct replica *r, const struct sl_child *child)
{
    char *plugins = sl_json_strdup(sl_json_member(r->text, "plugins"));
    r->agent = number_member(r->text, "agent");
    r->number = number_member(r->text, "replica");
    r->agent_actor = number_member(r->text, "actor");
    r->blobs = sl_json_strdup(sl_json_member(r->text, "blobs"));
    r->name = sl_json_strdup(sl_json_member(r->text, "extractor"));
    r->index = sl_json_strdup(sl_json_path(r->text, sl_slice_str("params.index")));
    if (plugins != NULL && r->name != NULL)
        r->plugin = find_plugin(plugins, r->name);
    sl_free(plugins);
    if (!connect_to_node(r))
        return false;
    /* The plugin's threads have it from this one; nothing takes it back. */
    if (sl_json_bool(sl_json_member(r->text, "background"), false) &&
        setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE) != 0)
        sl_report_warn("background-unset", "errno=%d action=\"as urgent as all else\"", errno);

    struct sl_cause cause = {0};
    struct sl_m_replica_ready ready = {.replica = r->number, .pid = (uint64_t)getpid()};
    sl_replica_channel_open(&r->channel, child);
    ready.sandbox = confine(r, child);
    open_objects(r, child);
    enum sl_err err = open_host(r, child, &cause);
    if (err == SL_OK)
        begin_waiting(r);
    else
        ready.error = sl_slice_str(cause.text[0] == '\0' ? sl_err_text(err) : cause.text);
    send_message(r, SL_M_replica_ready, &ready);
    r->has_news = err == SL_OK;
    report(r, sl_time_mono_ns());
    sl_links_flush(r->links);
    return err == SL_OK;
}

/* ---- what was sent ----------------------------------------------------------------------------
 */

/* It was not begun, and nobody waits for it. */
static void
skip(struct replica *r, const struct sl_msg *msg)
{
    struct sl_m_processed m = {.item = SL_BODY(msg, process)->item,
                               .kind = SLUICE_ERROR_TRANSIENT,
                               .code = sl_slice_str("unwanted"),
                               .message = sl_slice_str("nobody waits for it any more")};
    reply(r, msg, &m);
}

static void
refuse(struct replica *r, const struct sl_msg *msg, struct took took, const char *code,
       const char *why)
{
    struct sl_m_processed m = {.item = SL_BODY(msg, process)->item,
                               .kind = SLUICE_ERROR_PERMANENT,
                               .code = sl_slice_str(code),
                               .message = sl_slice_str(why),
                               .busy_ns = took.mean_ns,
                               .served_ns = took.own_ns,
                               .begun_ns = took.begun_ns};
    reply(r, msg, &m);
}

/* It waits for its batch from now on, or is answered at once when it cannot be run. */
static void
add_item(struct replica *r, struct sl_msg *msg)
{
    uint32_t way = way_of(msg);
    const char *why = NULL;
    struct sl_cause cause = {0};
    struct sl_replica_item *item = sl_replica_item_create(msg, r->blobs, &why);
    if (item == NULL) {
        refuse(r, msg, (struct took){0}, "input_missing", why);
        sl_links_flush(r->links);
        sl_msg_destroy(&msg);
        return;
    }
    item->entry.scope = sl_replica_item_body(item)->scope;
    item->entry.arrived_ns = sl_time_mono_ns();
    if (sl_host_cost(r->host, &item->item, &item->entry.units, &cause) != SL_OK) {
        refuse(r, msg, (struct took){0}, "invalid_cost", cause.text);
        sl_links_flush(r->links);
        sl_replica_item_destroy(&item);
        return;
    }
    sl_batcher_add(r->waiting[way], &item->entry);
}

static bool
is_named(const struct sl_msg *msg, const struct sl_msg *cancel)
{
    return SL_BODY(msg, process)->item == SL_BODY(cancel, process_cancel)->item;
}

static bool
is_cancelled_by(const struct sl_batch_entry *entry, const void *cancel)
{
    return is_named(item_of(entry)->msg, cancel);
}

/* Whether the batch has what a message cancels. Who sends them counts for himself. */
static bool
batch_has(const struct batch *b, const struct sl_msg *cancel)
{
    uint32_t i = 0;
    while (i < b->count &&
           (way_of(b->entries[i]->msg) != way_of(cancel) || !is_named(b->entries[i]->msg, cancel)))
        i++;
    return i < b->count;
}

static void
batch_clear(struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        sl_replica_item_destroy(&b->entries[i]);
    b->count = 0;
}

/* ---- work ---------------------------------------------------------------------------------- */

static void
append_outputs(const struct sl_host_result *result, struct sl_buf *out)
{
    sl_buf_append_u32(out, result->records_count);
    for (uint32_t i = 0; i < result->records_count; i++) {
        const struct sl_host_record *record = &result->records[i];
        sl_buf_append_block(out, record->fields);
        sl_buf_append_u32(out, record->vectors_count);
        for (uint32_t j = 0; j < record->vectors_count; j++) {
            const struct sl_host_vector *v = &record->vectors[j];
            sl_buf_append_block(out, sl_slice_str(v->index));
            sl_buf_append_block(out, sl_slice(v->values, v->dimensions * sizeof(float)));
        }
    }
}

static void
answer(struct replica *r, const struct sl_msg *msg, const struct sl_host_result *result,
       struct took took, struct sl_buf *scratch)
{
    sl_buf_clear(scratch);
    append_outputs(result, scratch);
    struct sl_m_processed m = {.item = SL_BODY(msg, process)->item,
                               .kind = (uint64_t)result->kind,
                               .code = sl_slice_str(result->code),
                               .message = sl_slice_str(result->message),
                               .outputs = sl_buf_slice(scratch),
                               .busy_ns = took.mean_ns,
                               .served_ns = took.own_ns,
                               .begun_ns = took.begun_ns};
    if (result->is_paused)
        m.resume = sl_slice(result->resume, result->resume_bytes);
    if (m.kind != 0) {
        m.outputs = (struct sl_slice){0};
    } else if (scratch->size > SL_LIMIT_OUTPUTS_BYTES) {
        refuse(r, msg, took, "outputs_too_large", "the item makes more than one message may carry");
        return;
    }
    reply(r, msg, &m);
}

static uint64_t
batch_size(const struct batch *b)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < b->count; i++)
        size += sl_replica_item_size(b->entries[i]);
    return size;
}

/* ---- what nobody waits for any more ---------------------------------------------------------- */

static uint64_t
batch_until_ns(const struct batch *b)
{
    uint64_t until_ns = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t deadline_ns = sl_replica_item_body(b->entries[i])->deadline_ns;
        until_ns = SL_MAX(until_ns, deadline_ns == 0 ? UINT64_MAX : deadline_ns);
    }
    return until_ns;
}

static void
keep(struct replica *r, struct sl_msg *msg)
{
    struct early *e = &r->early[way_of(msg)];
    msg->next = NULL;
    *e->tail = msg;
    e->tail = &msg->next;
}

static struct sl_msg *
take_early(struct early *e)
{
    struct sl_msg *msg = e->oldest;
    if (msg == NULL)
        return NULL;
    e->oldest = msg->next;
    if (e->oldest == NULL)
        e->tail = &e->oldest;
    msg->next = NULL;
    return msg;
}

static struct sl_msg *
receive_next(struct replica *r)
{
    struct sl_msg *msg = sl_replica_channel_receive(&r->channel);
    return msg == NULL ? sl_links_receive(r->links) : msg;
}

/* Look for cancellations while a batch runs; what else comes is kept in order, and is bounded by
 * what an agent sends to one replica. */
static void
ask_links(struct replica *r)
{
    for (struct sl_msg *msg; (msg = receive_next(r)) != NULL;) {
        if (msg->id == SL_M_process_cancel && batch_has(r->running, msg)) {
            r->unwanted_count++; /* Each is cancelled once. */
            sl_msg_destroy(&msg);
        } else {
            keep(r, msg);
        }
    }
    if (r->unwanted_count >= r->running->count)
        atomic_store(&r->is_unwanted, true);
}

static bool
is_cancelled(void *self)
{
    struct replica *r = self;
    if (r->running == NULL)
        return false;
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns >= r->until_ns || atomic_load(&r->is_unwanted))
        return true;
    if (own != r || now_ns - r->asked_ns < ASK_NS)
        return false;
    r->asked_ns = now_ns;
    ask_links(r);
    return atomic_load(&r->is_unwanted);
}

/* Whom and what all of it is for; nobody, where that is several: no line is told to one of them
 * that may be about another. */
static struct sl_report_about
about_batch(const struct batch *b, char *job, size_t size)
{
    const struct sl_m_process *first = SL_BODY(b->entries[0]->msg, process);
    bool is_tenant = true, is_job = first->job.size > 0 && first->job.size < size;
    for (uint32_t i = 1; i < b->count; i++) {
        const struct sl_m_process *m = SL_BODY(b->entries[i]->msg, process);
        is_tenant = is_tenant && m->tenant == first->tenant;
        is_job = is_job && sl_slice_equal(m->job, first->job);
    }
    (void)snprintf(job, size, "%.*s", is_job && is_tenant ? (int)first->job.size : 0,
                   first->job.size == 0 ? "" : (const char *)first->job.data);
    return (struct sl_report_about){.scope = is_tenant ? first->tenant : 0, .job = job};
}

static void
run_batch(struct replica *r, struct batch *b)
{
    static const struct sl_host_result refused = {.kind = SLUICE_ERROR_PERMANENT,
                                                  .code = "invalid_item",
                                                  .message = "the item's parameters are no object"};
    struct sl_host_results results = {0};
    struct sl_buf scratch = {0};
    uint64_t start_ns = sl_time_mono_ns();
    r->until_ns = batch_until_ns(b);
    r->unwanted_count = 0;
    atomic_store(&r->is_unwanted, false);
    r->asked_ns = start_ns;
    r->running = b;
    char job[64];
    struct sl_report_about about = about_batch(b, job, sizeof(job));
    (void)sl_report_about_set(&about);
    enum sl_err err = sl_host_process(r->host, b->items, b->count, &results);
    r->running = NULL;
    double took_ns = (double)(sl_time_mono_ns() - start_ns), size = (double)batch_size(b);
    if (err == SL_ECANCELED)
        sl_report_info("batch-unwanted", "items=%u", b->count);
    else if (err != SL_OK)
        sl_report_warn("batch-failed", "items=%u err=%s", b->count, sl_err_name(err));
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t own_ns = (uint64_t)(took_ns * (double)sl_replica_item_size(b->entries[i]) / size);
        struct took took = {.mean_ns = (uint64_t)took_ns / b->count,
                            .own_ns = SL_MAX(own_ns, UINT64_C(1)), /* 0: not begun. */
                            .begun_ns = start_ns};
        answer(r, b->entries[i]->msg, i < results.count ? &results.items[i] : &refused, took,
               &scratch);
    }
    (void)sl_report_about_set(NULL);
    sl_host_results_deinit(&results);
    sl_buf_deinit(&scratch);
    r->report.batches++;
    r->report.items += b->count;
    for (uint32_t i = 0; i < b->count; i++)
        r->report.units += b->entries[i]->entry.units;
    r->has_news = true;
    report(r, sl_time_mono_ns());
    sl_links_flush(r->links);
    batch_clear(b);
}

/* One that was begun before, or has not come, is nothing to us. */
static void
cancel(struct replica *r, const struct sl_msg *msg)
{
    struct sl_batch_entry *entry = sl_batcher_remove(r->waiting[way_of(msg)], is_cancelled_by, msg);
    struct sl_replica_item *item = entry == NULL ? NULL : item_of(entry);
    if (item != NULL)
        skip(r, item->msg);
    sl_replica_item_destroy(&item);
}

static void
take(struct replica *r, struct sl_msg *msg)
{
    if (msg->id == SL_M_process) {
        add_item(r, msg);
        return;
    }
    if (msg->id == SL_M_process_cancel)
        cancel(r, msg);
    r->is_stopping = r->is_stopping || msg->id == SL_M_replica_stop;
    sl_msg_destroy(&msg);
}

/* ---- batches ------------------------------------------------------------------------------- */

/* All that has arrived one way, less what comes after it that way and cancels some of it. */
static void
receive(struct replica *r, uint32_t way)
{
    while (!sl_batcher_is_full(r->waiting[way])) {
        struct sl_msg *msg = take_early(&r->early[way]);
        if (msg == NULL)
            msg = way == BY_AGENT ? sl_links_receive(r->links)
                                  : sl_replica_channel_receive(&r->channel);
        if (msg == NULL)
            break;
        take(r, msg);
    }
}

/* Those of the next batch that somebody still waits for. */
static void
fill(struct replica *r, struct batch *b, uint32_t way)
{
    struct sl_batch_entry *entries[SL_BATCH_ITEMS_MAX];
    uint32_t count = sl_batcher_take(r->waiting[way], entries);
    uint64_t now_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < count; i++) {
        struct sl_replica_item *item = item_of(entries[i]);
        uint64_t deadline_ns = sl_replica_item_body(item)->deadline_ns;
        if (deadline_ns != 0 && now_ns >= deadline_ns) {
            skip(r, item->msg);
            sl_replica_item_destroy(&item);
            continue;
        }
        b->items[b->count] = item->item;
        b->entries[b->count++] = item;
    }
}

/* One that stops waits for nothing that might come. */
static bool
is_due(const struct replica *r, uint32_t way)
{
    const struct sl_batcher *waiting = r->waiting[way];
    uint64_t due_ns = sl_batcher_due_ns(waiting);
    return due_ns == 0 || (r->is_stopping && sl_batcher_count(waiting) > 0) ||
           (due_ns != UINT64_MAX && sl_time_mono_ns() >= due_ns);
}

/* The next batch is of what came one way. Calls that came straight go before the agent's next
 * batch, but once: whatever there is of the one, the other has its turn. */
static void
form_batch(struct replica *r, struct batch *b)
{
    r->is_agents_turn = !r->is_agents_turn;
    for (uint32_t turn = 0; turn < WAYS && b->count == 0; turn++) {
        bool is_agents = r->is_agents_turn == (turn == 0);
        uint32_t way = is_agents ? BY_AGENT : STRAIGHT;
        receive(r, way);
        if (is_due(r, way))
            fill(r, b, way);
        if (b->count > 0)
            r->is_agents_turn = is_agents;
    }
}

static bool
is_idle(const struct replica *r)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        if (sl_batcher_count(r->waiting[way]) > 0)
            return false;
    }
    return true;
}

/* When to look again though nothing comes. */
static uint64_t
due_ns(const struct replica *r)
{
    uint64_t due = sl_links_deadline_ns(r->links);
    for (uint32_t way = 0; way < WAYS; way++)
        due = SL_MIN(due, sl_batcher_due_ns(r->waiting[way]));
    return r->has_news ? SL_MIN(due, r->reported_ns + REPORT_NS) : due;
}

/* Until something can be received, or our link has something to say by itself. */
static void
wait_for_work(struct replica *r)
{
    int fds[POLLS_MAX];
    struct pollfd polls[POLLS_MAX + 1];
    uint32_t count = sl_links_fds(r->links, fds, POLLS_MAX);
    uint64_t now_ns = sl_time_mono_ns(), due = due_ns(r);
    uint64_t wait_ns = due <= now_ns ? 0 : SL_MIN(due - now_ns, WAIT_NS);
    struct timespec wait = {(time_t)(wait_ns / SL_SECOND_NS), (long)(wait_ns % SL_SECOND_NS)};
    for (uint32_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    struct pollfd *bell = &polls[count++];
    *bell = (struct pollfd){.events = POLLIN};
    if (!sl_replica_channel_doze(&r->channel, &bell->fd))
        wait = (struct timespec){0};
    bool is_endless = due == UINT64_MAX && wait.tv_sec > 0;
    int ready = ppoll(polls, count, is_endless ? NULL : &wait, NULL);
    sl_replica_channel_rouse(&r->channel, bell->revents != 0);
    if (ready == 1 && bell->revents != 0)
        r->is_agents_turn = true; /* Nothing came over links: the channel's is next. */
}

static void
serve(struct replica *r)
{
    struct batch *b = sl_zalloc(sizeof(*b));
    for (;;) {
        form_batch(r, b);
        if (b->count > 0) {
            run_batch(r, b);
            continue;
        }
        if (r->is_stopping && is_idle(r))
            break;
        report(r, sl_time_mono_ns());
        sl_links_flush(r->links); /* And what was answered without being run. */
        wait_for_work(r);
    }
    sl_free(b);
}

static void
end_waiting(struct replica *r)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        for (struct sl_msg *msg; (msg = take_early(&r->early[way])) != NULL;)
            sl_msg_destroy(&msg);
        sl_batcher_destroy(&r->waiting[way]);
    }
}

int
sl_replica_run(const struct sl_child *child)
{
    struct replica r = {.links = NULL};
    for (uint32_t i = 0; i < WAYS; i++)
        r.early[i].tail = &r.early[i].oldest;
    own = &r;
    signal(SIGPIPE, SIG_IGN);
    sl_protocol_register(&sl_protocol_replica);
    if (sl_json_parse(sl_slice_str(child->text), &r.doc, NULL) != SL_OK)
        return SL_REPLICA_EXIT_START;
    r.text = sl_json_root(r.doc);
    bool is_ok = start(&r, child);
    if (is_ok)
        serve(&r);
    sl_host_close(&r.host);
    sl_model_service_destroy(&r.models);
    sl_object_service_destroy(&r.objects);
    end_waiting(&r);
    sl_replica_channel_close(&r.channel);
    sl_links_destroy(&r.links);
    sl_json_destroy(&r.doc);
    sl_free(r.blobs);
    sl_free(r.index);
    sl_free(r.name);
    sl_free(r.plugin);
    return is_ok ? 0 : SL_REPLICA_EXIT_START;
}
