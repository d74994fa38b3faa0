/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/plugin_verb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extractors/host.h"
#include "extractors/model_service.h"
#include "extractors/object_service.h"
#include "gateway/cli.h"
#include "object-store/model.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/sandbox.h"

#define INPUTS_MAX 16
#define MODEL_ID   "model"

struct run {
    const char *file, *params, *model, *readable;
    bool is_open; /* Described without a sandbox. */
    struct sluice_input inputs[INPUTS_MAX];
    uint32_t inputs_count;
};

static int
usage(FILE *to)
{
    (void)fputs(
        "usage: sluice plugin describe FILE.so [--readable PATHS] [--sandbox true|false]\n"
        "       sluice plugin run FILE.so [--input NAME=TEXT]... [--params JSON]\n"
        "                                 [--model DIRECTORY]\n"
        "Try an extractor plugin without a server: what it says of itself, or the records\n"
        "that it makes of one item, one JSON object a line.\n\n"
        "  --input NAME=TEXT    one named input; NAME=@FILE reads a file\n"
        "  --params JSON        the item's parameters ({})\n"
        "  --model DIRECTORY    an unpacked model to hand to the plugin; one that opens\n"
        "                       models by their ids finds it as '" MODEL_ID "'\n"
        "  --readable PATHS     what else it may read while it describes itself, ':' between\n"
        "  --sandbox false      it describes itself without a sandbox\n"
        "  --help               print this\n",
        to);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

static int
fail(const struct sl_cause *cause)
{
    sl_cli_error("%s", cause->text);
    return SL_EXIT_FAILED;
}

/* The file's code runs, if only to describe itself: held as in a replica. */
static void
confine_to(const char *path, const char *more)
{
    const char *slash = strrchr(path, '/');
    char *readable = sl_format("%.*s:%s", slash == NULL ? 0 : (int)(slash - path), path, more);
    (void)sl_sandbox_enter(&(struct sl_sandbox_options){
        .readable = readable,
        .uid = sl_sandbox_uid(0),
        .file_bytes = UINT64_MAX}); /* What is printed may go to one. */
    sl_free(readable);
}

static int
describe(const char *path, const struct run *r)
{
    struct sl_buf out = {0};
    struct sl_cause cause = {0};
    if (!r->is_open)
        confine_to(path, r->readable);
    enum sl_err err = sl_host_describe(path, &out, &cause);
    if (err == SL_OK)
        (void)puts(sl_buf_text(&out));
    sl_buf_deinit(&out);
    return err == SL_OK ? SL_EXIT_OK : fail(&cause);
}

/* ---- arguments of run ---------------------------------------------------------------------- */

static bool
read_whole(const char *path, struct sluice_input *input)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                   st.st_size <= (off_t)SL_LIMIT_INPUTS_BYTES;
    if (is_read) {
        char *bytes = sl_alloc((size_t)st.st_size + 1);
        ssize_t size = read(fd, bytes, (size_t)st.st_size);
        is_read = size == st.st_size;
        input->data = bytes;
        input->data_bytes = (uint64_t)SL_MAX(size, (ssize_t)0);
    }
    if (fd >= 0)
        (void)close(fd);
    if (!is_read)
        sl_cli_error("cannot read %s: a file of at most %" PRIu64 " bytes is wanted", path,
                     (uint64_t)SL_LIMIT_INPUTS_BYTES);
    return is_read;
}

/* NAME=TEXT or NAME=@FILE */
static bool
add_input(struct run *r, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || r->inputs_count == INPUTS_MAX) {
        sl_cli_error("--input wants NAME=TEXT, at most %d times", INPUTS_MAX);
        return false;
    }
    struct sluice_input *input = &r->inputs[r->inputs_count++];
    *input = (struct sluice_input){
        .size = sizeof(*input), .name = sl_strndup(text, (size_t)(equals - text)), .type = "text"};
    if (equals[1] == '@')
        return read_whole(equals + 2, input);
    input->data = sl_strdup(equals + 1);
    input->data_bytes = strlen(equals + 1);
    return true;
}

static bool
parse_describe(struct run *r, int argc, char **argv)
{
    for (int i = 3; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--readable") == 0 && i + 1 < argc) {
            r->readable = value;
        } else if (strcmp(argv[i], "--sandbox") == 0 &&
                   (strcmp(value, "false") == 0 || strcmp(value, "true") == 0)) {
            r->is_open = value[0] == 'f';
        } else {
            sl_cli_error("%s: describe takes --readable PATHS and --sandbox true or false",
                         argv[i]);
            return false;
        }
    }
    return true;
}

static bool
parse_run(struct run *r, int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool is_known = strcmp(argv[i], "--input") == 0 || strcmp(argv[i], "--params") == 0 ||
                        strcmp(argv[i], "--model") == 0;
        if (!is_known || value == NULL) {
            sl_cli_error(is_known ? "%s needs a value" : "unknown option %s", argv[i]);
            return false;
        }
        i++;
        if (strcmp(argv[i - 1], "--params") == 0)
            r->params = value;
        else if (strcmp(argv[i - 1], "--model") == 0)
            r->model = value;
        else if (!add_input(r, value))
            return false;
    }
    return true;
}

/* ---- running ------------------------------------------------------------------------------- */

static void
print_record(const struct sl_host_record *record)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_raw(&w, "fields", record->fields);
    sl_jsonw_name(&w, "vectors");
    sl_jsonw_object(&w);
    for (uint32_t i = 0; i < record->vectors_count; i++) {
        const struct sl_host_vector *v = &record->vectors[i];
        sl_jsonw_name(&w, v->index);
        sl_jsonw_array(&w);
        for (uint32_t j = 0; j < v->dimensions; j++)
            sl_jsonw_f32(&w, v->values[j]);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    (void)puts(sl_buf_text(&out));
    sl_buf_deinit(&out);
}

/* Run the item, or the part of it that is next. True: it was paused, and `item` goes on there. */
static bool
process_part(struct sl_host *host, struct sluice_item *item, uint8_t *resume, int *ret_code)
{
    struct sl_host_results results = {0};
    bool is_paused = false;
    enum sl_err err = sl_host_process(host, item, 1, &results);
    *ret_code = SL_EXIT_FAILED;
    if (err != SL_OK) {
        sl_cli_error("%s", err == SL_EINVAL ? "--params is no JSON object" : sl_err_text(err));
    } else if (results.items[0].kind != SLUICE_ERROR_NONE) {
        const struct sl_host_result *result = &results.items[0];
        sl_cli_error("%s failure: %s: %s",
                     result->kind == SLUICE_ERROR_PERMANENT ? "permanent" : "transient",
                     result->code, result->message);
    } else {
        for (uint32_t i = 0; i < results.items[0].records_count; i++)
            print_record(&results.items[0].records[i]);
        *ret_code = SL_EXIT_OK;
        is_paused = results.items[0].is_paused;
        memcpy(resume, results.items[0].resume, SLUICE_RESUME_BYTES_MAX);
        item->resume = resume;
        item->resume_bytes = results.items[0].resume_bytes;
        item->first_record += results.items[0].records_count;
    }
    sl_host_results_deinit(&results);
    return is_paused;
}

static int
process(struct sl_host *host, const struct run *r)
{
    uint8_t resume[SLUICE_RESUME_BYTES_MAX];
    int code = SL_EXIT_FAILED;
    struct sluice_item item = {.size = sizeof(item),
                               .input_count = r->inputs_count,
                               .id = "item",
                               .inputs = r->inputs,
                               .params = r->params,
                               .params_bytes = strlen(r->params)};
    while (process_part(host, &item, resume, &code))
        ;
    return code;
}

static enum sl_err
build_model(const char *path, int *ret_fd, struct sl_cause *cause)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return sl_cause_set(cause, SL_ENOTFOUND, "no directory %s", path);
    enum sl_err err = sl_model_build(directory, NULL, ret_fd, cause);
    (void)close(directory);
    return err;
}

/* A store of its own, which ends with it: what a node's replicas share lies elsewhere. */
static enum sl_err
open_objects(struct sl_object_node **ret_store, struct sl_object_service **ret_objects,
             struct sl_cause *cause)
{
    int fd = -1;
    struct sl_object_peer peer = {.tenant = 1};
    enum sl_err err = sl_object_node_open(&(struct sl_object_node_options){0}, ret_store);
    if (err == SL_OK)
        err = sl_object_node_grant(*ret_store, &peer, &fd);
    if (err != SL_OK)
        return sl_cause_set(cause, err, "a store for objects cannot be made: %s", sl_err_text(err));
    *ret_objects = sl_object_service_create(fd, peer.tenant);
    return SL_OK;
}

/* The one that there is, by the name that we give it. */
static enum sl_err
open_model(void *arg, struct sl_slice id, int *ret_fd, struct sl_cause *ret_cause)
{
    const struct sl_host_options *options = arg;
    if (!options->has_model || !sl_slice_is(id, MODEL_ID))
        return sl_cause_set(ret_cause, SL_ENOTFOUND,
                            "there is no model but '" MODEL_ID "', and "
                            "that with --model alone");
    *ret_fd = fcntl(options->model_fd, F_DUPFD_CLOEXEC, 0);
    return *ret_fd >= 0 ? SL_OK
                        : sl_cause_set(ret_cause, SL_EFULL, "the model: %s", strerror(errno));
}

static int
run(const char *path, const struct run *r)
{
    struct sl_host_options options = {.threads = 1, .model_fd = -1};
    struct sl_model_source source = {.open = open_model, .arg = &options};
    struct sl_model_service *models = sl_model_service_create(&source);
    struct sl_host *host = NULL;
    struct sl_object_node *store = NULL;
    struct sl_object_service *objects = NULL;
    struct sl_cause cause = {0};
    enum sl_err err = SL_OK;
    if (r->model != NULL) {
        err = build_model(r->model, &options.model_fd, &cause);
        options.has_model = err == SL_OK;
        options.model_name = options.model_id = MODEL_ID;
    }
    if (err == SL_OK)
        err = open_objects(&store, &objects, &cause);
    if (err == SL_OK) {
        options.objects = sl_object_service_face(objects);
        options.models = sl_model_service_face(models);
        err = sl_host_open(path, &options, &host, &cause);
    }
    int code = err == SL_OK ? process(host, r) : fail(&cause);
    sl_host_close(&host);
    sl_model_service_destroy(&models);
    sl_object_service_destroy(&objects);
    sl_object_node_close(&store);
    if (options.model_fd >= 0)
        (void)close(options.model_fd);
    return code;
}

int
sl_plugin_main(int argc, char **argv)
{
    bool is_run = argc >= 3 && strcmp(argv[1], "run") == 0;
    if (argc >= 2 && strcmp(argv[argc - 1], "--help") == 0)
        return usage(stdout);
    if (!is_run && (argc < 3 || strcmp(argv[1], "describe") != 0))
        return usage(stderr);
    struct run r = {.file = argv[2], .params = "{}", .readable = ""};
    int code = SL_EXIT_USAGE;
    char path[PATH_MAX];
    if (realpath(r.file, path) == NULL) {
        sl_cli_error("no file %s", r.file);
        code = SL_EXIT_FAILED;
    } else if (!is_run) {
        code = parse_describe(&r, argc, argv) ? describe(path, &r) : SL_EXIT_USAGE;
    } else if (parse_run(&r, argc, argv)) {
        code = run(path, &r);
    }
    for (uint32_t i = 0; i < r.inputs_count; i++) {
        sl_free((void *)(uintptr_t)r.inputs[i].name);
        sl_free((void *)(uintptr_t)r.inputs[i].data);
    }
    return code;
}
