/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ray_shape.h"

#include <string.h>

#include "gateway/version.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

/* The release whose shapes these are: its clients refuse to talk to what is older than they need.
 */
#define LIKE_VERSION   "2.9.0"
#define EXTRACTORS_MAX 256u
#define REPLICAS_MAX   64u /* Of an extractor, that are told. */

static const char versions[] = "/api/version", serve_versions[] = "/api/ray/version",
                  applications[] = "/api/serve/applications", jobs[] = "/api/jobs";

/* The rest behind a path and a slash, "" for neither; NULL: it is another path. */
static const char *
rest(const char *path, const char *of)
{
    size_t size = strlen(of);
    if (strncmp(path, of, size) != 0 || (path[size] != '\0' && path[size] != '/'))
        return NULL;
    return path[size] == '\0' ? "" : path + size + 1;
}

static bool
is_exactly(const char *path, const char *of)
{
    const char *behind = rest(path, of);
    return behind != NULL && behind[0] == '\0';
}

bool
sl_ray_shape_has(const char *path)
{
    return is_exactly(path, versions) || is_exactly(path, serve_versions) ||
           is_exactly(path, applications) ||
           (rest(path, jobs) != NULL && strchr(rest(path, jobs), '/') == NULL);
}

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

static void
write_version(struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "version", "4"); /* Of the protocol of jobs. */
    sl_jsonw_member_str(w, "ray_version", LIKE_VERSION);
    sl_jsonw_member_str(w, "ray_commit", "sluice " SL_VERSION);
    sl_jsonw_member_str(w, "session_name", "sluice");
    sl_jsonw_end(w);
}

/* ---- applications -------------------------------------------------------------------------- */

struct served {
    struct sl_json extractor;
    uint64_t ready, coming, draining, wanted;
    bool is_crashed;
    struct sl_json reason;
    struct sl_json replicas[REPLICAS_MAX], nodes[REPLICAS_MAX];
    uint32_t replicas_count;
};

struct all {
    struct served *items[EXTRACTORS_MAX];
    uint32_t count;
};

/* NULL: there are too many. */
static struct served *
served_of(struct all *all, struct sl_json extractor)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (sl_slice_equal(sl_json_raw(all->items[i]->extractor), sl_json_raw(extractor)))
            return all->items[i];
    }
    if (all->count == EXTRACTORS_MAX || sl_json_kind(extractor) != SL_JSON_STRING)
        return NULL;
    struct served *s = sl_zalloc(sizeof(*s));
    s->extractor = extractor;
    all->items[all->count++] = s;
    return s;
}

static void
add_replica(struct all *all, struct sl_json node, struct sl_json replica)
{
    struct served *s = served_of(all, sl_json_member(replica, "extractor"));
    struct sl_json state = sl_json_member(replica, "state");
    if (s == NULL)
        return;
    s->ready += sl_json_is(state, "ready");
    s->draining += sl_json_is(state, "draining");
    s->coming += sl_json_is(state, "starting") || sl_json_is(state, "warming");
    if (s->replicas_count == REPLICAS_MAX)
        return;
    s->nodes[s->replicas_count] = node;
    s->replicas[s->replicas_count++] = replica;
}

static void
add_pool(struct all *all, struct sl_json pool)
{
    struct served *s = served_of(all, sl_json_member(pool, "extractor"));
    struct sl_json life = sl_json_member(pool, "life");
    if (s == NULL)
        return;
    s->wanted += number(pool, "wanted");
    if (sl_json_is(sl_json_member(life, "state"), "crashed")) {
        s->is_crashed = true;
        s->reason = sl_json_member(life, "reason");
    }
}

static void
write_replica(struct sl_jsonw *w, const struct served *s, uint32_t i, uint64_t now_ms)
{
    struct sl_json replica = s->replicas[i], state = sl_json_member(replica, "state");
    uint64_t age_ms = SL_MIN(number(replica, "age_ms"), now_ms);
    char *id =
        sl_format("%.*s-%.*s", SL_SLICE_FMT(sl_json_raw(sl_json_member(s->nodes[i], "node"))),
                  SL_SLICE_FMT(sl_json_raw(sl_json_member(replica, "id"))));
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "replica_id", id);
    sl_jsonw_member_str(w, "state",
                        sl_json_is(state, "ready")      ? "RUNNING"
                        : sl_json_is(state, "draining") ? "STOPPING"
                                                        : "STARTING");
    sl_jsonw_member_value(w, "pid", sl_json_member(replica, "pid"));
    sl_jsonw_member_str(w, "actor_name", id);
    sl_jsonw_member_str(w, "actor_id", id);
    sl_jsonw_member_value(w, "node_id", sl_json_member(s->nodes[i], "name"));
    sl_jsonw_member_value(w, "node_ip", sl_json_member(s->nodes[i], "host"));
    sl_jsonw_member_f64(w, "start_time_s", (double)(now_ms - age_ms) / 1000);
    sl_jsonw_end(w);
    sl_free(id);
}

static void
write_deployment(struct sl_jsonw *w, const struct served *s, uint64_t now_ms)
{
    bool is_sick = s->is_crashed && s->ready == 0;
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "name", s->extractor);
    sl_jsonw_member_str(w, "status",
                        is_sick                          ? "UNHEALTHY"
                        : s->ready == 0 && s->coming > 0 ? "UPDATING"
                                                         : "HEALTHY");
    sl_jsonw_member_str(w, "status_trigger", "UNSPECIFIED");
    if (is_sick)
        sl_jsonw_member_value(w, "message", s->reason);
    else
        sl_jsonw_member_str(w, "message", "");
    sl_jsonw_name(w, "deployment_config");
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "name", s->extractor);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "target_num_replicas", s->wanted);
    sl_jsonw_name(w, "required_resources");
    sl_jsonw_object(w);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "replicas");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < s->replicas_count; i++)
        write_replica(w, s, i, now_ms);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* One that has no replicas, and needs none, runs: the next call starts one. */
static void
write_application(struct sl_jsonw *w, const struct served *s, uint64_t now_ms)
{
    bool is_sick = s->is_crashed && s->ready == 0;
    char *name = sl_json_strdup(s->extractor);
    sl_jsonw_name(w, name == NULL ? "" : name);
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "name", s->extractor);
    sl_jsonw_member_null(w, "route_prefix");
    sl_jsonw_member_null(w, "docs_path");
    sl_jsonw_member_str(w, "status",
                        is_sick                          ? "UNHEALTHY"
                        : s->ready == 0 && s->coming > 0 ? "DEPLOYING"
                                                         : "RUNNING");
    if (is_sick)
        sl_jsonw_member_value(w, "message", s->reason);
    else
        sl_jsonw_member_str(w, "message", "");
    sl_jsonw_member_u64(w, "last_deployed_time_s", 0);
    sl_jsonw_member_null(w, "deployed_app_config");
    sl_jsonw_member_str(w, "source", "imperative");
    sl_jsonw_member_bool(w, "external_scaler_enabled", false);
    sl_jsonw_name(w, "deployments");
    sl_jsonw_object(w);
    sl_jsonw_name(w, name == NULL ? "" : name);
    write_deployment(w, s, now_ms);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_free(name);
}

static void
write_applications(struct sl_jsonw *w, struct sl_json status, uint64_t now_ms)
{
    struct all *all = sl_zalloc(sizeof(*all));
    for (struct sl_json_iter n = sl_json_iter(sl_json_member(status, "nodes")); sl_json_next(&n);) {
        struct sl_json replicas = sl_json_member(n.value, "replicas");
        struct sl_json pools = sl_json_member(n.value, "scaling");
        for (struct sl_json_iter r = sl_json_iter(replicas); sl_json_next(&r);)
            add_replica(all, n.value, r.value);
        for (struct sl_json_iter p = sl_json_iter(pools); sl_json_next(&p);)
            add_pool(all, p.value);
    }
    sl_jsonw_object(w);
    sl_jsonw_name(w, "controller_info");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "node_id", "head");
    sl_jsonw_end(w);
    sl_jsonw_member_str(w, "proxy_location", "HeadOnly");
    sl_jsonw_name(w, "proxies");
    sl_jsonw_object(w);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "applications");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < all->count; i++) {
        write_application(w, all->items[i], now_ms);
        sl_free(all->items[i]);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_null(w, "target_capacity");
    sl_jsonw_end(w);
    sl_free(all);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static const char *
state_of(struct sl_json job)
{
    static const char *const states[][2] = {{"pending", "PENDING"},     {"running", "RUNNING"},
                                            {"succeeded", "SUCCEEDED"}, {"canceled", "STOPPED"},
                                            {"partial", "FAILED"},      {"failed", "FAILED"}};
    for (size_t i = 0; i < SL_COUNT_OF(states); i++) {
        if (sl_json_is(sl_json_member(job, "state"), states[i][0]))
            return states[i][1];
    }
    return "PENDING";
}

/* Whose it is stays out: who asks here has shown no key. */
static void
write_job(struct sl_jsonw *w, struct sl_json job)
{
    uint64_t done = number(job, "done"), failed = number(job, "failed");
    char *message = sl_format("%llu of %llu tasks done, %llu failed", (unsigned long long)done,
                              (unsigned long long)number(job, "total"), (unsigned long long)failed);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", "SUBMISSION");
    sl_jsonw_member_null(w, "job_id");
    sl_jsonw_member_value(w, "submission_id", sl_json_member(job, "id"));
    sl_jsonw_member_null(w, "driver_info");
    sl_jsonw_member_str(w, "status", state_of(job));
    sl_jsonw_member_str(w, "entrypoint", "batch");
    sl_jsonw_member_str(w, "message", message);
    sl_jsonw_member_null(w, "error_type");
    sl_jsonw_member_value(w, "start_time", sl_json_member(job, "created_ms"));
    sl_jsonw_member_null(w, "end_time");
    sl_jsonw_name(w, "metadata");
    sl_jsonw_object(w);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "runtime_env");
    sl_jsonw_object(w);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_free(message);
}

static uint16_t
write_jobs(struct sl_jsonw *w, struct sl_json status, const char *id)
{
    bool is_one = id[0] != '\0', is_found = false;
    if (!is_one)
        sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(status, "jobs"));
         sl_json_next(&i) && !(is_one && is_found);) {
        if (is_one && !sl_json_is(sl_json_member(i.value, "id"), id))
            continue;
        write_job(w, i.value);
        is_found = true;
    }
    if (!is_one)
        sl_jsonw_end(w);
    else if (!is_found)
        sl_jsonw_str(w, "there is no such job");
    return is_one && !is_found ? 404 : 200;
}

uint16_t
sl_ray_shape_write(const char *path, struct sl_slice status, uint64_t now_ms, struct sl_buf *out)
{
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    uint16_t code = 200;
    sl_jsonw_init(&w, out);
    if (sl_json_parse(status, &doc, NULL) != SL_OK)
        doc = NULL;
    if (is_exactly(path, versions) || is_exactly(path, serve_versions))
        write_version(&w);
    else if (is_exactly(path, applications))
        write_applications(&w, sl_json_root(doc), now_ms);
    else
        code = write_jobs(&w, sl_json_root(doc), rest(path, jobs));
    sl_jsonw_done(&w);
    sl_json_destroy(&doc);
    return code;
}
