/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb submit: files become objects, objects a batch, the batch documents.
 *
 *   namespace, bucket, collection (made when absent) --> objects, 50 a request --> batch --> submit
 *
 * A .jsonl file is an object a line, whose "content" or "text" is what is processed; of a folder,
 * all that lies below it; any other file is one text.
 */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gateway/cli.h"
#include "runtime/alloc.h"
#include "runtime/utf8.h"

#define OBJECTS_PER_REQUEST 50
#define REQUEST_SIZE_MAX    (8 * SL_MIB)
#define FILE_SIZE_MAX       (8 * SL_MIB)
#define DEPTH_MAX           8
#define POLL_MS             250

struct submit {
    struct sl_cli *cli;
    const char *namespace, *bucket, *collection;
    struct sl_buf body; /* Objects not sent yet. */
    struct sl_jsonw w;
    uint32_t pending, sent, skipped;
    struct sl_buf ids; /* Of the objects made, quoted, ',' between. */
};

static int
ask(struct submit *s, const char *method, const char *path, struct sl_slice body,
    struct sl_json *ret_reply)
{
    struct sl_http_request q = {
        .method = method, .path = path, .body = body, .namespace_id = s->namespace};
    return sl_cli_ask(s->cli, &q, ret_reply);
}

/* POST, where "it exists already" is as good. */
static int
ensure(struct submit *s, const char *path, struct sl_buf *body)
{
    struct sl_json reply;
    s->cli->is_quiet = true;
    int code = ask(s, "POST", path, sl_buf_slice(body), &reply);
    s->cli->is_quiet = false;
    if (code == SL_EXIT_REFUSED && s->cli->reply.status == 409)
        code = SL_EXIT_OK;
    else if (code == SL_EXIT_REFUSED) /* Once more, to have it printed. */
        code = ask(s, "POST", path, sl_buf_slice(body), &reply);
    return code;
}

static int
ensure_places(struct submit *s)
{
    struct sl_buf body = {0};
    struct sl_json reply;
    const char *extractor = sl_cli_option(s->cli, "extractor");
    bool is_text = extractor == NULL || strcmp(extractor, "text_extractor") == 0;
    sl_buf_printf(&body, "{\"namespace_name\":\"%s\"}", s->namespace);
    int code = ensure(s, "/v1/namespaces", &body);
    sl_buf_clear(&body);
    sl_buf_printf(&body,
                  "{\"bucket_name\":\"%s\",\"bucket_schema\":{\"properties\":{"
                  "\"content\":{\"type\":\"text\"}}}}",
                  s->bucket);
    if (code == SL_EXIT_OK)
        code = ensure(s, "/v1/buckets", &body);
    char *path = sl_format("/v1/buckets/%s", s->bucket);
    if (code == SL_EXIT_OK)
        code = ask(s, "GET", path, (struct sl_slice){0}, &reply);
    if (code == SL_EXIT_OK) {
        struct sl_slice id = sl_json_raw(sl_json_member(reply, "bucket_id"));
        sl_buf_clear(&body);
        sl_buf_printf(&body,
                      "{\"collection_name\":\"%s\",\"source\":{\"type\":\"bucket\","
                      "\"bucket_ids\":[%.*s]},\"feature_extractor\":{"
                      "\"feature_extractor_name\":\"%s\",\"version\":\"v1\","
                      "\"input_mappings\":{\"%s\":\"content\"},"
                      "\"field_passthrough\":[{\"source_path\":\"path\"}]}}",
                      s->collection, SL_SLICE_FMT(id), is_text ? "text_extractor" : extractor,
                      is_text ? "text" : "content");
        code = ensure(s, "/v1/collections", &body);
    }
    sl_free(path);
    sl_buf_deinit(&body);
    return code;
}

/* ---- objects ------------------------------------------------------------------------------- */

static void
begin_request(struct submit *s)
{
    sl_buf_clear(&s->body);
    sl_jsonw_init(&s->w, &s->body);
    sl_jsonw_object(&s->w);
    sl_jsonw_name(&s->w, "objects");
    sl_jsonw_array(&s->w);
    s->pending = 0;
}

static int
flush(struct submit *s)
{
    struct sl_json reply;
    if (s->pending == 0)
        return SL_EXIT_OK;
    sl_jsonw_end(&s->w);
    sl_jsonw_end(&s->w);
    char *path = sl_format("/v1/buckets/%s/objects/batch", s->bucket);
    int code = ask(s, "POST", path, sl_buf_slice(&s->body), &reply);
    sl_free(path);
    if (code != SL_EXIT_OK)
        return code;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(reply, "succeeded"));
         sl_json_next(&i);) {
        if (s->ids.size > 0)
            sl_buf_append_u8(&s->ids, ',');
        sl_buf_append_slice(&s->ids, sl_json_raw(sl_json_member(i.value, "object_id")));
        s->sent++;
    }
    s->skipped += sl_json_count(sl_json_member(reply, "failed"));
    if (!s->cli->is_json)
        (void)fprintf(stderr, "\r%u objects sent", s->sent);
    begin_request(s);
    return SL_EXIT_OK;
}

/* `fields` may be NONE; `text` is a JSON string. */
static int
add_object(struct submit *s, struct sl_json fields, struct sl_slice text, const char *path)
{
    struct sl_jsonw *w = &s->w;
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(fields); sl_json_next(&i);) {
        struct sl_buf memory = {0};
        struct sl_slice name;
        if (!sl_json_is(i.name, "content") && !sl_json_is(i.name, "blobs") &&
            !sl_json_is(i.name, "path") && sl_json_text(i.name, &memory, &name) == SL_OK) {
            sl_jsonw_name_slice(w, name);
            sl_jsonw_value(w, i.value);
        }
        sl_buf_deinit(&memory);
    }
    sl_jsonw_member_str(w, "path", path);
    sl_jsonw_name(w, "blobs");
    sl_jsonw_array(w);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "property", "content");
    sl_jsonw_member_str(w, "type", "text");
    sl_jsonw_member_raw(w, "data", text);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    bool is_full = ++s->pending == OBJECTS_PER_REQUEST || s->body.size > REQUEST_SIZE_MAX / 2;
    return is_full ? flush(s) : SL_EXIT_OK;
}

static int
skip(struct submit *s, const char *path, const char *why)
{
    sl_cli_error("%s: skipped, %s", path, why);
    s->skipped++;
    return SL_EXIT_OK;
}

static int
add_line(struct submit *s, const char *path, struct sl_slice line)
{
    struct sl_json_doc *doc = NULL;
    int code;
    if (sl_json_parse(line, &doc, NULL) != SL_OK ||
        sl_json_kind(sl_json_root(doc)) != SL_JSON_OBJECT) {
        sl_json_destroy(&doc);
        return skip(s, path, "a line is no JSON object");
    }
    struct sl_json root = sl_json_root(doc), text = sl_json_member(root, "content");
    if (sl_json_kind(text) != SL_JSON_STRING)
        text = sl_json_member(root, "text");
    if (sl_json_kind(text) == SL_JSON_STRING)
        code = add_object(s, root, sl_json_raw(text), path);
    else
        code = skip(s, path, "a line has no text in \"content\" or \"text\"");
    sl_json_destroy(&doc);
    return code;
}

static int
add_lines(struct submit *s, const char *path, struct sl_slice all)
{
    int code = SL_EXIT_OK;
    for (size_t at = 0; at < all.size && code == SL_EXIT_OK;) {
        const uint8_t *end = memchr(all.data + at, '\n', all.size - at);
        size_t size = end == NULL ? all.size - at : (size_t)(end - all.data) - at;
        if (size > 1)
            code = add_line(s, path, sl_slice(all.data + at, size));
        at += size + 1;
    }
    return code;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static bool
read_file(const char *path, uint64_t size_max, struct sl_buf *out)
{
    FILE *file = fopen(path, "re");
    char chunk[65536];
    size_t size;
    if (file == NULL)
        return false;
    while (out->size <= size_max && (size = fread(chunk, 1, sizeof chunk, file)) > 0)
        sl_buf_append(out, chunk, size);
    bool is_good = ferror(file) == 0;
    (void)fclose(file);
    return is_good;
}

static int
add_file(struct submit *s, const char *path)
{
    bool has_lines = ends_with(path, ".jsonl") || ends_with(path, ".ndjson");
    uint64_t size_max = has_lines ? 64 * FILE_SIZE_MAX : FILE_SIZE_MAX;
    struct sl_buf all = {0}, text = {0};
    int code;
    if (!read_file(path, size_max, &all)) {
        code = skip(s, path, "it cannot be read");
    } else if (all.size > size_max) {
        code = skip(s, path, "it is too large");
    } else if (has_lines) {
        code = add_lines(s, path, sl_buf_slice(&all));
    } else if (all.size == 0 || !sl_utf8_is_valid(sl_buf_slice(&all))) {
        code = skip(s, path, "it is no UTF-8 text");
    } else {
        struct sl_jsonw w;
        sl_jsonw_init(&w, &text);
        sl_jsonw_slice(&w, sl_buf_slice(&all));
        code = add_object(s, (struct sl_json){0}, sl_buf_slice(&text), path);
    }
    sl_buf_deinit(&all);
    sl_buf_deinit(&text);
    return code;
}

static int
add_path(struct submit *s, const char *path, uint32_t depth)
{
    struct stat st;
    struct dirent **names = NULL;
    int code = SL_EXIT_OK;
    if (stat(path, &st) != 0)
        return skip(s, path, "it is not there");
    if (!S_ISDIR(st.st_mode))
        return add_file(s, path);
    int count = depth == DEPTH_MAX ? -1 : scandir(path, &names, NULL, alphasort);
    if (count < 0)
        return skip(s, path, "it cannot be read, or lies too deep");
    for (int i = 0; i < count; i++) {
        char *below = sl_format("%s/%s", path, names[i]->d_name);
        if (code == SL_EXIT_OK && names[i]->d_name[0] != '.')
            code = add_path(s, below, depth + 1);
        sl_free(below);
        sl_free(names[i]);
    }
    sl_free(names);
    return code;
}

/* ---- the batch ----------------------------------------------------------------------------- */

static bool
is_terminal(struct sl_json status)
{
    return sl_json_is(status, "COMPLETED") || sl_json_is(status, "COMPLETED_WITH_ERRORS") ||
           sl_json_is(status, "FAILED") || sl_json_is(status, "CANCELED");
}

static int
wait_for(struct submit *s, const char *task_id)
{
    char *path = sl_format("/v1/tasks/%s", task_id);
    int code;
    for (;;) {
        struct sl_json reply;
        code = ask(s, "GET", path, (struct sl_slice){0}, &reply);
        if (code != SL_EXIT_OK)
            break;
        struct sl_json status = sl_json_member(reply, "status");
        struct sl_json progress = sl_json_path(reply, sl_slice_str("additional_data.progress"));
        struct sl_slice done = sl_json_raw(sl_json_member(progress, "done"));
        struct sl_slice total = sl_json_raw(sl_json_member(progress, "total"));
        if (!s->cli->is_json)
            (void)fprintf(stderr, "\r%.*s of %.*s done   ", SL_SLICE_FMT(done),
                          SL_SLICE_FMT(total));
        if (is_terminal(status)) {
            code = sl_json_is(status, "COMPLETED") ? SL_EXIT_OK : SL_EXIT_FAILED;
            break;
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    if (!s->cli->is_json)
        (void)fputc('\n', stderr);
    sl_free(path);
    return code;
}

static int
run_batch(struct submit *s)
{
    static const char *const names[] = {"task_id", "status", NULL};
    struct sl_buf body = {0};
    struct sl_json reply;
    char *path = sl_format("/v1/buckets/%s/batches", s->bucket);
    sl_buf_printf(&body, "{\"object_ids\":[%.*s]}", SL_SLICE_FMT(sl_buf_slice(&s->ids)));
    int code = ask(s, "POST", path, sl_buf_slice(&body), &reply);
    if (code == SL_EXIT_OK) {
        char *batch = sl_json_strdup(sl_json_member(reply, "batch_id"));
        char *submit = sl_format("%s/%s/submit", path, batch == NULL ? "" : batch);
        code = ask(s, "POST", submit, (struct sl_slice){0}, &reply);
        sl_free(batch);
        sl_free(submit);
    }
    char *task = code == SL_EXIT_OK ? sl_json_strdup(sl_json_member(reply, "task_id")) : NULL;
    if (code == SL_EXIT_OK && task == NULL) {
        sl_cli_error("%s does not answer like sluice", s->cli->url);
        code = SL_EXIT_FAILED;
    } else if (code == SL_EXIT_OK && sl_cli_option(s->cli, "wait") != NULL) {
        code = wait_for(s, task);
    }
    if (task != NULL && s->cli->is_json)
        sl_cli_print_json(s->cli);
    else if (task != NULL)
        sl_cli_print_members(sl_json_root(s->cli->doc), names);
    sl_free(task);
    sl_buf_deinit(&body);
    sl_free(path);
    return code;
}

/* Names go into paths and JSON as they are, so they hold nothing else. */
static bool
is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-";
    return name[0] != '\0' && strspn(name, letters) == strlen(name);
}

static const char *
name_option(struct sl_cli *cli, const char *name, const char *fallback)
{
    const char *value = sl_cli_option(cli, name);
    return value == NULL ? fallback : value;
}

int
sl_cli_submit(struct sl_cli *cli)
{
    struct submit s = {.cli = cli};
    s.namespace = name_option(cli, "namespace", "default");
    s.bucket = name_option(cli, "bucket", "files");
    s.collection = name_option(cli, "collection", "texts");
    if (cli->arguments_count == 0 || !is_name(s.namespace) || !is_name(s.bucket) ||
        !is_name(s.collection) || !is_name(name_option(cli, "extractor", "text_extractor")))
        return SL_EXIT_USAGE;
    int code = ensure_places(&s);
    begin_request(&s);
    for (uint32_t i = 0; i < cli->arguments_count && code == SL_EXIT_OK; i++)
        code = add_path(&s, cli->arguments[i], 0);
    if (code == SL_EXIT_OK)
        code = flush(&s);
    if (!cli->is_json && s.sent > 0)
        (void)fputc('\n', stderr);
    if (code == SL_EXIT_OK && s.sent == 0) {
        sl_cli_error("there is nothing to submit");
        code = SL_EXIT_FAILED;
    }
    if (code == SL_EXIT_OK)
        code = run_batch(&s);
    sl_buf_deinit(&s.body);
    sl_buf_deinit(&s.ids);
    /* What was skipped was said; it must not pass for done. */
    return code == SL_EXIT_OK && s.skipped > 0 ? SL_EXIT_FAILED : code;
}
