/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/catalogue.h"

#include <assert.h>
#include <endian.h>

#include "runtime/alloc.h"
#include "runtime/catalogue_backend.h"

#define CATALOGUE_MAGIC 0x63617461u
#define FORMAT_VERSION  1
#define HEAD_SIZE       9 /* Scope and table in front of a key. */
#define FULL_SIZE_MAX   ((size_t)512)

/* Shorter than any row's key, so they are in nobody's scope. */
#define KEY_VERSION  "V"
#define KEY_POSITION "P"

static_assert(HEAD_SIZE + SL_KEY_SIZE_MAX <= 511, "what LMDB takes as a key");

struct sl_catalogue {
    uint32_t magic;
    struct sl_catalogue_backend backend;
    uint64_t position, position_committed;
    uint64_t dirty_bytes, dirty_ops;
};

static void
check(const struct sl_catalogue *c)
{
    sl_assert(c != NULL);
    sl_assert(c->magic == CATALOGUE_MAGIC);
}

static enum sl_err
backend_get(struct sl_catalogue *c, struct sl_slice key, struct sl_slice *ret_value)
{
    return c->backend.ops->get(c->backend.self, key, ret_value);
}

static enum sl_err
backend_put(struct sl_catalogue *c, struct sl_slice key, struct sl_slice value)
{
    return c->backend.ops->put(c->backend.self, key, value);
}

/* ---- open ---------------------------------------------------------------------------------- */

/* A number kept under a reserved key; absent: 0. */
static enum sl_err
read_number(struct sl_catalogue *c, const char *name, uint64_t *ret_number)
{
    struct sl_slice value;
    enum sl_err err = backend_get(c, sl_slice_str(name), &value);
    *ret_number = 0;
    if (err != SL_OK)
        return err == SL_ENOTFOUND ? SL_OK : err;
    if (value.size != sizeof(*ret_number))
        return SL_ECORRUPT;
    memcpy(ret_number, value.data, sizeof(*ret_number));
    *ret_number = le64toh(*ret_number);
    return SL_OK;
}

static enum sl_err
write_number(struct sl_catalogue *c, const char *name, uint64_t number)
{
    number = htole64(number);
    return backend_put(c, sl_slice_str(name), sl_slice(&number, sizeof(number)));
}

static enum sl_err
read_head(struct sl_catalogue *c)
{
    uint64_t version;
    enum sl_err err = read_number(c, KEY_VERSION, &version);
    if (err == SL_OK)
        err = read_number(c, KEY_POSITION, &c->position);
    if (err != SL_OK)
        return err;
    c->position_committed = c->position;
    if (version == 0)
        return write_number(c, KEY_VERSION, FORMAT_VERSION);
    return version == FORMAT_VERSION ? SL_OK : SL_EVERSION;
}

enum sl_err
sl_catalogue_open(const struct sl_catalogue_options *options, struct sl_catalogue **ret_catalogue)
{
    struct sl_catalogue *c = sl_zalloc(sizeof(*c));
    c->magic = CATALOGUE_MAGIC;
    enum sl_err err = options->memory == NULL ? sl_catalogue_open_lmdb(options, &c->backend)
                                              : sl_catalogue_open_memory(options, &c->backend);
    if (err == SL_OK)
        err = read_head(c);
    if (err != SL_OK) {
        sl_catalogue_close(&c);
        return err;
    }
    *ret_catalogue = c;
    return SL_OK;
}

void
sl_catalogue_close(struct sl_catalogue **catalogue)
{
    struct sl_catalogue *c = *catalogue;
    if (c == NULL)
        return;
    check(c);
    if (c->backend.self != NULL)
        c->backend.ops->close(c->backend.self);
    c->magic = 0;
    sl_free(c);
    *catalogue = NULL;
}

/* ---- rows ---------------------------------------------------------------------------------- */

uint64_t
sl_catalogue_position(const struct sl_catalogue *c)
{
    check(c);
    return c->position;
}

void
sl_catalogue_position_set(struct sl_catalogue *c, uint64_t position)
{
    check(c);
    c->position = position;
}

static void
put_head(uint8_t *full, struct sl_scope scope, uint8_t table)
{
    uint64_t id = htobe64(scope.id);
    memcpy(full, &id, sizeof(id));
    full[8] = table;
}

/* The whole key of a row; size 0: the row's key is empty or too long. */
static struct sl_slice
full_key(uint8_t full[static FULL_SIZE_MAX], struct sl_scope scope, uint8_t table,
         struct sl_slice key)
{
    if (key.size == 0 || key.size > SL_KEY_SIZE_MAX)
        return (struct sl_slice){0};
    put_head(full, scope, table);
    memcpy(full + HEAD_SIZE, key.data, key.size);
    return sl_slice(full, HEAD_SIZE + key.size);
}

enum sl_err
sl_catalogue_get(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key,
                 struct sl_slice *ret_value)
{
    uint8_t full[FULL_SIZE_MAX];
    struct sl_slice row = full_key(full, scope, table, key);
    check(c);
    if (row.size == 0)
        return SL_ENOTFOUND; /* No such row can be. */
    return backend_get(c, row, ret_value);
}

enum sl_err
sl_catalogue_put(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key,
                 struct sl_slice value)
{
    uint8_t full[FULL_SIZE_MAX];
    struct sl_slice row = full_key(full, scope, table, key);
    check(c);
    if (row.size == 0)
        return SL_EINVAL;
    c->dirty_ops++;
    c->dirty_bytes += row.size + value.size;
    return backend_put(c, row, value);
}

enum sl_err
sl_catalogue_del(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    uint8_t full[FULL_SIZE_MAX];
    struct sl_slice row = full_key(full, scope, table, key);
    check(c);
    if (row.size == 0)
        return SL_EINVAL;
    enum sl_err err = c->backend.ops->del(c->backend.self, row);
    if (err == SL_ENOTFOUND)
        return SL_OK;
    c->dirty_ops++;
    c->dirty_bytes += row.size;
    return err;
}

/* ---- scans --------------------------------------------------------------------------------- */

static int
compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    int order = memcmp(a, b, SL_MIN(a_size, b_size));
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The first key behind all that start with full[0, size): add one, with carry. Size 0: no end. */
static size_t
successor(uint8_t *full, size_t size)
{
    while (size > 0 && full[size - 1] == 0xff)
        size--;
    if (size > 0)
        full[size - 1]++;
    return size;
}

/*
 * Where to start. Forwards: at the first key >= from. Backwards: at the
 * last key < from; an empty `from` is the end of everything.
 */
static void
set_from(struct sl_scan *scan, struct sl_slice after)
{
    uint8_t end[sizeof(scan->from)];
    memcpy(scan->from, scan->full, scan->full_size);
    scan->from_size = scan->full_size;
    if (scan->is_reverse)
        scan->from_size = (uint16_t)successor(scan->from, scan->from_size);
    if (after.size == 0)
        return;
    memcpy(end, scan->full, HEAD_SIZE);
    /* No key is longer than the buffer, so cutting a long `after` keeps its place among them. */
    after.size = SL_MIN(after.size, sizeof(end) - HEAD_SIZE - 1);
    memcpy(end + HEAD_SIZE, after.data, after.size);
    size_t end_size = HEAD_SIZE + after.size;
    if (!scan->is_reverse)
        end[end_size++] = 0; /* The first key greater than `after`. */
    int order = scan->from_size == 0 ? -1 : compare(end, end_size, scan->from, scan->from_size);
    if (scan->is_reverse ? order < 0 : order > 0) {
        memcpy(scan->from, end, end_size);
        scan->from_size = (uint16_t)end_size;
    }
}

void
sl_catalogue_scan(struct sl_catalogue *c, struct sl_scope scope, uint8_t table,
                  struct sl_slice prefix, struct sl_slice after, bool is_reverse,
                  struct sl_scan *ret_scan)
{
    *ret_scan = (struct sl_scan){.is_reverse = is_reverse};
    check(c);
    if (prefix.size > SL_KEY_SIZE_MAX)
        return;
    put_head(ret_scan->full, scope, table);
    if (prefix.size > 0)
        memcpy(ret_scan->full + HEAD_SIZE, prefix.data, prefix.size);
    ret_scan->prefix_size = (uint16_t)prefix.size;
    ret_scan->full_size = (uint16_t)(HEAD_SIZE + prefix.size);
    set_from(ret_scan, after);
    ret_scan->backend = c->backend.ops;
    ret_scan->cursor = c->backend.ops->cursor_open(c->backend.self);
}

static enum sl_catalogue_move
next_move(struct sl_scan *scan)
{
    if (scan->is_started)
        return scan->is_reverse ? SL_MOVE_PREV : SL_MOVE_NEXT;
    scan->is_started = true;
    if (scan->from_size == 0)
        return SL_MOVE_LAST;
    return scan->is_reverse ? SL_MOVE_BELOW : SL_MOVE_TO;
}

bool
sl_scan_next(struct sl_scan *scan)
{
    struct sl_catalogue_row row = {.key = sl_slice(scan->from, scan->from_size)};
    if (scan->cursor == NULL)
        return false;
    if (!scan->backend->cursor_move(scan->cursor, next_move(scan), &row) ||
        row.key.size <= HEAD_SIZE || row.key.size < scan->full_size ||
        memcmp(row.key.data, scan->full, scan->full_size) != 0) {
        sl_scan_end(scan);
        return false;
    }
    scan->key = sl_slice(row.key.data + HEAD_SIZE, row.key.size - HEAD_SIZE);
    scan->value = row.value;
    return true;
}

void
sl_scan_end(struct sl_scan *scan)
{
    if (scan->cursor != NULL)
        scan->backend->cursor_close(scan->cursor);
    scan->cursor = NULL;
}

/* ---- commit -------------------------------------------------------------------------------- */

enum sl_err
sl_catalogue_commit(struct sl_catalogue *c, bool is_durable)
{
    enum sl_err err = SL_OK;
    check(c);
    if (c->position != c->position_committed || c->dirty_ops > 0)
        err = write_number(c, KEY_POSITION, c->position);
    if (err == SL_OK)
        err = c->backend.ops->commit(c->backend.self);
    if (err == SL_OK) {
        c->position_committed = c->position;
        c->dirty_bytes = c->dirty_ops = 0;
    }
    if (err == SL_OK && is_durable)
        err = c->backend.ops->sync(c->backend.self);
    return err;
}

uint64_t
sl_catalogue_dirty_bytes(const struct sl_catalogue *c)
{
    check(c);
    return c->dirty_bytes;
}

bool
sl_catalogue_has_room(struct sl_catalogue *c, uint64_t ops, uint64_t bytes)
{
    check(c);
    return c->backend.ops->has_room(c->backend.self, c->dirty_ops + ops, c->dirty_bytes + bytes,
                                    bytes > 0);
}

enum sl_err
sl_catalogue_copy(struct sl_catalogue *c, const char *path)
{
    check(c);
    return c->backend.ops->copy == NULL ? SL_EUNAVAIL : c->backend.ops->copy(c->backend.self, path);
}

enum sl_err
sl_catalogue_scrub(struct sl_catalogue *c, uint64_t *page, uint64_t pages_max)
{
    check(c);
    sl_assert(c->dirty_ops == 0);
    if (c->backend.ops->scrub != NULL)
        return c->backend.ops->scrub(c->backend.self, page, pages_max);
    *page = 0;
    return SL_OK;
}
