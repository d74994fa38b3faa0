/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <yaml.h>

#include "runtime/alloc.h"
#include "runtime/config_value.h"
#include "runtime/json.h"

#define CONFIG_MAGIC  0x636f6e66u
#define FILE_SIZE_MAX SL_MIB
#define DEPTH_MAX     8
#define MEMBER_MAX    128 /* Bytes of a name: escaped, still less than YAML's 1,024 for a key. */

struct sl_config {
    uint32_t magic;
    uint32_t count;
    const struct sl_config_key *table;
    struct sl_config_value values[];
};

/* One reading of one text. */
struct reading {
    struct sl_config *config;
    const char *name;
    yaml_parser_t yaml;
    yaml_event_t event;
    struct sl_buf path;     /* Of the mapping at hand: "a.b." */
    struct sl_buf sections; /* Paths of all mappings and keys so far, each between newlines. */
    size_t first_line;      /* Of the text within the file. */
    uint32_t depth;
    char **ret_error;
};

static void
check(const struct sl_config *config)
{
    sl_assert(config != NULL);
    sl_assert(config->magic == CONFIG_MAGIC);
}

static uint32_t
find_key(const struct sl_config *config, const char *path)
{
    uint32_t i = 0;
    while (i < config->count && strcmp(config->table[i].path, path) != 0)
        i++;
    return i;
}

/* ---- reading YAML -------------------------------------------------------------------------- */

static bool
fail(struct reading *r, size_t line, const char *key, const char *what)
{
    line += r->first_line + 1;
    if (*r->ret_error == NULL)
        *r->ret_error = key == NULL ? sl_format("%s:%zu: %s", r->name, line, what)
                                    : sl_format("%s:%zu: key %.200s: %s", r->name, line, key, what);
    return false;
}

/* The next event; the one before is released. */
static bool
next(struct reading *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->yaml, &r->event))
        return fail(r, r->yaml.problem_mark.line, NULL,
                    r->yaml.problem == NULL ? "not YAML" : r->yaml.problem);
    if (r->event.type == YAML_ALIAS_EVENT)
        return fail(r, r->event.start_mark.line, NULL, "an alias, which is not supported");
    return true;
}

/* Note that `path` was met; false when it was met before. */
static bool
meet(struct reading *r, const char *path)
{
    char *line = sl_format("\n%s\n", path);
    bool is_new = r->sections.size == 0 || strstr(sl_buf_text(&r->sections), line) == NULL;
    if (is_new)
        sl_buf_append_str(&r->sections, line);
    sl_free(line);
    return is_new;
}

/* Whether keys of the table begin with "path.". */
static bool
is_section(const struct sl_config *config, const char *path)
{
    size_t size = strlen(path);
    for (uint32_t i = 0; i < config->count; i++)
        if (strncmp(config->table[i].path, path, size) == 0 && config->table[i].path[size] == '.')
            return true;
    return false;
}

/* A name below a MAP: a key met once; the object's member of that name is begun. */
static bool
begin_member(struct reading *r, const char *path, struct sl_jsonw *w, char **ret_path)
{
    size_t line = r->event.start_mark.line;
    const char *name = (const char *)r->event.data.scalar.value;
    if (r->event.type != YAML_SCALAR_EVENT || strlen(name) != r->event.data.scalar.length)
        return fail(r, line, path, "expected a key");
    if (name[0] == '\0' || strlen(name) > MEMBER_MAX || strchr(name, '\n') != NULL)
        return fail(r, line, path,
                    "a key that is empty, longer than 128 bytes or of several lines");
    *ret_path = sl_format("%s.%s", path, name);
    if (!meet(r, *ret_path))
        return fail(r, line, *ret_path, "given twice");
    sl_jsonw_name(w, name);
    return true;
}

/* Behind the start of a mapping below a MAP. Recursion is bounded by DEPTH_MAX. */
static bool
read_free(struct reading *r, const char *path, struct sl_jsonw *w)
{
    bool is_good = true;
    if (++r->depth > DEPTH_MAX)
        return fail(r, r->event.start_mark.line, path, "nested too deeply");
    sl_jsonw_object(w);
    while (is_good && next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
        char *below = NULL;
        is_good = begin_member(r, path, w, &below) && next(r);
        if (is_good && r->event.type == YAML_SCALAR_EVENT)
            sl_jsonw_slice(w, sl_slice(r->event.data.scalar.value, r->event.data.scalar.length));
        else if (is_good && r->event.type == YAML_MAPPING_START_EVENT)
            is_good = read_free(r, below, w);
        else if (is_good)
            is_good = fail(r, r->event.start_mark.line, below, "a list, which no key takes");
        sl_free(below);
    }
    if (!is_good || r->event.type != YAML_MAPPING_END_EVENT)
        return false;
    sl_jsonw_end(w);
    r->depth--;
    return true;
}

static bool
read_map(struct reading *r, uint32_t index, const char *path, size_t line)
{
    struct sl_buf text = {0}, why = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    bool is_good = read_free(r, path, &w);
    if (is_good) {
        sl_jsonw_done(&w);
        is_good = sl_config_value_read(&r->config->table[index], sl_buf_text(&text),
                                       &r->config->values[index], &why);
        if (!is_good)
            (void)fail(r, line, path, sl_buf_text(&why));
    }
    sl_buf_deinit(&text);
    sl_buf_deinit(&why);
    return is_good;
}

/* A text in braces is keys as well: there is one form of a map, whoever wrote it. `outer` is what
 * the text was in. */
static bool
read_inner_map(const struct reading *outer, uint32_t index, const char *path, const char *text)
{
    struct reading r = {.config = outer->config,
                        .name = outer->name,
                        .depth = 1, /* As below a dotted path, which is how it is printed. */
                        .ret_error = outer->ret_error,
                        .first_line = outer->first_line + outer->event.start_mark.line};
    if (!yaml_parser_initialize(&r.yaml))
        return fail(&r, 0, path, "out of memory");
    yaml_parser_set_input_string(&r.yaml, (const uint8_t *)text, strlen(text));
    bool is_good = next(&r) && next(&r) && next(&r); /* Stream, document and mapping start. */
    is_good = is_good && read_map(&r, index, path, 0) && next(&r) && next(&r);
    if (is_good && r.event.type != YAML_STREAM_END_EVENT)
        is_good = fail(&r, r.event.start_mark.line, path, "more behind the closing brace");
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    sl_buf_deinit(&r.sections);
    return is_good;
}

static bool
read_scalar(struct reading *r, uint32_t index, const char *path)
{
    const struct sl_config_key *key = &r->config->table[index];
    struct sl_buf why = {0};
    const char *text = (const char *)r->event.data.scalar.value;
    bool is_quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool is_good = false;
    if (strlen(text) != r->event.data.scalar.length)
        sl_buf_append_str(&why, "a text with a NUL");
    else if (is_quoted && key->type != SL_CONFIG_STRING && key->type != SL_CONFIG_MAP)
        sl_buf_append_str(&why, "a quoted text where none is expected");
    else if (key->type == SL_CONFIG_MAP && text[0] == '{')
        return read_inner_map(r, index, path, text);
    else
        is_good = sl_config_value_read(key, text, &r->config->values[index], &why);
    if (!is_good)
        (void)fail(r, r->event.start_mark.line, path, sl_buf_text(&why));
    sl_buf_deinit(&why);
    return is_good;
}

static bool read_mapping(struct reading *r);

/* The value of the key whose whole path is `path`; the key was on `line`. */
static bool
read_value(struct reading *r, const char *path, size_t line)
{
    uint32_t index = find_key(r->config, path);
    bool is_known = index < r->config->count, has_parts = is_section(r->config, path);
    if (!is_known && !has_parts)
        return fail(r, line, path, "no such key");
    if (!meet(r, path))
        return fail(r, line, path, "given twice");
    if (!next(r))
        return false;
    if (r->event.type == YAML_SCALAR_EVENT) {
        if (is_known)
            return read_scalar(r, index, path);
        if (r->event.data.scalar.length == 0)
            return true; /* A section in which all is commented out. */
        return fail(r, line, path, "expected keys, got a value");
    }
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, line, path, "a list, which no key takes");
    if (is_known && r->config->table[index].type == SL_CONFIG_MAP)
        return read_map(r, index, path, line);
    if (!has_parts)
        return fail(r, line, path, "expected a value, got keys");
    size_t size = r->path.size;
    sl_buf_clear(&r->path);
    sl_buf_printf(&r->path, "%s.", path);
    bool is_good = read_mapping(r);
    r->path.size = size; /* A shorter path is a prefix of the longer one. */
    return is_good;
}

/* Behind the start of a mapping. Recursion is bounded by DEPTH_MAX. */
static bool
read_mapping(struct reading *r)
{
    if (++r->depth > DEPTH_MAX)
        return fail(r, r->event.start_mark.line, NULL, "nested too deeply");
    for (;;) {
        if (!next(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            break;
        size_t line = r->event.start_mark.line;
        if (r->event.type != YAML_SCALAR_EVENT)
            return fail(r, line, NULL, "expected a key");
        char *name =
            sl_format("%.*s%s", SL_SLICE_FMT(r->path), (const char *)r->event.data.scalar.value);
        bool is_good = strchr(name, '\n') == NULL ? read_value(r, name, line)
                                                  : fail(r, line, NULL, "a key of several lines");
        sl_free(name);
        if (!is_good)
            return false;
    }
    r->depth--;
    return true;
}

static bool
read_stream(struct reading *r)
{
    if (!next(r) || !next(r)) /* Stream start, document start. */
        return false;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return true; /* An empty file. */
    if (!next(r))
        return false;
    bool is_null = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0;
    if (!is_null && r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, r->event.start_mark.line, NULL, "expected keys");
    if (!is_null && !read_mapping(r))
        return false;
    if (!next(r) || !next(r)) /* Document end, stream end. */
        return false;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, r->event.start_mark.line, NULL, "more than one document");
    return true;
}

enum sl_err
sl_config_parse(struct sl_config *config, const char *name, struct sl_slice text, char **ret_error)
{
    check(config);
    struct reading r = {.config = config, .name = name, .ret_error = ret_error};
    *ret_error = NULL;
    if (!yaml_parser_initialize(&r.yaml))
        return SL_ENOMEM;
    yaml_parser_set_input_string(&r.yaml, text.data, text.size);
    bool is_good = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    sl_buf_deinit(&r.path);
    sl_buf_deinit(&r.sections);
    return is_good ? SL_OK : SL_EINVAL;
}

/* ---- loading ------------------------------------------------------------------------------- */

static enum sl_err
read_file(const char *path, struct sl_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = SL_OK;
    for (;;) {
        sl_buf_reserve(out, 65536);
        ssize_t size = read(fd, out->data + out->size, 65536);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            err = sl_err_from_errno(errno);
        if (size <= 0)
            break;
        out->size += (size_t)size;
        if (out->size > FILE_SIZE_MAX) {
            err = SL_ETOOBIG;
            break;
        }
    }
    close(fd);
    return err;
}

static struct sl_config *
create(const struct sl_config_key *table, uint32_t count)
{
    struct sl_config *config = sl_zalloc(sizeof(*config) + count * sizeof(config->values[0]));
    config->magic = CONFIG_MAGIC;
    config->count = count;
    config->table = table;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_buf why = {0};
        bool is_good = sl_config_value_read(&table[i], table[i].fallback, &config->values[i], &why);
        sl_assert(is_good); /* A default that its own row refuses. */
        sl_buf_deinit(&why);
    }
    return config;
}

enum sl_err
sl_config_load(const struct sl_config_key *table, uint32_t count, const char *path,
               struct sl_config **ret_config, char **ret_error)
{
    struct sl_config *config = create(table, count);
    struct sl_buf text = {0};
    enum sl_err err = SL_OK;
    *ret_error = NULL;
    if (path != NULL) {
        err = read_file(path, &text);
        if (err != SL_OK)
            *ret_error = sl_format("%s: cannot be read: the cause is %s", path, sl_err_text(err));
    }
    if (err == SL_OK && path != NULL)
        err = sl_config_parse(config, path, sl_buf_slice(&text), ret_error);
    sl_buf_deinit(&text);
    if (err != SL_OK) {
        sl_config_destroy(&config);
        return err;
    }
    *ret_config = config;
    return SL_OK;
}

struct sl_config *
sl_config_copy(const struct sl_config *config)
{
    check(config);
    struct sl_config *copy = create(config->table, config->count);
    for (uint32_t i = 0; i < config->count; i++) {
        sl_free(copy->values[i].text);
        copy->values[i] = config->values[i];
        copy->values[i].text = sl_strdup(config->values[i].text);
    }
    return copy;
}

void
sl_config_destroy(struct sl_config **config)
{
    if (*config == NULL)
        return;
    check(*config);
    for (uint32_t i = 0; i < (*config)->count; i++)
        sl_free((*config)->values[i].text);
    (*config)->magic = 0;
    sl_free(*config);
    *config = NULL;
}

enum sl_err
sl_config_set(struct sl_config *config, const char *path, const char *value, char **ret_error)
{
    check(config);
    struct sl_buf why = {0};
    uint32_t index = find_key(config, path);
    *ret_error = NULL;
    if (index == config->count) {
        *ret_error = sl_format("key %.200s: no such key", path);
        return SL_ENOTFOUND;
    }
    if (config->table[index].type == SL_CONFIG_MAP && value[0] == '{') {
        struct reading r = {.config = config, .name = path, .ret_error = ret_error};
        return read_inner_map(&r, index, path, value) ? SL_OK : SL_EINVAL;
    }
    bool is_good = sl_config_value_read(&config->table[index], value, &config->values[index], &why);
    if (!is_good)
        *ret_error = sl_format("key %s: %s", path, sl_buf_text(&why));
    sl_buf_deinit(&why);
    return is_good ? SL_OK : SL_EINVAL;
}

/* ---- values -------------------------------------------------------------------------------- */

static const struct sl_config_value *
value_of(const struct sl_config *config, uint32_t index, enum sl_config_type type)
{
    check(config);
    sl_assert(index < config->count);
    sl_assert(config->table[index].type == type);
    return &config->values[index];
}

bool
sl_config_bool(const struct sl_config *config, uint32_t index)
{
    return value_of(config, index, SL_CONFIG_BOOL)->number != 0;
}

int64_t
sl_config_int(const struct sl_config *config, uint32_t index)
{
    return value_of(config, index, SL_CONFIG_INT)->number;
}

uint64_t
sl_config_size(const struct sl_config *config, uint32_t index)
{
    return (uint64_t)value_of(config, index, SL_CONFIG_SIZE)->number;
}

uint64_t
sl_config_duration_ns(const struct sl_config *config, uint32_t index)
{
    return (uint64_t)value_of(config, index, SL_CONFIG_DURATION)->number;
}

const char *
sl_config_string(const struct sl_config *config, uint32_t index)
{
    check(config);
    sl_assert(index < config->count);
    sl_assert(config->table[index].type == SL_CONFIG_STRING ||
              config->table[index].type == SL_CONFIG_MAP);
    return config->values[index].text;
}

double
sl_config_float(const struct sl_config *config, uint32_t index)
{
    return value_of(config, index, SL_CONFIG_FLOAT)->real;
}

void
sl_config_print(const struct sl_config *config, struct sl_buf *out)
{
    check(config);
    for (uint32_t i = 0; i < config->count; i++) {
        const struct sl_config_key *key = &config->table[i];
        bool is_text = key->type == SL_CONFIG_STRING || key->type == SL_CONFIG_MAP;
        enum sl_config_type type = is_text ? SL_CONFIG_INT : key->type;
        sl_buf_printf(out, "# %s\n# Default: %s", key->doc, key->fallback);
        if (key->unit != NULL && key->unit[0] != '\0')
            sl_buf_printf(out, " (%s)", key->unit);
        if (key->type != SL_CONFIG_BOOL && (key->min != 0 || key->max != 0)) {
            sl_buf_append_str(out, is_text ? "; length " : "; ");
            sl_config_number_write(type, key->min, out);
            sl_buf_append_str(out, " to ");
            sl_config_number_write(type, key->max, out);
        }
        sl_buf_printf(out, "\n%s: ", key->path);
        sl_config_value_write(key, &config->values[i], out);
        sl_buf_append_str(out, "\n\n");
    }
}

void
sl_config_value_print(const struct sl_config *config, uint32_t index, struct sl_buf *out)
{
    check(config);
    sl_assert(index < config->count);
    sl_config_value_write(&config->table[index], &config->values[index], out);
}

/* ---- the reference ------------------------------------------------------------------------- */

static void
append_cell(const char *text, struct sl_buf *out)
{
    for (; *text != '\0'; text++)
        sl_buf_printf(out, "%s%c", *text == '|' ? "\\" : "", *text);
}

static void
append_range(const struct sl_config_key *key, struct sl_buf *out)
{
    bool is_text = key->type == SL_CONFIG_STRING || key->type == SL_CONFIG_MAP;
    enum sl_config_type type = is_text ? SL_CONFIG_INT : key->type;
    if (key->type == SL_CONFIG_BOOL || (key->min == 0 && key->max == 0))
        return;
    if (!is_text || key->min != 0) {
        sl_config_number_write(type, key->min, out);
        sl_buf_append_str(out, " to ");
    } else {
        sl_buf_append_str(out, "up to ");
    }
    sl_config_number_write(type, key->max, out);
    if (is_text)
        sl_buf_append_str(out, " bytes");
    else if (key->unit[0] != '\0')
        sl_buf_printf(out, " %s", key->unit);
}

void
sl_config_reference(const struct sl_config_key *table, uint32_t count, const char *before,
                    struct sl_buf *out)
{
    static const char *const types[] = {
        [SL_CONFIG_BOOL] = "true or false", [SL_CONFIG_INT] = "whole number",
        [SL_CONFIG_SIZE] = "size",          [SL_CONFIG_DURATION] = "duration",
        [SL_CONFIG_STRING] = "text",        [SL_CONFIG_FLOAT] = "number",
        [SL_CONFIG_MAP] = "keys or text",
    };
    sl_buf_append_str(out, "| key | type | default | range | what it is |\n"
                           "| --- | --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < count; i++) {
        const char *is_code = table[i].fallback[0] == '\0' ? "" : "`";
        sl_buf_printf(out, "| `%s%s` | %s | %s%s%s | ", before, table[i].path, types[table[i].type],
                      is_code, table[i].fallback, is_code);
        append_range(&table[i], out);
        sl_buf_append_str(out, " | ");
        append_cell(table[i].doc, out);
        sl_buf_append_str(out, " |\n");
    }
}
