/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call goes through the one open write transaction, so there are no readers: LMDB's own lock
 * file and reader table are off (MDB_NOLOCK) and a flock on our own file keeps other processes out.
 * MDB_NOMETASYNC: a power loss may take the last commit back whole, which the log replays.
 */
#include "runtime/catalogue_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/catalogue_scrub.h"

#define PAGE_SIZE 4096
/* Without MDB_NOMEMINIT: else the end of a large value's last page is what was in memory there. */
#define FLAGS    (MDB_NOTLS | MDB_NOLOCK | MDB_NOMETASYNC)
#define MAP_SIZE (64 * SL_GIB)

struct lmdb {
    int lock_fd;
    MDB_env *env;
    MDB_txn *txn; /* NULL: the next call begins one. */
    MDB_dbi dbi;
    uint64_t map_size;
    char *path;
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

static enum sl_err
begin(struct lmdb *c)
{
    if (c->txn != NULL)
        return SL_OK;
    if (c->env == NULL)
        return SL_EIO;
    return err_from_mdb(mdb_txn_begin(c->env, NULL, 0, &c->txn));
}

static MDB_val
val(struct sl_slice s)
{
    return (MDB_val){.mv_size = s.size, .mv_data = (void *)(uintptr_t)s.data};
}

static struct sl_slice
slice(MDB_val v)
{
    return sl_slice(v.mv_data, v.mv_size);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static enum sl_err
lmdb_get(void *self, struct sl_slice key, struct sl_slice *ret_value)
{
    struct lmdb *c = self;
    MDB_val mdb_key = val(key), value;
    enum sl_err err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_get(c->txn, c->dbi, &mdb_key, &value));
    if (err == SL_OK)
        *ret_value = slice(value);
    return err;
}

static enum sl_err
lmdb_put(void *self, struct sl_slice key, struct sl_slice value)
{
    struct lmdb *c = self;
    MDB_val mdb_key = val(key), mdb_value = val(value);
    enum sl_err err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_put(c->txn, c->dbi, &mdb_key, &mdb_value, 0));
    return err;
}

static enum sl_err
lmdb_del(void *self, struct sl_slice key)
{
    struct lmdb *c = self;
    MDB_val mdb_key = val(key);
    enum sl_err err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_del(c->txn, c->dbi, &mdb_key, NULL));
    return err;
}

static void *
lmdb_cursor_open(void *self)
{
    struct lmdb *c = self;
    MDB_cursor *cursor;
    if (begin(c) != SL_OK || mdb_cursor_open(c->txn, c->dbi, &cursor) != MDB_SUCCESS)
        return NULL;
    return cursor;
}

static bool
lmdb_cursor_move(void *cursor, enum sl_catalogue_move move, struct sl_catalogue_row *row)
{
    static const MDB_cursor_op ops[] = {[SL_MOVE_TO] = MDB_SET_RANGE,
                                        [SL_MOVE_BELOW] = MDB_SET_RANGE,
                                        [SL_MOVE_NEXT] = MDB_NEXT,
                                        [SL_MOVE_PREV] = MDB_PREV,
                                        [SL_MOVE_LAST] = MDB_LAST};
    MDB_val key = val(row->key), value;
    int code = mdb_cursor_get(cursor, &key, &value, ops[move]);
    if (move == SL_MOVE_BELOW)
        code = mdb_cursor_get(cursor, &key, &value, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    if (code != MDB_SUCCESS)
        return false;
    *row = (struct sl_catalogue_row){slice(key), slice(value)};
    return true;
}

static void
lmdb_cursor_close(void *cursor)
{
    mdb_cursor_close(cursor);
}

/* ---- transactions -------------------------------------------------------------------------- */

static enum sl_err
lmdb_commit(void *self)
{
    struct lmdb *c = self;
    if (c->txn == NULL)
        return SL_OK;
    int code = mdb_txn_commit(c->txn);
    c->txn = NULL; /* Gone, whatever came of it. */
    return err_from_mdb(code);
}

static enum sl_err
lmdb_sync(void *self)
{
    struct lmdb *c = self;
    return err_from_mdb(mdb_env_sync(c->env, 1));
}

/* Pages that LMDB knows to be unused inside its file, as of the last commit. */
static uint64_t
count_free_pages(struct lmdb *c)
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

/* A put touches at most a path of the tree and splits a leaf; most share their path. */
static bool
lmdb_has_room(void *self, uint64_t ops, uint64_t bytes, bool is_growing)
{
    struct lmdb *c = self;
    MDB_envinfo info;
    if (mdb_env_info(c->env, &info) != MDB_SUCCESS)
        return false;
    uint64_t pages_max = c->map_size / PAGE_SIZE;
    uint64_t need = ops * 3 + bytes * 2 / PAGE_SIZE + 64;
    if (is_growing) /* Deletes may use the last pages, so that room can be made. */
        need += pages_max / 64 + 128;
    uint64_t used = info.me_last_pgno + 1;
    return used + need <= pages_max || used + need <= pages_max + count_free_pages(c);
}

static void
lmdb_close(void *self)
{
    struct lmdb *c = self;
    if (c->txn != NULL)
        mdb_txn_abort(c->txn);
    if (c->env != NULL)
        mdb_env_close(c->env);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    sl_free(c->path);
    sl_free(c);
}

/* ---- open ---------------------------------------------------------------------------------- */

static enum sl_err
lock(struct lmdb *c, const char *path)
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

/* A reader of LMDB's has no slot here (MDB_NOLOCK): nobody may commit, or pages of what is copied
 * could be used again. */
static enum sl_err
lmdb_copy(void *self, const char *path)
{
    struct lmdb *c = self;
    char *name = sl_format("%s/data.mdb", path);
    enum sl_err err = err_from_mdb(mdb_env_copy(c->env, path));
    int fd = err == SL_OK ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (err == SL_OK && (fd < 0 || fsync(fd) != 0))
        err = sl_err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    sl_free(name);
    return err;
}

/* LMDB does not sync a file that it makes, and refuses one whose head a power cut took. So it is
 * made under another name, and has its own once its bytes are safe. */
static enum sl_err
make_file(const struct lmdb *c, const char *path)
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

/* LMDB leaves its file open for programs that are started, and those run what is not ours. */
static int
close_on_exec(MDB_env *env)
{
    mdb_filehandle_t fd;
    int code = mdb_env_get_fd(env, &fd);
    if (code == MDB_SUCCESS && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        code = errno;
    return code;
}

static enum sl_err
open_env(struct lmdb *c, const char *path)
{
    int code = mdb_env_create(&c->env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(c->env, c->map_size);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(c->env, path, FLAGS, 0600);
    if (code == MDB_SUCCESS)
        code = close_on_exec(c->env);
    enum sl_err err = err_from_mdb(code);
    if (err == SL_OK)
        err = begin(c);
    if (err == SL_OK)
        err = err_from_mdb(mdb_dbi_open(c->txn, NULL, 0, &c->dbi));
    return err;
}

/* Pages in memory that LMDB keeps for the next transaction hold what was in them: it lets go of
 * them with the environment alone. */
static enum sl_err
reopen(struct lmdb *c)
{
    enum sl_err err = lmdb_commit(c);
    if (err != SL_OK)
        return err;
    mdb_env_close(c->env);
    c->env = NULL;
    err = open_env(c, c->path);
    if (err == SL_OK)
        err = lmdb_commit(c);
    if (err == SL_OK)
        return SL_OK;
    if (c->txn != NULL)
        mdb_txn_abort(c->txn);
    if (c->env != NULL)
        mdb_env_close(c->env);
    c->txn = NULL;
    c->env = NULL;
    return SL_ECORRUPT;
}

static enum sl_err
lmdb_scrub(void *self, uint64_t *page, uint64_t pages_max)
{
    struct lmdb *c = self;
    enum sl_err err = *page == 0 ? reopen(c) : lmdb_commit(c);
    if (err == SL_OK)
        err = c->env == NULL ? SL_EIO : sl_lmdb_scrub(c->env, c->dbi, page, pages_max);
    return err;
}

enum sl_err
sl_catalogue_open_lmdb(const struct sl_catalogue_options *options,
                       struct sl_catalogue_backend *ret_backend)
{
    static const struct sl_catalogue_backend_ops ops = {.get = lmdb_get,
                                                        .put = lmdb_put,
                                                        .del = lmdb_del,
                                                        .cursor_open = lmdb_cursor_open,
                                                        .cursor_move = lmdb_cursor_move,
                                                        .cursor_close = lmdb_cursor_close,
                                                        .commit = lmdb_commit,
                                                        .sync = lmdb_sync,
                                                        .has_room = lmdb_has_room,
                                                        .copy = lmdb_copy,
                                                        .scrub = lmdb_scrub,
                                                        .close = lmdb_close};
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST)
        return sl_err_from_errno(errno);
    struct lmdb *c = sl_zalloc(sizeof(*c));
    c->map_size = options->map_size_bytes == 0 ? MAP_SIZE : options->map_size_bytes;
    c->path = sl_strdup(options->path);
    enum sl_err err = lock(c, options->path);
    if (err == SL_OK)
        err = make_file(c, options->path);
    if (err == SL_OK)
        err = open_env(c, options->path);
    if (err != SL_OK) {
        lmdb_close(c);
        return err;
    }
    *ret_backend = (struct sl_catalogue_backend){&ops, c};
    return SL_OK;
}
