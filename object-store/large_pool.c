/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/large_pool.h"

#include "runtime/alloc.h"

#define POOL_MAGIC 0x4c504f4fu
#define NONE       UINT32_MAX

struct spare {
    uint64_t tenant;
    uint32_t calls; /* Of cool, since it is here. */
    struct sl_shared file;
};

struct sl_large_pool {
    uint32_t magic;
    uint32_t count;
    uint64_t bytes;
    struct spare spares[SL_LARGE_POOL_FILES]; /* [0, count), the oldest first. */
};

static void
check(const struct sl_large_pool *p)
{
    sl_assert(p != NULL);
    sl_assert(p->magic == POOL_MAGIC);
    sl_assert(p->count <= SL_LARGE_POOL_FILES);
}

struct sl_large_pool *
sl_large_pool_create(void)
{
    struct sl_large_pool *p = sl_zalloc(sizeof(*p));
    p->magic = POOL_MAGIC;
    return p;
}

/* The caller has its file now. */
static void
remove_at(struct sl_large_pool *p, uint32_t at)
{
    p->bytes -= p->spares[at].file.size_bytes;
    p->count--;
    memmove(&p->spares[at], &p->spares[at + 1], (p->count - at) * sizeof(p->spares[0]));
}

static void
give_back(struct sl_large_pool *p, uint32_t at)
{
    struct sl_shared file = p->spares[at].file;
    remove_at(p, at);
    sl_shared_destroy(&file);
}

void
sl_large_pool_destroy(struct sl_large_pool **pool)
{
    struct sl_large_pool *p = *pool;
    if (p == NULL)
        return;
    check(p);
    sl_large_pool_shed(p, 0);
    sl_free(p);
    *pool = NULL;
}

void
sl_large_pool_give(struct sl_large_pool *p, uint64_t tenant, struct sl_shared *file)
{
    check(p);
    sl_assert(file->base != NULL && file->fd >= 0);
    if (p->count == SL_LARGE_POOL_FILES)
        give_back(p, 0);
    p->spares[p->count++] = (struct spare){.tenant = tenant, .file = *file};
    p->bytes += file->size_bytes;
    *file = SL_SHARED_NONE;
}

static bool
is_near(const struct sl_shared *file, uint64_t size_bytes)
{
    return file->size_bytes >= size_bytes &&
           file->size_bytes - size_bytes <= file->size_bytes / SL_LARGE_POOL_WASTE;
}

bool
sl_large_pool_take(struct sl_large_pool *p, uint64_t tenant, uint64_t size_bytes,
                   struct sl_shared *ret_file)
{
    check(p);
    uint32_t best = NONE;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct spare *s = &p->spares[i];
        /* Of equals the youngest, which the caches may still know. */
        if (s->tenant == tenant && is_near(&s->file, size_bytes) &&
            (best == NONE || s->file.size_bytes <= p->spares[best].file.size_bytes))
            best = i;
    }
    if (best == NONE)
        return false;
    *ret_file = p->spares[best].file;
    remove_at(p, best);
    return true;
}

void
sl_large_pool_shed(struct sl_large_pool *p, uint64_t bytes)
{
    check(p);
    while (p->bytes > bytes)
        give_back(p, 0);
}

uint64_t
sl_large_pool_tenant_bytes(const struct sl_large_pool *p, uint64_t tenant)
{
    check(p);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->count; i++)
        bytes += p->spares[i].tenant == tenant ? p->spares[i].file.size_bytes : 0;
    return bytes;
}

void
sl_large_pool_shed_tenant(struct sl_large_pool *p, uint64_t tenant, uint64_t bytes)
{
    uint64_t left = sl_large_pool_tenant_bytes(p, tenant);
    for (uint32_t i = 0; left > bytes;) {
        sl_assert(i < p->count);
        if (p->spares[i].tenant != tenant) {
            i++;
            continue;
        }
        left -= p->spares[i].file.size_bytes;
        give_back(p, i);
    }
}

void
sl_large_pool_cool(struct sl_large_pool *p)
{
    check(p);
    for (uint32_t i = p->count; i-- > 0;) {
        if (++p->spares[i].calls >= SL_LARGE_POOL_COOL)
            give_back(p, i);
    }
}

uint64_t
sl_large_pool_bytes(const struct sl_large_pool *p)
{
    check(p);
    return p->bytes;
}
