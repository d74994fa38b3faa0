/* SPDX-License-Identifier: Apache-2.0 */
/* What was deleted is not in the files any more, and all else is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/random.h"
#include "runtime/store_erase.h"
#include "runtime/time.h"

#define CANARY "canary-0815"
#define ROWS   3000u

static char path[64];
static struct sl_store *store;
static uint64_t now_ns;

static void
open_store(void)
{
    cr_assert_eq(sl_store_open(&(struct sl_store_options){.directory = path,
                                                          .segment_bytes = SL_MIB,
                                                          .checkpoint_bytes = 512 * SL_KIB,
                                                          .is_sync_off = true},
                               &store),
                 SL_OK);
}

static void
setup(void)
{
    snprintf(path, sizeof(path), "/tmp/store-erase-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    open_store();
}

static void
teardown(void)
{
    sl_store_close(&store);
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(store_erase, .init = setup, .fini = teardown);

static bool
is_on_disk(const char *text)
{
    char *command = sl_format("grep -rqa -- '%s' %s", text, path);
    int status = system(command);
    sl_free(command);
    return status == 0;
}

/* A value of some size: many small ones, some that take pages of their own. */
static struct sl_slice
value(struct sl_buf *out, uint32_t number, const char *word)
{
    size_t size = number % 50 == 0 ? 9000 + number : 40 + number % 400;
    sl_buf_clear(out);
    while (out->size < size)
        sl_buf_printf(out, "%s %u ", word, number);
    return sl_buf_slice(out);
}

static void
put(uint64_t scope, uint32_t number, const char *word)
{
    struct sl_buf key = {0}, text = {0};
    struct sl_txn *t = sl_store_begin(store);
    sl_buf_printf(&key, "%s-%06u", word, number);
    sl_txn_put(t, (struct sl_scope){scope}, 20, sl_buf_slice(&key), value(&text, number, word));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&key);
    sl_buf_deinit(&text);
}

static void
del(uint64_t scope, uint32_t number, const char *word)
{
    struct sl_buf key = {0};
    struct sl_txn *t = sl_store_begin(store);
    sl_buf_printf(&key, "%s-%06u", word, number);
    sl_txn_del(t, (struct sl_scope){scope}, 20, sl_buf_slice(&key));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&key);
}

static void
expect(uint64_t scope, uint32_t number, const char *word)
{
    struct sl_buf key = {0}, text = {0};
    struct sl_slice found = {0};
    struct sl_txn *t = sl_store_begin(store);
    sl_buf_printf(&key, "%s-%06u", word, number);
    cr_assert_eq(sl_txn_get(t, (struct sl_scope){scope}, 20, sl_buf_slice(&key), &found), SL_OK,
                 "%u", number);
    cr_assert(sl_slice_equal(found, value(&text, number, word)), "%u", number);
    sl_txn_abort(&t);
    sl_buf_deinit(&key);
    sl_buf_deinit(&text);
}

static void
tick(void)
{
    now_ns += 100 * SL_MILLI_NS;
    cr_assert_eq(sl_store_sync(store), SL_OK);
    (void)sl_store_tick(store, now_ns, true);
}

/* Rows of one scope among those of two others, deleted again in another order. */
static void
fill_and_delete(void)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        put(1, i, "before");
        put(2, i, CANARY);
        put(3, i, "behind");
        if (i % 200 == 0)
            tick();
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        del(2, (i * 7919) % ROWS, CANARY);
        if (i % 500 == 0)
            tick();
    }
}

static void
erase(void)
{
    uint64_t ticket = sl_store_erase(store);
    for (uint32_t i = 0; !sl_store_is_erased(store, ticket); i++) {
        cr_assert_lt(i, 10000);
        put(4, i, "meanwhile");
        tick();
    }
}

static void
expect_others(void)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        expect(1, i, "before");
        expect(3, i, "behind");
    }
}

Test(store_erase, leaves_nothing_of_what_was_deleted)
{
    fill_and_delete();
    cr_expect(is_on_disk(CANARY), "else this shows nothing");
    erase();
    cr_expect_not(is_on_disk(CANARY));
    expect_others();
    /* What is written later does not bring it back, as out of memory. */
    for (uint32_t i = 0; i < ROWS; i++)
        put(5, i, "later");
    tick();
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    cr_expect_not(is_on_disk(CANARY));
    sl_store_close(&store);
    open_store();
    expect_others();
    cr_expect_not(is_on_disk(CANARY));
}

/* The store that is killed at any turn of it has what it had, and does it again. */
Test(store_erase, may_be_cut_anywhere, .timeout = 120)
{
    fill_and_delete();
    for (uint32_t cut = 0; cut < 12; cut++) {
        (void)sl_store_erase(store);
        for (uint32_t i = 0; i < cut; i++)
            tick();
        sl_store_abandon(&store);
        open_store();
        expect(1, cut, "before");
        expect(3, ROWS - 1 - cut, "behind");
    }
    expect_others();
    erase();
    cr_expect_not(is_on_disk(CANARY));
    expect_others();
}

/* Rows that come and go while it runs, in pages that it is about to overwrite. */
Test(store_erase, touches_nothing_that_is_there, .timeout = 120)
{
    bool is_there[500] = {false};
    struct sl_random random;
    sl_random_seed(&random, 42);
    fill_and_delete();
    for (uint32_t round = 0; round < 20; round++) {
        (void)sl_store_erase(store);
        for (uint32_t i = 0; i < 100; i++) {
            uint32_t number = (uint32_t)sl_random_below(&random, SL_COUNT_OF(is_there));
            if (is_there[number])
                del(6, number, "moving");
            else
                put(6, number, "moving");
            is_there[number] = !is_there[number];
            if (i % 10 == 0)
                tick();
        }
        for (uint32_t i = 0; i < SL_COUNT_OF(is_there); i++)
            if (is_there[i])
                expect(6, i, "moving");
    }
    expect_others();
    sl_store_close(&store);
    open_store();
    expect_others();
}
