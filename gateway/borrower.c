/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/borrower.h"

#include "runtime/alloc.h"

#define PLACES 256u

struct place {
    struct sl_scope scope;
    struct sl_loans_held held;
};

struct sl_borrower {
    struct place places[PLACES];
};

struct sl_borrower *
sl_borrower_create(void)
{
    return sl_zalloc(sizeof(struct sl_borrower));
}

void
sl_borrower_destroy(struct sl_borrower **b)
{
    sl_free(*b);
    *b = NULL;
}

static struct place *
place_of(struct sl_borrower *b, struct sl_scope scope)
{
    return &b->places[(scope.id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (PLACES - 1)];
}

static bool
is_empty(const struct place *p, uint64_t now_ns)
{
    for (uint32_t i = 0; i < SL_LOANS_HELD; i++) {
        if (p->held.ends_ns[i] > now_ns)
            return false;
    }
    return true;
}

bool
sl_borrower_admit(struct sl_borrower *b, struct sl_scope scope, uint64_t now_ns, bool *ret_ask,
                  uint64_t *ret_number)
{
    struct place *p = place_of(b, scope);
    *ret_ask = false;
    if (p->scope.id != scope.id && !is_empty(p, now_ns))
        return false;
    if (p->scope.id != scope.id)
        *p = (struct place){.scope = scope};
    *ret_ask = sl_loans_ask(&p->held, now_ns);
    *ret_number = p->held.asked_ns;
    return sl_loans_admit(&p->held, now_ns);
}

void
sl_borrower_take(struct sl_borrower *b, struct sl_scope scope, const struct sl_loan *loan,
                 uint64_t number, uint64_t now_ns)
{
    struct place *p = place_of(b, scope);
    if (p->scope.id == scope.id && p->held.is_asked && number == p->held.asked_ns)
        (void)sl_loans_take(&p->held, loan, number, now_ns);
}

void
sl_borrower_drop(struct sl_borrower *b, struct sl_scope scope)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (scope.id == 0 || b->places[i].scope.id == scope.id)
            b->places[i] = (struct place){0};
    }
}
