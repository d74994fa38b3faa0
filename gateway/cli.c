/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench.h"
#include "gateway/cert_verb.h"
#include "gateway/cli/words.h"
#include "gateway/doctor.h"
#include "gateway/gateway_verb.h"
#include "gateway/plugin_verb.h"
#include "gateway/autoscale_verb.h"
#include "gateway/simulate_verb.h"
#include "gateway/unpack.h"
#include "gateway/up.h"
#include "gateway/version.h"
#include "gateway/worker.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define URL_DEFAULT  "http://127.0.0.1:8080"
#define KEY_SIZE_MAX 256

struct verb {
    const char *name, *arguments, *summary;
    int (*run)(struct sl_cli *cli);
    const struct sl_cli_option *options;
};

static const struct sl_cli_option no_options[] = {{0}};
static const struct sl_cli_option search_options[] = {
    {"namespace", "NAME", "namespace to search in"},
    {"collection", "NAME", "search this collection only"},
    {"limit", "N", "results at most (10)"},
    {0},
};
static const struct sl_cli_option submit_options[] = {
    {"namespace", "NAME", "namespace, made when absent (default)"},
    {"bucket", "NAME", "bucket, made when absent (files)"},
    {"collection", "NAME", "collection, made when absent (texts)"},
    {"extractor", "NAME", "text_extractor (default) or passthrough_extractor"},
    {"wait", NULL, "wait until the batch has ended, and fail when it failed"},
    {0},
};
static const struct sl_cli_option tenant_options[] = {
    {"plan", "PLAN", "create: free, starter, growth, scale, enterprise"},
    {"isolation", "LEVEL", "create: logical, process, physical"},
    {"name", "NAME", "create: shown name (the id)"},
    {"reason", "WHY", "suspend: payment_overdue, security, abuse, requested (default)"},
    {"retention-days", "N", "offboard: keep the data so long (30); 0: erase it at once"},
    {"no-export", NULL, "offboard: make no archive of it; 0 days want this"},
    {"cancel", NULL, "offboard: have it stay, while its data is kept"},
    {"wait", NULL, "offboard: until its data is exported and kept, or erased"},
    {0},
};
static const struct sl_cli_option job_options[] = {
    {"status", "STATUS", "list: PENDING, IN_PROGRESS, COMPLETED, FAILED, ..."},
    {"limit", "N", "list: results at most (10)"},
    {"queue", "NAME", "with --where: of this queue of the tenant's own"},
    {"where", "CONDITIONS",
     "cancel, retry, rm: all that state=S+S,older=1d,newer=2h,attempts=N,"
     "error=TEXT says"},
    {0},
};
static const struct sl_cli_option dead_options[] = {
    {"queue", "NAME", "ls, redrive: of this queue"},
    {"limit", "N", "ls: results at most (100)"},
    {"where", "CONDITIONS", "redrive: those that older=1d,error=TEXT,... says, as in jobs"},
    {"rate", "N/s", "redrive: so many a second, until all are"},
    {"edit", "FILE", "redrive: one job, with what is in the file as payload"},
    {0},
};
static const struct sl_cli_option model_options[] = {
    {"namespace", "NAME", "where the models are (the only one)"},
    {"name", "NAME", "upload: the model's name"},
    {"version", "X.Y.Z", "upload: the model's version"},
    {"format", "FORMAT", "upload: safetensors (default), onnx, pytorch, huggingface"},
    {"task", "TYPE", "upload: embedding, classification, ..."},
    {0},
};
static const struct sl_cli_option key_options[] = {
    {"user", "EMAIL", "whose keys; needed when there are several users"},
    {"permissions", "LIST", "create: read,write,delete,admin (read)"},
    {"expires", "TIME", "create: RFC 3339, as 2030-01-01T00:00:00Z"},
    {"overlap", "SECONDS", "rotate: how long the old secret still works (0)"},
    {"revoked", NULL, "list: revoked ones too"},
    {0},
};

static const struct sl_cli_option audit_options[] = {
    {"limit", "N", "ls: events at most (20)"},
    {"action", "NAME", "ls: of this kind, as bucket_deleted"},
    {"actor", "ID", "ls: of this user"},
    {"resource", "ID", "ls: about this"},
    {"head", "DIGEST", "verify: fail unless the newest event's digest is this one"},
    {0},
};

static const struct sl_cli_option queue_options[] = {
    {"tenant", "ID", "ls: this tenant's only, with the operator's key"},
    {"limit", "N", "ls, inspect, events: results at most (100); peek: (10)"},
    {"weight", "N", "limits: its share among tenants, 1 to 1000"},
    {"aging-ms", "N", "limits: a task gains a priority for each such wait; 0: never"},
    {"running-max", "N", "limits: tasks at a time; 0: any number"},
    {"depth-max", "N", "limits: tasks not ended, more are refused; 0: any number"},
    {"rate", "N", "limits: tasks begun in each rate-period-ms; 0: any number"},
    {"rate-period-ms", "N", "limits: of the rate"},
    {"burst", "N", "limits: of the rate, how many at once"},
    {"after", "ID", "events: those behind this one"},
    {"force", NULL, "rm: also if jobs in it have not ended"},
    {"data", "DIR", "backup: of this directory, which no server has open"},
    {0},
};

static const struct sl_cli_option config_options[] = {
    {"config", "FILE", "check, --data: on top of this configuration (all defaults)"},
    {"data", "DIR", "diff, apply: this directory, which no server has open"},
    {0},
};
static const struct sl_cli_option usage_options[] = {
    {"period", "PERIOD", "2026-01, 2026-01-10 or last_30_days (this month)"},
    {"group-by", "FIELDS",
     "resource_type, namespace, collection, extractor, key, route, status, month, day, hour "
     "(resource_type)"},
    {"tenant", "ID", "of this tenant, with the operator's key"},
    {"csv", NULL, "as comma-separated values"},
    {0},
};
static const struct sl_cli_option events_options[] = {
    {"follow", NULL, "print them as they happen, until stopped"},
    {"kind", "KINDS", "of these kinds, as node_lost,job_failed"},
    {"severity", "LIST", "info, warning, critical"},
    {"since", "WHEN", "from this time, as 2030-01-01T00:00:00Z, or after this event's id"},
    {"tenant", "ID", "of this tenant, with the operator's key"},
    {"limit", "N", "at most (20)"},
    {0},
};
static const struct sl_cli_option logs_options[] = {
    {"follow", NULL, "print them as they come, until stopped"},
    {"severity", "LIST", "debug, info, warning, error"},
    {"q", "TEXT", "with this in the message or the event"},
    {"tenant", "ID", "about this tenant"},
    {"node", "ID", "of what this node's replicas print, or about it"},
    {"extractor", "NAME", "of its replicas, or about it"},
    {"job", "ID", "about this job"},
    {"request", "ID", "about this request"},
    {"trace", "ID", "of this trace"},
    {"role", "NAME", "of processes of a role: main, node, replica, spawner"},
    {"since", "WHEN", "from this time on, as 2030-01-01T00:00:00Z"},
    {"limit", "N", "at most (100)"},
    {0},
};
static const struct sl_cli_option nodes_options[] = {
    {"replicas", "N", "scale: so many nodes; without it: by demand again"},
    {"limit", "N", "events: at most (20)"},
    {0},
};

static const struct sl_cli_option cluster_options[] = {
    {"limit", "N", "results at most"},
    {"cursor", "CURSOR", "the next page, as the one before names it"},
    {"extractor", "NAME", "extractors, replicas: of this one"},
    {"state", "STATE", "jobs: in this state"},
    {"queue", "TENANT:NAME", "jobs: of this queue"},
    {"batch", "ID", "jobs: of this batch"},
    {"tenant", "ID", "as this tenant sees it, with the operator's key"},
    {0},
};
static const struct sl_cli_option top_options[] = {
    {"once", NULL, "print once and end, as without a terminal"},
    {0},
};

static const struct sl_cli_option slow_options[] = {
    {"limit", "N", "how many, 50 where it is left out, 200 at most"},
    {"cursor", "CURSOR", "go on behind a page"},
    {"latest", NULL, "the last ones first, not the slowest"},
    {"q", "TEXT", "of operations with this in their method and path"},
    {"tenant", "ID", "of one tenant"},
    {"min-ms", "N", "that took so long at least"},
    {0},
};

static const struct verb verbs[] = {
    {"status", "", "Say how the server is", sl_cli_status, no_options},
    {"submit", "PATH...", "Send files, folders or .jsonl lines and process them", sl_cli_submit,
     submit_options},
    {"search", "QUERY", "Find documents", sl_cli_search, search_options},
    {"tenant", "create ID | list | verify ID | suspend ID | resume ID | offboard ID",
     "Tenants, with the operator's key\n"
     "suspend refuses a tenant's keys and pauses its queues; its data stays\n"
     "offboard exports its data, keeps it, and erases it",
     sl_cli_tenant, tenant_options},
    {"jobs",
     "list | get ID | logs ID | cancel ID |\n"
     "                   show JOB | trace JOB | cancel JOB | retry JOB | rm JOB |\n"
     "                   cancel, retry, rm --queue NAME --where CONDITIONS",
     "Jobs under way and ended\n"
     "list, get and logs are about batches; trace tells what happens until the end; a JOB, as "
     "job_0123, is of a tenant's own queue",
     sl_cli_jobs, job_options},
    {"dead", "ls | show JOB | redrive JOB | redrive --queue NAME",
     "Jobs of a tenant's own queues that failed for good", sl_cli_dead, dead_options},
    {"models", "list | upload FILE | deploy ID | evict ID | delete ID", "Models of a namespace",
     sl_cli_models, model_options},
    {"keys", "list | create NAME | rotate NAME | revoke NAME", "API keys, with an admin's key",
     sl_cli_keys, key_options},
    {"audit", "ls | show ID | verify",
     "Who did what, with an admin's key\n"
     "verify walks the log's chain of digests, exits with 1 if it is broken, and prints the "
     "digest\n"
     "of the newest event: kept elsewhere, it shows later that all up to there is as it was",
     sl_cli_audit, audit_options},
    {"logs", "", "The last lines of the processes on the head's machine", sl_cli_logs,
     logs_options},
    {"events", "", "What happened, the latest last: to the cluster, or to the tenant of the key",
     sl_cli_events, events_options},
    {"usage", "", "What was used, and what it costs", sl_cli_usage, usage_options},
    {"nodes",
     "list | groups | events | top | cordon NAME | uncordon NAME | drain NAME |\n"
     "                    scale GROUP",
     "Nodes and worker groups, with the operator's key\n"
     "scale sets how many nodes a group with a provider has, until the next apply or restart;\n"
     "events prints what happened lately, top what each replica does",
     sl_cli_nodes, nodes_options},
    {"node", "list | drain NAME | cordon NAME | uncordon NAME", "The same as nodes", sl_cli_nodes,
     nodes_options},
    {"cluster", "show | groups | extractors | decisions EXTRACTOR | replicas | jobs",
     "What the cluster is doing: of a tenant its own part", sl_cli_cluster, cluster_options},
    {"top", "", "The cluster at a glance, again every second; q quits", sl_cli_top, top_options},
    {"slow", "", "The slowest requests of each of the last 60 minutes, and where their time went",
     sl_cli_slow, slow_options},
    {"scale", "GROUP N",
     "Set the nodes of a worker group, until the next apply or restart; operator's key",
     sl_cli_scale, no_options},
    {"serve", "status | restart REPLICA",
     "Which extractors run, and why one waits; begin a replica anew; operator's key", sl_cli_serve,
     no_options},
    {"queue",
     "ls | get QUEUE | pause QUEUE | resume QUEUE | drain QUEUE | stop QUEUE |\n"
     "                    limits QUEUE |\n"
     "                    inspect active, scheduled, leased, dead [NAME] | inspect stats |\n"
     "                    peek NAME | events NAME | rm NAME | verify DIR | backup DEST",
     "Queues, as tenant:cpu, and the store they lie in\n"
     "stop drains a tenant's own queue, which closes once nothing is unfinished.\n"
     "inspect, peek, events and rm are about the tenant's own queues, by their name alone.\n"
     "limits, and backup of a server that runs, take the operator's key. verify reads a data\n"
     "directory that no server has open; it exits with 0 if that is sound, 1 if it is damaged",
     sl_cli_queue, queue_options},
    {"explain", "placement JOB | job JOB",
     "Why a job's tasks run where they do, and when; operator's key\n"
     "job leaves out the nodes, and what each would cost",
     sl_cli_explain, no_options},
    {"config",
     "check FILE | diff FILE | apply FILE |\n"
     "                     reference [worker | gateway | overrides]",
     "Overrides: what of the configuration is to be otherwise\n"
     "check tells each fault of FILE with its line, diff what it would change, apply changes it:\n"
     "in a server that runs, with the operator's key, or with --data at its next start.\n"
     "Values that sluice has no use for are accepted, and told by check.\n"
     "reference prints the tables of docs/configuration.md",
     sl_cli_config, config_options},
};

/* Verbs that read their own arguments: argv[0] is the verb. */
static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
    bool is_hidden;
} programs[] = {
    {"up", "Run everything on this machine", sl_up_main, false},
    {"head", "Run everything but the API, which gateways serve", sl_up_main, false},
    {"gateway", "Serve the API for a head that is elsewhere", sl_gateway_main, false},
    {"worker", "Run a node for a head that is elsewhere", sl_worker_main, false},
    {"bench", "Measure this machine and this sluice", sl_bench_main, false},
    {"autoscale", "Try an autoscaler's settings on a load, in simulated time", sl_autoscale_main,
     false},
    {"simulate", "Run the job path in simulated time while things fail", sl_simulate_main, false},
    {"doctor", "Look whether this machine is fit for sluice", sl_doctor_main, false},
    {"completion", "Print what bash, zsh or fish complete by", sl_completion_main, false},
    {"manual", "Print the manual page", sl_manual_main, false},
    {"cert", "Make or show the certificate of a node", sl_cert_main, false},
    {SL_PLUGIN_VERB, "Try an extractor plugin without a server", sl_plugin_main, false},
    {"spawner", NULL, sl_spawner_verb, true},
    {SL_UNPACK_VERB, NULL, sl_unpack_main, true},
};

void
sl_cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("sluice: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

bool
sl_cli_verb_at(uint32_t at, struct sl_cli_verb *ret_verb)
{
    for (size_t i = 0; i < SL_COUNT_OF(programs); i++) {
        if (programs[i].is_hidden || at-- > 0)
            continue;
        *ret_verb = (struct sl_cli_verb){programs[i].name, "", programs[i].summary, NULL};
        return true;
    }
    if (at >= SL_COUNT_OF(verbs))
        return false;
    const struct verb *v = &verbs[at];
    *ret_verb = (struct sl_cli_verb){v->name, v->arguments, v->summary, v->options};
    return true;
}

/* ---- help ---------------------------------------------------------------------------------- */

static void
print_help(FILE *to)
{
    (void)fputs("usage: sluice VERB [ARGUMENTS] [OPTIONS]\n\n", to);
    for (size_t i = 0; i < SL_COUNT_OF(programs); i++) {
        if (!programs[i].is_hidden)
            (void)fprintf(to, "  %-10s %s\n", programs[i].name, programs[i].summary);
    }
    for (size_t i = 0; i < SL_COUNT_OF(verbs); i++)
        (void)fprintf(to, "  %-10s %.*s\n", verbs[i].name, (int)strcspn(verbs[i].summary, "\n"),
                      verbs[i].summary);
    (void)fputs(
        "  version    Print the version\n  help       Print this\n\n"
        "'sluice VERB --help' tells more. Exit codes: 0 done, 1 failed, 2 usage, 3 no\n"
        "connection, 4 the server refused. --log-format json, of any verb: diagnostics are\n"
        "JSON, a line each, of all processes that it starts.\n",
        to);
}

static void
print_verb_help(const struct verb *v)
{
    printf("usage: sluice %s %s\n%s.\n\n", v->name, v->arguments, v->summary);
    for (const struct sl_cli_option *o = v->options; o->name != NULL; o++)
        printf("  --%s %-*s %s\n", o->name, (int)(18 - SL_MIN(strlen(o->name), (size_t)17)),
               o->value == NULL ? "" : o->value, o->help);
    printf("  --url URL            the server (%s)\n"
           "  --key-file FILE      holds the API key; else SLUICE_API_KEY\n"
           "  --ca FILE            who may sign the server's certificate; else SLUICE_CA\n"
           "  --json               print the server's reply\n"
           "  --help               print this\n",
           URL_DEFAULT);
}

/* ---- arguments ----------------------------------------------------------------------------- */

struct parse {
    struct sl_cli *cli;
    const char *key_file, *ca;
    bool is_help;
};

/* Does `argument` name `option`? Its value, if it takes one, goes to *ret_value. */
static bool
match(const char *argument, const char *option, int *at, int argc, char **argv,
      const char **ret_value)
{
    size_t size = strlen(option);
    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, option, size) != 0)
        return false;
    if (argument[2 + size] == '=') {
        *ret_value = argument + 3 + size;
        return true;
    }
    if (argument[2 + size] != '\0')
        return false;
    *ret_value = *at + 1 < argc ? argv[++*at] : NULL;
    return true;
}

static bool
parse_own(struct parse *p, const char *argument, int *at, int argc, char **argv, bool *ret_match)
{
    const struct sl_cli_option *o = p->cli->options;
    *ret_match = true;
    for (uint32_t i = 0; o[i].name != NULL; i++) {
        if (o[i].value == NULL && strncmp(argument, "--", 2) == 0 &&
            strcmp(argument + 2, o[i].name) == 0) {
            p->cli->values[i] = "";
            return true;
        }
        if (o[i].value != NULL && match(argument, o[i].name, at, argc, argv, &p->cli->values[i])) {
            if (p->cli->values[i] == NULL)
                sl_cli_error("--%s needs a value", o[i].name);
            return p->cli->values[i] != NULL;
        }
    }
    *ret_match = false;
    return true;
}

static bool
parse_one(struct parse *p, int *at, int argc, char **argv)
{
    const char *a = argv[*at];
    bool is_own = false;
    if (strncmp(a, "--", 2) != 0) {
        if (p->cli->arguments_count == SL_COUNT_OF(p->cli->arguments)) {
            sl_cli_error("too many arguments");
            return false;
        }
        p->cli->arguments[p->cli->arguments_count++] = a;
        return true;
    }
    if (strcmp(a, "--json") == 0) {
        p->cli->is_json = true;
        return true;
    }
    if (strcmp(a, "--help") == 0) {
        p->is_help = true;
        return true;
    }
    if (match(a, "url", at, argc, argv, &p->cli->url))
        return p->cli->url != NULL;
    if (match(a, "key-file", at, argc, argv, &p->key_file))
        return p->key_file != NULL;
    if (match(a, "ca", at, argc, argv, &p->ca))
        return p->ca != NULL;
    if (!parse_own(p, a, at, argc, argv, &is_own))
        return false;
    if (!is_own)
        sl_cli_error("unknown option %s", a);
    return is_own;
}

/* The key of --key-file, else of the environment; NULL: none. False: the file cannot be read. */
static bool
read_key(const char *path, char ret_key[static KEY_SIZE_MAX])
{
    const char *environment = getenv("SLUICE_API_KEY");
    ret_key[0] = '\0';
    if (path == NULL) {
        if (environment != NULL)
            (void)snprintf(ret_key, KEY_SIZE_MAX, "%s", environment);
        return true;
    }
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(ret_key, KEY_SIZE_MAX, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!is_read)
        sl_cli_error("cannot read a key from %s", path);
    ret_key[strcspn(ret_key, "\r\n")] = '\0';
    return is_read;
}

const char *
sl_cli_option(const struct sl_cli *cli, const char *name)
{
    for (uint32_t i = 0; cli->options[i].name != NULL; i++) {
        if (strcmp(cli->options[i].name, name) == 0)
            return cli->values[i];
    }
    sl_assert(false);
    return NULL;
}

static int
run_verb(const struct verb *v, int argc, char **argv)
{
    struct sl_cli *cli = sl_zalloc(sizeof *cli);
    struct parse p = {.cli = cli};
    char key[KEY_SIZE_MAX];
    int code = SL_EXIT_USAGE;
    cli->url = URL_DEFAULT;
    cli->options = v->options;
    for (int at = 2; at < argc; at++) {
        if (!parse_one(&p, &at, argc, argv))
            goto out;
    }
    code = SL_EXIT_OK;
    if (p.is_help) {
        print_verb_help(v);
        goto out;
    }
    code = SL_EXIT_USAGE;
    if (!read_key(p.key_file, key))
        goto out;
    cli->http = sl_http_client_create(cli->url, key[0] == '\0' ? NULL : key);
    sl_http_client_trust(cli->http, p.ca);
    code = v->run(cli);
    if (code == SL_EXIT_USAGE && !cli->is_told)
        print_verb_help(v);
out:
    sl_json_destroy(&cli->doc);
    sl_buf_deinit(&cli->reply.body);
    sl_http_client_destroy(&cli->http);
    sl_free(cli);
    return code;
}

/*
 * `--log-format text|json` of any verb, which leaves the arguments: it is for all processes that
 * this one starts as well, and these have the environment. False: it is neither.
 */
static bool
take_log_format(int *argc, char **argv)
{
    static const char name[] = "--log-format";
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        const char *value = NULL;
        if (strncmp(argv[i], name, strlen(name)) == 0 && argv[i][strlen(name)] == '=')
            value = argv[i] + strlen(name) + 1;
        else if (strcmp(argv[i], name) == 0)
            value = i + 1 < *argc ? argv[++i] : "";
        if (value == NULL) {
            argv[kept++] = argv[i];
            continue;
        }
        if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0) {
            sl_cli_error("--log-format is text or json, not \"%s\"", value);
            return false;
        }
        (void)setenv(SL_REPORT_FORMAT_ENV, value, 1);
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

int
sl_cli_main(int argc, char **argv)
{
    if (argc > 0 && !take_log_format(&argc, argv))
        return SL_EXIT_USAGE;
    const char *name = argc < 2 ? "help" : argv[1];
    for (size_t i = 0; i < SL_COUNT_OF(programs); i++) {
        if (strcmp(name, programs[i].name) == 0)
            return programs[i].run(argc - 1, argv + 1);
    }
    for (size_t i = 0; i < SL_COUNT_OF(verbs); i++) {
        if (strcmp(name, verbs[i].name) == 0)
            return run_verb(&verbs[i], argc, argv);
    }
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        puts("sluice " SL_VERSION);
        return SL_EXIT_OK;
    }
    bool is_help = argc >= 2 && (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0);
    if (!is_help && argc >= 2)
        sl_cli_error("unknown verb %s", name);
    print_help(is_help ? stdout : stderr);
    return is_help ? SL_EXIT_OK : SL_EXIT_USAGE;
}
