/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/pickle_state.h"

static const struct sl_pickle_value *
at(const struct sl_pickle *p, uint32_t v)
{
    sl_assert(v < p->values_count);
    return &p->values[v];
}

uint32_t
sl_pickle_root(const struct sl_pickle *p)
{
    return p->root;
}

uint32_t
sl_pickle_values_count(const struct sl_pickle *p)
{
    return p->values_count;
}

enum sl_pickle_kind
sl_pickle_kind(const struct sl_pickle *p, uint32_t v)
{
    return (enum sl_pickle_kind)at(p, v)->kind;
}

bool
sl_pickle_int(const struct sl_pickle *p, uint32_t v, int64_t *ret_number)
{
    if (at(p, v)->kind != SL_PICKLE_INT)
        return false;
    *ret_number = at(p, v)->number;
    return true;
}

bool
sl_pickle_is_true(const struct sl_pickle *p, uint32_t v)
{
    return at(p, v)->kind == SL_PICKLE_BOOL && at(p, v)->a != 0;
}

struct sl_slice
sl_pickle_text(const struct sl_pickle *p, uint32_t v)
{
    const struct sl_pickle_value *t = at(p, v);
    if (t->kind != SL_PICKLE_TEXT)
        return (struct sl_slice){0};
    return sl_slice(p->bytes.data + t->b, t->c);
}

const struct sl_pickle_symbol *
sl_pickle_symbol(const struct sl_pickle *p, uint32_t v)
{
    uint8_t kind = at(p, v)->kind;
    if (kind != SL_PICKLE_GLOBAL && kind != SL_PICKLE_CALL && kind != SL_PICKLE_OBJECT)
        return NULL;
    return &p->symbols[at(p, v)->a];
}

/* A CALL stands for the tuple of its arguments. */
static const struct sl_pickle_value *
container(const struct sl_pickle *p, uint32_t v)
{
    const struct sl_pickle_value *c = at(p, v);
    if (c->kind == SL_PICKLE_CALL)
        c = at(p, c->b);
    return c;
}

uint32_t
sl_pickle_count(const struct sl_pickle *p, uint32_t v)
{
    const struct sl_pickle_value *c = container(p, v);
    return c->kind == SL_PICKLE_TUPLE || c->kind == SL_PICKLE_LIST || c->kind == SL_PICKLE_DICT
               ? c->a
               : 0;
}

uint32_t
sl_pickle_item(const struct sl_pickle *p, uint32_t v, uint32_t index)
{
    const struct sl_pickle_value *c = container(p, v);
    sl_assert(c->kind == SL_PICKLE_TUPLE);
    sl_assert(index < c->a);
    return p->items.at[c->b + index];
}

bool
sl_pickle_inner(const struct sl_pickle *p, uint32_t v, uint32_t *ret_inner)
{
    const struct sl_pickle_value *o = at(p, v);
    if ((o->kind != SL_PICKLE_OBJECT && o->kind != SL_PICKLE_PERSID) || o->b == SL_PICKLE_NO_VALUE)
        return false;
    *ret_inner = o->b;
    return true;
}

struct sl_pickle_iter
sl_pickle_iter(const struct sl_pickle *p, uint32_t v)
{
    const struct sl_pickle_value *c = container(p, v);
    if (c->kind == SL_PICKLE_TUPLE)
        return (struct sl_pickle_iter){.next = c->b, .left = c->a, .run = SL_PICKLE_NO_VALUE};
    bool has_runs = c->kind == SL_PICKLE_LIST || c->kind == SL_PICKLE_DICT;
    return (struct sl_pickle_iter){.run = has_runs ? c->b : SL_PICKLE_NO_VALUE};
}

bool
sl_pickle_next(const struct sl_pickle *p, struct sl_pickle_iter *iter, uint32_t *ret_member)
{
    if (iter->left == 0) {
        if (iter->run == SL_PICKLE_NO_VALUE)
            return false;
        const struct sl_pickle_value *run = at(p, iter->run);
        *iter = (struct sl_pickle_iter){.next = run->b, .left = run->a, .run = run->c};
    }
    *ret_member = p->items.at[iter->next++];
    iter->left--;
    return true;
}
