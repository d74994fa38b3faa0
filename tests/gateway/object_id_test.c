/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/object/id.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 20000u /* Some blocks. */

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(object_id, is_a_prefix_and_12_characters)
{
    struct sl_object_ids ids = {0};
    char id[SL_OBJECT_ID_SIZE];
    for (uint32_t i = 0; i < COUNT; i++) {
        sl_object_id_next(&ids, (struct sl_scope){7}, id);
        cr_assert_eq(strlen(id), 16);
        cr_assert_eq(strncmp(id, "obj_", 4), 0);
        cr_assert_eq(strspn(id + 4, "abcdefghijklmnopqrstuvwxyz0123456789"), 12);
    }
}

Test(object_id, never_comes_twice)
{
    static char made[COUNT][SL_OBJECT_ID_SIZE];
    struct sl_object_ids ids = {0};
    for (uint32_t i = 0; i < COUNT; i++) /* Tenants that share a slot, and one that does not. */
        sl_object_id_next(&ids, (struct sl_scope){i % 3 == 0 ? 1 : i % 3 == 1 ? 65 : 2}, made[i]);
    qsort(made, COUNT, sizeof(made[0]), compare);
    for (uint32_t i = 1; i < COUNT; i++)
        cr_assert_str_neq(made[i - 1], made[i]);
}

Test(object_id, is_near_the_last_one_of_its_tenant)
{
    struct sl_object_ids ids = {0};
    char last[SL_OBJECT_ID_SIZE] = "", id[SL_OBJECT_ID_SIZE];
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        sl_object_id_next(&ids, (struct sl_scope){3}, id);
        blocks += strncmp(last, id, 4 + SL_OBJECT_ID_BLOCK) != 0;
        memcpy(last, id, sizeof(last));
    }
    cr_assert_leq(blocks, COUNT / 1000);
    cr_assert_geq(blocks, 2);
}

Test(object_id, tells_nothing_of_another_tenants)
{
    struct sl_object_ids ids = {0};
    char mine[SL_OBJECT_ID_SIZE], theirs[SL_OBJECT_ID_SIZE];
    for (uint32_t other = 2; other < 200; other++) {
        sl_object_id_next(&ids, (struct sl_scope){1}, mine);
        sl_object_id_next(&ids, (struct sl_scope){other}, theirs);
        cr_assert_neq(strncmp(mine, theirs, 4 + SL_OBJECT_ID_BLOCK), 0);
    }
}
