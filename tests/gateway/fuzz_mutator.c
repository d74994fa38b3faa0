/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutations that know requests: another operation with ids that exist, a member that some schema
 * has, a value of another kind. Every second mutation is libFuzzer's own.
 */
#include <stdio.h>

#include "gateway/route.h"
#include "runtime/random.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed);

static const char *const values[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "18446744073709551616",
    "9007199254740993",
    "0.5",
    "\"\"",
    "\"$b\"",
    "\"$c\"",
    "\"$o\"",
    "\"$d\"",
    "\"$q\"",
    "\"$r\"",
    "\"$n\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[\"$o\"]",
    "[\"$o\",\"$o\"]",
    "{\"a\":1}",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"{{INPUT.query}}\"",
    "\"..\"",
    "\"a/b\"",
    "\"a.b.c\"",
    "{\"AND\":[{\"field\":\"content\",\"operator\":\"eq\",\"value\":1}]}",
    "{\"field\":\"content\",\"operator\":\"contains\",\"value\":\"tea\"}",
    "\"mixpeek://text_extractor@v1/text_hash_v1\"",
    "\"http://example.org/\"",
};

static const char *const headers[] = {
    "X-Namespace: $n",          "X-Namespace: other",
    "Idempotency-Key: a",       "Authorization: Bearer sk_a",
    "Authorization: Bearer $k", "Content-Type: text/xml",
    "X-Tenant-Id: acme",        "User-Agent: mixpeek-python/1.0",
};

/* Put `text` in the place of `cut` bytes at `at`; no change where there is no room. */
static size_t
splice(uint8_t *data, size_t size, size_t size_max, struct sl_slice text, size_t at, size_t cut)
{
    if (size - cut + text.size > size_max)
        return size;
    memmove(data + at + text.size, data + at + cut, size - at - cut);
    memcpy(data + at, text.data, text.size);
    return size - cut + text.size;
}

static size_t
line_end(const uint8_t *data, size_t size)
{
    const uint8_t *at = memchr(data, '\n', size);
    return at == NULL ? size : (size_t)(at - data);
}

/* The id that fits a parameter, mostly. */
static char
letter_of(const char *parameter, struct sl_random *r)
{
    static const struct {
        const char *begin;
        char letter;
    } names[] = {{"bucket", 'b'},    {"collection", 'c'}, {"object", 'o'},    {"document", 'd'},
                 {"batch", 'q'},     {"task", 't'},       {"retriever", 'r'}, {"execution", 'e'},
                 {"namespace", 'n'}, {"webhook", 'w'},    {"upload", 'u'}};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (strncmp(parameter, names[i].begin, strlen(names[i].begin)) == 0 &&
            sl_random_below(r, 8) != 0)
            return names[i].letter;
    }
    return (char)('a' + sl_random_below(r, 26));
}

static size_t
change_operation(uint8_t *data, size_t size, size_t size_max, struct sl_random *r)
{
    uint32_t count;
    const struct sl_route *route = sl_routes(&count);
    route += sl_random_below(r, count);
    if (route->method >= SL_METHOD_COUNT)
        return size;
    char line[512];
    size_t used = (size_t)snprintf(line, sizeof(line), "%s ", sl_method_name(route->method));
    for (const char *at = route->path; *at != '\0' && used < sizeof(line) - 2; at++) {
        line[used++] = *at == '{' ? '$' : *at;
        if (*at == '{') {
            line[used++] = letter_of(at + 1, r);
            at = strchr(at, '}');
        }
    }
    return splice(data, size, size_max, sl_slice(line, used), 0, line_end(data, size));
}

static const struct sl_field *
any_field(struct sl_random *r)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    for (int tries = 0; tries < 20; tries++) {
        const struct sl_field *fields = routes[sl_random_below(r, count)].schema;
        uint32_t fields_count = 0;
        while (fields != NULL && fields[fields_count].name != NULL)
            fields_count++;
        if (fields_count == 0)
            continue;
        const struct sl_field *field = &fields[sl_random_below(r, fields_count)];
        if (field->fields == NULL || sl_random_below(r, 2) == 0)
            return field;
        return &field->fields[0];
    }
    return NULL;
}

/* After a brace or a comma of the body, else a body of its own. */
static size_t
add_member(uint8_t *data, size_t size, size_t size_max, struct sl_random *r)
{
    const struct sl_field *field = any_field(r);
    char text[256];
    size_t from = size == 0 ? 0 : sl_random_below(r, size), at = from;
    if (field == NULL)
        return size;
    const char *value = values[sl_random_below(r, SL_COUNT_OF(values))];
    while (at < size && data[at] != '{' && data[at] != ',')
        at++;
    bool has_place = at < size;
    bool has_body = memmem(data, size, "\n\n", 2) != NULL;
    int used = snprintf(text, sizeof(text), has_place ? "\"%s\":%s," : "%s{\"%s\":%s}",
                        has_place ? field->name : (has_body ? "" : "\n\n"),
                        has_place ? value : field->name, value);
    if (used < 0 || (size_t)used >= sizeof(text))
        return size;
    return splice(data, size, size_max, sl_slice(text, (size_t)used), has_place ? at + 1 : size, 0);
}

/* What follows a colon, up to the next mark of JSON. */
static size_t
change_value(uint8_t *data, size_t size, size_t size_max, struct sl_random *r)
{
    const char *value = values[sl_random_below(r, SL_COUNT_OF(values))];
    size_t at = size == 0 ? 0 : sl_random_below(r, size), end;
    while (at < size && data[at] != ':' && data[at] != '[')
        at++;
    if (at == size)
        return size;
    for (end = ++at; end < size && strchr(",]}\n", data[end]) == NULL; end++)
        ;
    return splice(data, size, size_max, sl_slice_str(value), at, end - at);
}

static size_t
add_header(uint8_t *data, size_t size, size_t size_max, struct sl_random *r)
{
    char text[128];
    const char *header = headers[sl_random_below(r, SL_COUNT_OF(headers))];
    int used = snprintf(text, sizeof(text), "\n%s", header);
    return splice(data, size, size_max, sl_slice(text, (size_t)used), line_end(data, size), 0);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
    struct sl_random r;
    sl_random_seed(&r, seed);
    switch (sl_random_below(&r, 10)) {
    case 0:
        return change_operation(data, size, size_max, &r);
    case 1:
    case 2:
        return add_member(data, size, size_max, &r);
    case 3:
        return change_value(data, size, size_max, &r);
    case 4:
        return add_header(data, size, size_max, &r);
    default:
        return LLVMFuzzerMutate(data, size, size_max);
    }
}
