/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a plugin sees it, over the store of a node. */
#include "extractors/object_service.h"

#include <criterion/criterion.h>
#include <poll.h>

#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define LARGE (9 * SL_MIB)

static struct sl_object_node *store;
static struct sl_object_service *services[3]; /* Two of tenant 1, one of tenant 2. */
static const struct sluice_objects_v1 *one, *two, *other;

static const struct sluice_objects_v1 *
open_service(uint32_t at, uint64_t tenant)
{
    int fd = -1;
    struct sl_object_peer peer = {.tenant = tenant};
    cr_assert_eq(sl_object_node_grant(store, &peer, &fd), SL_OK);
    services[at] = sl_object_service_create(fd, tenant);
    return sl_object_service_face(services[at]);
}

static void
set_up(void)
{
    struct sl_object_node_options options = {.memory_bytes = 64 * SL_MIB,
                                             .tenant_bytes = 20 * SL_MIB};
    sl_report_level_set(SL_REPORT_ERROR);
    cr_assert_eq(sl_object_node_open(&options, &store), SL_OK);
    one = open_service(0, 1);
    two = open_service(1, 1);
    other = open_service(2, 2);
}

static void
tear_down(void)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(services); i++)
        sl_object_service_destroy(&services[i]);
    sl_object_node_close(&store);
}

TestSuite(object_service, .init = set_up, .fini = tear_down, .timeout = 60);

static struct sluice_object_id
named(const char *name)
{
    return (struct sluice_object_id){.size = sizeof(struct sluice_object_id),
                                     .name_bytes = (uint32_t)strlen(name),
                                     .name = name};
}

static struct sluice_object
none(void)
{
    return (struct sluice_object){.size = sizeof(struct sluice_object)};
}

Test(object_service, a_tenants_plugins_share_what_they_name_and_others_do_not_see_it)
{
    struct sluice_object_id id = named("table v1");
    struct sluice_object object = none();
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_ABSENT);
    cr_assert_eq(one->put(one->self, &id, "bytes", 5, 1000), SLUICE_OBJECT_OK);
    cr_assert_eq(two->put(two->self, &id, "bytes", 5, 1000), SLUICE_OBJECT_EXISTS);
    cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert(object.data_bytes == 5 && memcmp(object.data, "bytes", 5) == 0);
    cr_assert_eq(one->remove(one->self, &id), SLUICE_OBJECT_OK);
    cr_assert(memcmp(object.data, "bytes", 5) == 0, "what is held stays");
    cr_assert_eq(two->release(two->self, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_ABSENT);

    cr_assert_eq(one->put(one->self, &id, "mine", 4, 1000), SLUICE_OBJECT_OK);
    cr_assert_eq(other->get(other->self, &id, &object), SLUICE_OBJECT_ABSENT);
    cr_assert_eq(other->remove(other->self, &id), SLUICE_OBJECT_ABSENT);
    cr_assert_eq(other->put(other->self, &id, "theirs", 6, 1000), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert(object.data_bytes == 4 && memcmp(object.data, "mine", 4) == 0);
}

Test(object_service, what_is_handed_over_is_found_by_who_did_and_soon_by_others)
{
    struct sluice_object_id id = named("x"), large = named("y");
    struct sluice_object object = none();
    uint8_t *bytes = sl_zalloc(LARGE);
    cr_assert_eq(one->hand(one->self, &id, "bytes", 5, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->hand(one->self, &large, bytes, LARGE, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(two->get(two->self, &large, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->hand(one->self, &id, NULL, 0, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->hand(one->self, NULL, "b", 1, 1), SLUICE_OBJECT_REFUSED);
    sl_free(bytes);
}

Test(object_service, an_object_is_found_by_the_digest_of_its_bytes_and_by_no_other)
{
    uint8_t digest[SLUICE_OBJECT_DIGEST_BYTES];
    struct sluice_object_id id = {.size = sizeof(id), .digest = digest};
    struct sluice_object object = none();
    one->digest(one->self, "bytes", 5, digest);
    cr_assert_eq(one->put(one->self, &id, "others", 6, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, &id, "bytes", 5, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_OK);
    digest[0] ^= 1;
    cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_ABSENT);
}

/* Small ones end in the arena, large ones in a file of their own. */
Test(object_service, a_draft_is_filled_in_place_and_found_once_it_is_sealed)
{
    static const uint64_t sizes[] = {1, 100000, LARGE};
    for (uint32_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        char name[] = {(char)('a' + i), '\0'};
        struct sluice_object_id id = named(name);
        struct sluice_object_draft draft = {.size = sizeof(draft)};
        struct sluice_object object = none();
        cr_assert_eq(one->begin(one->self, sizes[i], &draft), SLUICE_OBJECT_OK);
        cr_assert_eq(draft.data_bytes, sizes[i]);
        memset(draft.data, 'x', sizes[i]);
        cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_ABSENT);
        cr_assert_eq(one->seal(one->self, &draft, &id, SLUICE_OBJECT_KEEP), SLUICE_OBJECT_OK);
        cr_assert_eq(one->seal(one->self, &draft, &id, 1), SLUICE_OBJECT_REFUSED, "it is none now");
        cr_assert_eq(one->discard(one->self, &draft), SLUICE_OBJECT_REFUSED);
        cr_assert_eq(two->get(two->self, &id, &object), SLUICE_OBJECT_OK);
        cr_assert_eq(object.data_bytes, sizes[i]);
        cr_assert_eq(((const char *)object.data)[sizes[i] - 1], 'x');
        cr_assert_eq(two->release(two->self, &object), SLUICE_OBJECT_OK);
    }
    struct sluice_object_draft draft = {.size = sizeof(draft)};
    struct sluice_object_id id = named("a");
    cr_assert_eq(one->begin(one->self, 100, &draft), SLUICE_OBJECT_OK);
    cr_assert_eq(one->seal(one->self, &draft, &id, 1), SLUICE_OBJECT_EXISTS);
    cr_assert_eq(one->discard(one->self, &draft), SLUICE_OBJECT_REFUSED, "seal ended it");
    cr_assert_eq(one->begin(one->self, 100, &draft), SLUICE_OBJECT_OK);
    cr_assert_eq(one->discard(one->self, &draft), SLUICE_OBJECT_OK);
}

Test(object_service, what_is_no_id_no_handle_or_too_much_is_refused)
{
    struct sluice_object_id id = named("x"), old = id, nothing = {.size = sizeof(nothing)};
    struct sluice_object object = none(), small = {.size = 4};
    struct sluice_object_draft draft = {.size = sizeof(draft)};
    char *name = sl_zalloc(SLUICE_OBJECT_NAME_BYTES_MAX + 1);
    struct sluice_object_id longest = {
        .size = sizeof(id), .name = name, .name_bytes = SLUICE_OBJECT_NAME_BYTES_MAX};
    old.size = 8;
    cr_assert_eq(one->put(one->self, &longest, "b", 1, 1), SLUICE_OBJECT_OK);
    longest.name_bytes++;
    cr_assert_eq(one->put(one->self, &longest, "b", 1, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, &nothing, "b", 1, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, &old, "b", 1, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, NULL, "b", 1, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, &id, NULL, 0, 1), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->begin(one->self, 0, &draft), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->put(one->self, &id, "b", 1, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &id, &small), SLUICE_OBJECT_REFUSED);
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->release(one->self, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->release(one->self, &object), SLUICE_OBJECT_REFUSED, "twice");
    object.handle = UINT32_MAX;
    cr_assert_eq(one->release(one->self, &object), SLUICE_OBJECT_REFUSED);
    draft.handle = 0;
    cr_assert_eq(one->discard(one->self, &draft), SLUICE_OBJECT_REFUSED);
    sl_free(name);
}

Test(object_service, quotas_and_what_is_held_have_an_end)
{
    struct sluice_object_id id = named("x");
    struct sluice_object objects[SLUICE_OBJECTS_HELD_MAX], more = none();
    uint8_t *bytes = sl_zalloc(21 * SL_MIB);
    cr_assert_eq(one->put(one->self, &id, bytes, 21 * SL_MIB, 1), SLUICE_OBJECT_FULL);
    cr_assert_eq(one->put(one->self, &id, bytes, 100, 1), SLUICE_OBJECT_OK);
    for (uint32_t i = 0; i < SLUICE_OBJECTS_HELD_MAX; i++) {
        objects[i] = none();
        cr_assert_eq(one->get(one->self, &id, &objects[i]), SLUICE_OBJECT_OK);
    }
    cr_assert_eq(one->get(one->self, &id, &more), SLUICE_OBJECT_FULL);
    cr_assert_eq(one->release(one->self, &objects[7]), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &id, &more), SLUICE_OBJECT_OK);
    sl_free(bytes); /* The rest is let go of with the service. */
}

Test(object_service, it_lets_go_of_all_that_a_plugin_left)
{
    struct sluice_object_id id = named("x"), large = named("y");
    struct sluice_object object = none();
    struct sluice_object_draft draft = {.size = sizeof(draft)};
    struct sl_object_node_stats stats;
    uint8_t *bytes = sl_zalloc(LARGE);
    cr_assert_eq(one->put(one->self, &id, bytes, 100, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(one->put(one->self, &large, bytes, LARGE, 1), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->get(one->self, &large, &object), SLUICE_OBJECT_OK);
    cr_assert_eq(one->begin(one->self, 100, &draft), SLUICE_OBJECT_OK);
    sl_object_service_destroy(&services[0]);
    uint64_t until_ns = sl_time_mono_ns() + 10 * SL_SECOND_NS;
    do {
        cr_assert_lt(sl_time_mono_ns(), until_ns, "it held something");
        (void)poll(NULL, 0, 20);
        sl_object_node_measure(store, &stats);
    } while (stats.clients != 2 || stats.pins + stats.holds > 0);
    sl_free(bytes);
}

Test(object_service, without_the_store_it_says_so)
{
    struct sluice_object_id id = named("x");
    struct sluice_object object = none();
    sl_object_node_close(&store);
    cr_assert_eq(one->put(one->self, &id, "b", 1, 1), SLUICE_OBJECT_AWAY);
    cr_assert_eq(one->get(one->self, &id, &object), SLUICE_OBJECT_AWAY);
}
