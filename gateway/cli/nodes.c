/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs nodes, serve and explain: the cluster as its operator sees it. */
#include <inttypes.h>
#include <stdio.h>

#include "gateway/cli/act.h"
#include "runtime/alloc.h"

#define SERVED_MAX 256 /* Extractors and models with replicas that are shown. */

static int
list_nodes(struct sl_cli *cli)
{
    static const char *const columns[] = {"name", "group", "state",      "host", "in_flight",
                                          "cpus", "gpus",  "started_at", NULL};
    return sl_cli_ask_table(cli,
                            &(struct sl_http_request){.method = "GET", .path = "/v1/cluster/nodes"},
                            "results", columns);
}

/* cordon, uncordon and drain are the last part of the path. */
static int
order_node(struct sl_cli *cli)
{
    static const char *const members[] = {"message", NULL};
    char *name = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/cluster/nodes/%s/%s", name, cli->arguments[0]);
    int code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = "POST", .path = path},
                                  NULL, members);
    sl_free(name);
    sl_free(path);
    return code;
}

static int
list_groups(struct sl_cli *cli)
{
    static const char *const columns[] = {"group",     "workers", "min",      "max",
                                          "provider",  "wanted",  "starting", "is_manual",
                                          "condition", "reason",  NULL};
    return sl_cli_ask_table(cli, &(struct sl_http_request){.method = "GET", .path = "/v1/cluster"},
                            "groups", columns);
}

static bool
is_number(const char *text)
{
    return *text != '\0' && strlen(text) <= 9 && strspn(text, "0123456789") == strlen(text);
}

static int
scale_group(struct sl_cli *cli)
{
    static const char *const members[] = {"message", NULL};
    const char *replicas = sl_cli_option(cli, "replicas");
    if (replicas != NULL && !is_number(replicas))
        return SL_EXIT_USAGE;
    char *name = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/cluster/groups/%s/scale", name);
    char *body = replicas == NULL ? sl_strdup("{}") : sl_format("{\"replicas\":%s}", replicas);
    struct sl_http_request q = {.method = "POST", .path = path, .body = sl_slice_str(body)};
    int code = sl_cli_ask_members(cli, &q, NULL, members);
    sl_free(name);
    sl_free(path);
    sl_free(body);
    return code;
}

static int
list_events(struct sl_cli *cli)
{
    static const char *const columns[] = {"time", "event", "group", "about", "message", NULL};
    const char *limit = sl_cli_option(cli, "limit");
    if (limit != NULL && !is_number(limit))
        return SL_EXIT_USAGE;
    char *path = sl_format("/v1/cluster/events?limit=%s", limit == NULL ? "20" : limit);
    int code = sl_cli_ask_table(cli, &(struct sl_http_request){.method = "GET", .path = path},
                                "results", columns);
    sl_free(path);
    return code;
}

/* Every replica, with the node that it runs on. */
static int
list_replicas(struct sl_cli *cli)
{
    static const char *const columns[] = {"node",    "extractor", "pid",  "state",
                                          "ongoing", "waiting",   "done", "model_bytes",
                                          "idle_ms", NULL};
    struct sl_json reply;
    int code = sl_cli_ask(
        cli, &(struct sl_http_request){.method = "GET", .path = "/v1/cluster/nodes"}, &reply);
    if (code != SL_EXIT_OK || cli->is_json) {
        if (code == SL_EXIT_OK)
            sl_cli_print_json(cli);
        return code;
    }
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    for (struct sl_json_iter n = sl_json_iter(sl_json_member(reply, "results"));
         sl_json_next(&n);) {
        for (struct sl_json_iter r = sl_json_iter(sl_json_member(n.value, "replicas"));
             sl_json_next(&r);) {
            sl_jsonw_object(&w);
            sl_jsonw_member_value(&w, columns[0], sl_json_member(n.value, "name"));
            for (size_t i = 1; columns[i] != NULL; i++)
                sl_jsonw_member_value(&w, columns[i], sl_json_member(r.value, columns[i]));
            sl_jsonw_end(&w);
        }
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    if (sl_json_parse(sl_buf_slice(&text), &doc, NULL) == SL_OK)
        sl_cli_print_table(sl_json_root(doc), columns);
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
    return SL_EXIT_OK;
}

int
sl_cli_nodes(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {
        {"list", 0, list_nodes},     {"groups", 0, list_groups}, {"events", 0, list_events},
        {"top", 0, list_replicas},   {"scale", 1, scale_group},  {"cordon", 1, order_node},
        {"uncordon", 1, order_node}, {"drain", 1, order_node},   {0}};
    return sl_cli_act(cli, actions);
}

/* The labels that its tasks ask for, and why they wait, where they do. */
static void
print_asked(struct sl_json collection)
{
    struct sl_json labels = sl_json_member(collection, "labels");
    struct sl_json parked = sl_json_member(collection, "parked");
    char *reason = sl_json_strdup(sl_json_member(collection, "reason"));
    if (sl_json_count(labels) > 0)
        printf("only nodes with the labels %.*s; %.*s tasks wait for one\n",
               SL_SLICE_FMT(sl_json_raw(labels)), SL_SLICE_FMT(sl_json_raw(parked)));
    if (reason != NULL && reason[0] != '\0')
        printf("%s\n", reason);
    sl_free(reason);
}

/* Of the group whose nodes are to run it, when these are started by demand. */
static void
print_group(struct sl_json group)
{
    char *reason = sl_json_strdup(sl_json_member(group, "reason"));
    struct sl_json start = sl_json_member(group, "predicted_start_ms");
    if (reason != NULL && reason[0] != '\0')
        printf("group %.*s: %s\n", SL_SLICE_FMT(sl_json_raw(sl_json_member(group, "group"))),
               reason);
    if (sl_json_has(start))
        printf("a node may be there in %.*s ms\n", SL_SLICE_FMT(sl_json_raw(start)));
    sl_free(reason);
}

/* A line for each pool of replicas that come to no work. */
static void
print_crash(struct sl_json node, struct sl_json extractor, struct sl_json about)
{
    char *on = sl_json_strdup(node), *name = sl_json_strdup(extractor);
    char *reason = sl_json_strdup(sl_json_member(about, "reason"));
    char *next = sl_json_strdup(sl_json_member(about, "next_start_at"));
    if (reason != NULL && reason[0] != '\0')
        printf("%s on node %s crashes: %s%s%s\n", name == NULL ? "?" : name, on == NULL ? "?" : on,
               reason, next == NULL ? "" : "; not before ", next == NULL ? "" : next);
    sl_free(on);
    sl_free(name);
    sl_free(reason);
    sl_free(next);
}

static void
print_crashed(struct sl_json crashed)
{
    for (struct sl_json_iter i = sl_json_iter(crashed); sl_json_next(&i);)
        print_crash(sl_json_member(i.value, "node"), sl_json_member(i.value, "extractor"), i.value);
}

/* Why its next task's start cannot be told; that it can is a member. */
static void
print_prediction(struct sl_json reply)
{
    char *why = sl_json_strdup(sl_json_member(reply, "prediction"));
    if (why != NULL && why[0] != '\0')
        printf("predicted start %s\n", why);
    sl_free(why);
}

static int
explain(struct sl_cli *cli, bool has_nodes)
{
    static const char *const members[] = {"class",     "waiting",     "running",
                                          "position",  "rate_per_s",  "predicted_start_ms",
                                          "cold_cost", "nodes_total", NULL};
    static const char *const columns[] = {"node",      "verdict", "cost", "is_warm",
                                          "in_flight", "room",    NULL};
    struct sl_json reply;
    char *id = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/cluster/placement/%s", id);
    int code = sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = path}, &reply);
    sl_free(id);
    sl_free(path);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json) {
        sl_cli_print_json(cli);
        return SL_EXIT_OK;
    }
    sl_cli_print_members(reply, members);
    print_prediction(reply);
    print_group(sl_json_member(reply, "group"));
    print_crashed(sl_json_member(reply, "crashed"));
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "collections"));
         sl_json_next(&i);) {
        char *collection = sl_json_strdup(sl_json_member(i.value, "collection_id"));
        printf("\n%s: a task goes where it costs least: tasks under way, and cold_cost where it is "
               "not warm\n",
               collection == NULL ? "" : collection);
        sl_free(collection);
        print_asked(i.value);
        if (has_nodes)
            sl_cli_print_table(sl_json_member(i.value, "nodes"), columns);
    }
    return SL_EXIT_OK;
}

static int
explain_placement(struct sl_cli *cli)
{
    return explain(cli, true);
}

static int
explain_job(struct sl_cli *cli)
{
    return explain(cli, false);
}

int
sl_cli_explain(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {
        {"placement", 1, explain_placement}, {"job", 1, explain_job}, {0}};
    return sl_cli_act(cli, actions);
}

/* ---- serve --------------------------------------------------------------------------------- */

static const char *const states[] = {"starting", "warming", "ready",
                                     "draining", "stopped", "crashed"};

struct served {
    struct sl_json extractor, index;      /* Of the first of its pools. */
    uint64_t counts[SL_COUNT_OF(states)]; /* Stopped and crashed: since their nodes are there. */
    uint64_t ongoing, waiting;
};

static uint64_t
count_of(struct sl_json object, const char *name)
{
    uint64_t count = 0;
    return sl_json_u64(sl_json_member(object, name), &count) == SL_OK ? count : 0;
}

static struct served *
served_of(struct served *all, uint32_t *count, struct sl_json replica)
{
    struct sl_json extractor = sl_json_member(replica, "extractor");
    struct sl_json index = sl_json_member(replica, "index");
    for (uint32_t i = 0; i < *count; i++) {
        if (sl_slice_equal(sl_json_raw(all[i].extractor), sl_json_raw(extractor)) &&
            sl_slice_equal(sl_json_raw(all[i].index), sl_json_raw(index)))
            return &all[i];
    }
    if (*count == SERVED_MAX)
        return NULL;
    all[*count] = (struct served){.extractor = extractor, .index = index};
    return &all[(*count)++];
}

/* What waits at a node is told by each of its replicas: it counts once. */
static void
add_replicas(struct served *all, uint32_t *count, struct sl_json node)
{
    const struct served *last = NULL;
    for (struct sl_json_iter r = sl_json_iter(sl_json_member(node, "replicas"));
         sl_json_next(&r);) {
        struct served *s = served_of(all, count, r.value);
        for (uint32_t i = 0; s != NULL && i < SL_COUNT_OF(states); i++)
            s->counts[i] += sl_json_is(sl_json_member(r.value, "state"), states[i]);
        if (s == NULL)
            continue;
        s->ongoing += count_of(r.value, "ongoing");
        s->waiting += s == last ? 0 : count_of(r.value, "waiting");
        last = s;
    }
}

/* Those that have ended are in no list of replicas. */
static void
add_pools(struct served *all, uint32_t *count, struct sl_json node)
{
    for (struct sl_json_iter p = sl_json_iter(sl_json_member(node, "scaling")); sl_json_next(&p);) {
        struct sl_json life = sl_json_member(p.value, "life");
        struct served *s = served_of(all, count, p.value);
        for (uint32_t i = 4; s != NULL && i < SL_COUNT_OF(states); i++)
            s->counts[i] += count_of(life, states[i]);
    }
}

/* A row for each extractor and index that has, or had, replicas anywhere; then those that crash. */
static void
print_served(struct sl_json nodes)
{
    static struct served all[SERVED_MAX];
    uint32_t count = 0;
    for (struct sl_json_iter n = sl_json_iter(nodes); sl_json_next(&n);) {
        add_replicas(all, &count, n.value);
        add_pools(all, &count, n.value);
    }
    if (count == 0)
        puts("no extractor has a replica: the first task or call of one starts it");
    for (uint32_t i = 0; i < count; i++) {
        char *name = sl_json_strdup(all[i].extractor);
        printf("%s: ", name == NULL ? "?" : name);
        for (uint32_t k = 0; k < SL_COUNT_OF(states); k++)
            printf("%" PRIu64 " %s, ", all[i].counts[k], states[k]);
        printf("%" PRIu64 " ongoing, %" PRIu64 " waiting\n", all[i].ongoing, all[i].waiting);
        sl_free(name);
    }
    for (struct sl_json_iter n = sl_json_iter(nodes); sl_json_next(&n);) {
        for (struct sl_json_iter p = sl_json_iter(sl_json_member(n.value, "scaling"));
             sl_json_next(&p);) {
            struct sl_json life = sl_json_member(p.value, "life");
            if (sl_json_is(sl_json_member(life, "state"), "crashed"))
                print_crash(sl_json_member(n.value, "name"), sl_json_member(p.value, "extractor"),
                            life);
        }
    }
}

static int
serve_status(struct sl_cli *cli)
{
    struct sl_json reply;
    int code = sl_cli_ask(
        cli, &(struct sl_http_request){.method = "GET", .path = "/v1/cluster/nodes"}, &reply);
    if (code != SL_EXIT_OK)
        return code;
    if (cli->is_json) {
        sl_cli_print_json(cli);
        return SL_EXIT_OK;
    }
    print_served(sl_json_member(reply, "results"));
    code =
        sl_cli_ask(cli, &(struct sl_http_request){.method = "GET", .path = "/v1/cluster"}, &reply);
    if (code != SL_EXIT_OK)
        return code;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "groups")); sl_json_next(&i);)
        print_group(i.value);
    return SL_EXIT_OK;
}

/* By its id, as the replicas' list and `sluice top` have it. */
static int
serve_restart(struct sl_cli *cli)
{
    static const char *const members[] = {"message", NULL};
    char *id = sl_cli_escape(cli->arguments[1]);
    char *path = sl_format("/v1/cluster/replicas/%s/restart", id);
    int code = sl_cli_ask_members(cli, &(struct sl_http_request){.method = "POST", .path = path},
                                  NULL, members);
    sl_free(id);
    sl_free(path);
    return code;
}

int
sl_cli_serve(struct sl_cli *cli)
{
    static const struct sl_cli_action actions[] = {
        {"status", 0, serve_status}, {"restart", 1, serve_restart}, {0}};
    return sl_cli_act(cli, actions);
}
