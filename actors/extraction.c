/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two rules decide what a path of a source means: a blob's property wins over a field of the same
 * name (clients send some values both ways), and a path is tried as one name before it is cut at
 * its dots.
 */
#include "actors/extraction.h"

#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define PAYLOAD_VERSION     2
#define PAYLOAD_VERSION_ONE 1 /* Of objects, outside of chains: origin, collection, source. */

/* A source's JSON, parsed. */
struct view {
    struct sl_json_doc *fields_doc, *blobs_doc;
    struct sl_json fields, blobs;
};

static enum sl_err
view_init(struct view *v, const struct sl_source *source)
{
    *v = (struct view){0};
    if (sl_json_parse(source->fields, &v->fields_doc, NULL) != SL_OK)
        return SL_ECORRUPT;
    v->fields = sl_json_root(v->fields_doc);
    if (source->blobs.size == 0)
        return SL_OK;
    if (sl_json_parse(source->blobs, &v->blobs_doc, NULL) != SL_OK)
        return SL_ECORRUPT;
    v->blobs = sl_json_root(v->blobs_doc);
    return SL_OK;
}

static void
view_deinit(struct view *v)
{
    sl_json_destroy(&v->fields_doc);
    sl_json_destroy(&v->blobs_doc);
}

static char *
why(const char *what, struct sl_json name, struct sl_slice path)
{
    struct sl_slice raw = sl_json_raw(name);
    return sl_format("%s %.*s: the source has no %.*s", what, SL_SLICE_FMT(raw),
                     SL_SLICE_FMT(path));
}

/* The blob whose property is `path`; NONE when there is none. */
static struct sl_json
find_blob(const struct view *v, struct sl_slice path)
{
    struct sl_buf scratch = {0};
    struct sl_json found = {0};
    for (struct sl_json_iter i = sl_json_iter(v->blobs); sl_json_next(&i);) {
        struct sl_slice property;
        sl_buf_clear(&scratch);
        if (sl_json_text(sl_json_member(i.value, "property"), &scratch, &property) != SL_OK)
            continue;
        if (sl_slice_equal(property, path)) {
            found = i.value;
            break;
        }
    }
    sl_buf_deinit(&scratch);
    return found;
}

static void
append_input(struct sl_buf *out, const char *type, struct sl_slice bytes)
{
    sl_buf_append_block(out, sl_slice_str(type));
    sl_buf_append_block(out, bytes);
}

static void
append_value(struct sl_buf *out, struct sl_json value)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    if (sl_json_text(value, &scratch, &text) == SL_OK)
        append_input(out, "text", text);
    else
        append_input(out, "json", sl_json_raw(value));
    sl_buf_deinit(&scratch);
}

static bool
append_path(struct sl_buf *out, const struct view *v, struct sl_slice path)
{
    struct sl_json blob = find_blob(v, path);
    struct sl_buf scratch = {0};
    struct sl_slice hex;
    bool is_stored = sl_json_text(sl_json_member(blob, "blob"), &scratch, &hex) == SL_OK;
    if (is_stored)
        append_input(out, "blob", hex);
    sl_buf_deinit(&scratch);
    if (is_stored)
        return true;

    struct sl_json value = sl_json_member(blob, "data");
    if (!sl_json_has(value))
        value = sl_json_path(v->fields, path);
    if (!sl_json_has(value))
        return false;
    append_value(out, value);
    return true;
}

static enum sl_err
append_one(const struct view *v, struct sl_json input, struct sl_buf *out, char **ret_why)
{
    struct sl_buf name_scratch = {0}, path_scratch = {0};
    struct sl_slice name, path;
    enum sl_err err = SL_ECORRUPT;
    size_t before = out->size;

    if (sl_json_text(sl_json_member(input, "name"), &name_scratch, &name) != SL_OK)
        goto out;
    sl_buf_append_block(out, name);
    err = SL_OK;
    if (sl_json_text(sl_json_member(input, "path"), &path_scratch, &path) != SL_OK) {
        append_value(out, sl_json_member(input, "value"));
    } else if (!append_path(out, v, path)) {
        out->size = before;
        if (sl_json_bool(sl_json_member(input, "optional"), false))
            goto out;
        err = SL_EINVAL;
        *ret_why = why("input", sl_json_member(input, "name"), path);
    }
out:
    sl_buf_deinit(&name_scratch);
    sl_buf_deinit(&path_scratch);
    return err;
}

/* The value a passthrough row names; NONE when the source has none. A stored blob gives its id. */
static struct sl_json
passthrough_value(const struct view *v, struct sl_slice path)
{
    struct sl_json blob = find_blob(v, path);
    struct sl_json value = sl_json_member(blob, "data");
    if (!sl_json_has(value) && sl_json_has(sl_json_member(blob, "blob")))
        value = sl_json_member(blob, "blob_id");
    return sl_json_has(value) ? value : sl_json_path(v->fields, path);
}

static enum sl_err
check_required(const struct view *v, struct sl_json extraction, char **ret_why)
{
    struct sl_json rows = sl_json_member(extraction, "passthrough");
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(rows); err == SL_OK && sl_json_next(&i);) {
        struct sl_json source_path = sl_json_member(i.value, "source_path");
        struct sl_buf scratch = {0};
        struct sl_slice path;
        if (sl_json_bool(sl_json_member(i.value, "required"), false) &&
            sl_json_text(source_path, &scratch, &path) == SL_OK &&
            !sl_json_has(passthrough_value(v, path))) {
            *ret_why = why("required field", source_path, path);
            err = SL_EINVAL;
        }
        sl_buf_deinit(&scratch);
    }
    return err;
}

enum sl_err
sl_extraction_inputs(struct sl_json extraction, const struct sl_source *source, struct sl_buf *out,
                     char **ret_why)
{
    struct view v;
    size_t before = out->size;
    *ret_why = NULL;
    enum sl_err err = view_init(&v, source);
    if (err == SL_OK)
        err = check_required(&v, extraction, ret_why);
    struct sl_json inputs = sl_json_member(extraction, "inputs");
    for (struct sl_json_iter i = sl_json_iter(inputs); err == SL_OK && sl_json_next(&i);)
        err = append_one(&v, i.value, out, ret_why);
    view_deinit(&v);
    if (err != SL_OK) {
        out->size = before;
        if (*ret_why == NULL)
            *ret_why = sl_strdup("the source or the extraction cannot be read");
    }
    return err;
}

/* ---- fields -------------------------------------------------------------------------------- */

/* Names that were written already: outputs, then passthrough targets. Few, so a scan finds them. */
struct names {
    struct sl_buf packed; /* Blocks. */
};

static bool
names_has(const struct names *n, struct sl_slice name)
{
    struct sl_reader r = sl_reader(sl_buf_slice(&n->packed));
    while (!sl_reader_is_done(&r)) {
        if (sl_slice_equal(sl_read_block(&r), name))
            return true;
    }
    return false;
}

static void
write_all(struct sl_jsonw *w, struct names *n, struct sl_json object, bool is_remembered)
{
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(object); sl_json_next(&i);) {
        struct sl_slice name;
        sl_buf_clear(&scratch);
        if (sl_json_text(i.name, &scratch, &name) != SL_OK || names_has(n, name))
            continue;
        sl_jsonw_name_slice(w, name);
        sl_jsonw_value(w, i.value);
        if (is_remembered)
            sl_buf_append_block(&n->packed, name);
    }
    sl_buf_deinit(&scratch);
}

static struct sl_slice
last_segment(struct sl_slice path)
{
    const uint8_t *dot = path.size > 0 ? memrchr(path.data, '.', path.size) : NULL;
    if (dot == NULL)
        return path;
    return sl_slice(dot + 1, (size_t)(path.data + path.size - dot - 1));
}

static void
write_passthrough(struct sl_jsonw *w, struct names *n, const struct view *v, struct sl_json row)
{
    struct sl_buf path_scratch = {0}, target_scratch = {0};
    struct sl_slice path, target;
    if (sl_json_text(sl_json_member(row, "source_path"), &path_scratch, &path) != SL_OK)
        goto out;
    if (sl_json_text(sl_json_member(row, "target_path"), &target_scratch, &target) != SL_OK)
        target = last_segment(path);
    struct sl_json value = passthrough_value(v, path);
    if (sl_json_kind(value) == SL_JSON_NONE)
        value = sl_json_member(row, "default");
    if (sl_json_kind(value) != SL_JSON_NONE && !names_has(n, target)) {
        sl_jsonw_name_slice(w, target);
        sl_jsonw_value(w, value);
        sl_buf_append_block(&n->packed, target);
    }
out:
    sl_buf_deinit(&path_scratch);
    sl_buf_deinit(&target_scratch);
}

enum sl_err
sl_extraction_fields(struct sl_json extraction, const struct sl_source *source,
                     struct sl_slice outputs, struct sl_buf *out)
{
    struct view v;
    struct names n = {0};
    struct sl_jsonw w;
    struct sl_json_doc *doc = NULL;
    char *reason = NULL;
    enum sl_err err = view_init(&v, source);
    if (err == SL_OK)
        err = check_required(&v, extraction, &reason);
    sl_free(reason);
    if (err == SL_OK && outputs.size > 0)
        err = sl_json_parse(outputs, &doc, NULL);
    if (err == SL_OK && doc != NULL && sl_json_kind(sl_json_root(doc)) != SL_JSON_OBJECT)
        err = SL_EINVAL;
    if (err != SL_OK)
        goto out;

    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    write_all(&w, &n, sl_json_root(doc), true);
    struct sl_json rows = sl_json_member(extraction, "passthrough");
    for (struct sl_json_iter i = sl_json_iter(rows); sl_json_next(&i);)
        write_passthrough(&w, &n, &v, i.value);
    if (sl_json_bool(sl_json_member(extraction, "include_all"), false))
        write_all(&w, &n, v.fields, false);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
out:
    sl_buf_deinit(&n.packed);
    sl_json_destroy(&doc);
    view_deinit(&v);
    return err;
}

/* ---- its model ----------------------------------------------------------------------------- */

static char *
directory_of(struct sl_slice row)
{
    struct sl_json_doc *doc = NULL;
    char *directory = NULL;
    if (sl_json_parse(row, &doc, NULL) == SL_OK)
        directory = sl_json_strdup(sl_json_member(sl_json_root(doc), "directory"));
    sl_json_destroy(&doc);
    return directory;
}

char *
sl_extraction_model_directory(struct sl_txn *txn, struct sl_scope scope, struct sl_json extraction)
{
    char *model = sl_json_strdup(sl_json_member(extraction, "model"));
    char *namespace = sl_json_strdup(sl_json_member(extraction, "namespace"));
    char *directory = NULL;
    if (model != NULL && namespace != NULL) {
        struct sl_buf key = {0};
        struct sl_slice row;
        if (sl_txn_get(txn, scope, SL_TABLE_MODEL, sl_key(&key, 2, namespace, model), &row) ==
            SL_OK)
            directory = directory_of(row);
        /* A model that is gone is not "no model": the replica must not start without it. */
        if (directory == NULL)
            directory = sl_format("(the model %s is gone)", model);
        sl_buf_deinit(&key);
    }
    sl_free(model);
    sl_free(namespace);
    return directory == NULL ? sl_strdup("") : directory;
}

uint64_t
sl_extraction_tenant(struct sl_scope scope, struct sl_json extraction, const char *model)
{
    bool is_apart = model[0] != '\0' || sl_json_bool(sl_json_member(extraction, "apart"), false);
    return is_apart ? scope.id : 0;
}

uint64_t
sl_extraction_home(struct sl_scope scope, struct sl_json extraction)
{
    return sl_json_bool(sl_json_member(extraction, "physical"), false) ? scope.id : 0;
}

uint64_t
sl_extraction_number(struct sl_slice spec, struct sl_slice model, uint64_t tenant)
{
    return sl_hash64(spec) ^ (sl_hash64(model) << 1) ^
           (sl_hash64(sl_slice(&tenant, sizeof(tenant))) << 2);
}

void
sl_extraction_query(struct sl_json extraction, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_value(&w, "extractor", sl_json_member(extraction, "extractor"));
    sl_jsonw_member_value(&w, "version", sl_json_member(extraction, "version"));
    sl_jsonw_name(&w, "params");
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "split_by", "none");
    sl_jsonw_member_str(&w, "embedding_task", "retrieval_query");
    sl_jsonw_end(&w);
    sl_jsonw_member_value(&w, "index", sl_json_member(extraction, "index"));
    if (sl_json_has(sl_json_member(extraction, "physical")))
        sl_jsonw_member_value(&w, "physical", sl_json_member(extraction, "physical"));
    if (sl_json_has(sl_json_member(extraction, "models"))) {
        sl_jsonw_member_value(&w, "models", sl_json_member(extraction, "models"));
        sl_jsonw_member_value(&w, "namespace", sl_json_member(extraction, "namespace"));
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* ---- a task's payload ---------------------------------------------------------------------- */

void
sl_task_payload_encode(const struct sl_task_payload *p, struct sl_buf *out)
{
    sl_assert(p != NULL);
    sl_buf_append_u8(out, PAYLOAD_VERSION);
    sl_buf_append_u8(out, (uint8_t)p->kind);
    sl_buf_append_u8(out, p->is_chained);
    sl_buf_append_u32(out, p->retries);
    sl_buf_append_u32(out, p->run);
    sl_buf_append_block(out, p->origin);
    sl_buf_append_block(out, p->collection);
    sl_buf_append_block(out, p->source);
}

enum sl_err
sl_task_payload_decode(struct sl_slice bytes, struct sl_task_payload *ret_payload)
{
    struct sl_reader r = sl_reader(bytes);
    struct sl_task_payload p = {0};
    uint8_t version = sl_read_u8(&r);
    if (version == PAYLOAD_VERSION) {
        uint8_t kind = sl_read_u8(&r);
        if (kind > SL_SOURCE_RECORD)
            return SL_ECORRUPT;
        p.kind = (enum sl_source_kind)kind;
        p.is_chained = sl_read_u8(&r) != 0;
        p.retries = sl_read_u32(&r);
        p.run = sl_read_u32(&r);
    } else if (version != PAYLOAD_VERSION_ONE) {
        return SL_ECORRUPT;
    }
    p.origin = sl_read_block(&r);
    p.collection = sl_read_block(&r);
    p.source = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_payload = p;
    return SL_OK;
}
