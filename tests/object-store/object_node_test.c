/* SPDX-License-Identifier: Apache-2.0 */
/* The store runs on its thread; clients are this process's main thread, or children of it. */
#include "object-store/object_node.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/object_client.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "tests/object-store/arena_scene.h"

#define TIMEOUT_NS (20 * SL_SECOND_NS)

static struct sl_object_node *
open_node(const struct sl_object_node_options *options)
{
    struct sl_object_node *n = NULL;
    sl_report_level_set(SL_REPORT_ERROR);
    cr_assert_eq(sl_object_node_open(options, &n), SL_OK);
    return n;
}

static struct sl_object_client *
client_of(struct sl_object_node *n, uint64_t tenant, uint64_t tag)
{
    int fd = -1;
    struct sl_object_peer peer = {.tenant = tenant, .tag = tag};
    cr_assert_eq(sl_object_node_grant(n, &peer, &fd), SL_OK);
    return sl_object_client_create(fd, tenant, TIMEOUT_NS);
}

static enum sl_err
put(struct sl_object_client *c, const struct sl_object_id *id, uint64_t size, uint64_t rebuild_ns)
{
    uint8_t *bytes = sl_alloc(size);
    scene_fill(bytes, size, size);
    enum sl_err err = sl_object_client_put(c, id, sl_slice(bytes, size), rebuild_ns);
    sl_free(bytes);
    return err;
}

/* Until the published numbers say so. */
#define AWAIT(n, stats, cond)                                                                      \
    do {                                                                                           \
        uint64_t until_ns = sl_time_mono_ns() + 10 * SL_SECOND_NS;                                 \
        for (sl_object_node_measure(n, &(stats)); !(cond); sl_object_node_measure(n, &(stats))) {  \
            cr_assert_lt(sl_time_mono_ns(), until_ns, "not in time: %s", #cond);                   \
            (void)poll(NULL, 0, 20);                                                               \
        }                                                                                          \
    } while (0)

TestSuite(object_node, .timeout = 60);

Test(object_node, what_one_process_of_a_tenant_puts_another_gets_and_no_other_tenant_does)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_client *a = client_of(n, SCENE_TENANT, 1), *b = client_of(n, SCENE_TENANT, 2),
                            *other = client_of(n, SCENE_TENANT + 1, 3);
    struct sl_object_id id = scene_id(1);
    struct sl_object_ref ref;
    uint64_t mark;
    cr_assert_eq(put(a, &id, 5000, 1), SL_OK);
    cr_assert_eq(sl_object_client_get(b, &id, &ref), SL_OK);
    cr_assert(ref.bytes.size == 5000 && scene_is_whole(ref.bytes, &mark) && mark == 5000);
    sl_object_client_release(b, &ref);
    id.tenant++;
    cr_assert_eq(sl_object_client_get(other, &id, &ref), SL_ENOTFOUND);
    sl_object_client_destroy(&a);
    sl_object_client_destroy(&b);
    sl_object_client_destroy(&other);
    sl_object_node_close(&n);
}

Test(object_node, its_numbers_tell_what_is_held_and_that_it_comes_back)
{
    struct sl_object_node *n =
        open_node(&(struct sl_object_node_options){.memory_bytes = 64 * SL_MIB});
    struct sl_object_node_stats stats;
    struct sl_object_id id = scene_id(1), large = scene_id(2);
    struct sl_object_ref refs[2];
    sl_object_node_measure(n, &stats);
    cr_assert_eq(stats.memory_max_bytes, 64 * SL_MIB);
    cr_assert_eq(stats.memory_bytes + stats.clients, 0, "nothing is made before it is used");
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1);
    cr_assert_eq(put(c, &id, 5000, 1), SL_OK);
    cr_assert_eq(put(c, &large, 9 * SL_MIB, 1), SL_OK);
    cr_assert_eq(sl_object_client_get(c, &id, &refs[0]), SL_OK);
    cr_assert_eq(sl_object_client_get(c, &large, &refs[1]), SL_OK);
    AWAIT(n, stats, stats.pins == 1 && stats.holds == 1);
    cr_assert_eq(stats.objects, 2);
    cr_assert_eq(stats.object_bytes, 5000 + 9 * SL_MIB);
    cr_assert_eq(stats.clients, 1);
    sl_shared_destroy(&refs[1].large);
    sl_object_client_destroy(&c); /* As if its process had ended. */
    AWAIT(n, stats, stats.pins + stats.holds + stats.clients == 0);
    cr_assert_eq(stats.objects, 2, "objects outlast who put them");
    sl_object_node_close(&n);
}

/* The store sleeps now and then: whoever hands over wakes it. */
Test(object_node, what_is_handed_over_is_put_without_an_ask)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1), *b = client_of(n, SCENE_TENANT, 2);
    struct sl_object_node_stats stats;
    struct sl_object_ref ref;
    uint8_t bytes[4096] = {0};
    for (uint64_t i = 0; i < 2000; i++) {
        struct sl_object_id id = scene_id(i);
        scene_fill(bytes, sizeof(bytes), i);
        cr_assert_eq(sl_object_client_hand(c, &id, sl_slice(bytes, sizeof(bytes)), 1), SL_OK);
        if (i % 100 == 0) { /* Ours are there when we ask; others' soon. */
            cr_assert_eq(sl_object_client_get(c, &id, &ref), SL_OK);
            sl_object_client_release(c, &ref);
            (void)poll(NULL, 0, 1);
        }
    }
    AWAIT(n, stats, stats.handed > 1900);
    cr_assert_eq(stats.lost, 0);
    struct sl_object_id last = scene_id(1999), wrong = {0};
    cr_assert_eq(sl_object_client_get(b, &last, &ref), SL_OK);
    sl_object_client_release(b, &ref);
    sl_object_id_content(SCENE_TENANT, sl_slice_str("others"), &wrong);
    cr_assert_eq(sl_object_client_hand(c, &wrong, sl_slice_str("bytes"), 1), SL_OK);
    cr_assert_eq(sl_object_client_get(c, &wrong, &ref), SL_ENOTFOUND, "it is no digest of them");
    AWAIT(n, stats, stats.lost == 1);
    wrong.tenant++;
    cr_assert_eq(sl_object_client_hand(c, &wrong, sl_slice_str("bytes"), 1), SL_EINVAL);
    cr_assert_eq(sl_object_client_hand(c, &last, (struct sl_slice){0}, 1), SL_EINVAL);
    sl_object_client_destroy(&c);
    sl_object_client_destroy(&b);
    sl_object_node_close(&n);
}

Test(object_node, who_misbehaves_is_told_of_once_and_by_its_tag)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_node_stats stats;
    int fd = -1;
    struct sl_object_want told_of = {0};
    struct sl_object_client *good = client_of(n, SCENE_TENANT, 8);
    struct sl_object_peer bad = {.tenant = SCENE_TENANT, .tag = 77};
    cr_assert_eq(sl_object_node_grant(n, &bad, &fd), SL_OK);
    cr_assert_not(sl_object_node_told(n, &told_of));
    cr_assert_eq(send(fd, "nonsense", 8, 0), 8);
    struct pollfd told = {.fd = sl_object_node_fd(n), .events = POLLIN};
    cr_assert_eq(poll(&told, 1, 10000), 1);
    cr_assert(sl_object_node_told(n, &told_of));
    cr_assert(told_of.tag == 77 && told_of.ticket == 0);
    cr_assert_not(sl_object_node_told(n, &told_of));
    AWAIT(n, stats, stats.drops == 1 && stats.clients == 1);
    sl_object_client_destroy(&good); /* One that just ends is nobody's concern. */
    AWAIT(n, stats, stats.clients == 0);
    cr_assert_not(sl_object_node_told(n, &told_of));
    (void)close(fd);
    sl_object_node_close(&n);
}

/* ---- models -------------------------------------------------------------------------------- */

/* The node's thread: the test's own clients ask from others. */
struct asking {
    struct sl_object_client *client;
    const char *model;
    uint64_t timeout_ns;
    int fd;
    enum sl_err err;
    struct sl_cause cause;
};

static void *
ask_for_model(void *arg)
{
    struct asking *a = arg;
    a->fd = -1;
    a->err =
        sl_object_client_model(a->client, sl_slice_str(a->model), a->timeout_ns, &a->fd, &a->cause);
    return NULL;
}

static struct sl_object_want
await_want(struct sl_object_node *n)
{
    struct sl_object_want want = {0};
    struct pollfd told = {.fd = sl_object_node_fd(n), .events = POLLIN};
    cr_assert_eq(poll(&told, 1, 10000), 1);
    cr_assert(sl_object_node_told(n, &want));
    cr_assert_neq(want.ticket, 0);
    return want;
}

Test(object_node, a_model_that_a_process_asks_for_is_given_when_it_is_there)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_node_stats stats;
    struct asking a = {
        .client = client_of(n, SCENE_TENANT, 42), .model = "probe_1_0_0", .timeout_ns = TIMEOUT_NS};
    pthread_t thread;
    struct sl_shared file;
    cr_assert_eq(sl_large_create(5 * SL_MIB, &file), SL_OK);
    memset(file.base, 7, 5 * SL_MIB);
    cr_assert_eq(sl_large_seal(&file), SL_OK);
    cr_assert_eq(pthread_create(&thread, NULL, ask_for_model, &a), 0);
    struct sl_object_want want = await_want(n);
    cr_assert_eq(want.tag, 42, "who asks is known by what it was granted");
    cr_assert(sl_slice_is(want.model, "probe_1_0_0"));
    struct sl_object_given given = {.ticket = want.ticket, .fd = file.fd, .size_bytes = 5 * SL_MIB};
    cr_assert_eq(sl_object_node_give(n, &given), SL_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(a.err, SL_OK, "%s", a.cause.text);
    sl_shared_destroy(&file); /* What was given is the process's own. */
    cr_assert_eq(sl_large_attach(a.fd, &file), SL_OK);
    cr_assert_eq(((const uint8_t *)file.base)[5 * SL_MIB - 1], 7);
    sl_shared_destroy(&file);
    (void)close(a.fd);
    AWAIT(n, stats, stats.models == 1);

    a.model = "gone_1_0_0";
    cr_assert_eq(pthread_create(&thread, NULL, ask_for_model, &a), 0);
    given = (struct sl_object_given){.ticket = await_want(n).ticket,
                                     .err = SL_ENOTFOUND,
                                     .fd = -1,
                                     .text = sl_slice_str("there is no model gone_1_0_0")};
    cr_assert_eq(sl_object_node_give(n, &given), SL_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(a.err, SL_ENOTFOUND);
    cr_assert_str_eq(a.cause.text, "there is no model gone_1_0_0");
    sl_object_client_destroy(&a.client);
    sl_object_node_close(&n);
}

/* Its late answer is nobody's, and harms neither the next ask nor what is asked beside it. */
Test(object_node, who_gave_up_waiting_for_a_model_gets_the_next_it_asks_for)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct asking a = {
        .client = client_of(n, SCENE_TENANT, 1), .model = "slow", .timeout_ns = SL_MILLI_NS};
    struct sl_object_id id = scene_id(1);
    struct sl_object_ref ref;
    pthread_t thread;
    struct sl_shared file;
    cr_assert_eq(sl_large_create(100, &file), SL_OK);
    cr_assert_eq(sl_large_seal(&file), SL_OK);
    (void)ask_for_model(&a);
    cr_assert_eq(a.err, SL_ETIMEOUT);
    cr_assert_eq(put(a.client, &id, 5000, 1), SL_OK);
    struct sl_object_given late = {.ticket = await_want(n).ticket, .fd = file.fd};
    cr_assert_eq(sl_object_node_give(n, &late), SL_OK);
    cr_assert_eq(sl_object_client_get(a.client, &id, &ref), SL_OK);
    sl_object_client_release(a.client, &ref);
    a.timeout_ns = TIMEOUT_NS;
    cr_assert_eq(pthread_create(&thread, NULL, ask_for_model, &a), 0);
    struct sl_object_given next = {.ticket = await_want(n).ticket, .err = SL_EFULL, .fd = -1};
    cr_assert_neq(next.ticket, late.ticket);
    cr_assert_eq(sl_object_node_give(n, &late), SL_OK);
    cr_assert_eq(sl_object_node_give(n, &next), SL_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(a.err, SL_EFULL);
    sl_shared_destroy(&file);
    sl_object_client_destroy(&a.client);
    sl_object_node_close(&n);
}

Test(object_node, the_model_of_a_process_that_has_ended_is_given_to_nobody)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_node_stats stats;
    struct asking a = {
        .client = client_of(n, SCENE_TENANT, 1), .model = "m", .timeout_ns = SL_MILLI_NS};
    struct sl_shared file;
    cr_assert_eq(sl_large_create(100, &file), SL_OK);
    cr_assert_eq(sl_large_seal(&file), SL_OK);
    (void)ask_for_model(&a);
    struct sl_object_given given = {.ticket = await_want(n).ticket, .fd = file.fd};
    sl_object_client_destroy(&a.client);
    AWAIT(n, stats, stats.clients == 0);
    struct sl_object_client *other = client_of(n, SCENE_TENANT + 1, 2); /* In its place. */
    AWAIT(n, stats, stats.clients == 1);
    cr_assert_eq(sl_object_node_give(n, &given), SL_OK);
    given.ticket = 0;
    cr_assert_eq(sl_object_node_give(n, &given), SL_OK);
    struct sl_object_id id = scene_id(1);
    id.tenant++;
    cr_assert_eq(put(other, &id, 5000, 1), SL_OK, "it hears its own answers");
    AWAIT(n, stats, stats.objects == 1);
    cr_assert_eq(stats.models, 0);
    sl_shared_destroy(&file);
    sl_object_client_destroy(&other);
    sl_object_node_close(&n);
}

Test(object_node, memory_that_nobody_uses_is_given_back)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1);
    struct sl_object_node_stats stats;
    struct sl_object_id id = scene_id(1);
    cr_assert_eq(put(c, &id, 5000, 1), SL_OK);
    AWAIT(n, stats, stats.memory_bytes > 16 * SL_MIB);
    cr_assert_eq(sl_object_client_delete(c, &id), SL_OK);
    AWAIT(n, stats, stats.memory_bytes < 16 * SL_MIB);
    sl_object_client_destroy(&c);
    sl_object_node_close(&n);
}

Test(object_node, what_has_no_room_goes_to_its_directory_and_comes_back)
{
    char data[] = "/tmp/sluice-node-XXXXXX";
    cr_assert_not_null(mkdtemp(data));
    char *spill = sl_format("%s/spill", data);
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){
        .memory_bytes = 24 * SL_MIB,
        .tenant_bytes = 60 * SL_MIB,
        .spill_bytes = 60 * SL_MIB,
        .spill_directory = spill,
    });
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1);
    struct sl_object_node_stats stats;
    struct sl_object_ref ref;
    for (uint64_t i = 0; i < 4; i++) {
        struct sl_object_id id = scene_id(i);
        cr_assert_eq(put(c, &id, 9 * SL_MIB, SL_ARENA_KEEP), SL_OK);
    }
    AWAIT(n, stats, stats.spills >= 2 && stats.spilled_bytes >= 18 * SL_MIB);
    for (uint64_t i = 0; i < 4; i++) {
        struct sl_object_id id = scene_id(i);
        cr_assert_eq(sl_object_client_get(c, &id, &ref), SL_OK);
        cr_assert_eq(ref.bytes.size, 9 * SL_MIB);
        sl_object_client_release(c, &ref);
    }
    sl_object_client_destroy(&c);
    sl_object_node_close(&n);
    cr_assert_eq(rmdir(spill), 0, "nothing is left in it");
    cr_assert_eq(rmdir(data), 0);
    sl_free(spill);
}

/* A disk that is not there costs the spill, not the store. */
Test(object_node, without_its_directory_it_works_in_memory)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){
        .spill_bytes = SL_MIB, .spill_directory = "/proc/no/such"});
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1);
    struct sl_object_id id = scene_id(1);
    cr_assert_eq(put(c, &id, 5000, SL_ARENA_KEEP), SL_OK);
    sl_object_client_destroy(&c);
    sl_object_node_close(&n);
}

Test(object_node, clients_hear_of_its_end)
{
    struct sl_object_node *n = open_node(&(struct sl_object_node_options){0});
    struct sl_object_client *c = client_of(n, SCENE_TENANT, 1);
    struct sl_object_id id = scene_id(1);
    sl_object_node_close(&n);
    cr_assert_eq(put(c, &id, 5000, 1), SL_EUNAVAIL);
    sl_object_client_destroy(&c);
}
