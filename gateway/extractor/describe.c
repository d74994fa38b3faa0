/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/extractor/describe.h"

#include "extractors/host.h"
#include "gateway/plugin_verb.h"
#include "runtime/alloc.h"
#include "runtime/subprocess.h"
#include "runtime/time.h"

#define TIMEOUT_NS      (10 * SL_SECOND_NS)
#define OUTPUT_SIZE_MAX (256 * SL_KIB)
#define FIELDS_MAX      256

/* The texts of an info, as they are read; moved to the info when all of it is good. */
struct reading {
    struct sl_json root, about;
    struct sl_arena *arena;
    struct sl_cause *cause;
    struct sl_extractor_info info;
};

static bool
refuse(struct reading *r, const char *what)
{
    (void)sl_cause_set(r->cause, SL_EINVAL, "describe(): %s", what);
    return false;
}

static char *
keep(struct reading *r, struct sl_slice text)
{
    char *copy = sl_arena_alloc(r->arena, text.size + 1);
    memcpy(copy, text.data, text.size);
    return copy;
}

/* A string member; NULL: there is none. */
static char *
read_text(struct reading *r, struct sl_json object, const char *name)
{
    char *text = sl_json_strdup(sl_json_member(object, name));
    char *kept = text == NULL ? NULL : keep(r, sl_slice_str(text));
    sl_free(text);
    return kept;
}

/* The JSON text of a value. */
static char *
json_text(struct reading *r, struct sl_json value)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_value(&w, value);
    sl_jsonw_done(&w);
    char *text = keep(r, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return text;
}

static bool
is_list_of_texts(struct sl_json list)
{
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_STRING)
            return false;
    }
    return sl_json_kind(list) == SL_JSON_ARRAY && sl_json_count(list) <= FIELDS_MAX;
}

/* The `properties` of a schema: field -> object. An absent schema leaves what is there. */
static bool
read_properties(struct reading *r, const char *name, const char **ret_text)
{
    struct sl_json schema = sl_json_member(r->about, name);
    struct sl_json properties = sl_json_member(schema, "properties");
    if (!sl_json_has(schema))
        return true;
    if (sl_json_kind(properties) != SL_JSON_OBJECT || sl_json_count(properties) > FIELDS_MAX)
        return refuse(r, "a schema needs 'properties', an object of at most 256 fields");
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_OBJECT)
            return refuse(r, "each field of a schema is an object, such as {\"type\":\"string\"}");
    }
    *ret_text = json_text(r, properties);
    return true;
}

/* {name: default} of the parameters that have one. */
static char *
read_defaults(struct reading *r, struct sl_json properties)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        struct sl_json fallback = sl_json_member(i.value, "default");
        char *name = sl_json_strdup(i.name);
        if (sl_json_has(fallback) && name != NULL)
            sl_jsonw_member_value(&w, name, fallback);
        sl_free(name);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    char *text = keep(r, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return text;
}

static bool
read_schemas(struct reading *r)
{
    struct sl_json required = sl_json_path(r->about, sl_slice_str("input_schema.required"));
    struct sl_json position = sl_json_member(r->about, "position_fields");
    if (!read_properties(r, "input_schema", &r->info.inputs) ||
        !read_properties(r, "output_schema", &r->info.outputs) ||
        !read_properties(r, "parameter_schema", &r->info.parameters))
        return false;
    r->info.defaults =
        read_defaults(r, sl_json_path(r->about, sl_slice_str("parameter_schema.properties")));
    if (sl_json_has(required)) {
        if (!is_list_of_texts(required))
            return refuse(r, "'required' is a list of names");
        r->info.inputs_required = json_text(r, required);
    }
    if (sl_json_has(position)) {
        if (!is_list_of_texts(position))
            return refuse(r, "'position_fields' is a list of names");
        r->info.position_fields = json_text(r, position);
    }
    return true;
}

static bool
is_name(const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    return size > 0 && size <= SL_HOST_INDEX_NAME_SIZE_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

/* Strings a and b with `middle` between. */
static char *
join(struct reading *r, const char *a, const char *middle, const char *b)
{
    char *text = sl_format("%s%s%s", a, middle, b);
    char *kept = keep(r, sl_slice_str(text));
    sl_free(text);
    return kept;
}

static bool
read_index(struct reading *r)
{
    struct sl_json indexes = sl_json_member(r->about, "indexes");
    struct sl_json_iter i = sl_json_iter(indexes);
    uint64_t dimensions = 0;
    if (!sl_json_has(indexes) || sl_json_count(indexes) == 0)
        return true;
    if (sl_json_count(indexes) > 1 || !sl_json_next(&i))
        return refuse(r, "one vector index is served, 'indexes' has more");
    const char *name = read_text(r, i.value, "name");
    const char *purpose = read_text(r, i.value, "purpose");
    if (!is_name(name) ||
        sl_json_u64(sl_json_member(i.value, "dimensions"), &dimensions) != SL_OK ||
        dimensions == 0 || dimensions > SL_HOST_DIMENSIONS_MAX)
        return refuse(r, "an index has a name of [a-z0-9_] and 1 to 65536 dimensions");
    struct sl_extractor_index *index = sl_arena_alloc(r->arena, sizeof(*index));
    *index = (struct sl_extractor_index){.name = name,
                                         .output = join(r, r->info.id, "_", "embedding"),
                                         .dimensions = (uint32_t)dimensions,
                                         .purpose = purpose == NULL ? "text" : purpose};
    r->info.indexes = index;
    r->info.indexes_count = 1;
    return true;
}

static bool
read_head(struct reading *r)
{
    const char *name = read_text(r, r->root, "name");
    const char *version = read_text(r, r->root, "version");
    const char *description = read_text(r, r->root, "description");
    if (name == NULL || version == NULL)
        return refuse(r, "it has no name or no version");
    if (strcmp(name, r->info.name) != 0) {
        (void)sl_cause_set(r->cause, SL_EINVAL, "it calls itself %s: name the file %s.so", name,
                           name);
        return false;
    }
    r->info.version = version;
    r->info.id = join(r, name, "_", version);
    if (description != NULL && description[0] != '\0')
        r->info.description = description;
    r->info.has_models = sl_json_bool(sl_json_member(r->root, "needs_models"), false);
    r->info.is_apart =
        r->info.has_models || sl_json_bool(sl_json_member(r->root, "needs_objects"), false);
    return true;
}

enum sl_err
sl_extractor_description_read(struct sl_slice text, struct sl_arena *arena,
                              struct sl_extractor_info *info, struct sl_cause *ret_cause)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return sl_cause_set(ret_cause, SL_EINVAL, "what it says of itself is no JSON");
    struct reading r = {
        .root = sl_json_root(doc), .arena = arena, .cause = ret_cause, .info = *info};
    r.about = sl_json_member(r.root, "describe");
    bool is_good = read_head(&r) && read_schemas(&r) && read_index(&r);
    sl_json_destroy(&doc);
    if (is_good)
        *info = r.info;
    return is_good ? SL_OK : SL_EINVAL;
}

static enum sl_err
ask(const struct sl_extractor_plugins *how, const char *path, bool is_error_read,
    struct sl_buf *out)
{
    const char *const argv[] = {"sluice",     SL_PLUGIN_VERB,
                                "describe",   path,
                                "--readable", how->readable == NULL ? "" : how->readable,
                                "--sandbox",  how->is_open ? "false" : "true",
                                NULL};
    return sl_subprocess_run(&(struct sl_subprocess){.program = how->program,
                                                     .argv = argv,
                                                     .input_fd = -1,
                                                     .is_error_read = is_error_read,
                                                     .timeout_ns = TIMEOUT_NS,
                                                     .output_size_max = OUTPUT_SIZE_MAX},
                             out);
}

/* Why it failed: in its own words, "sluice: the plugin ...", which it is asked for once more. */
static enum sl_err
explain(const struct sl_extractor_plugins *how, const char *path, enum sl_err err,
        struct sl_cause *cause)
{
    static const char prefix[] = "sluice: ";
    struct sl_buf out = {0};
    if (err == SL_ETIMEOUT)
        return sl_cause_set(cause, SL_EUNAVAIL, "it took over ten seconds to describe itself");
    if (err != SL_ECRASHED)
        return sl_cause_set(cause, SL_EUNAVAIL, "it could not be asked: %s", sl_err_text(err));
    (void)ask(how, path, true, &out);
    const char *at = strstr(sl_buf_text(&out), prefix);
    if (at == NULL)
        (void)sl_cause_set(cause, SL_EUNAVAIL, "it crashed when asked to describe itself");
    else
        (void)sl_cause_set(cause, SL_EUNAVAIL, "%.*s", (int)strcspn(at + strlen(prefix), "\n"),
                           at + strlen(prefix));
    sl_buf_deinit(&out);
    return SL_EUNAVAIL;
}

enum sl_err
sl_extractor_describe(const struct sl_extractor_plugins *how, const char *path,
                      struct sl_arena *arena, struct sl_extractor_info *info,
                      struct sl_cause *ret_cause)
{
    struct sl_buf out = {0};
    enum sl_err err = ask(how, path, false, &out);
    err = err == SL_OK ? sl_extractor_description_read(sl_buf_slice(&out), arena, info, ret_cause)
                       : explain(how, path, err, ret_cause);
    sl_buf_deinit(&out);
    return err;
}
