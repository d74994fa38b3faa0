/* SPDX-License-Identifier: Apache-2.0 */
/* The api actor alone: what it asks of its driver is noted, and the test lets it happen. */
#include "gateway/api.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/limits.h"
#include "gateway/route.h"
#include "gateway/turn.h"
#include "gateway/unpack.h"
#include "runtime/alloc.h"

#define CALLS 10

struct work {
    void (*work)(void *argument);
    void *argument;
    uint64_t token;
};

static struct pool {
    struct sl_driver driver;
    struct sl_random random;
    struct sl_gateway gateway;
    void *api;
    struct work works[CALLS + 1]; /* Given to the I/O pool, in order. */
    uint32_t works_count, ended;
    uint64_t timers[CALLS * 2]; /* Tokens of timers that are due at once, in order. */
    uint32_t timers_count, fired;
    uint32_t replies;
    char log[64]; /* A letter of its name for each time that a call ran. */
} pool;

static void
send(struct sl_driver *d, struct sl_msg *msg)
{
    (void)d;
    if (msg->id == SL_M_api_reply) {
        struct sl_call *call = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call;
        cr_assert_eq(call->status, 200);
        pool.replies++;
        sl_call_destroy(&call);
    }
    sl_msg_destroy(&msg);
}

static void
after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    (void)d, (void)who;
    cr_assert_eq(delay_ns, 0);
    pool.timers[pool.timers_count++] = token;
}

static void
take_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
          uint64_t token)
{
    (void)d, (void)who;
    pool.works[pool.works_count++] = (struct work){work, argument, token};
}

static void
give(uint32_t id, const void *body)
{
    struct sl_ctx ctx = {
        .self = sl_at(SL_NODE_HEAD, SL_ACTOR_API), .random = &pool.random, .driver = &pool.driver};
    struct sl_msg *msg = sl_msg_create(id, body);
    sl_api_class.handle(pool.api, &ctx, msg);
    sl_msg_destroy(&msg);
}

static void
call_of(uint64_t tenant, const struct sl_route *route, const char *name)
{
    struct sl_call *call = sl_call_create();
    call->route = route;
    call->who.scope.id = tenant;
    call->resolved.extraction = sl_slice_str("{}"); /* Resolved: it needs no store. */
    call->state = sl_call_format(call, "%s", name);
    give(SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
}

static void
call(const struct sl_route *route, const char *name)
{
    call_of(1, route, name);
}

/* The pool ends the oldest work. */
static void
end_work(void)
{
    cr_assert_lt(pool.ended, pool.works_count);
    struct work w = pool.works[pool.ended++];
    w.work(w.argument);
    give(SL_M_work_done, &(struct sl_m_work_done){.token = w.token});
}

static void
fire_timer(void)
{
    cr_assert_lt(pool.fired, pool.timers_count);
    give(SL_M_timer, &(struct sl_m_timer){.token = pool.timers[pool.fired++]});
}

static void
setup(void)
{
    static const struct sl_driver_ops ops = {.send = send, .after = after, .work = take_work};
    struct sl_ctx ctx = {.driver = &pool.driver};
    sl_protocol_register(&sl_protocol_api);
    pool.driver.ops = &ops;
    pool.api = sl_zalloc(sl_api_class.state_size);
    sl_api_class.init(pool.api, &ctx, &(struct sl_api_options){.gateway = &pool.gateway});
}

static void
teardown(void)
{
    sl_api_class.deinit(pool.api);
    sl_free(pool.api);
}

/* ---- what falls due while nobody calls ------------------------------------------------------ */

static struct {
    uint64_t now_ms, due_ms[8], tokens[8];
    uint32_t count;
} clock_of;

static void
note_timer(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    (void)d, (void)who;
    cr_assert_lt(clock_of.count, 8);
    clock_of.due_ms[clock_of.count] = clock_of.now_ms + delay_ns / SL_MILLI_NS;
    clock_of.tokens[clock_of.count++] = token;
}

/* The timer that is due first. */
static void
fire_next(void *api, struct sl_ctx *ctx)
{
    uint32_t next = 0;
    cr_assert_gt(clock_of.count, 0);
    for (uint32_t i = 1; i < clock_of.count; i++)
        next = clock_of.due_ms[i] < clock_of.due_ms[next] ? i : next;
    struct sl_msg *msg =
        sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = clock_of.tokens[next]});
    ctx->now_ms = clock_of.now_ms = clock_of.due_ms[next];
    clock_of.count--;
    clock_of.due_ms[next] = clock_of.due_ms[clock_of.count];
    clock_of.tokens[next] = clock_of.tokens[clock_of.count];
    sl_api_class.handle(api, ctx, msg);
    sl_msg_destroy(&msg);
}

static struct sl_gateway idle;

static void
put_due(uint64_t due_ms)
{
    char text[64];
    struct sl_txn *txn = sl_store_begin(idle.store);
    (void)snprintf(text, sizeof(text), "{\"due_ms\":%" PRIu64 "}", due_ms);
    sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str("ten"), sl_slice_str(text));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
}

/* It is put off, since it is of no tenant: that shows when it was looked at. */
static bool
is_put_off(uint64_t due_ms)
{
    char text[64];
    struct sl_slice note;
    struct sl_txn *txn = sl_store_begin(idle.store);
    (void)snprintf(text, sizeof(text), "{\"due_ms\":%" PRIu64 "}", due_ms);
    cr_assert_eq(sl_txn_get(txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str("ten"), &note),
                 SL_OK);
    bool is = !sl_slice_equal(note, sl_slice_str(text));
    sl_txn_abort(&txn);
    return is;
}

Test(idle, does_what_falls_due_though_nobody_calls)
{
    static const struct sl_driver_ops ops = {.after = note_timer};
    static const uint64_t waits_ms[] = {500, 30 * 1000, 3600 * 1000};
    char directory[] = "/tmp/sluice-api-XXXXXX";
    struct sl_driver driver = {.ops = &ops};
    struct sl_random random = {0};
    cr_assert_not_null(mkdtemp(directory));
    struct sl_store_options options = {
        .directory = directory, .map_size_bytes = 16 * SL_MIB, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &idle.store), SL_OK);
    sl_protocol_register(&sl_protocol_api);
    idle.limits = sl_limits_create();
    void *api = sl_zalloc(sl_api_class.state_size);
    clock_of.now_ms = 1000000;
    struct sl_ctx ctx = {.self = sl_at(SL_NODE_HEAD, SL_ACTOR_API),
                         .random = &random,
                         .driver = &driver,
                         .store = idle.store,
                         .now_ms = clock_of.now_ms};
    sl_api_class.init(api, &ctx, &(struct sl_api_options){.gateway = &idle});
    for (size_t i = 0; i < SL_COUNT_OF(waits_ms); i++) {
        uint64_t begun_ms = clock_of.now_ms, due_ms = begun_ms + waits_ms[i];
        put_due(due_ms);
        while (clock_of.now_ms < due_ms) {
            cr_assert_not(is_put_off(due_ms));
            fire_next(api, &ctx);
        }
        while (!is_put_off(due_ms) && clock_of.now_ms < due_ms + 600 * 1000)
            fire_next(api, &ctx);
        cr_expect(is_put_off(due_ms), "a wait of %" PRIu64 " ms", waits_ms[i]);
        cr_expect_leq(clock_of.now_ms, due_ms + 61 * 1000);
    }
    sl_api_class.deinit(api);
    sl_free(api);
    sl_limits_destroy(&idle.limits);
    sl_store_close(&idle.store);
    sl_tree_remove(directory);
}

TestSuite(api, .init = setup, .fini = teardown);

static void
note(struct sl_call *call)
{
    size_t size = strlen(pool.log);
    cr_assert_lt(size, sizeof(pool.log) - 1);
    pool.log[size] = *(const char *)call->state;
}

static void
answer(struct sl_call *call)
{
    (void)call;
}

static void
work_long(struct sl_call *call)
{
    sl_call_work_long(call, note, answer);
}

static void
work_short(struct sl_call *call)
{
    sl_call_work(call, note, answer);
}

static void
take_turns(struct sl_call *call)
{
    struct sl_turn turn = {0};
    const char *name = call->state;
    note(call);
    call->state = (char *)call->state + 1;
    if (name[1] != '\0')
        sl_turn_give(&turn, call, take_turns);
}

static const struct sl_route long_route = {.method = SL_GET, .success = 200, .handler = work_long};
static const struct sl_route short_route = {
    .method = SL_GET, .success = 200, .handler = work_short};
static const struct sl_route turns_route = {
    .method = SL_GET, .success = 200, .handler = take_turns};

static void
begin_long_works(void)
{
    for (uint32_t i = 0; i < CALLS; i++)
        call(&long_route, (const char[]){(char)('a' + i), '\0'});
}

Test(api, has_few_works_of_minutes_under_way_and_the_others_wait_in_order)
{
    begin_long_works();
    cr_assert_eq(pool.works_count, SL_LONG_WORK_OF_TENANT);
    call(&short_route, "S");
    cr_assert_eq(pool.works_count, SL_LONG_WORK_OF_TENANT + 1, "a short one does not wait");
    cr_assert_eq(sl_api_waiting(pool.api), CALLS + 1);
    for (uint32_t i = 0; i < CALLS + 1; i++) {
        end_work();
        cr_assert_leq(pool.works_count - pool.ended, SL_LONG_WORK_OF_TENANT + 1);
    }
    cr_assert_str_eq(pool.log, "abScdefghij");
    cr_assert_eq(pool.replies, CALLS + 1);
    cr_assert_eq(sl_api_waiting(pool.api), 0);
}

Test(api, has_works_of_minutes_of_all_tenants_in_turn)
{
    for (const char *name = "abcd"; *name != '\0'; name++)
        call_of(1, &long_route, (const char[]){*name, '\0'});
    call_of(2, &long_route, "x");
    call_of(2, &long_route, "y");
    call_of(3, &long_route, "p");
    cr_assert_eq(pool.works_count, SL_LONG_WORK_AT_ONCE, "a, b, and another tenant's at once");
    while (pool.ended < pool.works_count) {
        end_work();
        cr_assert_leq(pool.works_count - pool.ended, SL_LONG_WORK_AT_ONCE);
    }
    cr_assert_str_eq(pool.log, "abxpcyd");
    cr_assert_eq(pool.replies, 7);
}

Test(api, gives_turns_without_the_threads_that_others_hold)
{
    begin_long_works();
    uint32_t works = pool.works_count;
    call(&turns_route, "123");
    call(&turns_route, "xyz");
    while (pool.fired < pool.timers_count)
        fire_timer();
    cr_assert_str_eq(pool.log, "1x2y3z");
    cr_assert_eq(pool.replies, 2);
    cr_assert_eq(pool.works_count, works);
}

Test(api, answers_nobody_twice_when_a_timer_or_a_work_is_not_its_own)
{
    call(&turns_route, "12");
    fire_timer();
    pool.fired--;
    fire_timer(); /* The same again. */
    give(SL_M_work_done, &(struct sl_m_work_done){.token = UINT64_MAX});
    cr_assert_eq(pool.replies, 1);
}
