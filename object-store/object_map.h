/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_map.h - from an object's id to a number: a place in the owner's array. Of fixed size, so
 * that it never allocates. Plain state; one owner.
 */
#ifndef SL_OBJECT_STORE_OBJECT_MAP_H
#define SL_OBJECT_STORE_OBJECT_MAP_H

#include "object-store/object_id.h"

struct sl_object_map;

struct sl_object_map *sl_object_map_create(uint32_t capacity, uint64_t seed);
void sl_object_map_destroy(struct sl_object_map **map); /* NULL inside is fine. */

/* An id that is not there; as long as there are fewer than `capacity`. */
void sl_object_map_add(struct sl_object_map *m, const struct sl_object_id *id, uint32_t number);
bool sl_object_map_lookup(const struct sl_object_map *m, const struct sl_object_id *id,
                          uint32_t *ret_number);
/* False: it is not there. */
bool sl_object_map_remove(struct sl_object_map *m, const struct sl_object_id *id);
uint32_t sl_object_map_count(const struct sl_object_map *m);

#endif
