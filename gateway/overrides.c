/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is walked once. At each level `at` has, for every row of the table, how much of its path
 * has been gone, or GONE_ASTRAY: so what may come next is known, and what was probably meant.
 */
#include "gateway/overrides.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/scale_settings.h"
#include "runtime/alloc.h"
#include "runtime/nearest.h"
#include "runtime/quantity.h"
#include "runtime/yaml.h"

#define GONE_ASTRAY UINT16_MAX

static const struct sl_override_row rows[] = {
#define OVERRIDE(path, type, min, max, effect, target, doc)                                        \
    {path, SL_OVERRIDE_##type, min, max, SL_OVERRIDE_##effect, target, doc},
#include "gateway/overrides.def"
};
#define ROWS SL_COUNT_OF(rows)

const struct sl_override_row *
sl_override_rows(uint32_t *ret_count)
{
    *ret_count = ROWS;
    return rows;
}

static const char *
type_text(enum sl_override_type type)
{
    static const char *const texts[] = {
        [SL_OVERRIDE_BOOL] = "true or false",
        [SL_OVERRIDE_INT] = "a whole number",
        [SL_OVERRIDE_NUMBER] = "a number",
        [SL_OVERRIDE_TEXT] = "a text",
        [SL_OVERRIDE_CPU] = "an amount of cores such as 2 or 500m",
        [SL_OVERRIDE_MEMORY] = "an amount of memory such as 48Gi",
        [SL_OVERRIDE_NAMES] = "a list of names",
        [SL_OVERRIDE_SCALE] = "a number",
        [SL_OVERRIDE_VARIABLE] = "a text",
    };
    return texts[type];
}

/* ---- notes --------------------------------------------------------------------------------- */

void
sl_overrides_note(struct sl_overrides *o, uint32_t line, bool is_error, const char *format, ...)
{
    o->errors += is_error;
    /* Remarks leave room for the faults. */
    if (o->notes_count >= SL_OVERRIDE_NOTES_MAX - (is_error ? 0 : SL_OVERRIDE_ERRORS_MAX) ||
        (is_error && o->errors > SL_OVERRIDE_ERRORS_MAX)) {
        o->is_cut = true;
        return;
    }
    if (o->notes_count == o->notes_capacity) {
        o->notes_capacity = SL_MAX(o->notes_capacity * 2, 16u);
        o->notes = sl_realloc(o->notes, o->notes_capacity * sizeof(o->notes[0]));
    }
    uint32_t at = o->notes_count++;
    for (; at > 0 && o->notes[at - 1].line > line; at--)
        o->notes[at] = o->notes[at - 1];
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    o->notes[at] =
        (struct sl_override_note){.line = line, .is_error = is_error, .text = sl_strdup(text)};
}

void
sl_overrides_print(const struct sl_overrides *o, const char *name, bool has_remarks,
                   struct sl_buf *out)
{
    for (uint32_t i = 0; i < o->notes_count; i++) {
        const struct sl_override_note *n = &o->notes[i];
        if (n->is_error || has_remarks)
            sl_buf_printf(out, "%s:%u: %s%s\n", name, n->line,
                          n->is_error ? "" : "note: ", n->text);
    }
    if (o->is_cut || o->errors >= SL_OVERRIDE_ERRORS_MAX)
        sl_buf_printf(out, "%s: there is more to say\n", name);
}

/* ---- values -------------------------------------------------------------------------------- */

static bool
read_decimal(const char *text, double *ret_number)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789.") != strlen(text))
        return false;
    *ret_number = strtod(text, &end);
    return *end == '\0';
}

static bool
read_bool(const char *text, double *ret_number)
{
    *ret_number = strcmp(text, "true") == 0;
    return *ret_number == 1 || strcmp(text, "false") == 0;
}

/* Whoever sets how a process is loaded runs what they like in it. */
const char *
sl_variable_fault(const char *name, const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    if (strspn(name, letters) != strlen(name) || (name[0] >= '0' && name[0] <= '9'))
        return "the name of a variable has letters, digits and _ only, no digit first";
    if (strncmp(name, "LD_", 3) == 0 || strncmp(name, "SLUICE_", 7) == 0 ||
        strncmp(name, "GLIBC_", 6) == 0 || strcmp(name, "GCONV_PATH") == 0)
        return "variables LD_, GLIBC_ and SLUICE_, and GCONV_PATH, steer sluice itself and are not "
               "taken";
    return strlen(text) > 4096 ? "a variable has at most 4096 bytes" : NULL;
}

static bool
read_scale(struct sl_overrides *o, const struct sl_override *item)
{
    struct sl_scale_settings scratch = sl_scale_settings_default();
    const char *dot = strrchr(item->row->path, '.');
    const char *name = item->names[1] != NULL ? item->names[1] : dot + 1;
    char *why = NULL;
    if (sl_scale_settings_set(&scratch, name, item->text, &why) == SL_OK)
        return true;
    sl_overrides_note(o, item->line, true, "%s: %s", item->path, why);
    sl_free(why);
    return false;
}

static bool
read_typed(struct sl_override *item)
{
    switch (item->row->type) {
    case SL_OVERRIDE_BOOL:
        return read_bool(item->text, &item->number);
    case SL_OVERRIDE_INT:
        return strchr(item->text, '.') == NULL && strlen(item->text) <= 15 &&
               read_decimal(item->text, &item->number);
    case SL_OVERRIDE_NUMBER:
        return strlen(item->text) <= 40 && read_decimal(item->text, &item->number);
    case SL_OVERRIDE_CPU:
    case SL_OVERRIDE_MEMORY:
        return sl_quantity_read(item->text, &item->number);
    default:
        return true;
    }
}

static void
note_range(struct sl_overrides *o, const struct sl_override *item)
{
    const struct sl_override_row *row = item->row;
    char most[24] = "1Pi";
    if (row->type != SL_OVERRIDE_MEMORY)
        (void)snprintf(most, sizeof(most), "%" PRId64, row->max);
    sl_overrides_note(o, item->line, true, "%s: %s is not between %" PRId64 " and %s", item->path,
                      item->text, row->min, most);
}

/* Whether the value is one that its row takes; else that is noted. */
static bool
check_value(struct sl_overrides *o, struct sl_override *item, bool is_quoted)
{
    const struct sl_override_row *row = item->row;
    bool is_plain = row->type <= SL_OVERRIDE_NUMBER || row->type == SL_OVERRIDE_SCALE;
    bool is_ranged = row->min != 0 || row->max != 0;
    if (item->text[0] == '\0' && !is_quoted) {
        sl_overrides_note(o, item->line, true, "%s: has no value", item->path);
        return false;
    }
    if (row->type == SL_OVERRIDE_VARIABLE) {
        const char *fault = sl_variable_fault(item->names[0], item->text);
        if (fault != NULL)
            sl_overrides_note(o, item->line, true, "%s: %s", item->path, fault);
        return fault == NULL;
    }
    if (row->type == SL_OVERRIDE_SCALE && !is_quoted)
        return read_scale(o, item);
    if ((is_quoted && is_plain) || !read_typed(item)) {
        sl_overrides_note(o, item->line, true, "%s: expected %s, got %s%.60s%s", item->path,
                          type_text(row->type), is_quoted ? "the text \"" : "", item->text,
                          is_quoted ? "\"" : "");
        return false;
    }
    if (is_ranged && (item->number < (double)row->min || item->number > (double)row->max)) {
        note_range(o, item);
        return false;
    }
    return true;
}

/* ---- walking ------------------------------------------------------------------------------- */

struct walk {
    struct sl_overrides *o;
    struct sl_buf path;
    const char *names[2];
    uint32_t names_count;
};

/* Go on by `name`: how many rows lead there. */
static uint32_t
step(const uint16_t from[ROWS], const char *name, uint16_t to[ROWS], bool *ret_is_free)
{
    size_t size = strlen(name);
    uint32_t alive = 0;
    *ret_is_free = false;
    for (size_t i = 0; i < ROWS; i++) {
        const char *path = rows[i].path + (from[i] == GONE_ASTRAY ? 0 : from[i]);
        bool is_free = path[0] == '*';
        size_t gone = is_free ? 1 : size;
        bool is_so = is_free || strncmp(path, name, size) == 0;
        to[i] = GONE_ASTRAY;
        if (from[i] == GONE_ASTRAY || path[0] == '\0' || !is_so ||
            (path[gone] != '.' && path[gone] != '\0'))
            continue;
        to[i] = (uint16_t)(from[i] + gone + (path[gone] == '.'));
        *ret_is_free = *ret_is_free || is_free;
        alive++;
    }
    return alive;
}

/* The row that ends here; NULL: none does. */
static const struct sl_override_row *
row_at(const uint16_t at[ROWS])
{
    for (size_t i = 0; i < ROWS; i++) {
        if (at[i] != GONE_ASTRAY && rows[i].path[at[i]] == '\0')
            return &rows[i];
    }
    return NULL;
}

static bool
is_section(const uint16_t at[ROWS])
{
    for (size_t i = 0; i < ROWS; i++) {
        if (at[i] != GONE_ASTRAY && rows[i].path[at[i]] != '\0')
            return true;
    }
    return false;
}

/* Bytes of the next part of a row's path: up to a dot that is not within a name such as
 * nvidia.com/gpu. */
static size_t
part_size(const char *path)
{
    size_t size = strcspn(path, ".");
    bool is_domain = strncmp(path + size, ".com/", 5) == 0;
    return is_domain ? size + 1 + strcspn(path + size + 1, ".") : size;
}

static void
note_unknown(struct walk *k, const struct sl_yaml_node *node, const uint16_t at[ROWS])
{
    struct sl_slice name = sl_slice_str(node->name), best = {0};
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < ROWS; i++) {
        if (at[i] == GONE_ASTRAY || rows[i].path[at[i]] == '\0')
            continue;
        struct sl_slice part = sl_slice(rows[i].path + at[i], part_size(rows[i].path + at[i]));
        uint32_t distance = sl_text_distance(name, part);
        if (distance < least) {
            least = distance;
            best = part;
        }
    }
    if (sl_is_near(name, best, least))
        sl_overrides_note(k->o, node->line, true, "%s: no such key; is %.*s meant?",
                          sl_buf_text(&k->path), SL_SLICE_FMT(best));
    else
        sl_overrides_note(k->o, node->line, true, "%s: no such key", sl_buf_text(&k->path));
}

static bool
is_twice(const struct sl_overrides *o, const struct sl_override *item, uint32_t *ret_line)
{
    if (item->row->type == SL_OVERRIDE_NAMES)
        return false;
    for (uint32_t i = 0; i < o->count; i++) {
        const struct sl_override *other = &o->items[i];
        bool is_same = other->row == item->row;
        for (size_t k = 0; k < 2 && is_same; k++)
            is_same = item->names[k] == NULL || strcmp(item->names[k], other->names[k]) == 0;
        *ret_line = other->line;
        if (is_same)
            return true;
    }
    return false;
}

static void
free_item(struct sl_override *item)
{
    sl_free(item->path);
    sl_free(item->names[0]);
    sl_free(item->names[1]);
    sl_free(item->text);
}

static bool
is_full(const struct sl_overrides *o)
{
    return o->errors >= SL_OVERRIDE_ERRORS_MAX || o->is_full;
}

static void
add(struct walk *k, const struct sl_override_row *row, const struct sl_yaml_node *node,
    struct sl_slice text)
{
    struct sl_overrides *o = k->o;
    uint32_t before;
    if (is_full(o))
        return;
    if (o->count == SL_OVERRIDES_MAX) {
        sl_overrides_note(o, node->line, true, "the file has more than %u values",
                          SL_OVERRIDES_MAX);
        o->is_full = true;
        return;
    }
    struct sl_override item = {.row = row,
                               .line = node->line,
                               .path = sl_strdup(sl_buf_text(&k->path)),
                               .text = sl_strndup(text.data, text.size)};
    for (uint32_t i = 0; i < k->names_count; i++)
        item.names[i] = sl_strdup(k->names[i]);
    bool is_good = check_value(o, &item, node->is_quoted);
    if (is_good && is_twice(o, &item, &before)) {
        sl_overrides_note(o, node->line, true, "%s: given twice, first in line %u", item.path,
                          before);
        is_good = false;
    }
    if (!is_good) {
        free_item(&item);
        return;
    }
    if (row->effect == SL_OVERRIDE_NONE)
        sl_overrides_note(o, node->line, false, "%s: accepted; no effect: %s", item.path,
                          row->target);
    if (o->count == o->capacity) {
        o->capacity = SL_MAX(o->capacity * 2, 16u);
        o->items = sl_realloc(o->items, o->capacity * sizeof(o->items[0]));
    }
    o->items[o->count++] = item;
}

/* One of a list's, or of a text with commas. */
static void
add_name(struct walk *k, const struct sl_override_row *row, const struct sl_yaml_node *node,
         struct sl_slice name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.:-";
    char *text = sl_strndup(name.data, name.size);
    if (name.size == 0 || name.size > SL_OVERRIDE_NAME_MAX || strspn(text, letters) != name.size)
        sl_overrides_note(k->o, node->line, true,
                          "%s: \"%.70s\" is no name: 1 to 64 letters, digits, '_', '-', '.', ':'",
                          sl_buf_text(&k->path), text);
    else
        add(k, row, node, name);
    sl_free(text);
}

static void
add_names(struct walk *k, const struct sl_override_row *row, const struct sl_yaml_node *node)
{
    if (node->kind == SL_YAML_SCALAR) {
        for (const char *at = node->text; *at != '\0' && !is_full(k->o);) {
            at += strspn(at, ", ");
            size_t size = strcspn(at, ", ");
            if (size > 0)
                add_name(k, row, node, sl_slice(at, size));
            at += size;
        }
        return;
    }
    for (const struct sl_yaml_node *n = node->first; n != NULL && !is_full(k->o); n = n->next) {
        if (n->kind == SL_YAML_SCALAR)
            add_name(k, row, n, sl_slice_str(n->text));
        else
            sl_overrides_note(k->o, n->line, true, "%s: expected a name", sl_buf_text(&k->path));
    }
}

static void
visit_value(struct walk *k, const struct sl_yaml_node *node, const uint16_t at[ROWS])
{
    const struct sl_override_row *row = row_at(at);
    bool is_scalar = node->kind == SL_YAML_SCALAR;
    if (row != NULL && row->type == SL_OVERRIDE_NAMES)
        add_names(k, row, node);
    else if (row != NULL && is_scalar)
        add(k, row, node, sl_slice_str(node->text));
    else if (row == NULL && is_scalar && node->text[0] == '\0' && !node->is_quoted)
        return; /* A section in which all is commented out. */
    else
        sl_overrides_note(k->o, node->line, true, "%s: expected %s, got %s", sl_buf_text(&k->path),
                          row == NULL ? "keys" : type_text(row->type),
                          is_scalar ? "a value" : "a list");
}

static void visit(struct walk *k, const struct sl_yaml_node *node, const uint16_t at[ROWS]);

static bool
is_good_name(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";
    size_t size = strlen(name);
    return size > 0 && size <= SL_OVERRIDE_NAME_MAX && strspn(name, letters) == size;
}

static void
visit_member(struct walk *k, const struct sl_yaml_node *node, const uint16_t from[ROWS])
{
    uint16_t at[ROWS];
    bool is_free;
    size_t size = k->path.size;
    uint32_t alive = step(from, node->name, at, &is_free);
    sl_buf_printf(&k->path, "%s%s", size == 0 ? "" : ".", node->name);
    if (alive == 0) {
        note_unknown(k, node, from);
    } else if (is_free && !is_good_name(node->name)) {
        sl_overrides_note(k->o, node->line, true,
                          "%s: a name has 1 to 64 letters, digits, '_', '-' and '.'",
                          sl_buf_text(&k->path));
    } else {
        if (is_free)
            k->names[k->names_count++] = node->name;
        visit(k, node, at);
        k->names_count -= is_free;
    }
    k->path.size = size;
}

/* As deep as the longest path of the table. */
static void
visit(struct walk *k, const struct sl_yaml_node *node, const uint16_t at[ROWS])
{
    if (node->kind != SL_YAML_MAP) {
        visit_value(k, node, at);
        return;
    }
    if (!is_section(at)) {
        sl_overrides_note(k->o, node->line, true, "%s: expected %s, got keys",
                          sl_buf_text(&k->path), type_text(row_at(at)->type));
        return;
    }
    for (const struct sl_yaml_node *n = node->first; n != NULL && !is_full(k->o); n = n->next)
        visit_member(k, n, at);
}

/* ---- what fits together -------------------------------------------------------------------- */

/* The value of the key `name` beside that of `item`; NULL: there is none. */
static const struct sl_override *
beside(const struct sl_overrides *o, const struct sl_override *item, const char *name)
{
    size_t size = (size_t)(strrchr(item->path, '.') + 1 - item->path);
    for (uint32_t i = 0; i < o->count; i++) {
        const char *path = o->items[i].path;
        if (strncmp(path, item->path, size) == 0 && strcmp(path + size, name) == 0)
            return &o->items[i];
    }
    return NULL;
}

static void
check_pairs(struct sl_overrides *o)
{
    static const struct {
        const char *least, *most;
    } pairs[] = {
        {"minReplicas", "maxReplicas"}, {"min_nodes", "max_nodes"}, {"replicas", "maxReplicas"}};
    for (uint32_t i = 0; i < o->count; i++) {
        struct sl_override *item = &o->items[i];
        const char *dot = strrchr(item->path, '.');
        for (size_t k = 0; dot != NULL && k < SL_COUNT_OF(pairs); k++) {
            const struct sl_override *most =
                strcmp(dot + 1, pairs[k].least) == 0 ? beside(o, item, pairs[k].most) : NULL;
            if (most == NULL || item->number <= most->number)
                continue;
            item->is_bad = true;
            sl_overrides_note(o, item->line, true, "%s: %s is more than %s in line %u, %s",
                              item->path, item->text, pairs[k].most, most->line, most->text);
        }
    }
}

/* num_replicas says that there is no autoscaling. */
static void
check_scales(struct sl_overrides *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct sl_override *fixed = &o->items[i];
        if (strcmp(fixed->row->path, "overrides.*.num_replicas") != 0)
            continue;
        for (uint32_t k = 0; k < o->count; k++) {
            const struct sl_override *item = &o->items[k];
            if (item->row->type == SL_OVERRIDE_SCALE &&
                strcmp(item->names[0], fixed->names[0]) == 0) {
                fixed->is_bad = true;
                sl_overrides_note(o, fixed->line, true,
                                  "%s: so many always, or autoscaling (line %u): not both",
                                  fixed->path, item->line);
                break;
            }
        }
    }
}

struct sl_overrides *
sl_overrides_read(struct sl_slice text)
{
    struct sl_overrides *o = sl_zalloc(sizeof(*o));
    struct walk k = {.o = o};
    struct sl_yaml_node *root = NULL;
    uint16_t at[ROWS] = {0};
    uint32_t line;
    char *why;
    if (sl_yaml_read(text, &root, &line, &why) != SL_OK) {
        sl_overrides_note(o, line, true, "%s", why);
        sl_free(why);
    } else if (root != NULL && root->kind != SL_YAML_MAP) {
        sl_overrides_note(o, root->line, true, "expected keys");
    } else if (root != NULL) {
        visit(&k, root, at);
        check_pairs(o);
        check_scales(o);
    }
    sl_yaml_destroy(&root);
    sl_buf_deinit(&k.path);
    return o;
}

void
sl_overrides_destroy(struct sl_overrides **overrides)
{
    struct sl_overrides *o = *overrides;
    *overrides = NULL;
    if (o == NULL)
        return;
    for (uint32_t i = 0; i < o->count; i++)
        free_item(&o->items[i]);
    for (uint32_t i = 0; i < o->notes_count; i++)
        sl_free(o->notes[i].text);
    sl_free(o->items);
    sl_free(o->notes);
    sl_free(o);
}

/* ---- the reference ------------------------------------------------------------------------- */

static void
append_type(const struct sl_override_row *row, struct sl_buf *out)
{
    sl_buf_append_str(out, type_text(row->type));
    if (row->type == SL_OVERRIDE_MEMORY)
        sl_buf_printf(out, ", %" PRId64 " to 1Pi", row->min);
    else if (row->min != 0 || row->max != 0)
        sl_buf_printf(out, ", %" PRId64 " to %" PRId64, row->min, row->max);
}

void
sl_overrides_reference(struct sl_buf *out)
{
    sl_buf_append_str(out, "| key | value | what it is | in sluice |\n"
                           "| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ROWS; i++) {
        const struct sl_override_row *row = &rows[i];
        sl_buf_printf(out, "| `%s` | ", row->path);
        append_type(row, out);
        sl_buf_printf(out, " | %s | ", row->doc);
        if (row->effect == SL_OVERRIDE_NONE)
            sl_buf_printf(out, "no effect: %s", row->target);
        else
            sl_buf_printf(out, "`%s`%s", row->target,
                          row->effect == SL_OVERRIDE_LIVE ? "" : ", after a restart");
        sl_buf_append_str(out, " |\n");
    }
}
