/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_items.h"

void
sl_items_init(struct sl_items *items)
{
    *items = (struct sl_items){.tail = &items->oldest};
}

void
sl_items_push(struct sl_items *items, struct sl_item *item)
{
    item->next = NULL;
    *items->tail = item;
    items->tail = &item->next;
    items->count++;
}

struct sl_item *
sl_items_pop(struct sl_items *items)
{
    return items->oldest == NULL ? NULL : sl_items_take(items, items->oldest->serial);
}

struct sl_item *
sl_items_take(struct sl_items *items, uint64_t serial)
{
    for (struct sl_item **at = &items->oldest; *at != NULL; at = &(*at)->next) {
        struct sl_item *item = *at;
        if (item->serial != serial)
            continue;
        *at = item->next;
        if (item->next == NULL)
            items->tail = at;
        items->count--;
        return item;
    }
    return NULL;
}
