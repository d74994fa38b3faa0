/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_book.h"

#include <inttypes.h>

#include "runtime/alloc.h"
#include "runtime/config_value.h"
#include "runtime/json.h"

#define MEMBER "autoscaling_config"

/* The configuration's values are texts; elsewhere they may be numbers. */
static char *
text_of(struct sl_json value)
{
    struct sl_slice raw = sl_json_raw(value);
    return sl_json_kind(value) == SL_JSON_STRING ? sl_json_strdup(value)
                                                 : sl_strndup(raw.data, raw.size);
}

/* NULL, or what is wrong with it; owned. */
static char *
read_settings(struct sl_json config, struct sl_scale_settings *settings)
{
    char *error = NULL;
    if (sl_json_is(config, ""))
        return NULL; /* All of it is commented out. */
    if (sl_json_kind(config) != SL_JSON_OBJECT)
        return sl_strdup("takes keys, such as max_replicas: 4");
    for (struct sl_json_iter i = sl_json_iter(config); error == NULL && sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *value = text_of(i.value);
        if (name == NULL || value == NULL)
            error = sl_strdup("a key or value is no text");
        else if (sl_scale_settings_set(settings, name, value, &error) == SL_OK)
            error = NULL;
        sl_free(name);
        sl_free(value);
    }
    const char *why = error == NULL ? sl_scale_settings_check(settings) : NULL;
    return why == NULL ? error : sl_strdup(why);
}

static char *
read_page(struct sl_scale_book *book, struct sl_json name, struct sl_json extractor,
          const struct sl_scale_settings *defaults)
{
    struct sl_json config = sl_json_member(extractor, MEMBER);
    struct sl_scale_settings settings = *defaults;
    if (sl_json_kind(config) == SL_JSON_NONE)
        return NULL;
    char *why = read_settings(config, &settings), *key = sl_json_strdup(name);
    if (why == NULL && key == NULL)
        why = sl_strdup("the extractor's name is no text");
    if (why != NULL) {
        sl_free(key);
        return why;
    }
    book->pages = sl_realloc(book->pages, (book->count + 1) * sizeof(book->pages[0]));
    book->pages[book->count++] = (struct sl_scale_page){.extractor = key, .settings = settings};
    return NULL;
}

/* NULL, or what is wrong with it; owned. */
static char *
read_memory(struct sl_scale_book *book, struct sl_json name, struct sl_json extractor)
{
    static const struct sl_config_key key = {"memory", SL_CONFIG_SIZE, "0", 1, INT64_C(1) << 50, "",
                                             ""};
    struct sl_json value = sl_json_member(extractor, key.path);
    struct sl_config_value read = {0};
    struct sl_buf why = {0};
    char *fault = NULL;
    if (!sl_json_has(value) || sl_json_is(value, ""))
        return NULL;
    char *text = text_of(value), *own = sl_json_strdup(name);
    if (own == NULL || text == NULL) {
        fault = sl_strdup("memory: a name or value is no text");
    } else if (!sl_config_value_read(&key, text, &read, &why)) {
        fault = sl_format("memory: %s", sl_buf_text(&why));
    } else {
        book->memories =
            sl_realloc(book->memories, (book->memories_count + 1) * sizeof(book->memories[0]));
        book->memories[book->memories_count++] =
            (struct sl_scale_memory){.extractor = own, .bytes = (uint64_t)read.number};
        own = NULL;
    }
    sl_free(own);
    sl_free(text);
    sl_buf_deinit(&why);
    return fault;
}

/* One key of a page's batching. NULL, or what is wrong with it; owned. */
static char *
read_batching_key(struct sl_batch_override *override, struct sl_json name, struct sl_json value)
{
    static const struct sl_config_key keys[] = {
        {"units", SL_CONFIG_INT, "0", 1, SL_BATCH_UNITS_MAX, "", ""},
        {"items", SL_CONFIG_INT, "0", 1, SL_BATCH_ITEMS_MAX, "", ""},
        {"delay", SL_CONFIG_DURATION, "0", 0, SL_BATCH_DELAY_MAX_NS, "", ""},
    };
    struct sl_config_value read[SL_COUNT_OF(keys)] = {0};
    struct sl_buf why = {0};
    uint32_t i = 0;
    while (i < SL_COUNT_OF(keys) && !sl_json_is(name, keys[i].path))
        i++;
    if (i == SL_COUNT_OF(keys))
        return sl_strdup("batching takes units, items and delay");
    char *text = text_of(value), *fault = NULL;
    if (text == NULL)
        fault = sl_format("batching.%s: the value is no text", keys[i].path);
    else if (!sl_config_value_read(&keys[i], text, &read[i], &why))
        fault = sl_format("batching.%s: %s", keys[i].path, sl_buf_text(&why));
    else if (i == 0)
        override->units_max = (uint64_t)read[i].number;
    else if (i == 1)
        override->items_max = (uint32_t)read[i].number;
    else
        override->delay_ns = (uint64_t)read[i].number;
    override->has_delay = override->has_delay || (fault == NULL && i == 2);
    sl_buf_deinit(&why);
    sl_free(text);
    return fault;
}

/* The same of a page. */
static char *
read_batching(struct sl_scale_book *book, struct sl_json name, struct sl_json extractor)
{
    struct sl_json config = sl_json_member(extractor, "batching");
    struct sl_batch_override override = {0};
    char *fault = NULL;
    if (!sl_json_has(config) || sl_json_is(config, ""))
        return NULL;
    if (sl_json_kind(config) != SL_JSON_OBJECT)
        return sl_strdup("batching: takes keys, such as units: 4096");
    for (struct sl_json_iter i = sl_json_iter(config); fault == NULL && sl_json_next(&i);)
        fault = read_batching_key(&override, i.name, i.value);
    char *own = fault == NULL ? sl_json_strdup(name) : NULL;
    if (fault != NULL || own == NULL)
        return fault != NULL ? fault : sl_strdup("batching: the extractor's name is no text");
    book->batchings =
        sl_realloc(book->batchings, (book->batchings_count + 1) * sizeof(book->batchings[0]));
    book->batchings[book->batchings_count++] =
        (struct sl_scale_batching){.extractor = own, .override = override};
    return NULL;
}

enum sl_err
sl_scale_book_read(struct sl_slice config, const struct sl_scale_settings *defaults,
                   struct sl_scale_book *ret_book, char **ret_why)
{
    struct sl_json_doc *doc = NULL;
    struct sl_scale_book book = {0};
    char *why = NULL;
    if (config.size > 0 && sl_json_parse(config, &doc, NULL) != SL_OK) {
        *ret_why = sl_strdup("extractors: takes keys, the names of extractors");
        return SL_EINVAL;
    }
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc));
         why == NULL && sl_json_next(&i);) {
        char *fault = read_page(&book, i.name, i.value, defaults);
        const char *member = MEMBER ": ";
        if (fault == NULL) {
            fault = read_memory(&book, i.name, i.value);
            member = "";
        }
        if (fault == NULL)
            fault = read_batching(&book, i.name, i.value);
        if (fault != NULL)
            why =
                sl_format("extractors.%.*s.%s%s", SL_SLICE_FMT(sl_json_raw(i.name)), member, fault);
        sl_free(fault);
    }
    sl_json_destroy(&doc);
    if (why != NULL) {
        sl_scale_book_deinit(&book);
        *ret_why = why;
        return SL_EINVAL;
    }
    *ret_book = book;
    return SL_OK;
}

void
sl_scale_book_deinit(struct sl_scale_book *book)
{
    for (uint32_t i = 0; i < book->count; i++)
        sl_free(book->pages[i].extractor);
    for (uint32_t i = 0; i < book->memories_count; i++)
        sl_free(book->memories[i].extractor);
    for (uint32_t i = 0; i < book->batchings_count; i++)
        sl_free(book->batchings[i].extractor);
    sl_free(book->batchings);
    sl_free(book->pages);
    sl_free(book->memories);
    *book = (struct sl_scale_book){0};
}

static void
print(const struct sl_scale_book *book, struct sl_buf *out)
{
    for (uint32_t i = 0; i < book->count; i++) {
        sl_buf_printf(out, "%s {", book->pages[i].extractor);
        sl_scale_settings_write(&book->pages[i].settings, out);
        sl_buf_printf(out, "}\n");
    }
    for (uint32_t i = 0; i < book->memories_count; i++)
        sl_buf_printf(out, "%s %" PRIu64 "\n", book->memories[i].extractor,
                      book->memories[i].bytes);
    for (uint32_t i = 0; i < book->batchings_count; i++) {
        const struct sl_batch_override *o = &book->batchings[i].override;
        sl_buf_printf(out, "%s %" PRIu64 " %u %" PRIu64 " %d\n", book->batchings[i].extractor,
                      o->units_max, o->items_max, o->delay_ns, o->has_delay);
    }
}

bool
sl_scale_book_is_same(const struct sl_scale_book *a, const struct sl_scale_book *b)
{
    struct sl_buf one = {0}, other = {0};
    print(a, &one);
    print(b, &other);
    bool is_same =
        one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
    sl_buf_deinit(&one);
    sl_buf_deinit(&other);
    return is_same;
}

const struct sl_scale_settings *
sl_scale_book_lookup(const struct sl_scale_book *book, const char *extractor)
{
    for (uint32_t i = 0; i < book->count; i++) {
        if (strcmp(book->pages[i].extractor, extractor) == 0)
            return &book->pages[i].settings;
    }
    return NULL;
}

uint64_t
sl_scale_book_memory(const struct sl_scale_book *book, const char *extractor, uint64_t fallback)
{
    for (uint32_t i = 0; i < book->memories_count; i++) {
        if (strcmp(book->memories[i].extractor, extractor) == 0)
            return book->memories[i].bytes;
    }
    return fallback;
}

struct sl_batch_override
sl_scale_book_batching(const struct sl_scale_book *book, const char *extractor)
{
    for (uint32_t i = 0; i < book->batchings_count; i++) {
        if (strcmp(book->batchings[i].extractor, extractor) == 0)
            return book->batchings[i].override;
    }
    return (struct sl_batch_override){0};
}
