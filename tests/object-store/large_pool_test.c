/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "object-store/large_pool.h"
#include "tests/runtime/descriptors.h"

#define A    7u
#define B    9u
#define PAGE 4096u

static struct sl_shared
file_of(uint64_t pages)
{
    struct sl_shared file;
    cr_assert_eq(sl_shared_create("pool-test", pages * PAGE, SL_SHARED_OURS, &file), SL_OK);
    return file;
}

static void
give(struct sl_large_pool *p, uint64_t tenant, uint64_t pages)
{
    struct sl_shared file = file_of(pages);
    sl_large_pool_give(p, tenant, &file);
    cr_assert_eq(file.fd, -1, "it is the pool's now");
}

/* How many pages the file has that is given for `pages`; 0: there is none. */
static uint64_t
take(struct sl_large_pool *p, uint64_t tenant, uint64_t pages)
{
    struct sl_shared file;
    if (!sl_large_pool_take(p, tenant, pages * PAGE, &file))
        return 0;
    uint64_t size = file.size_bytes / PAGE;
    sl_shared_destroy(&file);
    return size;
}

Test(large_pool, gives_the_smallest_that_fits_and_wastes_little)
{
    struct sl_large_pool *p = sl_large_pool_create();
    give(p, A, 100);
    give(p, A, 80);
    give(p, A, 90);
    cr_assert_eq(take(p, A, 101), 0);
    cr_assert_eq(take(p, A, 81), 90);
    cr_assert_eq(take(p, A, 81), 100);
    cr_assert_eq(take(p, A, 81), 0);
    cr_assert_eq(take(p, A, 59), 0, "over a quarter would be wasted");
    cr_assert_eq(take(p, A, 60), 80);
    cr_assert_eq(sl_large_pool_bytes(p), 0);
    sl_large_pool_destroy(&p);
}

Test(large_pool, never_gives_a_tenant_what_another_wrote)
{
    struct sl_large_pool *p = sl_large_pool_create();
    give(p, A, 10);
    cr_assert_eq(take(p, B, 10), 0);
    give(p, B, 20);
    cr_assert_eq(take(p, A, 20), 0);
    cr_assert_eq(sl_large_pool_tenant_bytes(p, A), 10 * PAGE);
    cr_assert_eq(sl_large_pool_tenant_bytes(p, B), 20 * PAGE);
    cr_assert_eq(take(p, A, 10), 10);
    cr_assert_eq(take(p, B, 20), 20);
    sl_large_pool_destroy(&p);
}

Test(large_pool, sheds_the_oldest_first)
{
    struct sl_large_pool *p = sl_large_pool_create();
    give(p, A, 10);
    give(p, B, 20);
    give(p, A, 30);
    sl_large_pool_shed_tenant(p, A, 30 * PAGE);
    cr_assert_eq(take(p, A, 10), 0);
    cr_assert_eq(sl_large_pool_bytes(p), 50 * PAGE);
    sl_large_pool_shed(p, 49 * PAGE);
    cr_assert_eq(sl_large_pool_bytes(p), 30 * PAGE);
    cr_assert_eq(sl_large_pool_tenant_bytes(p, B), 0);
    sl_large_pool_shed_tenant(p, A, 0);
    cr_assert_eq(sl_large_pool_bytes(p), 0);
    sl_large_pool_destroy(&p);
}

Test(large_pool, gives_back_what_nobody_wants)
{
    struct sl_large_pool *p = sl_large_pool_create();
    give(p, A, 10);
    for (uint32_t i = 1; i < SL_LARGE_POOL_COOL; i++)
        sl_large_pool_cool(p);
    give(p, A, 20);
    cr_assert_eq(sl_large_pool_bytes(p), 30 * PAGE);
    sl_large_pool_cool(p);
    cr_assert_eq(sl_large_pool_bytes(p), 20 * PAGE);
    cr_assert_eq(take(p, A, 20), 20);
    sl_large_pool_destroy(&p);
}

Test(large_pool, keeps_so_many_and_leaves_no_descriptor)
{
    struct sl_large_pool *p = sl_large_pool_create();
    uint32_t before = descriptors_open();
    for (uint32_t i = 0; i < SL_LARGE_POOL_FILES + 5; i++)
        give(p, A, 1);
    cr_assert_eq(descriptors_open(), before + SL_LARGE_POOL_FILES);
    cr_assert_eq(sl_large_pool_bytes(p), SL_LARGE_POOL_FILES * PAGE);
    sl_large_pool_destroy(&p);
    cr_assert_eq(descriptors_open(), before);
}
