/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "actors/labels.h"
#include "actors/node_groups.h"
#include "actors/pool_scale.h"
#include "actors/scale_book.h"
#include "extractors/replica_settings.h"
#include "gateway/overrides/merge.h"
#include "gateway/overrides/store.h"
#include "gateway/extractor/info.h"
#include "gateway/fetch.h"
#include "gateway/plugin_path.h"
#include "gateway/plan.h"
#include "gateway/verb_options.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"
#include "runtime/yaml.h"

static const struct sl_config_key keys[SL_UP_KEY_COUNT] = {
#define KEY(name, path, type, fallback, min, max, unit, doc)                                       \
    [SL_UP_##name] = {path, SL_CONFIG_##type, fallback, min, max, unit, doc},
#include "gateway/up.def"
};

const struct sl_config_key *
sl_up_keys(void)
{
    return keys;
}

static const char head_help[] =
    "usage: sluice head --data DIR [--dashboard ADDR:PORT] [--config FILE] [--overrides FILE]\n"
    "\n"
    "Runs everything on this machine but the API, which `sluice gateway` serves: several gateways\n"
    "may join this head, and workers as well, at the endpoint that DIR/address names. Prints\n"
    "`ready` on standard output when they can. SIGTERM or ctrl-c finishes what is under way and\n"
    "stops; a second one stops at once.\n"
    "\n"
    "  --data DIR           where everything is kept; made when absent (0700)\n"
    "  --dashboard ADDR:PORT  the status page; default 127.0.0.1:8265\n"
    "  --tls-cert FILE, --tls-key FILE  TLS; read again on SIGHUP and when they change\n"
    "  --trusted-proxy CIDR  proxies that say who their clients are (X-Forwarded-For)\n"
    "  --config FILE        YAML; --print-config shows every key\n"
    "  --overrides FILE     on top of it, and kept in DIR: see `sluice config`\n"
    "  --print-config       print the configuration in force, with all keys, and exit\n"
    "  --help               this text\n"
    "\n"
    "The operator's key is made at the first start: DIR/admin.key\n";

static const char help[] =
    "usage: sluice up --data DIR [--http ADDR:PORT] [--dashboard ADDR:PORT] [--config FILE]\n"
    "                 [--overrides FILE]\n"
    "\n"
    "Runs everything on this machine: the API, the queue, the workers, the status page.\n"
    "Prints `ready` on standard output when it serves. SIGTERM or ctrl-c finishes what is\n"
    "under way and stops; a second one stops at once.\n"
    "\n"
    "  --data DIR           where everything is kept; made when absent (0700)\n"
    "  --http ADDR:PORT     the API; default 127.0.0.1:8080; port 0 picks a free one\n"
    "  --dashboard ADDR:PORT  the status page; default 127.0.0.1:8265\n"
    "  --cluster ENDPOINT   tcp://HOST:PORT where workers of other machines join; see `sluice "
    "cert`\n"
    "  --tls-cert FILE, --tls-key FILE  TLS; read again on SIGHUP and when they change\n"
    "  --trusted-proxy CIDR  proxies that say who their clients are (X-Forwarded-For)\n"
    "  --config FILE        YAML; --print-config shows every key\n"
    "  --overrides FILE     on top of it, and kept in DIR: see `sluice config`\n"
    "  --print-config       print the configuration in force, with all keys, and exit\n"
    "  --help               this text\n"
    "\n"
    "The operator's key is made at the first start: DIR/admin.key\n";

/* The directory as an absolute path, made when absent; NULL: errno says why not. */
static char *
make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return NULL;
    char *real = realpath(path, NULL);
    struct stat st;
    if (real != NULL && stat(real, &st) == 0 && !S_ISDIR(st.st_mode)) {
        sl_free(real);
        errno = ENOTDIR;
        return NULL;
    }
    return real;
}

struct line {
    const char *verb, *data, *http, *dashboard, *cluster, *config, *overrides;
    const char *tls_cert, *tls_key, *proxies;
    bool is_print, is_head;
};

static int
read_line(int argc, char **argv, struct line *ret_line)
{
    static const struct option options[] = {{"data", required_argument, NULL, 'd'},
                                            {"http", required_argument, NULL, 'h'},
                                            {"dashboard", required_argument, NULL, 'b'},
                                            {"cluster", required_argument, NULL, 'l'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"print-config", no_argument, NULL, 'p'},
                                            {"overrides", required_argument, NULL, 'o'},
                                            {"tls-cert", required_argument, NULL, 't'},
                                            {"tls-key", required_argument, NULL, 'k'},
                                            {"trusted-proxy", required_argument, NULL, 'x'},
                                            {"help", no_argument, NULL, '?' + 256},
                                            {0}};
    optind = 0;
    opterr = 1;
    for (int got; (got = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (got) {
        case 'd':
            ret_line->data = optarg;
            break;
        case 'h':
            ret_line->http = optarg;
            break;
        case 'b':
            ret_line->dashboard = optarg;
            break;
        case 'l':
            ret_line->cluster = optarg;
            break;
        case 'c':
            ret_line->config = optarg;
            break;
        case 'o':
            ret_line->overrides = optarg;
            break;
        case 't':
            ret_line->tls_cert = optarg;
            break;
        case 'k':
            ret_line->tls_key = optarg;
            break;
        case 'x':
            ret_line->proxies = optarg;
            break;
        case 'p':
            ret_line->is_print = true;
            break;
        case '?' + 256:
            fputs(ret_line->is_head ? head_help : help, stdout);
            return 0 + 1;
        default:
            return sl_verb_complain(argv[0], "try --help");
        }
    }
    if (optind < argc)
        return sl_verb_complain(argv[0], "it takes options only; try --help");
    return ret_line->is_head && ret_line->http != NULL
               ? sl_verb_complain(argv[0], "it serves no API, so --http is for `sluice gateway`")
               : 0;
}

static enum sl_err
check_env(const char *text, char **ret_error)
{
    struct sl_json_doc *doc = NULL;
    const char *fault = NULL;
    if (text[0] == '\0')
        return SL_OK;
    if (sl_json_parse(sl_slice_str(text), &doc, NULL) != SL_OK)
        fault = "takes keys, the names of variables";
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc));
         fault == NULL && sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        fault = value == NULL ? "a variable is a text" : sl_variable_fault(name, value);
        sl_free(name);
        sl_free(value);
    }
    sl_json_destroy(&doc);
    if (fault != NULL)
        *ret_error = sl_format("env: %s", fault);
    return fault == NULL ? SL_OK : SL_EINVAL;
}

static enum sl_err
check_traces(const struct sl_config *config, char **ret_error)
{
    const char *url = sl_config_string(config, SL_UP_trace_endpoint), *why = NULL;
    const char *headers = sl_config_string(config, SL_UP_trace_headers);
    if (url[0] != '\0' && sl_fetch_check_url(sl_slice_str(url), true, &why) != SL_OK)
        *ret_error = sl_format("traces.endpoint: %s", why);
    else if (headers[0] != '\0' && headers[0] != '{')
        *ret_error = sl_format("traces.headers takes keys, the names of headers");
    else
        return SL_OK;
    return SL_EINVAL;
}

/* What the table cannot say of its mappings. */
static enum sl_err
check_maps(const struct sl_config *config, char **ret_error)
{
    struct sl_json_doc *asked;
    struct sl_slice extractors = sl_slice_str(sl_config_string(config, SL_UP_extractors));
    enum sl_err err = sl_labels_read(extractors, &asked, ret_error);
    struct sl_node_groups groups;
    if (err != SL_OK)
        return err;
    sl_json_destroy(&asked);
    struct sl_scale_book book;
    const struct sl_scale_settings defaults = sl_pool_scale_defaults(
        (uint32_t)sl_config_int(config, SL_UP_replicas), sl_config_duration_ns(config, SL_UP_idle));
    err = sl_scale_book_read(extractors, &defaults, &book, ret_error);
    if (err != SL_OK)
        return err;
    sl_scale_book_deinit(&book);
    err = sl_plans_check(sl_config_string(config, SL_UP_plans), ret_error);
    if (err != SL_OK)
        return err;
    err = check_env(sl_config_string(config, SL_UP_env), ret_error);
    if (err == SL_OK)
        err = check_traces(config, ret_error);
    if (err != SL_OK)
        return err;
    return sl_node_groups_read(sl_config_string(config, SL_UP_groups), &groups, ret_error);
}

static int
load(const struct line *line, struct sl_config **ret_config)
{
    char *error = NULL;
    enum sl_err err = sl_config_load(keys, SL_UP_KEY_COUNT, line->config, ret_config, &error);
    const struct {
        enum sl_up_key key;
        const char *value;
    } given[] = {{SL_UP_http, line->http},           {SL_UP_cluster, line->cluster},
                 {SL_UP_dashboard, line->dashboard}, {SL_UP_tls_cert, line->tls_cert},
                 {SL_UP_tls_key, line->tls_key},     {SL_UP_trusted_proxies, line->proxies}};
    for (size_t i = 0; err == SL_OK && i < SL_COUNT_OF(given); i++) {
        if (given[i].value != NULL)
            err = sl_config_set(*ret_config, keys[given[i].key].path, given[i].value, &error);
    }
    if (err == SL_OK)
        err = check_maps(*ret_config, &error);
    if (err == SL_OK)
        return 0;
    int said = sl_verb_complain(line->verb, "%s", error == NULL ? sl_err_text(err) : error);
    sl_free(error);
    return said;
}

struct sl_config *
sl_up_options_load(const char *path, char **ret_error)
{
    struct sl_config *config = NULL;
    enum sl_err err = sl_config_load(keys, SL_UP_KEY_COUNT, path, &config, ret_error);
    if (err == SL_OK)
        err = check_maps(config, ret_error);
    if (err == SL_OK)
        return config;
    if (*ret_error == NULL)
        *ret_error = sl_strdup(sl_err_text(err));
    sl_config_destroy(&config);
    return NULL;
}

/* A key that a start would refuse goes back to what the configuration has. */
static void
revert_bad(const struct sl_config *base, struct sl_overrides *o, struct sl_config *config)
{
    static const enum sl_up_key merged[] = {SL_UP_extractors, SL_UP_groups, SL_UP_env};
    for (size_t i = 0; i < SL_COUNT_OF(merged); i++) {
        const char *path = keys[merged[i]].path;
        struct sl_config *one = sl_config_copy(base);
        char *error = NULL, *none = NULL;
        enum sl_err err = sl_config_set(one, path, sl_config_string(config, merged[i]), &error);
        if (err == SL_OK)
            err = check_maps(one, &error);
        if (err != SL_OK) {
            sl_overrides_note(o, 1, true, "with the configuration it does not fit: %s",
                              error == NULL ? sl_err_text(err) : error);
            err = sl_config_set(config, path, sl_config_string(base, merged[i]), &none);
            sl_assert(err == SL_OK); /* It was there before. */
        }
        sl_free(error);
        sl_free(none);
        sl_config_destroy(&one);
    }
}

static struct sl_config *
merge_read(const struct sl_config *base, struct sl_overrides *o)
{
    struct sl_config *config = sl_config_copy(base);
    sl_overrides_merge(o, config);
    revert_bad(base, o, config);
    return config;
}

struct sl_config *
sl_up_options_merge(const struct sl_config *base, struct sl_slice text,
                    struct sl_overrides **ret_overrides)
{
    struct sl_overrides *o = *ret_overrides = sl_overrides_read(text);
    struct sl_config *config = o->errors > 0 ? NULL : merge_read(base, o);
    if (o->errors > 0)
        sl_config_destroy(&config);
    return config;
}

struct sl_config *
sl_up_options_merge_good(const struct sl_config *base, struct sl_slice text,
                         struct sl_overrides **ret_overrides)
{
    *ret_overrides = sl_overrides_read(text);
    return merge_read(base, *ret_overrides);
}

void
sl_up_options_install(const struct sl_config *config)
{
    char *directories = sl_plugin_path(sl_config_string(config, SL_UP_plugins));
    sl_extractor_infos_install(
        &(struct sl_extractor_plugins){.directories = directories,
                                       .program = "/proc/self/exe",
                                       .readable = sl_config_string(config, SL_UP_readable),
                                       .is_open = !sl_config_bool(config, SL_UP_sandbox)});
    sl_free(directories);
}

void
sl_up_options_replicas(const struct sl_config *config, struct sl_replica_settings *ret_settings)
{
    *ret_settings = (struct sl_replica_settings){
        .is_open = !sl_config_bool(config, SL_UP_sandbox),
        .memory_bytes = sl_config_size(config, SL_UP_replica_memory),
        .readable = (char *)(uintptr_t)sl_config_string(config, SL_UP_readable),
        .devices = (char *)(uintptr_t)sl_config_string(config, SL_UP_devices)};
}

/* ---- overrides ----------------------------------------------------------------------------- */

enum sl_err
sl_overrides_read_file(const char *path, struct sl_buf *text)
{
    FILE *file = fopen(path, "re");
    enum sl_err err = file == NULL ? sl_err_from_errno(errno) : SL_OK;
    size_t got = 1;
    while (err == SL_OK && got > 0) {
        sl_buf_reserve(text, 65536);
        got = fread(text->data + text->size, 1, 65536, file);
        text->size += got;
        if (ferror(file))
            err = SL_EIO;
        else if (text->size > SL_YAML_SIZE_MAX)
            err = SL_ETOOBIG;
    }
    if (file != NULL)
        (void)fclose(file);
    return err;
}

/* Those given, else those that were applied before. SL_ENOTFOUND: neither. */
static enum sl_err
find_overrides(const struct line *line, const char *data, struct sl_buf *text)
{
    struct sl_disk disk;
    if (line->overrides != NULL) {
        enum sl_err err = sl_overrides_read_file(line->overrides, text);
        return err == SL_ENOTFOUND ? SL_EDENIED : err; /* That one must be there. */
    }
    if (data == NULL)
        return SL_ENOTFOUND;
    enum sl_err err = sl_disk_open(data, &disk);
    if (err != SL_OK)
        return err;
    err = sl_overrides_load(&disk, text);
    sl_disk_close(&disk);
    return err;
}

static void
print_faults(const struct sl_overrides *o, const char *name)
{
    struct sl_buf said = {0};
    sl_overrides_print(o, name, false, &said);
    (void)fputs(sl_buf_text(&said), stderr);
    sl_buf_deinit(&said);
}

/*
 * What can be said before extractors are installed: that a file that is given is good by itself,
 * and the environment. What is kept in the directory was good when it was applied; a server that
 * does not start is worse than one without what does not fit any more, so that is left out.
 */
static int
take_overrides(const struct line *line, const char *name, struct sl_slice text,
               struct sl_up_options *options)
{
    struct sl_overrides *o = sl_overrides_read(text);
    int stop = 0;
    if (line->overrides != NULL && o->errors > 0) {
        print_faults(o, name);
        stop = sl_verb_complain(line->verb, "%s is not good, and nothing of it was taken", name);
    }
    sl_overrides_merge_env(o, options->config);
    options->overrides = sl_strndup(text.data, text.size);
    options->has_new_overrides = line->overrides != NULL;
    sl_overrides_destroy(&o);
    return stop;
}

static int
merge(const struct line *line, struct sl_up_options *options)
{
    struct sl_buf text = {0};
    char *name =
        line->overrides != NULL
            ? sl_strdup(line->overrides)
            : sl_format("%s/%s", options->data == NULL ? "." : options->data, SL_OVERRIDES_FILE);
    enum sl_err err = find_overrides(line, options->data, &text);
    int stop = 0;
    options->config = sl_config_copy(options->base);
    if (err == SL_OK)
        stop = take_overrides(line, name, sl_buf_slice(&text), options);
    else if (err != SL_ENOTFOUND && line->overrides != NULL)
        stop = sl_verb_complain(line->verb, "%s cannot be read: the cause is %s", name,
                                sl_err_text(err));
    else if (err != SL_ENOTFOUND)
        sl_report_warn("overrides-unread", "file=\"%s\" why=\"%s\"", name, sl_err_text(err));
    sl_buf_deinit(&text);
    sl_free(name);
    return stop;
}

/* With the overrides, as a start makes it. */
static int
print_config(const struct line *line, struct sl_up_options *options)
{
    struct sl_overrides *o = NULL;
    struct sl_buf text = {0};
    int stop = 0 + 1;
    if (options->overrides != NULL) {
        sl_up_options_install(options->config);
        sl_config_destroy(&options->config);
        options->config =
            sl_up_options_merge_good(options->base, sl_slice_str(options->overrides), &o);
        print_faults(o, line->overrides != NULL ? line->overrides : SL_OVERRIDES_FILE);
        if (o->errors > 0 && line->overrides != NULL)
            stop = sl_verb_complain(line->verb, "%s is not good, and nothing of it was taken",
                                    line->overrides);
    }
    sl_config_print(options->config, &text);
    if (stop == 0 + 1)
        fputs(sl_buf_text(&text), stdout);
    sl_buf_deinit(&text);
    sl_overrides_destroy(&o);
    return stop;
}

int
sl_up_options_read(int argc, char **argv, struct sl_up_options *ret_options)
{
    struct line line = {.verb = argv[0], .is_head = strcmp(argv[0], "head") == 0};
    *ret_options = (struct sl_up_options){.verb = line.verb, .is_head = line.is_head};
    int stop = read_line(argc, argv, &line);
    if (stop == 0)
        stop = load(&line, &ret_options->base);
    if (stop == 0 && line.data == NULL && !line.is_print)
        stop = sl_verb_complain(line.verb, "--data DIR is missing; try --help");
    if (stop == 0 && line.data != NULL && !line.is_print) {
        ret_options->data = make_directory(line.data);
        if (ret_options->data == NULL) {
            fprintf(stderr, "sluice %s: %s: %s\n", line.verb, line.data, strerror(errno));
            stop = 1 + 1;
        }
    } else if (stop == 0 && line.data != NULL) {
        ret_options->data = realpath(line.data, NULL); /* Nothing is made to look at it. */
    }
    if (stop == 0)
        stop = merge(&line, ret_options);
    if (stop == 0 && line.is_print)
        stop = print_config(&line, ret_options);
    if (stop != 0)
        sl_up_options_deinit(ret_options);
    return stop;
}

void
sl_up_options_deinit(struct sl_up_options *options)
{
    sl_free(options->data);
    sl_free(options->overrides);
    options->overrides = NULL;
    sl_config_destroy(&options->base);
    sl_config_destroy(&options->config);
    options->data = NULL;
}
