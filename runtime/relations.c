/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/relations.h"

#include "runtime/alloc.h"

bool
sl_addr_set_add(struct sl_addr_set *s, struct sl_addr addr)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (sl_addr_equal(s->addrs[i], addr))
            return false;
    }
    if (s->count == s->capacity) {
        s->capacity = SL_MAX(s->capacity * 2, 2u);
        s->addrs = sl_realloc(s->addrs, s->capacity * sizeof(*s->addrs));
    }
    s->addrs[s->count++] = addr;
    return true;
}

bool
sl_addr_set_remove(struct sl_addr_set *s, struct sl_addr addr)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (sl_addr_equal(s->addrs[i], addr)) {
            s->addrs[i] = s->addrs[--s->count];
            return true;
        }
    }
    return false;
}

uint64_t
sl_relations_call_number(struct sl_relations *r, uint32_t self)
{
    uint32_t count = ++r->call_last & (UINT32_MAX >> 1);
    return UINT64_C(1) << 63 | (uint64_t)count << 32 | self;
}

struct sl_relations *
sl_relations_create(void)
{
    struct sl_relations *r = sl_zalloc(sizeof(*r));
    r->armed_ns = UINT64_MAX;
    return r;
}

void
sl_relations_destroy(struct sl_relations **r)
{
    if (*r == NULL)
        return;
    sl_free((*r)->watchers.addrs);
    sl_free((*r)->links.addrs);
    sl_call_table_deinit(&(*r)->calls);
    sl_free(*r);
    *r = NULL;
}
