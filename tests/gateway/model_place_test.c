/* SPDX-License-Identifier: Apache-2.0 */
/* Where a model's files lie, and how long: whatever its call and its row come to. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/rows.h"
#include "gateway/model/status.h"
#include "gateway/models.h"
#include "runtime/alloc.h"
#include "tests/gateway/scene.h"

#define START_MS 5000
#define SPACE    "ns_1"

static struct sl_gateway g;
static char directory[64];

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/model-place-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    scene_open(&g, directory, START_MS);
}

static void
teardown(void)
{
    scene_close(&g);
    scene_remove(directory);
}

TestSuite(model_place, .init = setup, .fini = teardown);

static struct sl_call *
begin(void)
{
    struct sl_call *call = sl_call_create();
    call->gateway = &g;
    call->who.scope = (struct sl_scope){5};
    call->now_ms = START_MS;
    call->txn = sl_store_begin(g.store);
    sl_jsonw_init(&call->out, &call->reply);
    return call;
}

static void
end(struct sl_call *call, bool is_committed)
{
    if (is_committed)
        cr_assert_eq(sl_txn_commit(&call->txn), SL_OK);
    else
        sl_txn_abort(&call->txn);
    sl_call_run_after(call, is_committed);
    sl_call_destroy(&call);
}

static bool
is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* Upload the same model; its place, owned. Its row is put where the call commits. */
static char *
upload(bool is_committed)
{
    struct sl_call *call = begin();
    struct sl_unpack_report report = {0};
    struct sl_model_new m = {.namespace_id = SPACE,
                             .name = sl_slice_str("m"),
                             .version = sl_slice_str("1"),
                             .format = "safetensors",
                             .hash = "00",
                             .resources = SL_MODEL_RESOURCES_DEFAULT};
    sl_model_prepare(call, &m);
    char *parent = sl_format("%s/models", directory), *tmp = sl_format("%s/tmp", parent);
    (void)mkdir(parent, 0700);
    (void)mkdir(tmp, 0700);
    sl_free(parent);
    sl_free(tmp);
    cr_assert_eq(mkdir(m.request.temporary, 0700), 0);
    cr_assert_eq(sl_model_keep(call, &m, &report), SL_OK);
    char *place = sl_format("%s", m.directory);
    cr_assert(is_there(place));
    (void)sl_model_put(call, &m, &report);
    end(call, is_committed);
    return place;
}

static void delete (void)
{
    struct sl_call *call = begin();
    struct sl_resource model;
    cr_assert(sl_model_find(call, SPACE, sl_slice_str("m_1"), &model));
    cr_assert(sl_model_delete(call, SPACE, &model));
    end(call, true);
}

Test(model_place, is_left_at_once_where_the_call_commits_nothing)
{
    char *place = upload(false);
    cr_assert_not(is_there(place));
    sl_free(place);
}

Test(model_place, is_kept_until_the_delete_is_durable)
{
    char *place = upload(true);
    cr_assert(is_there(place));
    scene_is_held = true;
    delete ();
    cr_assert(is_there(place), "the row may come back");
    sl_free(place);
    scene_is_held = false;
    place = upload(true);
    delete ();
    cr_assert_not(is_there(place));
    sl_free(place);
}

Test(model_place, is_not_that_of_the_same_archive_before)
{
    scene_is_held = true;
    char *first = upload(true);
    delete ();
    char *second = upload(true);
    cr_assert_str_neq(first, second);
    cr_assert(is_there(first) && is_there(second));
    sl_free(first);
    sl_free(second);
}

static void
then(struct sl_call *call)
{
    (void)call;
}

Test(model_place, a_deploy_of_what_was_deleted_leaves_its_successor_alone)
{
    sl_free(upload(true));
    for (int is_failed = 0; is_failed < 2; is_failed++) {
        struct sl_call *call = begin();
        struct sl_resource model;
        cr_assert(sl_model_find(call, SPACE, sl_slice_str("m_1"), &model));
        cr_assert(sl_model_deploy(call, SPACE, &model, then));
        cr_assert_eq(sl_txn_commit(&call->txn), SL_OK);
        delete ();
        sl_free(upload(true));
        call->txn = sl_store_begin(g.store);
        cr_assert(sl_model_find(call, SPACE, sl_slice_str("m_1"), &model));
        call->wait.error = is_failed ? SL_ENOMEM : SL_OK;
        cr_assert_not(sl_model_deployed(call, SPACE, &model));
        cr_assert_eq(call->status, 409);
        cr_assert_eq(sl_model_state(call, model.row), SL_MODEL_PENDING);
        cr_assert(sl_txn_is_empty(call->txn));
        end(call, false);
    }
}
