/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - JSON without a tree: a document is checked strictly once, tokenised in place (jsmn), and
 * read through views; text is built by a writer that can splice parts of a document verbatim. So
 * numbers a user sent come back digit by digit, and a body costs one token array, not a heap of
 * nodes.
 *
 * Checked: RFC 8259 grammar, UTF-8 (no lone surrogate escapes), nesting <= SL_JSON_DEPTH_MAX, no
 * duplicate member names in one object, nothing after the value.
 */
#ifndef SL_RUNTIME_JSON_H
#define SL_RUNTIME_JSON_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_JSON_DEPTH_MAX 64

enum sl_json_kind {
    SL_JSON_NONE = 0, /* No value: a member that is absent, or the view of an empty document. */
    SL_JSON_NULL,
    SL_JSON_BOOL,
    SL_JSON_NUMBER,
    SL_JSON_STRING,
    SL_JSON_ARRAY,
    SL_JSON_OBJECT
};

struct sl_json_doc; /* Opaque. Owns the token array; borrows the text, which must outlive it. */

/* A value inside a document. Copy freely; valid while the document and its text live. */
struct sl_json {
    const struct sl_json_doc *doc;
    uint32_t token;
};

/* What was wrong with a text, for a 400 reply. */
struct sl_json_error {
    size_t offset;    /* Bytes from the start. */
    uint32_t line;    /* From 1. */
    uint32_t column;  /* From 1, in bytes. */
    const char *what; /* Static text, e.g. "expected ',' or '}'". */
};

/* Check and tokenise. SL_EINVAL (fills *ret_error, may be NULL). SL_ETOOBIG: over 2 GiB. */
SL_MUST_CHECK enum sl_err sl_json_parse(struct sl_slice text, struct sl_json_doc **ret_doc,
                                        struct sl_json_error *ret_error);
void sl_json_destroy(struct sl_json_doc **doc); /* NULL inside is fine. */

struct sl_json sl_json_root(const struct sl_json_doc *doc); /* NULL gives a NONE view. */

/* All readers accept a NONE view and then answer "absent". */
enum sl_json_kind sl_json_kind(struct sl_json v);
static inline bool
sl_json_has(struct sl_json v) /* Present and not null. */
{
    enum sl_json_kind kind = sl_json_kind(v);
    return kind != SL_JSON_NONE && kind != SL_JSON_NULL;
}
struct sl_slice sl_json_raw(struct sl_json v); /* The value's text, verbatim, quotes included. */

/* Member by name (compared after unescaping); NONE when absent or not an object. */
struct sl_json sl_json_member(struct sl_json object, const char *name);
struct sl_json sl_json_member_slice(struct sl_json object, struct sl_slice name);
/* By dotted path, "a.b.2.c": members and array indexes. Tries the whole rest as one name first. */
struct sl_json sl_json_path(struct sl_json v, struct sl_slice path);
uint32_t sl_json_count(struct sl_json v); /* Elements or members; 0 for anything else. */

/*
 * Walk an array or an object:  for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);)
 * i.value is the element; i.name the member's name, a STRING view (NONE in arrays).
 */
struct sl_json_iter {
    struct sl_json name, value;
    uint32_t next, left;
};
struct sl_json_iter sl_json_iter(struct sl_json v);
bool sl_json_next(struct sl_json_iter *i);

/*
 * Text of a STRING. Where it has no escapes, *ret_text borrows from the document's text; else it is
 * unescaped into `scratch` (appended) and lives until scratch grows or is cleared... so use one
 * scratch a string, or copy. SL_EINVAL: not a string.
 */
SL_MUST_CHECK enum sl_err sl_json_text(struct sl_json v, struct sl_buf *scratch,
                                       struct sl_slice *ret_text);
char *sl_json_strdup(struct sl_json v); /* Owned; NULL when not a string or has a NUL. */
bool sl_json_is(struct sl_json v, const char *text); /* A STRING equal to text. */

bool sl_json_bool(struct sl_json v, bool fallback); /* fallback when not a BOOL. */
/* Exact integers only ("5", "-3"; not "5.0", "5e0"). SL_EINVAL: not one; or outside the type. */
SL_MUST_CHECK enum sl_err sl_json_i64(struct sl_json v, int64_t *ret_value);
SL_MUST_CHECK enum sl_err sl_json_u64(struct sl_json v, uint64_t *ret_value);
/* Any number that is finite as a double. SL_EINVAL otherwise. */
SL_MUST_CHECK enum sl_err sl_json_f64(struct sl_json v, double *ret_value);

/* ---- writing ------------------------------------------------------------------------------- */

/*
 * Appends to a buffer; commas are its business. Misuse (a value where a name is due) asserts.
 * In place: sl_jsonw_init, then sl_jsonw_done checks that everything is closed.
 */
struct sl_jsonw {
    struct sl_buf *out;
    uint64_t is_object; /* Bit d: the container at depth d is an object. */
    uint64_t has_items; /* Bit d: it has an item already. */
    uint8_t depth;
    bool has_name; /* A member name was written; its value is due. */
};

void sl_jsonw_init(struct sl_jsonw *w, struct sl_buf *out);
void sl_jsonw_object(struct sl_jsonw *w);
void sl_jsonw_array(struct sl_jsonw *w);
void sl_jsonw_end(struct sl_jsonw *w); /* Closes the innermost object or array. */
void sl_jsonw_done(struct sl_jsonw *w);
void sl_jsonw_name(struct sl_jsonw *w, const char *name);
void sl_jsonw_name_slice(struct sl_jsonw *w, struct sl_slice name);
void sl_jsonw_null(struct sl_jsonw *w);
void sl_jsonw_bool(struct sl_jsonw *w, bool v);
void sl_jsonw_i64(struct sl_jsonw *w, int64_t v);
void sl_jsonw_u64(struct sl_jsonw *w, uint64_t v);
void sl_jsonw_f64(struct sl_jsonw *w, double v); /* Shortest that reads back; NaN -> null. */
void sl_jsonw_f32(struct sl_jsonw *w, float v);
void sl_jsonw_str(struct sl_jsonw *w, const char *text);       /* NULL writes null. */
void sl_jsonw_slice(struct sl_jsonw *w, struct sl_slice text); /* Invalid UTF-8 becomes U+FFFD. */
void sl_jsonw_raw(struct sl_jsonw *w,
                  struct sl_slice json);                   /* Valid JSON text, spliced as it is. */
void sl_jsonw_value(struct sl_jsonw *w, struct sl_json v); /* Verbatim; NONE writes null. */
void sl_jsonw_time(struct sl_jsonw *w, uint64_t wall_ms);  /* RFC 3339 string; 0 writes null. */

/* name and value in one call */
void sl_jsonw_member_str(struct sl_jsonw *w, const char *name, const char *text);
void sl_jsonw_member_slice(struct sl_jsonw *w, const char *name, struct sl_slice text);
void sl_jsonw_member_i64(struct sl_jsonw *w, const char *name, int64_t v);
void sl_jsonw_member_u64(struct sl_jsonw *w, const char *name, uint64_t v);
void sl_jsonw_member_f64(struct sl_jsonw *w, const char *name, double v);
void sl_jsonw_member_bool(struct sl_jsonw *w, const char *name, bool v);
void sl_jsonw_member_null(struct sl_jsonw *w, const char *name);
void sl_jsonw_member_raw(struct sl_jsonw *w, const char *name, struct sl_slice json);
void sl_jsonw_member_value(struct sl_jsonw *w, const char *name, struct sl_json v);
void sl_jsonw_member_time(struct sl_jsonw *w, const char *name, uint64_t wall_ms);

#endif
