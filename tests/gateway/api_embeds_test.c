/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of calls on their way to the router: the api actor alone, and the test is the router. */
#include "gateway/api.h"

#include <criterion/criterion.h>

#include "actors/router.h"
#include "gateway/api_state.h"
#include "gateway/resource.h"
#include "gateway/route.h"
#include "runtime/alloc.h"

#define ASKED_MAX  8192
#define OF_CALL    64
#define OF_TENANT  128
#define OF_ALL     512
#define DIMENSIONS 3

struct asked {
    uint64_t request, scope, timeout_ns;
    uint32_t text; /* The texts of these tests are numbers. */
};

static struct scene {
    struct sl_driver driver;
    struct sl_random random;
    struct sl_gateway gateway;
    void *api;
    uint64_t now_ns;
    struct asked asked[ASKED_MAX]; /* Under way at the router, oldest first. */
    uint32_t asked_count, most, sent;
    uint32_t cancelled, replies, failures;
    uint16_t status;                    /* Of the last reply. */
    uint32_t vectors_good, vectors_due; /* Of all replies. */
    uint32_t timers;
    const atomic_bool *gone; /* Of the next calls. */
} s;

static void
take_asked(uint64_t request)
{
    for (uint32_t i = 0; i < s.asked_count; i++) {
        if (s.asked[i].request != request)
            continue;
        memmove(&s.asked[i], &s.asked[i + 1], (s.asked_count - i - 1) * sizeof(s.asked[0]));
        s.asked_count--;
        return;
    }
    cr_assert_fail("nothing is asked by the number %lu", (unsigned long)request);
}

static void
note_asked(const struct sl_msg *msg)
{
    const struct sl_m_embed *m = SL_BODY(msg, embed);
    struct sl_reader in = sl_reader(m->inputs);
    (void)sl_read_block(&in);
    (void)sl_read_block(&in);
    struct sl_slice text = sl_read_block(&in);
    char digits[16] = {0};
    memcpy(digits, text.data, text.size);
    cr_assert_lt(s.asked_count, ASKED_MAX);
    s.asked[s.asked_count++] = (struct asked){.request = msg->request,
                                              .scope = m->scope,
                                              .timeout_ns = m->timeout_ns,
                                              .text = (uint32_t)strtoul(digits, NULL, 10)};
    s.most = SL_MAX(s.most, s.asked_count);
    s.sent++;
}

static void
send(struct sl_driver *d, struct sl_msg *msg)
{
    (void)d;
    if (msg->id == SL_M_embed)
        note_asked(msg);
    if (msg->id == SL_M_embed_cancel) {
        take_asked(msg->request);
        s.cancelled++;
    }
    if (msg->id == SL_M_api_reply) {
        struct sl_call *call = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_reply)->call;
        s.status = call->status;
        s.failures += call->status != 200;
        s.replies++;
        sl_call_destroy(&call);
    }
    sl_msg_destroy(&msg);
}

static void
after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    (void)d, (void)who, (void)delay_ns, (void)token;
    s.timers++;
}

static void
give(uint64_t request, uint32_t id, const void *body)
{
    struct sl_ctx ctx = {.self = sl_at(SL_NODE_HEAD, SL_ACTOR_API),
                         .random = &s.random,
                         .driver = &s.driver,
                         .now_ns = s.now_ns};
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->request = request;
    sl_api_class.handle(s.api, &ctx, msg);
    sl_msg_destroy(&msg);
}

static void
setup(void)
{
    static const struct sl_driver_ops ops = {.send = send, .after = after};
    struct sl_ctx ctx = {.driver = &s.driver};
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_cluster);
    sl_random_seed(&s.random, 7);
    s.driver.ops = &ops;
    s.api = sl_zalloc(sl_api_class.state_size);
    sl_api_class.init(s.api, &ctx, &(struct sl_api_options){.gateway = &s.gateway});
}

static void
teardown(void)
{
    sl_api_class.deinit(s.api);
    sl_free(s.api);
}

TestSuite(api_embeds, .init = setup, .fini = teardown);

/* ---- a handler that embeds so many numbers, and checks what it gets -------------------------- */

static void
check_vectors(struct sl_call *call)
{
    uint32_t dimensions = 0, count = *(const uint32_t *)call->state;
    const float *const *vectors = sl_call_embeddings(call, &dimensions);
    if (vectors == NULL) {
        sl_call_fail_wait(call);
        return;
    }
    cr_assert_eq(dimensions, DIMENSIONS);
    s.vectors_due += count;
    for (uint32_t i = 0; i < count; i++)
        s.vectors_good += vectors[i][0] == (float)i && vectors[i][DIMENSIONS - 1] == (float)i;
}

static void
embed_numbers(struct sl_call *call)
{
    uint32_t count = *(const uint32_t *)call->state;
    struct sl_slice *texts = sl_call_alloc(call, count * sizeof(*texts));
    for (uint32_t i = 0; i < count; i++)
        texts[i] = sl_slice_str(sl_call_format(call, "%u", i));
    struct sl_embed_texts what = {.extraction = sl_call_parse(call, call->resolved.extraction),
                                  .texts = texts,
                                  .count = count};
    sl_call_embed_all(call, &what, check_vectors);
}

static const struct sl_route route = {.method = SL_GET, .success = 200, .handler = embed_numbers};

static void
call_of(uint64_t tenant, uint32_t count, uint64_t timeout_ns)
{
    struct sl_call *call = sl_call_create();
    uint32_t *state = sl_call_alloc(call, sizeof(*state));
    *state = count;
    call->route = &route;
    call->who.scope.id = tenant;
    call->resolved.extraction = sl_slice_str("{}"); /* Resolved: it needs no store. */
    call->timeout_ns = timeout_ns;
    call->client_gone = s.gone;
    call->state = state;
    give(0, SL_M_api_call, &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
}

/* ---- the router ------------------------------------------------------------------------------ */

static void
answer_request(uint64_t request, uint32_t text, uint32_t dimensions)
{
    float vector[DIMENSIONS + 1] = {(float)text, (float)text, (float)text, (float)text};
    give(request, SL_M_embedded,
         &(struct sl_m_embedded){.vector = sl_slice(vector, dimensions * sizeof(float))});
}

static void
answer(uint32_t at)
{
    struct asked a = s.asked[at];
    take_asked(a.request);
    answer_request(a.request, a.text, DIMENSIONS);
}

static void
refuse(uint32_t at, enum sl_err err)
{
    struct asked a = s.asked[at];
    take_asked(a.request);
    give(a.request, SL_M_embedded,
         &(struct sl_m_embedded){.err = err, .message = sl_slice_str("no")});
}

static uint32_t
count_of(uint64_t scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s.asked_count; i++)
        count += s.asked[i].scope == scope;
    return count;
}

Test(api_embeds, send_the_texts_of_a_call_together_and_keep_their_order)
{
    call_of(1, 10, 0);
    cr_assert_eq(s.asked_count, 10);
    while (s.asked_count > 0)
        answer(s.asked_count - 1); /* Backwards. */
    cr_assert_eq(s.replies, 1);
    cr_assert_eq(s.vectors_good, 10);
    cr_assert_eq(sl_api_waiting(s.api), 0);
}

Test(api_embeds, has_so_many_of_a_call_of_a_tenant_and_of_all_under_way)
{
    call_of(1, SL_EMBED_TEXTS_MAX, 0);
    cr_assert_eq(s.asked_count, OF_CALL);
    for (uint32_t i = 0; i < 4; i++)
        call_of(1, SL_EMBED_TEXTS_MAX, 0);
    cr_assert_eq(s.asked_count, 5 + OF_TENANT, "a first of each, and the tenant's others");
    for (uint64_t tenant = 2; tenant < 12; tenant++) {
        for (uint32_t i = 0; i < 4; i++)
            call_of(tenant, 100, 0);
    }
    cr_assert_eq(s.asked_count, 45 + OF_ALL);
    cr_assert_eq(count_of(11), 4, "there is always room for a first");
    while (s.asked_count > 0) {
        answer(0);
        cr_assert_leq(s.asked_count, 45 + OF_ALL);
        cr_assert_leq(count_of(1), 5 + OF_TENANT);
    }
    cr_assert_eq(s.replies, 45);
    cr_assert_eq(s.vectors_good, 5 * SL_EMBED_TEXTS_MAX + 40 * 100);
    cr_assert_eq(((struct sl_api *)s.api)->embeds.total, 0);
}

Test(api_embeds, sends_what_was_refused_again_when_others_of_the_call_are_done)
{
    call_of(1, 10, 0);
    for (uint32_t i = 0; i < 7; i++)
        refuse(3, SL_EFULL);
    cr_assert_eq(s.asked_count, 3, "there was room for so many");
    cr_assert_eq(s.replies, 0);
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert_leq(s.asked_count, 3 + i, "one more with each that is done");
        answer(0);
    }
    cr_assert_eq(s.vectors_good, 10);
    cr_assert_eq(s.failures, 0);
}

Test(api_embeds, has_as_many_under_way_as_ever_when_there_is_room_again)
{
    call_of(1, SL_EMBED_TEXTS_MAX, 0);
    while (s.asked_count > 1)
        refuse(1, SL_EFULL);
    for (uint32_t i = 0; i < 2 * OF_CALL; i++) {
        cr_assert_leq(s.asked_count, OF_CALL);
        answer(0);
    }
    cr_assert_eq(s.asked_count, OF_CALL);
    while (s.asked_count > 0)
        answer(0);
    cr_assert_eq(s.vectors_good, SL_EMBED_TEXTS_MAX);
}

Test(api_embeds, fails_a_call_whose_only_text_under_way_is_refused)
{
    call_of(1, 3, 0);
    refuse(2, SL_EFULL);
    refuse(1, SL_EFULL);
    cr_assert_eq(s.replies, 0);
    refuse(0, SL_EFULL);
    cr_assert_eq(s.status, 503);
    cr_assert_eq(s.asked_count, 0);
    cr_assert_eq(sl_api_waiting(s.api), 0);
}

Test(api_embeds, fails_all_texts_with_one_and_asks_for_no_more_of_them)
{
    call_of(1, 100, 0);
    struct asked late = s.asked[5];
    refuse(20, SL_EINVAL);
    cr_assert_eq(s.status, 422);
    cr_assert_eq(s.replies, 1);
    cr_assert_eq(s.cancelled, OF_CALL - 1);
    cr_assert_eq(s.sent, OF_CALL);
    answer_request(late.request, late.text, DIMENSIONS); /* It was on its way. */
    cr_assert_eq(s.replies, 1);
    cr_assert_eq(((struct sl_api *)s.api)->embeds.total, 0);
}

Test(api_embeds, takes_each_answer_once)
{
    call_of(1, 2, 0);
    struct asked first = s.asked[0];
    answer(0);
    answer_request(first.request, 9, DIMENSIONS);
    answer_request(first.request + 2, 9, DIMENSIONS); /* Nobody's. */
    cr_assert_eq(s.replies, 0);
    answer(0);
    cr_assert_eq(s.vectors_good, 2);
}

Test(api_embeds, fails_where_vectors_differ_in_length_or_there_is_none)
{
    for (uint32_t dimensions = 0; dimensions <= DIMENSIONS + 1; dimensions += DIMENSIONS + 1) {
        call_of(1, 5, 0);
        answer(0);
        struct asked a = s.asked[0];
        take_asked(a.request);
        answer_request(a.request, a.text, dimensions);
        cr_assert_eq(s.status, 500);
        cr_assert_eq(s.asked_count, 0);
    }
    cr_assert_eq(s.failures, 2);
}

Test(api_embeds, cancels_all_texts_of_a_client_that_has_gone)
{
    static const atomic_bool gone = true;
    s.gone = &gone;
    call_of(1, 100, 0);
    s.gone = NULL;
    call_of(1, 5, 0);
    give(0, SL_M_timer, &(struct sl_m_timer){.token = SL_API_TOKEN_GONE});
    cr_assert_eq(s.cancelled, OF_CALL);
    cr_assert_eq(s.asked_count, 5, "the other call's");
    cr_assert_eq(s.replies, 1);
    while (s.asked_count > 0)
        answer(0);
    cr_assert_eq(s.replies, 2);
    cr_assert_eq(((struct sl_api *)s.api)->embeds.total, 0);
}

Test(api_embeds, gives_each_text_what_is_left_of_the_requests_time)
{
    s.now_ns = 5 * SL_SECOND_NS;
    call_of(1, OF_CALL + 2, 3 * SL_SECOND_NS);
    for (uint32_t i = 0; i < OF_CALL; i++)
        cr_assert_eq(s.asked[i].timeout_ns, 3 * SL_SECOND_NS);
    s.now_ns += SL_SECOND_NS;
    answer(0);
    cr_assert_eq(s.asked[OF_CALL - 1].timeout_ns, 2 * SL_SECOND_NS);
    s.now_ns += 9 * SL_SECOND_NS;
    answer(0);
    cr_assert_eq(s.asked[OF_CALL - 1].timeout_ns, 1, "the router says that it is late");
    refuse(OF_CALL - 1, SL_ETIMEOUT);
    cr_assert_eq(s.status, 503);
    cr_assert_eq(s.asked_count, 0);
}

Test(api_embeds, gives_a_text_the_routers_time_beside_that_of_those_before_it)
{
    call_of(1, 3, 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(s.asked[i].timeout_ns, (i + 1) * SL_ROUTER_DEADLINE_NS);
}

Test(api_embeds, answers_every_call_once_whatever_the_router_does)
{
    uint32_t calls = 0;
    for (uint32_t step = 0; step < 20000 || s.asked_count > 0; step++) {
        uint64_t chance = sl_random_u64(&s.random) % 100;
        uint32_t at = s.asked_count == 0 ? 0 : (uint32_t)(sl_random_u64(&s.random) % s.asked_count);
        if (step < 20000 && (chance < 3 || s.asked_count == 0)) {
            uint32_t count = 1 + (uint32_t)(sl_random_u64(&s.random) % 100);
            call_of(1 + sl_random_u64(&s.random) % 8, count, 0);
            calls++;
        } else if (chance < 5) {
            refuse(at, SL_EFULL);
        } else {
            answer(at);
        }
        cr_assert_leq(((struct sl_api *)s.api)->embeds.total, OF_ALL);
        cr_assert_eq(sl_api_waiting(s.api), calls - s.replies);
    }
    cr_assert_eq(s.replies, calls);
    cr_assert_gt(calls, 100);
    cr_assert_eq(s.vectors_good, s.vectors_due);
    cr_assert_gt(s.failures, 0);
    cr_assert_gt(s.replies, 2 * s.failures);
    cr_assert_eq(((struct sl_api *)s.api)->embeds.total, 0);
}
