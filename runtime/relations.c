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

/* ---- what messages do ----------------------------------------------------------------------- */

/* A reason as it came: what is no error becomes one. */
static enum sl_err
reason_of(uint64_t reason)
{
    return reason < SL_ERR_COUNT ? (enum sl_err)reason : SL_EINVAL;
}

static struct sl_relations *
of(struct sl_relations **relations)
{
    if (*relations == NULL)
        *relations = sl_relations_create();
    return *relations;
}

static enum sl_relations_verdict
take_link_down(struct sl_relations *r, bool is_trapping, const struct sl_msg *msg,
               enum sl_err *ret_reason)
{
    /* Not linked any more: an unlink crossed it. */
    if (r == NULL || !sl_addr_set_remove(&r->links, msg->from))
        return SL_RELATIONS_DONE;
    if (is_trapping)
        return SL_RELATIONS_HANDLE;
    *ret_reason = reason_of(SL_BODY(msg, link_down)->reason);
    return *ret_reason == SL_OK ? SL_RELATIONS_DONE : SL_RELATIONS_END;
}

static enum sl_relations_verdict
take_system(struct sl_relations **relations, bool is_trapping, const struct sl_msg *msg,
            enum sl_err *ret_reason)
{
    switch (msg->id) {
    case SL_M_watch:
        sl_addr_set_add(&of(relations)->watchers, msg->from);
        return SL_RELATIONS_DONE;
    case SL_M_unwatch:
        sl_addr_set_remove(&of(relations)->watchers, msg->from);
        return SL_RELATIONS_DONE;
    case SL_M_link:
        sl_addr_set_add(&of(relations)->links, msg->from);
        return SL_RELATIONS_DONE;
    case SL_M_unlink:
        sl_addr_set_remove(&of(relations)->links, msg->from);
        return SL_RELATIONS_DONE;
    case SL_M_exit:
        if (is_trapping && !SL_BODY(msg, exit)->is_forced)
            return SL_RELATIONS_HANDLE;
        *ret_reason = reason_of(SL_BODY(msg, exit)->reason);
        return SL_RELATIONS_END;
    case SL_M_link_down:
        return take_link_down(*relations, is_trapping, msg, ret_reason);
    default:
        return SL_RELATIONS_HANDLE;
    }
}

enum sl_relations_verdict
sl_relations_take(struct sl_relations **relations, bool is_trapping, const struct sl_msg *msg,
                  enum sl_err *ret_reason)
{
    if (msg->id >> 16 == SL_PROTOCOL_SYSTEM) {
        enum sl_relations_verdict verdict = take_system(relations, is_trapping, msg, ret_reason);
        if (verdict != SL_RELATIONS_HANDLE)
            return verdict;
    }
    if (!sl_is_answer(msg->request, msg->to.actor))
        return SL_RELATIONS_HANDLE;
    /* A reply, or word that there will be none, counts once; what comes after is dropped. */
    bool is_due = *relations != NULL && sl_call_table_remove(&(*relations)->calls, msg->request);
    return is_due ? SL_RELATIONS_HANDLE : SL_RELATIONS_DONE;
}

static struct sl_msg *
answer(const struct sl_msg *to, struct sl_msg *msg)
{
    msg->from = to->to;
    msg->to = to->from;
    msg->request = to->request;
    return msg;
}

struct sl_msg *
sl_relations_refusal(const struct sl_msg *msg, enum sl_err reason, uint32_t node)
{
    struct sl_m_down down = {.reason = reason};
    struct sl_m_link_down link_down = {.reason = reason};
    if (msg->id == SL_M_watch)
        return answer(msg, sl_msg_create(SL_M_down, &down));
    if (msg->id == SL_M_link)
        return answer(msg, sl_msg_create(SL_M_link_down, &link_down));
    bool is_from_actor = msg->from.actor != 0 && msg->from.node == node;
    if (msg->id >> 16 == SL_PROTOCOL_SYSTEM || !is_from_actor)
        return NULL;
    return sl_msg_undelivered(msg, reason);
}

struct sl_msg *
sl_relations_farewell(const struct sl_relations *r, struct sl_addr self, enum sl_err reason,
                      uint32_t nth)
{
    struct sl_m_down down = {.reason = reason};
    struct sl_m_link_down link_down = {.reason = reason};
    struct sl_msg *msg;
    if (nth < r->watchers.count) {
        msg = sl_msg_create(SL_M_down, &down);
        msg->to = r->watchers.addrs[nth];
    } else if (nth - r->watchers.count < r->links.count) {
        msg = sl_msg_create(SL_M_link_down, &link_down);
        msg->to = r->links.addrs[nth - r->watchers.count];
    } else {
        return NULL;
    }
    msg->from = self;
    return msg;
}

struct sl_msg *
sl_relations_timeout(struct sl_relations *r, struct sl_addr self, uint64_t now_ns)
{
    struct sl_call call;
    r->armed_ns = UINT64_MAX;
    if (!sl_call_table_expire(&r->calls, now_ns, &call))
        return NULL;
    struct sl_msg *msg = sl_msg_create(SL_M_timeout, NULL);
    msg->from = call.to;
    msg->to = self;
    msg->request = call.request;
    return msg;
}

uint64_t
sl_relations_arm(struct sl_relations *r)
{
    uint64_t next_ns = sl_call_table_next_ns(&r->calls);
    if (next_ns >= r->armed_ns)
        return UINT64_MAX;
    r->armed_ns = next_ns;
    return next_ns;
}
