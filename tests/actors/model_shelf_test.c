/* SPDX-License-Identifier: Apache-2.0 */
/* The shelf as its agent uses it. */
#include <fcntl.h>
#include <unistd.h>

#include "actors/image_message.h"
#include "actors/model_shelf.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "tests/actors/agent_answer.h"
#include "tests/object-store/tiny_model.h"

TestSuite(model_shelf, .init = setup, .fini = finish, .timeout = 60);

static void
load(const char *directory)
{
    struct sl_m_model_load m = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_model_load, &m);
}

static bool was_cached; /* What the last answer to a load said. */

static uint64_t
loaded(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_model_loaded);
    cr_assert_not_null(msg);
    uint64_t err = SL_BODY(msg, model_loaded)->err;
    was_cached = SL_BODY(msg, model_loaded)->is_cached != 0;
    cr_assert_eq(err == SL_OK, SL_BODY(msg, model_loaded)->message.size == 0);
    sl_msg_destroy(&msg);
    return err;
}

Test(model_shelf, a_task_waits_for_its_model_and_its_replica_gets_the_file)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    tell(NUMBER, SPEC, directory);
    run_task(1, false);
    run_task(2, false);
    load(directory);
    cr_assert_eq(spawned(), 0);
    cr_assert_eq(r.works_count, 1, "it is built once");
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    struct sl_msg *spawn = recorder_take(&r, SL_M_spawn);
    cr_assert_not_null(spawn);
    int fd = (int)SL_BODY(spawn, spawn)->fd;
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    /* Dropped in the batch that spawned: the file must outlive the spawn, which is held. */
    struct sl_m_model_drop drop = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    recorder_do_work(&r);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    /* The replica that started with it is not to serve: tasks go to one of the model's next life.
     */
    uint32_t replica = (uint32_t)SL_BODY(spawn, spawn)->tag;
    sl_msg_destroy(&spawn);
    ready(replica, "");
    cr_assert_eq(recorder_count(&r, SL_M_process), 0);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    exited(replica, 0, 0);
    recorder_do_work(&r);
    uint32_t next = start_replica();
    cr_assert_neq(next, replica);
    cr_assert_eq(recorder_count(&r, SL_M_process), 2);
    tiny_directory_remove(directory);
}

Test(model_shelf, a_model_that_cannot_be_loaded_fails_its_calls_and_tasks_with_a_reason)
{
    tell(NUMBER, SPEC, "/nowhere/at/all");
    load("/nowhere/at/all");
    recorder_do_work(&r);
    cr_assert_neq(loaded(), SL_OK);
    run_task(1, false);
    (void)expect_failed(1, SL_FAIL_TRANSIENT, false, "replica_start_failed");
    run_task(2, false); /* The next one tries again. */
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
    recorder_do_work(&r);
    (void)expect_failed(2, SL_FAIL_TRANSIENT, false, "replica_start_failed");
    cr_assert_eq(spawned(), 0);
}

Test(model_shelf, those_that_failed_take_no_place_from_others)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    for (int i = 0; i < SL_SHELF_MODELS_MAX; i++) {
        char *lost = sl_format("/nowhere/%d", i);
        load(lost);
        recorder_do_work(&r);
        cr_assert_eq(loaded(), SL_ENOTFOUND);
        sl_free(lost);
    }
    load(directory);
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    tiny_directory_remove(directory);
}

Test(model_shelf, what_was_built_of_a_model_dropped_meanwhile_is_not_used)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    load(directory);
    struct sl_m_model_drop drop = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    recorder_do_work(&r);
    cr_assert_eq(recorder_count(&r, SL_M_model_loaded), 0);
    cr_assert_eq(r.works_count, 1, "it is built again for the call");
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    tiny_directory_remove(directory);
}

static void
evict(const char *directory)
{
    struct sl_m_model_evict m = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_model_evict, &m);
    if (r.works_count > 0) /* The file is closed behind what names it. */
        recorder_do_work(&r);
}

Test(model_shelf, a_model_is_cached_only_when_it_was_there_before_the_call)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    load(directory);
    load(directory); /* While it is on its way: both have waited for it. */
    recorder_do_work(&r);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(loaded(), SL_OK);
        cr_assert_not(was_cached);
    }
    load(directory);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert(was_cached);
    evict(directory);
    load(directory);
    cr_assert_eq(recorder_count(&r, SL_M_model_loaded), 0);
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert_not(was_cached);
    tiny_directory_remove(directory);
}

Test(model_shelf, an_evicted_model_stays_for_its_replicas_and_goes_with_the_last)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    tell(NUMBER, SPEC, directory);
    run_task(1, false);
    recorder_do_work(&r);
    struct sl_msg *spawn = recorder_take(&r, SL_M_spawn);
    cr_assert_not_null(spawn);
    int fd = (int)SL_BODY(spawn, spawn)->fd;
    uint32_t replica = (uint32_t)SL_BODY(spawn, spawn)->tag;
    sl_msg_destroy(&spawn);
    ready(replica, "");
    evict(directory);
    cr_assert_geq(fcntl(fd, F_GETFD), 0, "its replica has it");
    processed(replica, taken_by(replica), 0, 1);
    (void)expect_done(1);
    run_task(2, false);
    cr_assert_eq(r.works_count, 0, "it is not built anew beside what is there");
    processed(replica, taken_by(replica), 0, 1);
    (void)expect_done(2);
    exited(replica, 0, 0);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    recorder_do_work(&r);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    run_task(3, false);
    cr_assert_eq(spawned(), 0);
    recorder_do_work(&r);
    cr_assert_neq(spawned(), 0, "who wants it has it built");
    tiny_directory_remove(directory);
}

Test(model_shelf, a_load_takes_an_eviction_back)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    tell(NUMBER, SPEC, directory);
    run_task(1, false);
    recorder_do_work(&r);
    uint32_t replica = spawned();
    ready(replica, "");
    evict(directory);
    load(directory);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert(was_cached);
    processed(replica, taken_by(replica), 0, 1);
    exited(replica, 0, 0);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    load(directory);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert(was_cached);
    tiny_directory_remove(directory);
}

/* ---- models that are not on this machine ---------------------------------------------------- */

#define DIGEST_1 "0100000000000000000000000000000000000000000000000000000000000000"
#define MODEL_1  "/nowhere/1/ns/m_1." DIGEST_1
#define OTHER_1  "/nowhere/2/ns/same_1." DIGEST_1

static char fetched[64]; /* The actor of images puts them here. */

static void
fetching_setup(void)
{
    cr_assert_not_null(tiny_directory_make(fetched));
    images_directory = fetched;
    setup();
}

static void
fetching_finish(void)
{
    finish();
    tiny_directory_remove(fetched);
}

TestSuite(model_fetch, .init = fetching_setup, .fini = fetching_finish, .timeout = 60);

/* What the actor of images was asked; 0: nothing. */
static uint64_t
wanted(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_image_fetch);
    if (msg == NULL)
        return 0;
    cr_assert_eq(msg->to.actor, SL_ACTOR_IMAGES);
    cr_assert_eq(SL_BODY(msg, image_fetch)->name.data[0], 1);
    uint64_t request = msg->request;
    sl_msg_destroy(&msg);
    return request;
}

static void
answer(uint64_t request, enum sl_err err)
{
    struct sl_m_image_fetched m = {.err = err,
                                   .message = sl_slice_str(err == SL_OK ? "" : "it is so")};
    recorder_deliver(&r, sl_at((uint32_t)request, 0), SL_M_image_fetched, &m);
}

/* The image of a small model, under its digest's name. */
static void
put_image(void)
{
    char directory[64];
    struct tiny_model_options options = {0};
    struct sl_cause cause = {0};
    int fd = -1;
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    int from = open(directory, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(sl_model_build(from, NULL, &fd, &cause), SL_OK, "%s", cause.text);
    char *path = sl_format("%s/%s", fetched, DIGEST_1);
    int to = open(path, O_WRONLY | O_CREAT, 0600);
    char block[4096];
    for (ssize_t n, at = 0; (n = pread(fd, block, sizeof(block), at)) > 0; at += n)
        cr_assert_eq(write(to, block, (size_t)n), n);
    close(from);
    close(to);
    close(fd);
    sl_free(path);
    tiny_directory_remove(directory);
}

Test(model_fetch, what_is_not_here_is_fetched_once_for_all_who_wait)
{
    tell(NUMBER, SPEC, MODEL_1);
    run_task(1, false);
    load(MODEL_1);
    recorder_do_work(&r); /* It looks, and finds nothing. */
    uint64_t request = wanted();
    cr_assert_neq(request, 0);
    load(MODEL_1);
    cr_assert_eq(wanted(), 0);
    cr_assert_eq(r.works_count, 0);
    put_image();
    answer(request, SL_OK);
    recorder_do_work(&r);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(loaded(), SL_OK);
        cr_assert_not(was_cached);
    }
    cr_assert_neq(spawned(), 0);
    answer(request, SL_OK); /* Twice, or late: nothing. */
    cr_assert_eq(r.works_count, 0);
}

Test(model_fetch, one_that_cannot_be_fetched_fails_with_the_reason_and_is_tried_again)
{
    for (int i = 0; i < 2; i++) {
        load(MODEL_1);
        recorder_do_work(&r);
        answer(wanted(), SL_ENOSPC);
        struct sl_msg *msg = recorder_take(&r, SL_M_model_loaded);
        cr_assert_eq(SL_BODY(msg, model_loaded)->err, SL_ENOSPC);
        cr_assert(sl_slice_is(SL_BODY(msg, model_loaded)->message,
                              "its image cannot be fetched: it is so"));
        sl_msg_destroy(&msg);
    }
    tell(NUMBER, SPEC, MODEL_1);
    run_task(1, false);
    (void)expect_failed(1, SL_FAIL_TRANSIENT, false, "replica_start_failed");
    run_task(2, false);
    recorder_do_work(&r);
    answer(wanted(), SL_EUNAVAIL);
    (void)expect_failed(2, SL_FAIL_TRANSIENT, false, "replica_start_failed");
}

Test(model_fetch, an_image_that_was_removed_before_it_was_read_is_fetched_again_but_not_for_ever)
{
    load(MODEL_1);
    recorder_do_work(&r);
    for (int i = 0; i < 3; i++) {
        uint64_t request = wanted();
        cr_assert_neq(request, 0, "try %d", i);
        answer(request, SL_OK);
        recorder_do_work(&r); /* There is none. */
    }
    cr_assert_eq(wanted(), 0);
    cr_assert_eq(loaded(), SL_ENOTFOUND);
}

Test(model_fetch, a_deleted_model_s_image_goes_unless_another_has_the_same)
{
    put_image();
    const char *models[] = {MODEL_1, OTHER_1};
    for (int i = 0; i < 2; i++) {
        load(models[i]);
        recorder_do_work(&r);
        answer(wanted(), SL_OK);
        recorder_do_work(&r);
        cr_assert_eq(loaded(), SL_OK);
    }
    struct sl_m_model_drop drop = {.directory = sl_slice_str(MODEL_1)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    cr_assert_eq(recorder_count(&r, SL_M_image_drop), 0);
    drop.directory = sl_slice_str(OTHER_1);
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    cr_assert_eq(recorder_count(&r, SL_M_image_drop), 1);
    recorder_do_work(&r); /* Files that are closed. */
    recorder_do_work(&r);
}

Test(model_fetch, dropped_while_it_is_fetched_it_is_looked_for_anew_for_who_waits)
{
    load(MODEL_1);
    recorder_do_work(&r);
    uint64_t request = wanted();
    struct sl_m_model_drop drop = {.directory = sl_slice_str(MODEL_1)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    answer(request, SL_ECANCELED);
    cr_assert_eq(recorder_count(&r, SL_M_model_loaded), 0);
    recorder_do_work(&r);
    answer(wanted(), SL_ENOTFOUND);
    cr_assert_eq(loaded(), SL_ENOTFOUND);
}

Test(model_fetch, models_of_older_kinds_have_no_image_to_fetch)
{
    load("/nowhere/1/ns/m_1");
    recorder_do_work(&r);
    cr_assert_eq(wanted(), 0);
    cr_assert_eq(loaded(), SL_ENOTFOUND);
}

/* What the head keeps here is a file of this process. */
static void
keep(const char *directory, int fd, uint64_t inode)
{
    struct sl_m_model_kept m = {.directory = sl_slice_str(directory),
                                .pid = (uint64_t)getpid(),
                                .fd = (uint64_t)fd,
                                .inode = inode};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_model_kept, &m);
}

static uint64_t
told_inode(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_model_kept);
    uint64_t inode = msg == NULL ? 0 : SL_BODY(msg, model_kept)->inode;
    sl_msg_destroy(&msg);
    return inode;
}

Test(model_shelf, what_the_head_keeps_is_not_built_again)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    load(directory);
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    uint64_t inode = told_inode();
    cr_assert_neq(inode, 0, "the head is told");
    struct sl_model_file file = {.fd = -1};
    for (int fd = 3; fd < 64 && file.fd < 0; fd++)
        file.fd = sl_model_inode(fd) == inode ? dup(fd) : -1;
    cr_assert_geq(file.fd, 0);
    struct sl_m_model_drop drop = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    recorder_do_work(&r);
    tiny_directory_remove(directory); /* What is kept needs no files. */
    keep(directory, file.fd, inode);
    load(directory);
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert(was_cached, "it was in memory");
    cr_assert_eq(told_inode(), 0, "the head has it");
    close(file.fd);
}

Test(model_shelf, what_the_head_does_not_keep_any_more_is_built)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    keep(directory, STDERR_FILENO, 1);
    load(directory);
    recorder_do_work(&r);
    cr_assert_eq(loaded(), SL_OK);
    cr_assert_not(was_cached);
    cr_assert_neq(told_inode(), 0);
    tiny_directory_remove(directory);
}
