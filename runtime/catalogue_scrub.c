/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB never writes over a page that is in use, and gives those that are not to later transactions.
 * With no transaction open and the last one durable, the pages of its free list may be written by
 * anybody: LMDB would do so with the next. Of a page that is in use these bytes belong to nobody,
 * and are overwritten in place; a crash in between leaves some for the next time:
 *
 *   - between the directory of its nodes and the nodes: a copy of the page leaves them out;
 *   - behind the end of a large value, in the last of its pages;
 *   - the key of a branch, from its scope on, where no row has that scope any more. Such a key is
 *     there to tell what is left of it from what is right, and any of its scope tells that.
 *
 *   page head, 16 bytes: number u64 | pad u16 | flags u16 | lower u16 | upper u16
 *   a run of pages for one large value: the number of pages (u32) instead of lower and upper
 *   directory: u16 each, where a node begins
 *   node: size or, of a branch, child: 2 * u16 | flags u16 (of a branch: child) | size of the key
 *   u16 | key | value, or the number of its first page (u64) where it is large
 *
 * What is not as expected is let be: LMDB alone knows what it is.
 */
#include "runtime/catalogue_scrub.h"

#include <errno.h>
#include <unistd.h>

#include "runtime/alloc.h"

#define PAGE        4096u
#define HEAD        16u
#define P_BRANCH    0x01u
#define P_LEAF      0x02u
#define P_OVERFLOW  0x04u
#define P_KINDS     0x2fu
#define NODE        8u /* Before its key. */
#define NODE_LARGE  0x01u
#define SCOPE       8u /* In front of each row's key. */
#define METAS       2u
#define BITS(count) (((count) + 7) / 8)

static const uint8_t zeroes[PAGE];

struct scrub {
    MDB_txn *txn;
    MDB_dbi dbi;
    int fd;
    uint64_t pages; /* In the file. */
    uint8_t *free;  /* A bit each. */
    bool has_written;
};

/* ---- which pages are free ------------------------------------------------------------------- */

/* The free list is rows of LMDB's own: each a count, then so many page numbers. */
static enum sl_err
read_free(struct scrub *s)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    if (mdb_cursor_open(s->txn, 0, &cursor) != MDB_SUCCESS)
        return SL_EIO;
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        uint64_t count, number;
        const uint8_t *at = value.mv_data;
        memcpy(&count, at, sizeof(count));
        for (uint64_t i = 1; i <= count && (i + 1) * sizeof(number) <= value.mv_size; i++) {
            memcpy(&number, at + i * sizeof(number), sizeof(number));
            if (number < s->pages)
                s->free[number / 8] |= (uint8_t)(1u << (number % 8));
        }
    }
    mdb_cursor_close(cursor);
    return SL_OK;
}

static bool
is_free(const struct scrub *s, uint64_t number)
{
    return s->free[number / 8] >> (number % 8) & 1;
}

/* ---- overwriting ---------------------------------------------------------------------------- */

static enum sl_err
clear(struct scrub *s, uint64_t at, const uint8_t *bytes, size_t size)
{
    if (memcmp(bytes, zeroes, size) == 0)
        return SL_OK;
    s->has_written = true;
    return pwrite(s->fd, zeroes, size, (off_t)at) == (ssize_t)size ? SL_OK : SL_EIO;
}

static uint32_t
u16_at(const uint8_t *bytes, size_t at)
{
    uint16_t number;
    memcpy(&number, bytes + at, sizeof(number));
    return number;
}

/* ---- pages in use --------------------------------------------------------------------------- */

/* A node of a page; false: it does not lie within. */
struct node {
    uint32_t at, low, high, flags, key_size;
};

static bool
read_node(const uint8_t *page, uint32_t index, struct node *ret_node)
{
    struct node n = {.at = u16_at(page, HEAD + 2 * (size_t)index)};
    if (n.at < HEAD || n.at + NODE > PAGE)
        return false;
    n.low = u16_at(page, n.at);
    n.high = u16_at(page, n.at + 2);
    n.flags = u16_at(page, n.at + 4);
    n.key_size = u16_at(page, n.at + 6);
    *ret_node = n;
    return n.at + NODE + n.key_size <= PAGE;
}

/* The rest of the last page of a large value. */
static enum sl_err
clear_tail(struct scrub *s, const uint8_t *page, const struct node *n)
{
    uint8_t bytes[PAGE];
    uint64_t first, size = (uint64_t)n->high << 16 | n->low;
    if (n->at + NODE + n->key_size + sizeof(first) > PAGE)
        return SL_OK;
    memcpy(&first, page + n->at + NODE + n->key_size, sizeof(first));
    uint64_t end = first * PAGE + HEAD + size, tail = (PAGE - end % PAGE) % PAGE;
    if (first < METAS || first >= s->pages || end / PAGE >= s->pages || tail == 0)
        return SL_OK;
    if (pread(s->fd, bytes, tail, (off_t)end) != (ssize_t)tail)
        return SL_EIO;
    return clear(s, end, bytes, tail);
}

static bool
has_scope(struct scrub *s, const uint8_t *key)
{
    MDB_cursor *cursor;
    MDB_val first = {.mv_size = SCOPE, .mv_data = (void *)(uintptr_t)key}, value;
    if (mdb_cursor_open(s->txn, s->dbi, &cursor) != MDB_SUCCESS)
        return true;
    int code = mdb_cursor_get(cursor, &first, &value, MDB_SET_RANGE);
    bool is_there =
        code == MDB_SUCCESS && first.mv_size >= SCOPE && memcmp(first.mv_data, key, SCOPE) == 0;
    mdb_cursor_close(cursor);
    return is_there || (code != MDB_SUCCESS && code != MDB_NOTFOUND);
}

static enum sl_err
clear_branch(struct scrub *s, uint64_t number, const uint8_t *page, const struct node *n)
{
    const uint8_t *key = page + n->at + NODE;
    if (n->key_size <= SCOPE || has_scope(s, key))
        return SL_OK;
    return clear(s, number * PAGE + n->at + NODE + SCOPE, key + SCOPE, n->key_size - SCOPE);
}

static enum sl_err
scrub_nodes(struct scrub *s, uint64_t number, const uint8_t *page, uint32_t lower)
{
    bool is_branch = u16_at(page, 10) & P_BRANCH;
    enum sl_err err = SL_OK;
    struct node n;
    for (uint32_t i = 0; err == SL_OK && HEAD + 2 * (i + 1) <= lower; i++) {
        if (!read_node(page, i, &n))
            continue;
        if (is_branch)
            err = clear_branch(s, number, page, &n);
        else if (n.flags & NODE_LARGE)
            err = clear_tail(s, page, &n);
    }
    return err;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* One page, or a run: *ret_pages. */
static enum sl_err
scrub_page(struct scrub *s, uint64_t number, uint64_t *ret_pages)
{
    uint8_t bytes[PAGE];
    uint64_t own;
    uint32_t run;
    *ret_pages = 1;
    if (pread(s->fd, bytes, PAGE, (off_t)(number * PAGE)) != (ssize_t)PAGE)
        return SL_EIO;
    if (is_free(s, number))
        return clear(s, number * PAGE, bytes, PAGE);
    memcpy(&own, bytes, sizeof(own));
    memcpy(&run, bytes + 12, sizeof(run));
    uint32_t kind = u16_at(bytes, 10) & P_KINDS, lower = u16_at(bytes, 12),
             upper = u16_at(bytes, 14);
    if (own != number)
        return SL_OK;
    if (kind == P_OVERFLOW && run > 0)
        *ret_pages = run;
    if ((kind != P_BRANCH && kind != P_LEAF) || lower < HEAD || lower > upper || upper > PAGE)
        return SL_OK;
    enum sl_err err = clear(s, number * PAGE + lower, bytes + lower, upper - lower);
    return err == SL_OK ? scrub_nodes(s, number, bytes, lower) : err;
}

static enum sl_err
scrub_pages(struct scrub *s, uint64_t *page, uint64_t pages_max)
{
    enum sl_err err = SL_OK;
    uint64_t number = SL_MAX(*page, (uint64_t)METAS), looked = 0;
    while (err == SL_OK && number < s->pages && looked < pages_max) {
        uint64_t pages;
        err = scrub_page(s, number, &pages);
        number += pages;
        looked++;
    }
    *page = number < s->pages ? number : 0;
    if (err == SL_OK && s->has_written && fdatasync(s->fd) != 0)
        err = SL_EIO;
    return err;
}

enum sl_err
sl_lmdb_scrub(MDB_env *env, MDB_dbi dbi, uint64_t *page, uint64_t pages_max)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct scrub s = {.dbi = dbi, .fd = -1};
    if (mdb_env_info(env, &info) != MDB_SUCCESS || mdb_env_stat(env, &stat) != MDB_SUCCESS ||
        mdb_env_get_fd(env, &s.fd) != MDB_SUCCESS || stat.ms_psize != PAGE)
        return SL_EIO;
    if (mdb_txn_begin(env, NULL, MDB_RDONLY, &s.txn) != MDB_SUCCESS)
        return SL_EIO;
    s.pages = info.me_last_pgno + 1;
    s.free = sl_zalloc(BITS(s.pages));
    enum sl_err err = read_free(&s);
    if (err == SL_OK)
        err = scrub_pages(&s, page, pages_max);
    mdb_txn_abort(s.txn);
    sl_free(s.free);
    return err;
}
