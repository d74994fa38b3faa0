/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue_backend.h - where a catalogue has its rows: ordered bytes under one open write
 * transaction. A backend knows neither scopes nor tables. Only for runtime/catalogue*.c.
 *
 *   catalogue_lmdb.c    a file
 *   catalogue_memory.c  memory, for simulations
 *
 * Threading: as the catalogue's.
 */
#ifndef SL_RUNTIME_CATALOGUE_BACKEND_H
#define SL_RUNTIME_CATALOGUE_BACKEND_H

#include "runtime/catalogue.h"

struct sl_catalogue_row {
    struct sl_slice key, value; /* Borrowed until the next write. */
};

enum sl_catalogue_move {
    SL_MOVE_TO,    /* To the first row whose key is not less than row->key. */
    SL_MOVE_BELOW, /* To the last row whose key is less. */
    SL_MOVE_NEXT,
    SL_MOVE_PREV,
    SL_MOVE_LAST
};

struct sl_catalogue_backend_ops {
    enum sl_err (*get)(void *self, struct sl_slice key, struct sl_slice *ret_value);
    enum sl_err (*put)(void *self, struct sl_slice key, struct sl_slice value);
    enum sl_err (*del)(void *self, struct sl_slice key); /* SL_ENOTFOUND */
    void *(*cursor_open)(void *self);                    /* NULL: it cannot. */
    bool (*cursor_move)(void *cursor, enum sl_catalogue_move move, struct sl_catalogue_row *row);
    void (*cursor_close)(void *cursor);
    enum sl_err (*commit)(void *self);
    enum sl_err (*sync)(void *self); /* What is committed, to the disk. */
    /* Whether so many writes fit in one transaction; is_growing: not only deletes. */
    bool (*has_room)(void *self, uint64_t ops, uint64_t bytes, bool is_growing);
    /* What is committed, to another directory; NULL: it cannot. See sl_catalogue_copy. */
    enum sl_err (*copy)(void *self, const char *path);
    /* Overwrite what deleted rows have left; NULL: nothing is. See sl_catalogue_scrub. */
    enum sl_err (*scrub)(void *self, uint64_t *page, uint64_t pages_max);
    void (*close)(void *self); /* Drops what is not committed. */
};

struct sl_catalogue_backend {
    const struct sl_catalogue_backend_ops *ops;
    void *self;
};

/* Errors: as of sl_catalogue_open. */
SL_MUST_CHECK enum sl_err sl_catalogue_open_lmdb(const struct sl_catalogue_options *options,
                                                 struct sl_catalogue_backend *ret_backend);
SL_MUST_CHECK enum sl_err sl_catalogue_open_memory(const struct sl_catalogue_options *options,
                                                   struct sl_catalogue_backend *ret_backend);

#endif
