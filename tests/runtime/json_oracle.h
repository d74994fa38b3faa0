/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_oracle.h - what must hold for any bytes given to the JSON reader; used by the unit test on
 * mutated documents and by the fuzz target. Dies on the first thing that does not hold.
 *
 * Oracle: jansson. Where the two may differ, and why:
 *   - jansson refuses integers over 64 bits and reals over a double; ours keeps numbers as text;
 *   - jansson refuses a NUL (escaped) in a member name; ours reads it;
 *   - jansson overlooks a raw NUL byte behind a number; ours refuses it everywhere;
 *   - ours nests to SL_JSON_DEPTH_MAX, jansson to 2048.
 */
#ifndef SL_TESTS_RUNTIME_JSON_ORACLE_H
#define SL_TESTS_RUNTIME_JSON_ORACLE_H

#include <jansson.h>

#include "runtime/json.h"

static inline void
oracle_compare(struct sl_json ours, const json_t *theirs)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    int64_t integer;
    double real;
    switch (sl_json_kind(ours)) {
    case SL_JSON_NONE:
        sl_assert(sl_json_kind(ours) != SL_JSON_NONE);
        break;
    case SL_JSON_NULL:
        sl_assert(json_is_null(theirs));
        break;
    case SL_JSON_BOOL:
        sl_assert(json_is_boolean(theirs) && json_is_true(theirs) == sl_json_bool(ours, false));
        break;
    case SL_JSON_NUMBER:
        sl_assert(json_is_number(theirs));
        sl_assert(sl_json_f64(ours, &real) == SL_OK && real == json_number_value(theirs));
        if (json_is_integer(theirs))
            sl_assert(sl_json_i64(ours, &integer) == SL_OK &&
                      integer == json_integer_value(theirs));
        else
            sl_assert(sl_json_i64(ours, &integer) == SL_EINVAL);
        break;
    case SL_JSON_STRING:
        sl_assert(json_is_string(theirs));
        sl_assert(sl_json_text(ours, &scratch, &text) == SL_OK);
        sl_assert(
            sl_slice_equal(text, sl_slice(json_string_value(theirs), json_string_length(theirs))));
        break;
    case SL_JSON_ARRAY:
        sl_assert(json_is_array(theirs) && json_array_size(theirs) == sl_json_count(ours));
        size_t index = 0;
        for (struct sl_json_iter i = sl_json_iter(ours); sl_json_next(&i);)
            oracle_compare(i.value, json_array_get(theirs, index++));
        break;
    case SL_JSON_OBJECT:
        sl_assert(json_is_object(theirs) && json_object_size(theirs) == sl_json_count(ours));
        for (struct sl_json_iter i = sl_json_iter(ours); sl_json_next(&i);) {
            char *name = sl_json_strdup(i.name);
            oracle_compare(i.value, json_object_get(theirs, name));
            sl_free(name);
        }
        break;
    }
    sl_buf_deinit(&scratch);
}

static inline void
oracle_rewrite(struct sl_jsonw *w, struct sl_json v)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    bool is_object = sl_json_kind(v) == SL_JSON_OBJECT;
    if (is_object || sl_json_kind(v) == SL_JSON_ARRAY) {
        is_object ? sl_jsonw_object(w) : sl_jsonw_array(w);
        for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
            sl_buf_clear(&scratch);
            if (sl_json_text(i.name, &scratch, &text) == SL_OK)
                sl_jsonw_name_slice(w, text);
            oracle_rewrite(w, i.value);
        }
        sl_jsonw_end(w);
    } else if (sl_json_text(v, &scratch, &text) == SL_OK) {
        sl_jsonw_slice(w, text);
    } else {
        sl_jsonw_value(w, v);
    }
    sl_buf_deinit(&scratch);
}

/* Written by the writer and read again, it is the same text when written once more. */
static inline void
oracle_round_trip(struct sl_json v)
{
    struct sl_buf first = {0}, second = {0};
    struct sl_json_doc *again;
    struct sl_jsonw w;
    sl_jsonw_init(&w, &first);
    oracle_rewrite(&w, v);
    sl_jsonw_done(&w);
    sl_assert(sl_json_parse(sl_buf_slice(&first), &again, NULL) == SL_OK);
    sl_jsonw_init(&w, &second);
    oracle_rewrite(&w, sl_json_root(again));
    sl_jsonw_done(&w);
    sl_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
    sl_json_destroy(&again);
    sl_buf_deinit(&first);
    sl_buf_deinit(&second);
}

/* Returns whether the text was JSON to us. */
static inline bool
oracle_check(struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    struct sl_json_error error = {0};
    json_error_t their_error;
    enum sl_err err = sl_json_parse(text, &doc, &error);
    json_t *theirs =
        json_loadb((const char *)text.data, text.size,
                   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &their_error);
    if (err == SL_OK) {
        oracle_round_trip(sl_json_root(doc));
        if (theirs == NULL) {
            enum json_error_code code = json_error_code(&their_error);
            sl_assert(code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
                      code == json_error_null_character);
        } else {
            oracle_compare(sl_json_root(doc), theirs);
        }
    } else {
        sl_assert(err == SL_EINVAL && error.what != NULL && error.offset <= text.size);
        bool has_nul = text.size > 0 && memchr(text.data, '\0', text.size) != NULL;
        sl_assert(theirs == NULL || has_nul || strcmp(error.what, "nested too deeply") == 0);
    }
    sl_json_destroy(&doc);
    sl_assert(doc == NULL);
    json_decref(theirs);
    return err == SL_OK;
}

#endif
