/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "tests/runtime/test_protocol.h"

#define NODE_A 2
#define NODE_B 3

/* Node B commits and tells node A at each level, over a disk that may fail. */
static char directory[64], endpoint[96];
static struct sl_sim_disk *disk;
static struct sl_store *store;
static struct sl_live *live_a, *live_b;
static bool heard[SL_LEVEL_COUNT];
static uint64_t fail_at;

static void
setup(void)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    test_protocol_register();
    (void)snprintf(directory, sizeof(directory), "/tmp/sluice-level-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s/a", directory);
    static struct sl_disk ops;
    disk = sl_sim_disk_create();
    ops = sl_sim_disk_ops(disk);
    struct sl_store_options options = {.directory = directory, .disk = &ops};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
}

static void
clean(void)
{
    sl_store_abandon(&store);
    sl_sim_disk_destroy(&disk);
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(live_level, .init = setup, .fini = clean, .timeout = 60);

static void
commit(void)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, (struct sl_scope){3}, 1, sl_slice_str("k"), sl_slice_str("v"));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static void
send_number(struct sl_ctx *ctx, uint64_t number)
{
    struct sl_m_count body = {number};
    sl_send(ctx, (struct sl_addr){NODE_A, 1}, SL_M_count, &body);
}

/* ---- a peer -------------------------------------------------------------------------------- */

static void
hear(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    uint64_t number = SL_BODY(msg, count)->number;
    if (number == SL_LEVEL_COUNT)
        sl_reply(ctx, msg, SL_M_bare, NULL); /* There is a link: now the rest. */
    else
        heard[number] = true;
}

static const struct sl_actor_class hearing = {.name = "hearing", .handle = hear};

static void *
run_a(void *arg)
{
    (void)arg;
    return (void *)(uintptr_t)sl_live_run(live_a);
}

static void
tell(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->id != SL_M_bare) {
        send_number(ctx, SL_LEVEL_COUNT);
        return;
    }
    sl_sim_disk_fail_at(disk, fail_at);
    commit();
    for (int level = 0; level < SL_LEVEL_COUNT; level++) {
        ctx->level = (enum sl_level)level;
        send_number(ctx, (uint64_t)level);
    }
}

static const struct sl_actor_class telling = {.name = "telling", .handle = tell};

/* The disk fails at its nth operation after the commit: the write is the first, then the sync. */
static void
run(uint64_t nth)
{
    pthread_t thread;
    fail_at = nth;
    live_a = sl_live_create(&(struct sl_live_options){.node = NODE_A});
    live_b = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = store});
    sl_live_spawn(live_a, 1, &hearing, NULL);
    sl_live_spawn(live_b, 1, &telling, NULL);
    cr_assert_eq(sl_live_listen(live_a, endpoint), SL_OK);
    cr_assert_eq(sl_live_connect(live_b, NODE_A, endpoint), SL_OK);
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){0});
    msg->to.actor = 1;
    sl_live_post(live_b, msg);
    cr_assert_eq(pthread_create(&thread, NULL, run_a, NULL), 0);
    cr_assert_neq(sl_live_run(live_b), SL_OK);
    sl_live_destroy(&live_b); /* Whatever was let out is with its peer when this returns. */
    sl_live_stop(live_a);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    sl_live_destroy(&live_a);
}

Test(live_level, what_asks_for_less_than_the_disk_leaves_before_the_sync)
{
    run(2);
    cr_assert(heard[SL_LEVEL_RAM]);
    cr_assert(heard[SL_LEVEL_OS]);
    cr_assert_not(heard[SL_LEVEL_DISK], "the sync failed");
}

Test(live_level, what_asks_for_the_kernel_waits_for_the_write)
{
    run(1);
    cr_assert(heard[SL_LEVEL_RAM]);
    cr_assert_not(heard[SL_LEVEL_OS], "the write failed");
    cr_assert_not(heard[SL_LEVEL_DISK]);
}

/* ---- what nobody waits for ----------------------------------------------------------------- */

static void
commit_and_wait(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->id == SL_M_count)
        commit();
    else if (!sl_store_is_dirty(store))
        sl_live_stop(live_b);
    sl_after(ctx, SL_MILLI_NS, 1);
}

static const struct sl_actor_class waiting = {.name = "waiting", .handle = commit_and_wait};

Test(live_level, what_nobody_waits_for_is_synced_soon_all_the_same)
{
    live_b = sl_live_create(&(struct sl_live_options){.node = NODE_B, .store = store});
    sl_live_spawn(live_b, 1, &waiting, NULL);
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){0});
    msg->to.actor = 1;
    sl_live_post(live_b, msg);
    cr_assert_eq(sl_live_run(live_b), SL_OK);
    cr_assert_not(sl_store_is_dirty(store));
    sl_live_destroy(&live_b);
}
