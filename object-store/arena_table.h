/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_table.h - the store's side of an arena's index: it writes the entries that readers find.
 *
 *            insert              hide                  drop
 *   (free) ---------> LIVE ---------------> HIDDEN ----------> (free)
 *                       ^ `----- show ------'
 *
 * A hidden entry is found by nobody, but no other object gets its place until it is dropped: so a
 * pin that names it means that object alone. Entries never move, and a search always looks at all
 * buckets of its id: so who looks for what is there finds it, whatever else changes meanwhile.
 *
 * Of the three buckets the emptiest is taken, which keeps them even for ever. (Linear probing does
 * not: where entries may not move, what is deleted is filled again from the runs around it, and
 * some of these grow to hundreds in a table that is half empty.)
 *
 * Plain state over memory that it is given. One owner writes; any number of readers may read.
 */
#ifndef SL_OBJECT_STORE_ARENA_TABLE_H
#define SL_OBJECT_STORE_ARENA_TABLE_H

#include "object-store/arena_index.h"

struct sl_object_arena_writer;

struct sl_object_arena_place {
    uint64_t offset, size_bytes, birth;
};

/* `memory`, borrowed, is zero and of sl_object_arena_table_bytes(count), `count` a power of two in
 * [ENTRIES_MIN, ENTRIES_MAX]. */
struct sl_object_arena_writer *sl_object_arena_writer_create(void *memory, uint32_t count,
                                                             uint64_t seed);
void
sl_object_arena_writer_destroy(struct sl_object_arena_writer **writer); /* NULL inside is fine. */

/* SL_EEXIST: the id is there. SL_EFULL: half of the table is used, or all of the id's buckets are.
 */
SL_MUST_CHECK enum sl_err sl_object_arena_writer_insert(struct sl_object_arena_writer *w,
                                                        const struct sl_object_id *id,
                                                        const struct sl_object_arena_place *place,
                                                        uint32_t *ret_entry);
/*
 * What an insertion would say now, and where it would go. That entry is on its way to the caches
 * when it returns. A hint: eviction in between may change both.
 */
SL_MUST_CHECK enum sl_err sl_object_arena_writer_expect(const struct sl_object_arena_writer *w,
                                                        const struct sl_object_id *id,
                                                        uint32_t *ret_entry);
void sl_object_arena_writer_hide(struct sl_object_arena_writer *w,
                                 uint32_t entry); /* A live one. */
void sl_object_arena_writer_show(struct sl_object_arena_writer *w,
                                 uint32_t entry); /* A hidden one. */
void sl_object_arena_writer_drop(struct sl_object_arena_writer *w,
                                 uint32_t entry); /* A hidden one. */

/* The live entry of an id; false: there is none. */
bool sl_object_arena_writer_lookup(const struct sl_object_arena_writer *w,
                                   const struct sl_object_id *id, uint32_t *ret_entry);
/* Of a live or hidden one. */
void
sl_object_arena_writer_id(const struct sl_object_arena_writer *w, uint32_t entry,
                          struct sl_object_id *ret_id); /* The tenant is 0: it does not know it. */
uint32_t
sl_object_arena_writer_used(const struct sl_object_arena_writer *w); /* Live and hidden ones. */

#endif
