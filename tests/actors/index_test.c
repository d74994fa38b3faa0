/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/index.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/record.h"
#include "actors/rows.h"

static const struct sl_scope scope = {3};
static char directory[64];
static struct sl_store *store;
static struct sl_index_cache *cache;
static struct sl_index_id id;

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/index-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    struct sl_store_options options = {
        .directory = directory, .map_size_bytes = 16 * SL_MIB, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    cache = sl_index_cache_create();
    id = (struct sl_index_id){
        .scope = scope, .collection = sl_slice_str("col_1"), .name = sl_slice_str("x")};
}

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

static void
teardown(void)
{
    sl_index_cache_destroy(&cache);
    sl_store_close(&store);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(index, .init = setup, .fini = teardown);

static void
put_row(uint64_t number, const float *vector)
{
    char text[SL_RECORD_ID_SIZE + 1];
    struct sl_buf key = {0};
    struct sl_txn *txn = sl_store_begin(store);
    sl_record_id_of_number(number, text);
    sl_txn_put(txn, scope, SL_TABLE_VECTOR, sl_key(&key, 3, "col_1", "x", text),
               sl_slice(vector, 2 * sizeof(float)));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_index_put(cache, &id, number, vector, 2);
    sl_buf_deinit(&key);
}

static uint32_t
search(float x, float y, struct sl_index_hit *hits)
{
    float vector[2] = {x, y};
    uint32_t count = 99;
    struct sl_txn *txn = sl_store_begin(store);
    cr_assert_eq(
        sl_index_search(cache, txn, &id,
                        &(struct sl_index_query){.vector = vector, .dimensions = 2, .k = 8}, hits,
                        &count),
        SL_OK);
    sl_txn_abort(&txn);
    return count;
}

Test(index, loads_its_rows_at_first_search_and_follows_later_ones)
{
    struct sl_index_hit hits[8];
    cr_assert_eq(search(1, 0, hits), 0);
    put_row(7, (float[]){1, 0});
    put_row(8, (float[]){0, 1});
    cr_assert_eq(sl_index_bytes(cache), 0);
    cr_assert_eq(search(1, 0.1f, hits), 2);
    cr_assert_eq(hits[0].number, 7);
    cr_assert_gt(sl_index_bytes(cache), 0);

    put_row(9, (float[]){1, 0.1f});
    cr_assert_eq(search(1, 0.1f, hits), 3);
    cr_assert_eq(hits[0].number, 9);
    sl_index_remove(cache, &id, 9);
    cr_assert_eq(search(1, 0.1f, hits), 2);
    sl_index_drop(cache, scope, id.collection);
    cr_assert_eq(sl_index_bytes(cache), 0);
    cr_assert_eq(search(1, 0.1f, hits), 3); /* The row of 9 is still there: loaded again. */
}

Test(index, other_scopes_and_wrong_dimensions_find_nothing)
{
    struct sl_index_hit hits[8];
    float wide[3] = {1, 0, 0};
    uint32_t count;
    put_row(7, (float[]){1, 0});
    cr_assert_eq(search(1, 0, hits), 1);
    struct sl_txn *txn = sl_store_begin(store);
    struct sl_index_query query = {.vector = wide, .dimensions = 3, .k = 8};
    cr_assert_eq(sl_index_search(cache, txn, &id, &query, hits, &count), SL_EINVAL);
    query.dimensions = 2;
    id.scope.id = 4;
    cr_assert_eq(sl_index_search(cache, txn, &id, &query, hits, &count), SL_OK);
    cr_assert_eq(count, 0);
    sl_txn_abort(&txn);
}
