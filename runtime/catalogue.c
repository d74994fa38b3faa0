/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call goes through the one open write transaction, so there are no readers: LMDB's own lock
 * file and reader table are off (MDB_NOLOCK) and a flock on our own file keeps other processes out.
 * MDB_NOMETASYNC: a power loss may take the last commit back whole, which the log replays.
 */
#include "runtime/catalogue.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"

#define CATALOGUE_MAGIC 0x63617461u
#define FORMAT_VERSION  1
#define HEAD_SIZE       9 /* Scope and table in front of a key. */
#define PAGE_SIZE       4096
#define FLAGS           (MDB_NOTLS | MDB_NOLOCK | MDB_NOMETASYNC | MDB_NOMEMINIT)
#define MAP_SIZE        (64 * SL_GIB)
#define FULL_SIZE_MAX   ((size_t)512)

/* Shorter than any row's key, so they are in nobody's scope. */
#define KEY_VERSION  "V"
#define KEY_POSITION "P"

static_assert(HEAD_SIZE + SL_KEY_SIZE_MAX <= 511, "what LMDB takes as a key");

struct sl_catalogue {
    uint32_t magic;
    int lock_fd;
    MDB_env *env;
    MDB_txn *txn; /* NULL: the next call begins one. */
    MDB_dbi dbi;
    uint64_t map_size;
    uint64_t position, position_committed;
    uint64_t dirty_bytes, dirty_ops;
};

static enum sl_err
err_from_mdb(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return SL_OK;
    case MDB_NOTFOUND:
        return SL_ENOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return SL_ENOSPC;
    case MDB_VERSION_MISMATCH:
        return SL_EVERSION;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return SL_ECORRUPT;
    case MDB_BAD_VALSIZE:
        return SL_EINVAL;
    default:
        return code > 0 ? sl_err_from_errno(code) : SL_EIO;
    }
}

static void
check(const struct sl_catalogue *c)
{
    sl_assert(c != NULL);
    sl_assert(c->magic == CATALOGUE_MAGIC);
}

static enum sl_err
begin(struct sl_catalogue *c)
{
    check(c);
    if (c->txn != NULL)
        return SL_OK;
    return err_from_mdb(mdb_txn_begin(c->env, NULL, 0, &c->txn));
}

static MDB_val
val(struct sl_slice s)
{
    return (MDB_val){.mv_size = s.size, .mv_data = (void *)(uintptr_t)s.data};
}

/* ---- open ---------------------------------------------------------------------------------- */

static enum sl_err
lock(struct sl_catalogue *c, const char *path)
{
    char *name = sl_format("%s/lock", path);
    c->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    sl_free(name);
    if (c->lock_fd < 0)
        return sl_err_from_errno(errno);
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? SL_EBUSY : sl_err_from_errno(errno);
    return SL_OK;
}

/* LMDB does not sync a file that it makes, and refuses one whose head a power cut took. So it is
 * made under another name, and has its own once its bytes are safe. */
static enum sl_err
make_file(const struct sl_catalogue *c, const char *path)
{
    char *name = sl_format("%s/data.mdb", path), *temporary = sl_format("%s.tmp", name);
    MDB_env *env = NULL;
    int code = MDB_SUCCESS;
    if (access(name, F_OK) != 0) {
        (void)unlink(temporary);
        code = mdb_env_create(&env);
        if (code == MDB_SUCCESS)
            code = mdb_env_set_mapsize(env, c->map_size);
        if (code == MDB_SUCCESS)
            code = mdb_env_open(env, temporary, FLAGS | MDB_NOSUBDIR, 0600);
        if (code == MDB_SUCCESS)
            code = mdb_env_sync(env, 1);
        if (env != NULL)
            mdb_env_close(env);
        if (code == MDB_SUCCESS && rename(temporary, name) != 0)
            code = errno;
    }
    sl_free(name);
    sl_free(temporary);
    return err_from_mdb(code);
}

static enum sl_err
open_env(struct sl_catalogue *c, const char *path)
{
    int code = mdb_env_create(&c->env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(c->env, c->map_size);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(c->env, path, FLAGS, 0600);
    enum sl_err err = err_from_mdb(code);
    if (err == SL_OK)
        err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_dbi_open(c->txn, NULL, 0, &c->dbi));
    return err;
}

/* A number kept under a reserved key; absent: 0. */
static enum sl_err
read_number(struct sl_catalogue *c, const char *name, uint64_t *ret_number)
{
    MDB_val key = val(sl_slice_str(name)), value;
    int code = mdb_get(c->txn, c->dbi, &key, &value);
    *ret_number = 0;
    if (code == MDB_NOTFOUND)
        return SL_OK;
    if (code == MDB_SUCCESS && value.mv_size != sizeof(*ret_number))
        return SL_ECORRUPT;
    if (code == MDB_SUCCESS)
        memcpy(ret_number, value.mv_data, sizeof(*ret_number));
    *ret_number = le64toh(*ret_number);
    return err_from_mdb(code);
}

static enum sl_err
write_number(struct sl_catalogue *c, const char *name, uint64_t number)
{
    number = htole64(number);
    MDB_val key = val(sl_slice_str(name)), value = val(sl_slice(&number, sizeof(number)));
    return err_from_mdb(mdb_put(c->txn, c->dbi, &key, &value, 0));
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
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST)
        return sl_err_from_errno(errno);
    struct sl_catalogue *c = sl_zalloc(sizeof(*c));
    c->magic = CATALOGUE_MAGIC;
    c->map_size = options->map_size_bytes == 0 ? MAP_SIZE : options->map_size_bytes;
    enum sl_err err = lock(c, options->path);
    if (err == SL_OK)
        err = make_file(c, options->path);
    if (err == SL_OK)
        err = open_env(c, options->path);
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
    if (c->txn != NULL)
        mdb_txn_abort(c->txn);
    if (c->env != NULL)
        mdb_env_close(c->env);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
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
static MDB_val
full_key(uint8_t full[static FULL_SIZE_MAX], struct sl_scope scope, uint8_t table,
         struct sl_slice key)
{
    if (key.size == 0 || key.size > SL_KEY_SIZE_MAX)
        return (MDB_val){0};
    put_head(full, scope, table);
    memcpy(full + HEAD_SIZE, key.data, key.size);
    return (MDB_val){.mv_size = HEAD_SIZE + key.size, .mv_data = full};
}

enum sl_err
sl_catalogue_get(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key,
                 struct sl_slice *ret_value)
{
    uint8_t full[FULL_SIZE_MAX];
    MDB_val mdb_key = full_key(full, scope, table, key), value;
    if (mdb_key.mv_size == 0)
        return SL_ENOTFOUND; /* No such row can be. */
    enum sl_err err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_get(c->txn, c->dbi, &mdb_key, &value));
    if (err == SL_OK)
        *ret_value = sl_slice(value.mv_data, value.mv_size);
    return err;
}

enum sl_err
sl_catalogue_put(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key,
                 struct sl_slice value)
{
    uint8_t full[FULL_SIZE_MAX];
    MDB_val mdb_key = full_key(full, scope, table, key), mdb_value = val(value);
    if (mdb_key.mv_size == 0)
        return SL_EINVAL;
    enum sl_err err = begin(c);
    if (err != SL_OK)
        return err;
    c->dirty_ops++;
    c->dirty_bytes += mdb_key.mv_size + value.size;
    return err_from_mdb(mdb_put(c->txn, c->dbi, &mdb_key, &mdb_value, 0));
}

enum sl_err
sl_catalogue_del(struct sl_catalogue *c, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    uint8_t full[FULL_SIZE_MAX];
    MDB_val mdb_key = full_key(full, scope, table, key);
    if (mdb_key.mv_size == 0)
        return SL_EINVAL;
    enum sl_err err = begin(c);
    if (err != SL_OK)
        return err;
    int code = mdb_del(c->txn, c->dbi, &mdb_key, NULL);
    if (code == MDB_NOTFOUND)
        return SL_OK;
    c->dirty_ops++;
    c->dirty_bytes += mdb_key.mv_size;
    return err_from_mdb(code);
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
    if (prefix.size > SL_KEY_SIZE_MAX || begin(c) != SL_OK)
        return;
    put_head(ret_scan->full, scope, table);
    if (prefix.size > 0)
        memcpy(ret_scan->full + HEAD_SIZE, prefix.data, prefix.size);
    ret_scan->prefix_size = (uint16_t)prefix.size;
    ret_scan->full_size = (uint16_t)(HEAD_SIZE + prefix.size);
    set_from(ret_scan, after);
    MDB_cursor *cursor;
    if (mdb_cursor_open(c->txn, c->dbi, &cursor) == MDB_SUCCESS)
        ret_scan->cursor = cursor;
}

static int
scan_start(struct sl_scan *scan, MDB_val *key, MDB_val *value)
{
    MDB_cursor *cursor = scan->cursor;
    scan->is_started = true;
    if (scan->from_size == 0)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    *key = (MDB_val){.mv_size = scan->from_size, .mv_data = scan->from};
    int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (scan->is_reverse)
        return mdb_cursor_get(cursor, key, value, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    return code;
}

bool
sl_scan_next(struct sl_scan *scan)
{
    MDB_val key, value;
    int code;
    if (scan->cursor == NULL)
        return false;
    if (!scan->is_started)
        code = scan_start(scan, &key, &value);
    else
        code = mdb_cursor_get(scan->cursor, &key, &value, scan->is_reverse ? MDB_PREV : MDB_NEXT);
    if (code != MDB_SUCCESS || key.mv_size <= HEAD_SIZE || key.mv_size < scan->full_size ||
        memcmp(key.mv_data, scan->full, scan->full_size) != 0) {
        sl_scan_end(scan);
        return false;
    }
    scan->key = sl_slice((uint8_t *)key.mv_data + HEAD_SIZE, key.mv_size - HEAD_SIZE);
    scan->value = sl_slice(value.mv_data, value.mv_size);
    return true;
}

void
sl_scan_end(struct sl_scan *scan)
{
    if (scan->cursor != NULL)
        mdb_cursor_close(scan->cursor);
    scan->cursor = NULL;
}

/* ---- commit -------------------------------------------------------------------------------- */

enum sl_err
sl_catalogue_commit(struct sl_catalogue *c, bool is_durable)
{
    enum sl_err err = SL_OK;
    check(c);
    if (c->position != c->position_committed || c->dirty_ops > 0) {
        err = begin(c);
        if (err == SL_OK)
            err = write_number(c, KEY_POSITION, c->position);
    }
    if (err == SL_OK && c->txn != NULL) {
        err = err_from_mdb(mdb_txn_commit(c->txn));
        c->txn = NULL; /* Gone, whatever came of it. */
    }
    if (err == SL_OK) {
        c->position_committed = c->position;
        c->dirty_bytes = c->dirty_ops = 0;
    }
    if (err == SL_OK && is_durable)
        err = err_from_mdb(mdb_env_sync(c->env, 1));
    return err;
}

uint64_t
sl_catalogue_dirty_bytes(const struct sl_catalogue *c)
{
    check(c);
    return c->dirty_bytes;
}

/* Pages that LMDB knows to be unused inside its file, as of the last commit. */
static uint64_t
count_free_pages(struct sl_catalogue *c)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t pages = 0;
    if (begin(c) != SL_OK || mdb_cursor_open(c->txn, 0, &cursor) != MDB_SUCCESS)
        return 0;
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof(count));
        pages += count;
    }
    mdb_cursor_close(cursor);
    return pages;
}

bool
sl_catalogue_has_room(struct sl_catalogue *c, uint64_t ops, uint64_t bytes)
{
    MDB_envinfo info;
    check(c);
    if (mdb_env_info(c->env, &info) != MDB_SUCCESS)
        return false;
    /* A put touches at most a path of the tree and splits a leaf; most share their path. */
    uint64_t pages_max = c->map_size / PAGE_SIZE;
    uint64_t need = (c->dirty_ops + ops) * 3 + (c->dirty_bytes + bytes) * 2 / PAGE_SIZE + 64;
    if (bytes > 0)
        need +=
            pages_max / 64 + 128; /* Deletes may use the last pages, so that room can be made. */
    uint64_t used = info.me_last_pgno + 1;
    if (used + need <= pages_max)
        return true;
    return used + need <= pages_max + count_free_pages(c);
}
