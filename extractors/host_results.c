/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/host_results.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/utf8.h"

#define BLOCK_SIZE (256 * SL_KIB)

/* Memory of the results: blocks that never move, freed together. */
struct block {
    struct block *next;
    size_t used, size;
    max_align_t data[];
};

struct arena {
    struct block *blocks; /* The newest first. */
};

struct slot {
    struct sl_host_record *records; /* Grows; moved to the arena in the end by reference. */
    uint32_t capacity;
    bool is_finished;
};

struct sl_collector {
    struct sluice_sink sink;
    struct arena *arena;
    struct sl_host_result *items;
    struct slot *slots;
    uint32_t count;
};

static void *
take(struct arena *a, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (a->blocks == NULL || a->blocks->size - a->blocks->used < size) {
        size_t room = SL_MAX(size, BLOCK_SIZE);
        struct block *block = sl_alloc(sizeof(*block) + room);
        *block = (struct block){.next = a->blocks, .size = room};
        a->blocks = block;
    }
    void *memory = (char *)a->blocks->data + a->blocks->used;
    a->blocks->used += size;
    return memory;
}

static void *
copy(struct arena *a, const void *data, size_t size)
{
    char *to = take(a, size + 1);
    if (size > 0)
        memcpy(to, data, size);
    to[size] = '\0';
    return to;
}

/* Copy a text that may lack its NUL or be no UTF-8; what is not valid becomes '?'. */
static void
copy_text(char *to, size_t to_size, const char *from, size_t from_size)
{
    size_t size = strnlen(from, from_size), used = 0;
    const uint8_t *at = (const uint8_t *)from, *end = at + size;
    while (at < end) {
        size_t step = sl_utf8_size(at, end);
        size_t width = SL_MAX(step, (size_t)1);
        if (used + width >= to_size)
            break;
        if (step == 0 || *at < 0x20)
            to[used] = step == 0 ? '?' : ' ';
        else
            memcpy(to + used, at, width);
        used += width;
        at += width;
    }
    to[used] = '\0';
}

static void
fail(struct sl_collector *c, uint32_t item, const struct sluice_error *error)
{
    struct sl_host_result *r = &c->items[item];
    bool is_permanent = error->kind == SLUICE_ERROR_PERMANENT;
    r->kind = is_permanent ? SLUICE_ERROR_PERMANENT : SLUICE_ERROR_TRANSIENT;
    copy_text(r->code, sizeof(r->code), error->code, sizeof(error->code));
    copy_text(r->message, sizeof(r->message), error->message, sizeof(error->message));
    if (r->code[0] == '\0')
        snprintf(r->code, sizeof(r->code), "unspecified");
    r->records_count = 0;
    r->is_paused = false;
    c->slots[item].is_finished = true;
}

/* Fail the item for what the plugin emitted, and return what the sink's functions then do. */
SL_PRINTF(4, 5)
static int
refuse(struct sl_collector *c, uint32_t item, const char *code, const char *format, ...)
{
    struct sluice_error error = {.size = sizeof(error), .kind = SLUICE_ERROR_PERMANENT};
    va_list args;
    snprintf(error.code, sizeof(error.code), "%s", code);
    va_start(args, format);
    vsnprintf(error.message, sizeof(error.message), format, args);
    va_end(args);
    fail(c, item, &error);
    return -1;
}

static bool
is_object(struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return false;
    bool is = sl_json_kind(sl_json_root(doc)) == SL_JSON_OBJECT;
    sl_json_destroy(&doc);
    return is;
}

/* NULL when the vector is well-formed, else what is wrong with it. */
static const char *
vector_fault(const struct sluice_vector *v)
{
    if (v->size < sizeof(*v))
        return "is of a size that is not known";
    if (v->index == NULL || v->index[0] == '\0' ||
        strnlen(v->index, SL_HOST_INDEX_NAME_SIZE_MAX + 1) > SL_HOST_INDEX_NAME_SIZE_MAX)
        return "has no index name, or one that is too long";
    if (v->values == NULL || v->dimensions == 0 || v->dimensions > SL_HOST_DIMENSIONS_MAX)
        return "has no dimensions, or too many";
    for (uint32_t i = 0; i < v->dimensions; i++) {
        if (!isfinite(v->values[i]))
            return "has a value that is not finite";
    }
    return NULL;
}

static const struct sl_host_vector *
copy_vectors(struct arena *a, const struct sluice_output *output)
{
    struct sl_host_vector *vectors = take(a, output->vector_count * sizeof(*vectors));
    for (uint32_t i = 0; i < output->vector_count; i++) {
        const struct sluice_vector *v = SLUICE_AT(struct sluice_vector, output->vectors, i);
        vectors[i] = (struct sl_host_vector){
            .index = copy(a, v->index, strlen(v->index)),
            .dimensions = v->dimensions,
            .values = copy(a, v->values, v->dimensions * sizeof(*v->values)),
        };
    }
    return vectors;
}

static void
add_record(struct sl_collector *c, uint32_t item, const struct sluice_output *output)
{
    struct sl_host_result *r = &c->items[item];
    struct slot *slot = &c->slots[item];
    if (r->records_count == slot->capacity) {
        slot->capacity = SL_MAX(4, slot->capacity * 2);
        struct sl_host_record *more = take(c->arena, slot->capacity * sizeof(*more));
        if (r->records_count > 0)
            memcpy(more, slot->records, r->records_count * sizeof(*more));
        slot->records = more;
        r->records = more;
    }
    slot->records[r->records_count++] = (struct sl_host_record){
        .fields =
            sl_slice(copy(c->arena, output->fields, output->fields_bytes), output->fields_bytes),
        .vectors = copy_vectors(c->arena, output),
        .vectors_count = output->vector_count,
    };
}

static int
emit(const struct sluice_sink *sink, uint32_t item, const struct sluice_output *output)
{
    struct sl_collector *c = sink->self;
    if (item >= c->count || c->slots[item].is_finished)
        return -1;
    if (output == NULL || output->size < sizeof(*output) || output->fields == NULL ||
        (output->vector_count > 0 && output->vectors == NULL))
        return refuse(c, item, "output_malformed", "the plugin emitted a malformed record");
    struct sl_host_result *r = &c->items[item];
    if (r->records_count == SL_LIMIT_RECORDS_PER_TASK || output->vector_count > SL_HOST_VECTORS_MAX)
        return refuse(c, item, "output_too_large", "more than %d records, or %u vectors in one",
                      SL_LIMIT_RECORDS_PER_TASK, SL_HOST_VECTORS_MAX);
    uint64_t bytes = output->fields_bytes;
    for (uint32_t i = 0; i < output->vector_count; i++) {
        const struct sluice_vector *v = SLUICE_AT(struct sluice_vector, output->vectors, i);
        const char *fault = vector_fault(v);
        if (fault != NULL)
            return refuse(c, item, "output_malformed", "vector %u of record %u %s", i,
                          r->records_count, fault);
        bytes += (uint64_t)v->dimensions * sizeof(*v->values);
    }
    if (output->fields_bytes > SL_HOST_ITEM_BYTES_MAX || r->bytes + bytes > SL_HOST_ITEM_BYTES_MAX)
        return refuse(
            c, item, "output_too_large",
            "one item makes at most %d MiB of fields and vectors: larger chunks make fewer",
            (int)(SL_HOST_ITEM_BYTES_MAX / SL_MIB));
    if (!is_object(sl_slice(output->fields, output->fields_bytes)))
        return refuse(c, item, "output_malformed", "the fields of record %u are no JSON object",
                      r->records_count);
    r->bytes += bytes;
    add_record(c, item, output);
    return 0;
}

static int
finish(const struct sluice_sink *sink, uint32_t item, const struct sluice_error *error)
{
    struct sl_collector *c = sink->self;
    if (item >= c->count || c->slots[item].is_finished)
        return -1;
    c->slots[item].is_finished = true;
    if (error != NULL && error->size < sizeof(*error))
        return refuse(c, item, "output_malformed", "the plugin failed with a malformed error");
    if (error != NULL && error->kind != SLUICE_ERROR_NONE)
        fail(c, item, error);
    return 0;
}

static int
pause_item(const struct sluice_sink *sink, uint32_t item, const void *resume, uint32_t resume_bytes)
{
    struct sl_collector *c = sink->self;
    if (item >= c->count || c->slots[item].is_finished)
        return -1;
    struct sl_host_result *r = &c->items[item];
    if (resume == NULL || resume_bytes == 0 || resume_bytes > sizeof(r->resume))
        return refuse(c, item, "output_malformed", "the plugin paused without saying where");
    if (r->records_count == 0)
        return refuse(c, item, "output_malformed", "the plugin paused before its first record");
    c->slots[item].is_finished = true;
    r->is_paused = true;
    r->resume_bytes = resume_bytes;
    memcpy(r->resume, resume, resume_bytes);
    return 0;
}

struct sl_collector *
sl_collector_create(uint32_t count)
{
    struct sl_collector *c = sl_zalloc(sizeof(*c));
    c->sink = (struct sluice_sink){.size = sizeof(c->sink),
                                   .records_per_item_max = SL_LIMIT_RECORDS_PER_TASK,
                                   .bytes_per_item_max = SL_HOST_ITEM_BYTES_MAX,
                                   .self = c,
                                   .emit = emit,
                                   .finish = finish,
                                   .pause = pause_item};
    c->arena = sl_zalloc(sizeof(*c->arena));
    c->items = take(c->arena, count * sizeof(*c->items));
    memset(c->items, 0, count * sizeof(*c->items));
    c->slots = sl_zalloc(count * sizeof(*c->slots));
    c->count = count;
    return c;
}

const struct sluice_sink *
sl_collector_sink(struct sl_collector *c)
{
    return &c->sink;
}

void
sl_collector_finish(struct sl_collector **collector, const char *code, const char *message,
                    struct sl_host_results *ret_results)
{
    struct sl_collector *c = *collector;
    struct sluice_error error = {.size = sizeof(error), .kind = SLUICE_ERROR_TRANSIENT};
    snprintf(error.code, sizeof(error.code), "%s", code);
    snprintf(error.message, sizeof(error.message), "%s", message);
    *collector = NULL;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->slots[i].is_finished)
            fail(c, i, &error);
    }
    *ret_results =
        (struct sl_host_results){.items = c->items, .count = c->count, .memory = c->arena};
    sl_free(c->slots);
    sl_free(c);
}

void
sl_host_results_deinit(struct sl_host_results *results)
{
    struct arena *a = results->memory;
    struct block *next = a == NULL ? NULL : a->blocks;
    while (next != NULL) {
        struct block *block = next;
        next = block->next;
        sl_free(block);
    }
    sl_free(a);
    *results = (struct sl_host_results){0};
}
