/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/extractor/info.h"

struct check {
    struct sl_json params;
    struct sl_call *call;
    const char *loc;
};

static void
refuse(const struct check *c, const char *name, const char *type, const char *why)
{
    sl_call_invalid(c->call, sl_call_format(c->call, "%s.%s", c->loc, name), type, "%s %s", name,
                    why);
}

/* The value, or `fallback` when it is absent or refused. */
static int64_t
check_integer(const struct check *c, const char *name, int64_t min, int64_t max, int64_t fallback)
{
    struct sl_json v = sl_json_member(c->params, name);
    int64_t number;
    if (!sl_json_has(v))
        return fallback;
    if (sl_json_i64(v, &number) != SL_OK) {
        refuse(c, name, "int_type", "must be an integer");
        return fallback;
    }
    if (number < min || number > max) {
        refuse(c, name, "out_of_range",
               sl_call_format(c->call, "must lie in %lld..%lld", (long long)min, (long long)max));
        return fallback;
    }
    return number;
}

/* True when the parameter is absent or one of `choices` ("a|b|c"). */
static bool
check_choice(const struct check *c, const char *name, const char *const *choices)
{
    struct sl_json v = sl_json_member(c->params, name);
    if (!sl_json_has(v))
        return true;
    for (; *choices != NULL; choices++) {
        if (sl_json_is(v, *choices))
            return true;
    }
    refuse(c, name, "enum", "has a value that is not one of its choices");
    return false;
}

static void
check_kind(const struct check *c, const char *name, enum sl_json_kind kind, const char *what)
{
    struct sl_json v = sl_json_member(c->params, name);
    if (sl_json_has(v) && sl_json_kind(v) != kind)
        refuse(c, name, "type", sl_call_format(c->call, "must be a %s", what));
}

static void
check_text_parameters(const struct check *c)
{
    static const char *const sources[] = {"text", "youtube", NULL};
    static const char *const splits[] = {"characters", "words",         "sentences", "paragraphs",
                                         "pages",      "time_segments", "none",      NULL};
    static const char *const tasks[] = {"retrieval_document",  "retrieval_query",
                                        "semantic_similarity", "classification",
                                        "clustering",          NULL};
    check_choice(c, "source_type", sources);
    if (sl_json_is(sl_json_member(c->params, "source_type"), "youtube"))
        refuse(c, "source_type", "not_available", "youtube is not built yet; send the text");
    check_choice(c, "split_by", splits);
    if (sl_json_is(sl_json_member(c->params, "split_by"), "time_segments"))
        refuse(c, "split_by", "not_available", "time_segments needs captions with times");
    check_choice(c, "embedding_task", tasks);
    int64_t size = check_integer(c, "chunk_size", 1, 10000, 1000);
    int64_t overlap = check_integer(c, "chunk_overlap", 0, 5000, 0);
    if (overlap >= size)
        refuse(c, "chunk_overlap", "out_of_range", "must be less than chunk_size");
    check_integer(c, "segment_length_seconds", 30, 600, 120);
    check_kind(c, "language", SL_JSON_STRING, "string");
    check_kind(c, "embedding_model", SL_JSON_STRING, "string");
    check_kind(c, "extract_captions", SL_JSON_BOOL, "boolean");
    if (sl_json_has(sl_json_member(c->params, "response_shape")))
        refuse(c, "response_shape", "not_available", "needs a generator, and none is deployed");
}

void
sl_extractor_params_check(const struct sl_extractor_info *info, struct sl_json params,
                          struct sl_call *call, const char *loc)
{
    struct check c = {.params = params, .call = call, .loc = loc};
    if (!sl_extractor_info_is_available(info)) {
        sl_call_invalid(call, loc, "not_available", "%s is not available: %s", info->id,
                        info->unavailable_reason);
        return;
    }
    if (!sl_json_has(params))
        return;
    if (sl_json_kind(params) != SL_JSON_OBJECT) {
        sl_call_invalid(call, loc, "type", "parameters must be an object");
        return;
    }
    if (info->is_custom)
        return; /* Its own create checks them. */
    const char *const types[] = {info->name, NULL};
    check_choice(&c, "extractor_type", types);
    if (sl_slice_is(sl_slice_str(info->name), "text_extractor"))
        check_text_parameters(&c);
    else
        check_kind(&c, "preserve_metadata", SL_JSON_BOOL, "boolean");
}
