/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of fields as JSON Schema. A field that is not required may be null too: null counts as
 * absent, in requests as in replies.
 */
#include "gateway/reply.h"

static void
write_type(struct sl_jsonw *w, const struct sl_field *f, const char *type)
{
    bool is_nullable = !f->is_required || f->alias != NULL;
    if (!is_nullable) {
        sl_jsonw_member_str(w, "type", type);
        return;
    }
    sl_jsonw_name(w, "type");
    sl_jsonw_array(w);
    sl_jsonw_str(w, type);
    sl_jsonw_str(w, "null");
    sl_jsonw_end(w);
}

static const char *
name_of(const struct sl_field *fields)
{
    uint32_t count;
    const struct sl_schema *schemas = sl_reply_schemas(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (schemas[i].fields == fields)
            return schemas[i].name;
    }
    return NULL;
}

static void
write_bound(struct sl_jsonw *w, const struct sl_field *f, const char *min, const char *max)
{
    if (f->min == 0 && f->max == 0)
        return;
    sl_jsonw_member_i64(w, min, (int64_t)f->min);
    if (f->max >= f->min)
        sl_jsonw_member_i64(w, max, (int64_t)f->max);
}

static void
write_number_bound(struct sl_jsonw *w, const struct sl_field *f)
{
    if (f->min == 0 && f->max == 0)
        return;
    sl_jsonw_member_f64(w, "minimum", f->min);
    if (f->max >= f->min)
        sl_jsonw_member_f64(w, "maximum", f->max);
}

static void
write_choices(struct sl_jsonw *w, const char *choices, bool is_nullable)
{
    sl_jsonw_name(w, "enum");
    sl_jsonw_array(w);
    for (const char *at = choices; at != NULL;) {
        const char *bar = strchr(at, '|');
        sl_jsonw_slice(w, sl_slice(at, bar == NULL ? strlen(at) : (size_t)(bar - at)));
        at = bar == NULL ? NULL : bar + 1;
    }
    if (is_nullable)
        sl_jsonw_null(w);
    sl_jsonw_end(w);
}

static void
write_string(struct sl_jsonw *w, const struct sl_field *f)
{
    write_type(w, f, "string");
    if (f->choices != NULL)
        write_choices(w, f->choices, !f->is_required || f->alias != NULL);
    else
        write_bound(w, f, "minLength", "maxLength");
}

/* An object's schema where a part has it: by its name, if it has one. */
static void
write_part(struct sl_jsonw *w, const struct sl_field *fields)
{
    const char *name = name_of(fields);
    if (name == NULL) {
        sl_schema_write(w, fields);
        return;
    }
    struct sl_buf path = {0};
    sl_buf_printf(&path, "#/components/schemas/%s", name);
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "$ref", sl_buf_slice(&path));
    sl_jsonw_end(w);
    sl_buf_deinit(&path);
}

static void
write_array(struct sl_jsonw *w, const struct sl_field *f)
{
    write_type(w, f, "array");
    write_bound(w, f, "minItems", "maxItems");
    sl_jsonw_name(w, "items");
    if (f->fields != NULL) {
        write_part(w, f->fields);
        return;
    }
    sl_jsonw_object(w);
    if (f->kind == SL_FIELD_STRINGS)
        sl_jsonw_member_str(w, "type", "string");
    sl_jsonw_end(w);
}

static void
write_kind(struct sl_jsonw *w, const struct sl_field *f)
{
    switch (f->kind) {
    case SL_FIELD_ANY:
        break;
    case SL_FIELD_STRING:
        write_string(w, f);
        break;
    case SL_FIELD_TIME:
        write_type(w, f, "string");
        sl_jsonw_member_str(w, "format", "date-time");
        break;
    case SL_FIELD_INTEGER:
        write_type(w, f, "integer");
        write_bound(w, f, "minimum", "maximum");
        break;
    case SL_FIELD_NUMBER:
        write_type(w, f, "number");
        write_number_bound(w, f);
        break;
    case SL_FIELD_BOOLEAN:
        write_type(w, f, "boolean");
        break;
    case SL_FIELD_ARRAY:
    case SL_FIELD_STRINGS:
        write_array(w, f);
        break;
    case SL_FIELD_OBJECT:
        write_type(w, f, "object");
        break;
    }
}

static void
write_object_field(struct sl_jsonw *w, const struct sl_field *f)
{
    if (f->is_required && f->alias == NULL) {
        write_part(w, f->fields);
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_name(w, "anyOf");
    sl_jsonw_array(w);
    write_part(w, f->fields);
    sl_jsonw_raw(w, sl_slice_str("{\"type\":\"null\"}"));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
write_field(struct sl_jsonw *w, const struct sl_field *f, const char *name)
{
    sl_jsonw_name(w, name);
    if (f->kind == SL_FIELD_OBJECT && f->fields != NULL) {
        write_object_field(w, f);
        return;
    }
    sl_jsonw_object(w);
    write_kind(w, f);
    if (f->doc != NULL)
        sl_jsonw_member_str(w, "description", f->doc);
    sl_jsonw_end(w);
}

static void
write_names(struct sl_jsonw *w, const char *first)
{
    sl_jsonw_name(w, "required");
    sl_jsonw_array(w);
    sl_jsonw_str(w, first);
    sl_jsonw_end(w);
}

/* What must be there; a field with two spellings by either of them. */
static void
write_required(struct sl_jsonw *w, const struct sl_field *fields)
{
    uint32_t required = 0, spelled = 0;
    for (const struct sl_field *f = fields; f->name != NULL; f++) {
        required += f->is_required && f->alias == NULL;
        spelled += f->is_required && f->alias != NULL;
    }
    if (required > 0) {
        sl_jsonw_name(w, "required");
        sl_jsonw_array(w);
        for (const struct sl_field *f = fields; f->name != NULL; f++) {
            if (f->is_required && f->alias == NULL)
                sl_jsonw_str(w, f->name);
        }
        sl_jsonw_end(w);
    }
    if (spelled != 1) /* Two such fields would need allOf: there are none. */
        return;
    sl_jsonw_name(w, "anyOf");
    sl_jsonw_array(w);
    for (const struct sl_field *f = fields; f->name != NULL; f++) {
        for (int i = 0; i < 2 && f->is_required && f->alias != NULL; i++) {
            sl_jsonw_object(w);
            write_names(w, i == 0 ? f->name : f->alias);
            sl_jsonw_end(w);
        }
    }
    sl_jsonw_end(w);
}

void
sl_schema_write(struct sl_jsonw *w, const struct sl_field *fields)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", "object");
    sl_jsonw_name(w, "properties");
    sl_jsonw_object(w);
    for (const struct sl_field *f = fields; f->name != NULL; f++) {
        write_field(w, f, f->name);
        if (f->alias != NULL)
            write_field(w, f, f->alias);
    }
    sl_jsonw_end(w);
    write_required(w, fields);
    sl_jsonw_end(w);
}

void
sl_schema_write_reply(struct sl_jsonw *w, const struct sl_reply *reply)
{
    if (reply == NULL) {
        sl_jsonw_raw(w, sl_slice_str("{\"type\":\"object\"}"));
    } else if (reply->is_list) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "type", "array");
        sl_jsonw_name(w, "items");
        write_part(w, reply->fields);
        sl_jsonw_end(w);
    } else {
        write_part(w, reply->fields);
    }
}
