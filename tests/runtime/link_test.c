/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zmq.h>

#include "runtime/alloc.h"
#include "runtime/cert.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/time.h"
#include "tests/runtime/link_stage.h"

TestSuite(link, .init = link_stage_set, .fini = link_stage_strike, .timeout = 60);

Test(link, a_message_as_large_as_a_frame_comes_and_a_larger_one_is_refused)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    const size_t size = SL_LIMIT_FRAME_BYTES - 256;
    uint8_t *bytes = sl_zalloc(SL_LIMIT_FRAME_BYTES);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("abc")), SL_OK);
    cr_assert_eq(send_one(spoke, HUB, 2, sl_slice(bytes, SL_LIMIT_FRAME_BYTES)), SL_ETOOBIG);
    cr_assert_eq(send_one(spoke, HUB, 3, sl_slice(bytes, size)), SL_OK);
    cr_assert_eq(send_one(spoke, HUB, 4, sl_slice(bytes, SL_MIB)), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 3);
    expect(hub, 7, 3, size);
    expect(hub, 7, 4, SL_MIB);
    sl_free(bytes);
    drop(&spoke);
    drop(&hub);
}

Test(link, no_link_leads_to_a_node_it_never_connected_to)
{
    struct sl_links *spoke = spoke_create(7);
    cr_assert_eq(send_one(spoke, 99, 1, sl_slice_str("")), SL_ENOTFOUND);
    drop(&spoke);
}

/* More peers come and go than there are slots: one that is quiet meanwhile can still be sent to. */
Test(link, a_quiet_peer_is_not_forgotten_for_newer_ones)
{
    struct sl_links *hub = hub_create(), *quiet = spoke_create(7);
    cr_assert_eq(send_one(quiet, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(quiet);
    expect(hub, 7, 1, 0);
    for (uint32_t node = 100; node < 180; node++) {
        struct sl_links *other = spoke_create(node);
        cr_assert_eq(send_one(other, HUB, node, sl_slice_str("")), SL_OK);
        sl_links_flush(other);
        expect(hub, node, node, 0);
        drop(&other);
    }
    cr_assert_eq(send_one(hub, 7, 2, sl_slice_str("still there?")), SL_OK);
    sl_links_flush(hub);
    expect(quiet, HUB, 2, 12);
    drop(&quiet);
    drop(&hub);
}

Test(link, a_node_that_comes_again_takes_its_number_over)
{
    struct sl_links *hub = hub_create(), *old = spoke_create(7);
    cr_assert_eq(send_one(old, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(old);
    expect(hub, 7, 1, 0);
    struct sl_links *new = spoke_create(7);
    cr_assert_eq(send_one(new, HUB, 2, sl_slice_str("")), SL_OK);
    sl_links_flush(new);
    expect(hub, 7, 2, 0);
    cr_assert_eq(send_one(hub, 7, 3, sl_slice_str("")), SL_OK);
    sl_links_flush(hub);
    expect(new, HUB, 3, 0);
    cr_assert_null(wait_for(old, 0));
    drop(&old);
    drop(&new);
    drop(&hub);
}

/* Nothing else can take its place: a frame to a node that is gone is dropped, others still go. */
Test(link, a_peer_that_is_gone_stops_nobody_else)
{
    struct sl_links *hub = hub_create(), *gone = spoke_create(8), *there = spoke_create(9);
    struct sl_links *both[] = {gone, there};
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(send_one(both[i], HUB, i, sl_slice_str("")), SL_OK);
        sl_links_flush(both[i]);
        expect(hub, 8 + i, i, 0);
    }
    drop(&gone);
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(send_one(hub, 8, i, sl_slice_str("")), SL_OK);
        cr_assert_eq(send_one(hub, 9, i, sl_slice_str("")), SL_OK);
        sl_links_flush(hub);
        expect(there, HUB, i, 0);
    }
    drop(&there);
    drop(&hub);
}

/* ---- tcp and certificates ------------------------------------------------------------------ */

static char *
path_of(const char *name)
{
    return sl_format("%s/%s", directory, name);
}

static char *
make_cert(const char *name)
{
    struct sl_cert cert;
    char *path = path_of(name);
    cr_assert_eq(sl_cert_create(name, &cert), SL_OK);
    cr_assert_eq(sl_cert_save(&cert, path), SL_OK);
    return path;
}

static char *
secret_of(const char *path)
{
    return sl_format("%s%s", path, SL_CERT_SECRET_TAIL);
}

/* A directory with the public halves of `count` certificates. */
static char *
allow(const char *name, const char *const *paths, uint32_t count)
{
    char *allowed = path_of(name);
    cr_assert_eq(mkdir(allowed, 0700), 0);
    for (uint32_t i = 0; i < count; i++) {
        char *command = sl_format("cp %s %s/%u", paths[i], allowed, i);
        cr_assert_eq(system(command), 0);
        sl_free(command);
    }
    return allowed;
}

static struct sl_links *
listen_tcp(const struct sl_links_options *options, const struct sl_link_security *security)
{
    struct sl_links *hub = keep(sl_links_create_with(options));
    cr_assert_eq(sl_links_secure(hub, security), SL_OK);
    cr_assert_eq(sl_links_listen(hub, "tcp://127.0.0.1:0"), SL_OK);
    char *bound = sl_links_bound(hub);
    cr_assert_eq(strncmp(bound, "tcp://127.0.0.1:", 16), 0);
    snprintf(endpoint, sizeof(endpoint), "%s", bound);
    sl_free(bound);
    return hub;
}

static struct sl_links *
call_tcp(uint32_t node, const struct sl_link_security *security)
{
    struct sl_links *spoke = keep(sl_links_create(node));
    cr_assert_eq(sl_links_secure(spoke, security), SL_OK);
    cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK);
    return spoke;
}

static const struct sl_link_security insecure = {.is_insecure = true};

Test(link, tcp_goes_without_certificates_only_on_the_loopback_and_when_asked_for)
{
    struct sl_links *l = sl_links_create(7);
    cr_assert_eq(sl_links_listen(l, "tcp://127.0.0.1:0"), SL_EDENIED);
    cr_assert_eq(sl_links_connect(l, HUB, "tcp://127.0.0.1:1"), SL_EDENIED);
    cr_assert_eq(sl_links_secure(l, &insecure), SL_OK);
    cr_assert_eq(sl_links_listen(l, "tcp://0.0.0.0:0"), SL_EDENIED);
    cr_assert_eq(sl_links_listen(l, "tcp://*:0"), SL_EDENIED);
    cr_assert_eq(sl_links_connect(l, HUB, "tcp://10.0.0.1:1"), SL_EDENIED);
    cr_assert_eq(sl_links_listen(l, "tcp://localhost:0"), SL_OK);
    cr_assert_eq(sl_links_listen(l, "udp://127.0.0.1:1"), SL_EINVAL);
    cr_assert_eq(sl_links_listen(l, "tcp://127.0.0.1"), SL_EINVAL);
    sl_links_destroy(&l);
}

Test(link, messages_go_both_ways_over_tcp)
{
    struct sl_links *hub = listen_tcp(&(struct sl_links_options){.node = HUB}, &insecure);
    struct sl_links *spoke = call_tcp(7, &insecure);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("there")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 5);
    cr_assert_eq(send_one(hub, 7, 2, sl_slice_str("back")), SL_OK);
    sl_links_flush(hub);
    expect(spoke, HUB, 2, 4);
    drop(&spoke);
    drop(&hub);
}

Test(link, certificates_that_are_allowed_connect_and_others_are_refused)
{
    char *head = make_cert("head"), *worker = make_cert("worker"), *other = make_cert("other");
    char *head_secret = secret_of(head), *worker_secret = secret_of(worker),
         *other_secret = secret_of(other);
    char *allowed = allow("allowed", (const char *const[]){worker}, 1);
    struct sl_links *hub =
        listen_tcp(&(struct sl_links_options){.node = HUB},
                   &(struct sl_link_security){.cert = head_secret, .allowed = allowed});
    struct sl_links *good =
        call_tcp(7, &(struct sl_link_security){.cert = worker_secret, .server = head});
    struct sl_links *bad =
        call_tcp(8, &(struct sl_link_security){.cert = other_secret, .server = head});
    struct sl_links *misled =
        call_tcp(9, &(struct sl_link_security){.cert = worker_secret, .server = other});
    struct sl_links *plain = call_tcp(10, &insecure);
    struct sl_links *strangers[] = {bad, misled, plain};
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(send_one(strangers[i], HUB, 99, sl_slice_str("")), SL_OK);
        sl_links_flush(strangers[i]);
    }
    cr_assert_eq(send_one(good, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(good);
    expect(hub, 7, 1, 0);
    cr_assert_null(wait_for(hub, 600));
    struct sl_links_counts counts;
    sl_links_counts(hub, &counts);
    cr_assert_geq(counts.refused, 3);
    sl_links_counts(bad, &counts);
    cr_assert_geq(counts.refused, 1);
    sl_links_counts(plain, &counts);
    cr_assert_geq(counts.refused, 1);
    drop(&good);
    drop(&bad);
    drop(&misled);
    drop(&plain);
    drop(&hub);
    char *texts[] = {head, worker, other, head_secret, worker_secret, other_secret, allowed};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++)
        sl_free(texts[i]);
}

Test(link, a_certificate_without_its_secret_or_with_an_open_one_is_refused)
{
    struct sl_links *l = sl_links_create(7);
    char *head = make_cert("head"), *secret = secret_of(head);
    char *away = sl_format("%s.away", secret);
    cr_assert_eq(sl_links_secure(l, &(struct sl_link_security){.cert = head}), SL_OK,
                 "its secret lies beside it");
    cr_assert_eq(rename(secret, away), 0);
    cr_assert_eq(sl_links_secure(l, &(struct sl_link_security){.cert = head}), SL_ENOTFOUND);
    cr_assert_eq(rename(away, secret), 0);
    sl_free(away);
    cr_assert_eq(sl_links_secure(l, &(struct sl_link_security){.cert = "/nowhere"}), SL_ENOTFOUND);
    cr_assert_eq(sl_links_secure(l, &(struct sl_link_security){.cert = secret}), SL_OK);
    cr_assert_eq(sl_links_listen(l, "tcp://127.0.0.1:0"), SL_EDENIED, "who may connect?");
    cr_assert_eq(sl_links_connect(l, HUB, "tcp://127.0.0.1:1"), SL_EDENIED, "to whom?");
    cr_assert_eq(chmod(secret, 0644), 0);
    cr_assert_eq(sl_links_secure(l, &(struct sl_link_security){.cert = secret}), SL_EDENIED);
    sl_links_destroy(&l);
    sl_free(head);
    sl_free(secret);
}

/* ---- sessions over connections ------------------------------------------------------------- */

static struct sl_msg *
expect_link(struct sl_links *l, uint32_t id)
{
    struct sl_msg *msg = wait_for(l, 20000);
    cr_assert_not_null(msg);
    cr_assert_eq(msg->id, id, "%s", msg->type->name);
    return msg;
}

static struct sl_links *
watching_hub_create(const char *(*admit)(void *, const struct sl_hello *, const char *))
{
    struct sl_links_options options = {
        .node = HUB, .watcher = 5, .dead_ns = 300 * SL_MILLI_NS, .admit = admit};
    struct sl_links *hub = keep(sl_links_create_with(&options));
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    return hub;
}

Test(link, its_watcher_hears_of_links_that_come_and_go)
{
    struct sl_links *hub = watching_hub_create(NULL);
    struct sl_links *spoke = keep(sl_links_create_with(
        &(struct sl_links_options){.node = 7, .name = "worker-7", .group = "cpu", .boot = 70}));
    cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK);
    struct sl_msg *msg = expect_link(hub, SL_M_peer_up);
    const struct sl_m_peer_up *up = SL_BODY(msg, peer_up);
    cr_assert(up->node == 7 && up->boot == 70 && msg->to.actor == 5);
    cr_assert(sl_slice_is(up->name, "worker-7") && sl_slice_is(up->group, "cpu"));
    sl_msg_destroy(&msg);
    drop(&spoke);
    cr_assert_eq(send_one(hub, 7, 1, sl_slice_str("lost")), SL_OK);
    sl_links_flush(hub);
    msg = expect_link(hub, SL_M_peer_down);
    cr_assert_eq(SL_BODY(msg, peer_down)->boot, 70);
    sl_msg_destroy(&msg);
    cr_assert_eq(send_one(hub, 7, 2, sl_slice_str("")), SL_ENOTFOUND);
    drop(&hub);
}

/* What a second actor does about the end of a session must come before what the next one brings. */
Test(link, two_watchers_hear_of_a_session_before_what_its_successor_sends)
{
    struct sl_links_options options = {
        .node = HUB, .watcher = 5, .watcher_too = 6, .dead_ns = 300 * SL_MILLI_NS};
    struct sl_links *hub = keep(sl_links_create_with(&options));
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    for (uint64_t run = 1; run <= 2; run++) {
        struct sl_links *spoke = keep(sl_links_create_with(
            &(struct sl_links_options){.node = 7, .name = "worker-7", .boot = run}));
        cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK);
        cr_assert_eq(send_one(spoke, HUB, run, sl_slice_str("")), SL_OK);
        sl_links_flush(spoke);
        for (uint32_t kind = run == 1; kind < 2; kind++) {
            for (uint32_t actor = 5; actor <= 6; actor++) {
                struct sl_msg *msg = expect_link(hub, kind == 0 ? SL_M_peer_down : SL_M_peer_up);
                cr_assert_eq(msg->to.actor, actor);
                sl_msg_destroy(&msg);
            }
        }
        expect(hub, 7, run, 0);
        drop(&spoke);
    }
    drop(&hub);
}

Test(link, a_node_that_was_disconnected_can_be_connected_to_again_and_often)
{
    struct sl_links *hub = hub_create(), *spoke = keep(sl_links_create(7));
    sl_links_disconnect(spoke, HUB);
    for (uint64_t i = 1; i <= 100; i++) {
        cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_OK, "the %zuth time", (size_t)i);
        cr_assert_eq(sl_links_connect(spoke, HUB, endpoint), SL_EEXIST);
        cr_assert_eq(send_one(spoke, HUB, i, sl_slice_str("")), SL_OK);
        cr_assert_eq(send_one(spoke, HUB, 1000 + i, sl_slice_str("")), SL_OK);
        sl_links_flush(spoke);
        expect(hub, 7, i, 0);
        expect(hub, 7, 1000 + i, 0);
        cr_assert_eq(send_one(hub, 7, i, sl_slice_str("")), SL_OK);
        cr_assert_eq(send_one(hub, 7, i, sl_slice_str("")), SL_OK);
        sl_links_flush(hub);
        expect(spoke, HUB, i, 0); /* And the rest of the frame is dropped. */
        sl_links_disconnect(spoke, HUB);
        cr_assert_eq(send_one(spoke, HUB, 0, sl_slice_str("")), SL_ENOTFOUND);
        cr_assert_null(sl_links_receive(spoke));
    }
    drop(&spoke);
    drop(&hub);
}

Test(link, a_peer_whose_connection_broke_is_given_up_long_before_a_silent_one)
{
    struct sl_links_options options = {
        .node = HUB, .watcher = 5, .dead_ns = 3600 * SL_SECOND_NS, .lost_ns = 50 * SL_MILLI_NS};
    struct sl_links *hub = keep(sl_links_create_with(&options));
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    struct sl_links *spoke = spoke_create(7), *other = spoke_create(8);
    struct sl_msg *msg = expect_link(hub, SL_M_peer_up);
    sl_msg_destroy(&msg);
    msg = expect_link(hub, SL_M_peer_up);
    sl_msg_destroy(&msg);
    drop(&spoke);
    msg = expect_link(hub, SL_M_peer_down);
    cr_assert_eq(SL_BODY(msg, peer_down)->node, 7);
    sl_msg_destroy(&msg);
    cr_assert_null(wait_for(hub, 300), "the other one lives");
    cr_assert_eq(send_one(hub, 8, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(hub);
    expect(other, HUB, 1, 0);
    drop(&other);
    drop(&hub);
}

Test(link, a_listener_that_restarts_is_found_again_and_gets_only_what_is_new)
{
    struct sl_links *hub = hub_create(), *spoke = spoke_create(7);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 0);
    drop(&hub);
    hub = hub_create();
    cr_assert_null(wait_for(hub, 400), "it waits till it was told who we are");
    cr_assert_eq(send_one(spoke, HUB, 2, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 2, 0);
    drop(&spoke);
    drop(&hub);
}

static const char *
admit_cpu(void *arg, const struct sl_hello *hello, const char *key)
{
    (void)arg;
    (void)key;
    return sl_slice_is(hello->group, "cpu") ? NULL : "no such group";
}

Test(link, a_peer_that_is_not_admitted_is_told_so)
{
    struct sl_links *hub = watching_hub_create(admit_cpu);
    struct sl_links *bad =
        keep(sl_links_create_with(&(struct sl_links_options){.node = 7, .group = "gpu"}));
    struct sl_links *good =
        keep(sl_links_create_with(&(struct sl_links_options){.node = 8, .group = "cpu"}));
    cr_assert_eq(sl_links_connect(bad, HUB, endpoint), SL_OK);
    cr_assert_eq(sl_links_connect(good, HUB, endpoint), SL_OK);
    struct sl_msg *msg = expect_link(hub, SL_M_peer_up);
    cr_assert_eq(SL_BODY(msg, peer_up)->node, 8);
    sl_msg_destroy(&msg);
    cr_assert_null(wait_for(hub, 100));
    cr_assert_eq(send_one(bad, HUB, 1, sl_slice_str("")), SL_EDENIED);
    drop(&bad);
    drop(&good);
    drop(&hub);
}

static bool
takes_even(const struct sl_msg *msg)
{
    return SL_BODY(msg, every)->number % 2 == 0;
}

Test(link, messages_that_a_peer_may_not_send_are_dropped_and_the_others_come)
{
    struct sl_links *hub =
        keep(sl_links_create_with(&(struct sl_links_options){.node = HUB, .takes = takes_even}));
    cr_assert_eq(sl_links_listen(hub, endpoint), SL_OK);
    struct sl_links *spoke = spoke_create(7);
    for (uint64_t i = 1; i <= 5; i++)
        cr_assert_eq(send_one(spoke, HUB, i, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 2, 0);
    expect(hub, 7, 4, 0);
    cr_assert_null(wait_for(hub, 10));
    struct sl_links_counts counts;
    sl_links_counts(hub, &counts);
    cr_assert_eq(counts.unasked, 3);
    drop(&spoke);
    drop(&hub);
}

/* ---- foreign frames ------------------------------------------------------------------------ */

struct foreigner {
    void *context, *socket;
};

/* A bare DEALER with a routing id of ours, or none. */
static struct foreigner
foreigner_create(bool has_identity)
{
    struct foreigner f = {.context = zmq_ctx_new()};
    static const uint8_t identity[] = {'n', 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 1};
    int none = 0;
    f.socket = zmq_socket(f.context, ZMQ_DEALER);
    zmq_setsockopt(f.socket, ZMQ_LINGER, &none, sizeof(none));
    if (has_identity)
        zmq_setsockopt(f.socket, ZMQ_ROUTING_ID, identity, sizeof(identity));
    cr_assert_eq(zmq_connect(f.socket, endpoint), 0);
    return f;
}

static void
foreigner_destroy(struct foreigner *f)
{
    zmq_close(f->socket);
    zmq_ctx_term(f->context);
}

static void
say(const struct foreigner *f, const void *bytes, size_t size)
{
    cr_assert_eq(zmq_send(f->socket, bytes, size, 0), (int)size);
}

Test(link, frames_that_are_none_are_counted_and_dropped)
{
    struct sl_links *hub = listen_tcp(&(struct sl_links_options){.node = HUB}, &insecure);
    struct sl_links *spoke = call_tcp(7, &insecure);
    struct foreigner known = foreigner_create(true), unknown = foreigner_create(false);
    struct sl_links_counts counts;
    say(&known, "", 0);
    say(&known, "\4", 1);
    say(&known, "\4\1 a hello that is cut off", 26);
    say(&known, "\4\2 data", 7);
    say(&known, "\4\0", 2);
    say(&known, "\4\144 a kind of a later version", 28);
    say(&unknown, "GET / HTTP/1.1", 14);
    uint8_t *large = sl_zalloc(SL_LIMIT_FRAME_BYTES + 1);
    memcpy(large, "\4\2", 2);
    say(&known, large, SL_LIMIT_FRAME_BYTES + 1);
    sl_free(large);
    cr_assert_eq(send_one(spoke, HUB, 1, sl_slice_str("")), SL_OK);
    sl_links_flush(spoke);
    expect(hub, 7, 1, 0);
    for (uint32_t i = 0; i < 2000; i++) {
        cr_assert_null(wait_for(hub, 1));
        sl_links_counts(hub, &counts);
        if (counts.malformed == 7 && counts.unknown == 1)
            break;
    }
    cr_assert_eq(counts.malformed, 7);
    cr_assert_eq(counts.unknown, 1);
    foreigner_destroy(&known);
    foreigner_destroy(&unknown);
    drop(&spoke);
    drop(&hub);
}

Test(link, a_peer_of_another_major_version_is_told_why_it_is_refused)
{
    struct sl_links *hub = listen_tcp(&(struct sl_links_options){.node = HUB}, &insecure);
    struct foreigner old = foreigner_create(true);
    uint8_t reply[300];
    int size = -1;
    say(&old, "\1\225\1\1\1\1\1", 7);
    for (uint32_t i = 0; i < 2000 && size < 0; i++) {
        cr_assert_null(wait_for(hub, 1));
        size = zmq_recv(old.socket, reply, sizeof(reply), ZMQ_DONTWAIT);
    }
    struct sl_frame_view view;
    cr_assert_gt(size, 0);
    cr_assert_eq(sl_frame_read(sl_slice(reply, (size_t)size), &view), SL_OK);
    cr_assert_eq(view.kind, SL_FRAME_REFUSE);
    cr_assert(sl_slice_is(view.text, "protocol version 1, known here is 4"));
    struct sl_links_counts counts;
    sl_links_counts(hub, &counts);
    cr_assert_eq(counts.refused, 1);
    foreigner_destroy(&old);
    drop(&hub);
}
