/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/arena.h"

static void
count_up(void *thing)
{
    ++*(int *)thing;
}

Test(arena, rewinding_gives_back_blocks_and_runs_what_was_deferred_since)
{
    struct sl_arena *arena = sl_arena_create();
    int before = 0, since = 0;
    char *kept = sl_arena_alloc(arena, 100);
    memset(kept, 'k', 100);
    sl_arena_defer(arena, count_up, &before);
    struct sl_arena_mark mark = sl_arena_mark(arena);
    char *first = sl_arena_alloc(arena, 16);
    for (int i = 0; i < 1000; i++)
        memset(sl_arena_alloc(arena, 1000), 'x', 1000);
    sl_arena_defer(arena, count_up, &since);
    sl_arena_rewind(arena, mark);
    cr_assert_eq(since, 1);
    cr_assert_eq(before, 0);
    char *again = sl_arena_alloc(arena, 16);
    cr_assert_eq(again, first, "what was taken since the mark is taken again");
    cr_assert_eq(again[0], 0, "and is zeroed");
    cr_assert_eq(kept[99], 'k');
    sl_arena_destroy(&arena);
    cr_assert_eq(before, 1);
    cr_assert_eq(since, 1);
}

Test(arena, marks_nest)
{
    struct sl_arena *arena = sl_arena_create();
    struct sl_arena_mark outer = sl_arena_mark(arena);
    (void)sl_arena_alloc(arena, 9000);
    struct sl_arena_mark inner = sl_arena_mark(arena);
    (void)sl_arena_alloc(arena, 9000);
    sl_arena_rewind(arena, inner);
    sl_arena_rewind(arena, inner);
    sl_arena_rewind(arena, outer);
    (void)sl_arena_alloc(arena, 9000);
    sl_arena_destroy(&arena);
}
