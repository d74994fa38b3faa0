/* SPDX-License-Identifier: Apache-2.0 */
/* The locator and the head's images as `sluice up` starts them: a star. */
#include "actors/image_locator.h"

#include "actors/image_message.h"
#include "runtime/report.h"
#include "tests/actors/recorder.h"

static struct recorder r;
static const struct sl_image_name image = {.digest = {9}};

static void
setup(void)
{
    struct sl_image_locator_options options = {.is_star = true};
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_image_locator_class, sl_at(SL_NODE_HEAD, SL_ACTOR_LOCATOR), &options);
}

static void
finish(void)
{
    recorder_stop(&r);
}

TestSuite(image_locator, .init = setup, .fini = finish);

static void
locate(uint32_t node)
{
    struct sl_m_image_locate m = {.name = sl_image_name_bytes(&image)};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_IMAGES), SL_M_image_locate, &m);
}

/* What the head's images were asked; 0: nothing. */
static uint64_t
asked(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_image_fetch);
    if (msg == NULL)
        return 0;
    cr_assert_eq(msg->to.actor, SL_ACTOR_IMAGES);
    uint64_t request = msg->request;
    sl_msg_destroy(&msg);
    return request;
}

static void
answer(uint64_t request, enum sl_err err)
{
    struct sl_m_image_fetched m = {.err = err, .size_bytes = 5};
    recorder_deliver(&r, sl_at((uint32_t)request, 0), SL_M_image_fetched, &m);
}

static void
expect_located(uint32_t node, bool is_known, bool is_final)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_image_located);
    cr_assert_not_null(msg);
    cr_assert_eq(msg->to.node, node);
    const struct sl_m_image_located *m = SL_BODY(msg, image_located);
    cr_assert_eq(m->is_known, is_known);
    cr_assert_eq(m->is_final, is_final);
    struct sl_reader in = sl_reader(m->holders);
    if (is_known)
        cr_assert_eq(sl_read_u32(&in), SL_NODE_HEAD);
    cr_assert(sl_reader_is_done(&in));
    sl_msg_destroy(&msg);
}

Test(image_locator, sends_all_of_a_star_to_the_head_if_it_has_the_image)
{
    struct sl_m_image_has has = {.name = sl_image_name_bytes(&image), .size_bytes = 5};
    recorder_deliver(&r, sl_at(70000, SL_ACTOR_IMAGES), SL_M_image_has, &has);
    uint64_t requests[5];
    for (uint32_t i = 0; i < 5; i++) {
        locate(70001 + i);
        requests[i] = asked();
        cr_assert_neq(requests[i], 0);
    }
    cr_assert_eq(recorder_count(&r, SL_M_image_located), 0);
    for (uint32_t i = 5; i-- > 0;) {
        answer(requests[i], SL_OK);
        expect_located(70001 + i, true, true);
    }
}

Test(image_locator, tells_at_once_that_nobody_of_a_star_has_it)
{
    locate(70001);
    uint64_t request = asked();
    answer(request, SL_ENOTFOUND);
    expect_located(70001, false, true);
    answer(request, SL_OK); /* Twice. */
    answer(0, SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_image_located), 0);
}

Test(image_locator, questions_that_nobody_answered_give_way_to_others)
{
    locate(70001);
    uint64_t first = asked(), last = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        locate(70002 + i);
        last = asked();
    }
    answer(first, SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_image_located), 0);
    answer(last, SL_OK);
    expect_located(71001, true, true);
}

Test(image_locator, disk_that_fails_is_no_proof_that_nobody_has_it)
{
    locate(70001);
    answer(asked(), SL_EIO);
    expect_located(70001, false, false);
}
