/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/otlp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

#define SERVICE "sluice"

static struct sl_span_attribute *
add(struct sl_span *span, const char *name)
{
    if (span->attributes_count == SL_SPAN_ATTRIBUTES_MAX)
        return NULL;
    struct sl_span_attribute *a = &span->attributes[span->attributes_count++];
    *a = (struct sl_span_attribute){.name = name};
    return a;
}

void
sl_span_text(struct sl_span *span, const char *name, struct sl_slice text)
{
    struct sl_span_attribute *a = text.size == 0 ? NULL : add(span, name);
    if (a != NULL)
        a->text = sl_slice(text.data, SL_MIN(text.size, (size_t)SL_SPAN_TEXT_MAX));
}

void
sl_span_number(struct sl_span *span, const char *name, uint64_t number)
{
    struct sl_span_attribute *a = add(span, name);
    if (a != NULL)
        a->number = number;
}

static void
write_id(struct sl_jsonw *w, const char *name, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[33];
    sl_assert(2 * size < sizeof(text));
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    sl_jsonw_member_str(w, name, text);
}

/* 64 bits are texts in JSON, whose numbers have 53. */
static void
write_number(struct sl_jsonw *w, const char *name, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    sl_jsonw_member_str(w, name, text);
}

static void
write_attribute(struct sl_jsonw *w, const struct sl_span_attribute *a)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "key", a->name);
    sl_jsonw_name(w, "value");
    sl_jsonw_object(w);
    if (a->text.data != NULL)
        sl_jsonw_member_slice(w, "stringValue", a->text);
    else
        write_number(w, "intValue", SL_MIN(a->number, (uint64_t)INT64_MAX));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static bool
has_parent(const struct sl_span *span)
{
    static const uint8_t none[sizeof(span->parent)];
    return memcmp(span->parent, none, sizeof(none)) != 0;
}

void
sl_otlp_span(const struct sl_span *span, struct sl_buf *out)
{
    struct sl_jsonw w;
    if (out->size > 0)
        sl_buf_append_str(out, ",");
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    write_id(&w, "traceId", span->trace, sizeof(span->trace));
    write_id(&w, "spanId", span->id, sizeof(span->id));
    if (has_parent(span))
        write_id(&w, "parentSpanId", span->parent, sizeof(span->parent));
    sl_jsonw_member_str(&w, "name", span->name);
    sl_jsonw_member_u64(&w, "kind", span->kind);
    write_number(&w, "startTimeUnixNano", span->start_ns);
    write_number(&w, "endTimeUnixNano", SL_MAX(span->start_ns, span->end_ns));
    sl_jsonw_name(&w, "attributes");
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < span->attributes_count; i++)
        write_attribute(&w, &span->attributes[i]);
    sl_jsonw_end(&w);
    if (span->is_error) {
        sl_jsonw_name(&w, "status");
        sl_jsonw_object(&w);
        sl_jsonw_member_u64(&w, "code", 2);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

void
sl_otlp_begin(const struct sl_otlp_resource *resource, struct sl_buf *out)
{
    const struct {
        const char *name, *value;
    } pairs[] = {{"service.name", SERVICE},
                 {"service.version", resource->version},
                 {"service.instance.id", resource->instance},
                 {"host.name", resource->host}};
    struct sl_buf attributes = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &attributes);
    sl_jsonw_array(&w);
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++) {
        struct sl_span_attribute a = {.name = pairs[i].name, .text = sl_slice_str(pairs[i].value)};
        write_attribute(&w, &a);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_str(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":");
    sl_buf_append_slice(out, sl_buf_slice(&attributes));
    sl_buf_append_str(out, "},\"scopeSpans\":[{\"scope\":{\"name\":\"" SERVICE "\"},\"spans\":[");
    sl_buf_deinit(&attributes);
}

void
sl_otlp_end(struct sl_buf *out)
{
    sl_buf_append_str(out, "]}]}]}");
}

uint64_t
sl_otlp_refused(struct sl_slice reply)
{
    struct sl_json_doc *doc;
    uint64_t count = 0;
    if (reply.size == 0 || sl_json_parse(reply, &doc, NULL) != SL_OK)
        return 0;
    struct sl_json refused =
        sl_json_member(sl_json_member(sl_json_root(doc), "partialSuccess"), "rejectedSpans");
    if (sl_json_u64(refused, &count) != SL_OK) {
        char *text = sl_json_strdup(refused);
        count = text == NULL ? 0 : strtoull(text, NULL, 10);
        sl_free(text);
    }
    sl_json_destroy(&doc);
    return count;
}
