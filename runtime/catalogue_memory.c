/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write makes a new row, and what it replaced waits in a list of changes: a commit frees those,
 * and who closes without one puts them back, last first.
 */
#include "runtime/catalogue_memory.h"

#include "runtime/alloc.h"
#include "runtime/catalogue_backend.h"
#include "runtime/row_list.h"

struct change {
    struct sl_row *was, *is; /* NULL: there was, or is, no such row. `is` belongs to the list. */
};

struct sl_catalogue_memory {
    bool is_open;
    struct sl_row_list rows;
    struct change *changes; /* Since the last commit, in order. */
    size_t changes_count, changes_capacity;
};

struct cursor {
    const struct sl_row_list *rows;
    struct sl_row_place at;
};

/* The row of this key, and where it is or would be. */
static struct sl_row *
find(const struct sl_catalogue_memory *m, struct sl_slice key, struct sl_row_place *ret_at)
{
    *ret_at = sl_row_list_find(&m->rows, key);
    struct sl_row *row = sl_row_list_at(&m->rows, *ret_at);
    return row != NULL && sl_slice_equal(sl_row_key(row), key) ? row : NULL;
}

static void
note(struct sl_catalogue_memory *m, struct change change)
{
    if (m->changes_count == m->changes_capacity) {
        m->changes_capacity = SL_MAX(m->changes_capacity * 2, (size_t)64);
        m->changes = sl_realloc(m->changes, m->changes_capacity * sizeof(m->changes[0]));
    }
    m->changes[m->changes_count++] = change;
}

static enum sl_err
memory_get(void *self, struct sl_slice key, struct sl_slice *ret_value)
{
    struct sl_row_place at;
    const struct sl_row *row = find(self, key, &at);
    if (row == NULL)
        return SL_ENOTFOUND;
    *ret_value = sl_row_value(row);
    return SL_OK;
}

static enum sl_err
memory_put(void *self, struct sl_slice key, struct sl_slice value)
{
    struct sl_catalogue_memory *m = self;
    struct sl_row_place at;
    struct change change = {.is = sl_row_create(key, value)};
    if (find(m, key, &at) != NULL)
        change.was = sl_row_list_replace(&m->rows, at, change.is);
    else
        sl_row_list_insert(&m->rows, at, change.is);
    note(m, change);
    return SL_OK;
}

static enum sl_err
memory_del(void *self, struct sl_slice key)
{
    struct sl_catalogue_memory *m = self;
    struct sl_row_place at;
    if (find(m, key, &at) == NULL)
        return SL_ENOTFOUND;
    note(m, (struct change){.was = sl_row_list_remove(&m->rows, at)});
    return SL_OK;
}

/* ---- cursors ------------------------------------------------------------------------------- */

static void *
memory_cursor_open(void *self)
{
    const struct sl_catalogue_memory *m = self;
    struct cursor *c = sl_alloc(sizeof(*c));
    *c = (struct cursor){.rows = &m->rows};
    return c;
}

static bool
memory_cursor_move(void *cursor, enum sl_catalogue_move move, struct sl_catalogue_row *row)
{
    struct cursor *c = cursor;
    bool is_there = true;
    if (move == SL_MOVE_TO || move == SL_MOVE_BELOW)
        c->at = sl_row_list_find(c->rows, row->key);
    else if (move == SL_MOVE_LAST)
        c->at = sl_row_list_end(c->rows);
    if (move == SL_MOVE_NEXT)
        c->at = sl_row_list_next(c->rows, c->at);
    else if (move != SL_MOVE_TO)
        is_there = sl_row_list_prev(c->rows, &c->at);
    const struct sl_row *found = is_there ? sl_row_list_at(c->rows, c->at) : NULL;
    if (found == NULL)
        return false;
    *row = (struct sl_catalogue_row){sl_row_key(found), sl_row_value(found)};
    return true;
}

static void
memory_cursor_close(void *cursor)
{
    sl_free(cursor);
}

/* ---- transactions -------------------------------------------------------------------------- */

static enum sl_err
memory_commit(void *self)
{
    struct sl_catalogue_memory *m = self;
    for (size_t i = 0; i < m->changes_count; i++)
        sl_free(m->changes[i].was);
    m->changes_count = 0;
    return SL_OK;
}

static enum sl_err
memory_sync(void *self)
{
    (void)self;
    return SL_OK;
}

static bool
memory_has_room(void *self, uint64_t ops, uint64_t bytes, bool is_growing)
{
    (void)self, (void)ops, (void)bytes, (void)is_growing;
    return true;
}

static void
undo(struct sl_catalogue_memory *m, const struct change *change)
{
    struct sl_row_place at =
        sl_row_list_find(&m->rows, sl_row_key(change->is == NULL ? change->was : change->is));
    if (change->is == NULL)
        sl_row_list_insert(&m->rows, at, change->was);
    else if (change->was == NULL)
        sl_free(sl_row_list_remove(&m->rows, at));
    else
        sl_free(sl_row_list_replace(&m->rows, at, change->was));
}

static void
memory_close(void *self)
{
    struct sl_catalogue_memory *m = self;
    while (m->changes_count > 0)
        undo(m, &m->changes[--m->changes_count]);
    m->is_open = false;
}

enum sl_err
sl_catalogue_open_memory(const struct sl_catalogue_options *options,
                         struct sl_catalogue_backend *ret_backend)
{
    static const struct sl_catalogue_backend_ops ops = {.get = memory_get,
                                                        .put = memory_put,
                                                        .del = memory_del,
                                                        .cursor_open = memory_cursor_open,
                                                        .cursor_move = memory_cursor_move,
                                                        .cursor_close = memory_cursor_close,
                                                        .commit = memory_commit,
                                                        .sync = memory_sync,
                                                        .has_room = memory_has_room,
                                                        .close = memory_close};
    if (options->memory->is_open)
        return SL_EBUSY;
    options->memory->is_open = true;
    *ret_backend = (struct sl_catalogue_backend){&ops, options->memory};
    return SL_OK;
}

struct sl_catalogue_memory *
sl_catalogue_memory_create(void)
{
    return sl_zalloc(sizeof(struct sl_catalogue_memory));
}

void
sl_catalogue_memory_destroy(struct sl_catalogue_memory **memory)
{
    struct sl_catalogue_memory *m = *memory;
    if (m == NULL)
        return;
    sl_assert(!m->is_open);
    sl_row_list_deinit(&m->rows);
    sl_free(m->changes);
    sl_free(m);
    *memory = NULL;
}
