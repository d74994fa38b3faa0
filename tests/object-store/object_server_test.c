/* SPDX-License-Identifier: Apache-2.0 */
/* Clients are processes of their own here, as they are in life. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/object_client.h"
#include "object-store/object_server.h"
#include "object-store/object_ring.h"
#include "object-store/object_stream.h"
#include "object-store/object_wire.h"
#include "runtime/alloc.h"
#include "tests/object-store/arena_scene.h"

#define LARGE (3 * SL_MIB)

static struct sl_objects *objects;
static struct sl_object_server *server;

static void
set_up(void)
{
    struct sl_objects_options options = {.node_bytes_max = 32 * SL_MIB,
                                         .tenant_bytes_max = 16 * SL_MIB,
                                         .arena = {.step_bytes = SL_MIB, .objects_max = 512}};
    cr_assert_eq(sl_objects_create(&options, &objects), SL_OK);
    cr_assert_eq(sl_object_server_create(objects, &server), SL_OK);
}

static void
tear_down(void)
{
    sl_object_server_destroy(&server);
    sl_objects_destroy(&objects);
}

TestSuite(object_server, .init = set_up, .fini = tear_down, .timeout = 60);

/* The other end of an admitted socket. */
static int
connect_as(uint64_t tenant)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(
        sl_object_server_admit(server, pair[0], &(struct sl_object_peer){.tenant = tenant}), SL_OK);
    return pair[1];
}

typedef int script_fn(struct sl_object_client *c); /* 0, or the line that failed. */

static pid_t
start(script_fn *script, uint64_t tenant)
{
    int fd = connect_as(tenant);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        sl_object_server_destroy(&server); /* The parent's ends, which would keep sockets open. */
        struct sl_object_client *c = sl_object_client_create(fd, tenant, 20 * SL_SECOND_NS);
        int line = script(c);
        if (line != 0)
            (void)fprintf(stderr, "the client failed in line %d\n", line);
        sl_object_client_destroy(&c);
        _exit(line != 0);
    }
    (void)close(fd);
    return pid;
}

static void
turn(void)
{
    struct pollfd p = {.fd = sl_object_server_fd(server), .events = POLLIN};
    if (poll(&p, 1, 20) > 0)
        (void)sl_object_server_turn(server);
}

static void
serve_until_end(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        turn();
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    turn(); /* Its socket has closed. */
}

static struct sl_object_server_stats
measure(void)
{
    struct sl_object_server_stats stats;
    sl_object_server_measure(server, &stats);
    return stats;
}

#define NEED(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return __LINE__;                                                                       \
    } while (0)

static enum sl_err
put(struct sl_object_client *c, uint64_t number, uint64_t size)
{
    struct sl_object_id id = scene_id(number);
    uint8_t *bytes = sl_alloc(size);
    scene_fill(bytes, size, number);
    enum sl_err err = sl_object_client_put(c, &id, sl_slice(bytes, size), 1000);
    sl_free(bytes);
    return err;
}

static int
put_and_get(struct sl_object_client *c)
{
    static const uint64_t sizes[] = {1, 64, 5000, 65536, 65537, 400000, LARGE};
    struct sl_object_ref ref;
    struct sl_object_id none = scene_id(99);
    uint64_t mark;
    NEED(sl_object_client_get(c, &none, &ref) == SL_ENOTFOUND);
    for (uint64_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        struct sl_object_id id = scene_id(i);
        NEED(put(c, i, sizes[i]) == SL_OK);
        NEED(put(c, i, sizes[i]) == SL_EEXIST);
        NEED(sl_object_client_get(c, &id, &ref) == SL_OK);
        NEED(ref.bytes.size == sizes[i]);
        NEED(scene_is_whole(ref.bytes, &mark) && (mark == i || sizes[i] < 8));
        NEED((ref.large.base != NULL) == (sizes[i] == LARGE));
        sl_object_client_release(c, &ref);
    }
    NEED(sl_object_client_get(c, &none, &ref) == SL_ENOTFOUND);
    none = scene_id(2);
    NEED(sl_object_client_delete(c, &none) == SL_OK);
    NEED(sl_object_client_delete(c, &none) == SL_ENOTFOUND);
    NEED(sl_object_client_get(c, &none, &ref) == SL_ENOTFOUND);
    none.tenant++;
    NEED(sl_object_client_get(c, &none, &ref) == SL_ENOTFOUND);
    NEED(sl_object_client_put(c, &none, sl_slice_str("x"), 1) == SL_EINVAL);
    return 0;
}

Test(object_server, clients_put_and_get_objects_of_any_size)
{
    serve_until_end(start(put_and_get, SCENE_TENANT));
    cr_assert_eq(measure().clients, 0);
    cr_assert_eq(measure().pins + measure().holds, 0, "it released all that it got");
}

static int
read_what_is_there(struct sl_object_client *c)
{
    struct sl_object_ref ref;
    struct sl_object_id id = scene_id(1);
    uint64_t mark;
    NEED(sl_object_client_get(c, &id, &ref) == SL_OK);
    NEED(scene_is_whole(ref.bytes, &mark) && mark == 1);
    sl_object_client_release(c, &ref);
    return 0;
}

static int
see_nothing(struct sl_object_client *c)
{
    struct sl_object_ref ref;
    struct sl_object_id id = scene_id(1);
    id.tenant = SCENE_TENANT + 1;
    NEED(sl_object_client_get(c, &id, &ref) == SL_ENOTFOUND);
    return 0;
}

Test(object_server, one_client_reads_what_another_wrote_and_another_tenant_does_not)
{
    uint8_t bytes[1000];
    struct sl_object_id id = scene_id(1);
    scene_fill(bytes, sizeof(bytes), 1);
    cr_assert_eq(sl_objects_put(objects, &id, sl_slice(bytes, sizeof(bytes)), 1), SL_OK);
    serve_until_end(start(read_what_is_there, SCENE_TENANT));
    serve_until_end(start(see_nothing, SCENE_TENANT + 1));
}

static int
check_digests(struct sl_object_client *c)
{
    struct sl_object_id id;
    uint8_t *bytes = sl_zalloc(LARGE);
    sl_object_id_content(SCENE_TENANT, sl_slice(bytes, LARGE), &id);
    id.key[0] ^= 1;
    NEED(sl_object_client_put(c, &id, sl_slice(bytes, LARGE), 1) == SL_EINVAL);
    NEED(sl_object_client_put(c, &id, sl_slice(bytes, 100), 1) == SL_EINVAL);
    id.key[0] ^= 1;
    NEED(sl_object_client_put(c, &id, sl_slice(bytes, LARGE), 1) == SL_OK);
    sl_free(bytes);
    return 0;
}

Test(object_server, no_content_has_the_digest_of_another)
{
    serve_until_end(start(check_digests, SCENE_TENANT));
}

static int
outgrow_the_quota(struct sl_object_client *c)
{
    for (uint64_t i = 0; i < 40; i++) /* All can be made again: others go. */
        NEED(put(c, i, SL_MIB) == SL_OK);
    NEED(put(c, 50, 17 * SL_MIB) == SL_EFULL);
    return 0;
}

Test(object_server, a_client_hears_what_it_may_not)
{
    serve_until_end(start(outgrow_the_quota, SCENE_TENANT));
}

/* ---- ends ---------------------------------------------------------------------------------- */

_Noreturn static int
hold_and_wait(struct sl_object_client *c)
{
    struct sl_object_ref refs[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct sl_object_id id = scene_id(i);
        if (put(c, i, i == 2 ? LARGE : 1000) != SL_OK ||
            sl_object_client_get(c, &id, &refs[i]) != SL_OK)
            _exit(9);
    }
    struct sl_object_id done = scene_id(100);
    if (sl_object_client_put(c, &done, sl_slice_str("done"), 1) != SL_OK)
        _exit(9);
    for (;;)
        (void)pause();
}

Test(object_server, what_a_killed_client_pinned_and_held_is_taken_back)
{
    struct sl_object_id done = scene_id(100), large = scene_id(2);
    struct sl_objects_found found;
    struct sl_objects_stats stats;
    for (uint32_t round = 1; round <= 5; round++) {
        pid_t pid = start(hold_and_wait, SCENE_TENANT);
        while (sl_objects_find(objects, &done, &found) != SL_OK)
            turn();
        cr_assert_eq(kill(pid, SIGKILL), 0);
        while (measure().clients > 0)
            turn();
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        cr_assert_eq(measure().pins, 2 * round);
        cr_assert_eq(measure().holds, round);
        sl_objects_measure(objects, &stats);
        cr_assert_eq(stats.holds, 0);
        for (uint64_t i = 0; i < 2; i++) {
            struct sl_object_id id = scene_id(i);
            cr_assert_eq(sl_objects_delete(objects, &id), SL_OK);
        }
        cr_assert_eq(sl_objects_delete(objects, &done), SL_OK);
        cr_assert_eq(sl_objects_delete(objects, &large), SL_OK);
        cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), 0);
    }
}

static int
outlive_the_store(struct sl_object_client *c)
{
    struct sl_object_ref ref;
    struct sl_object_id id = scene_id(1), other = scene_id(2);
    uint64_t mark;
    NEED(put(c, 1, 1000) == SL_OK);
    NEED(sl_object_client_get(c, &id, &ref) == SL_OK);
    while (put(c, 2, 100) != SL_EUNAVAIL) { /* It says "exists" until it is gone. */
    }
    NEED(scene_is_whole(ref.bytes, &mark) && mark == 1);
    sl_object_client_release(c, &ref);
    NEED(sl_object_client_get(c, &other, &ref) == SL_EUNAVAIL);
    return 0;
}

Test(object_server, what_is_mapped_stays_readable_when_the_store_is_gone)
{
    pid_t pid = start(outlive_the_store, SCENE_TENANT);
    struct sl_object_id id = scene_id(2);
    struct sl_objects_found found;
    while (sl_objects_find(objects, &id, &found) != SL_OK)
        turn();
    sl_object_server_destroy(&server);
    sl_objects_destroy(&objects);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    set_up();
}

static void
check_is_dropped(int fd)
{
    char byte;
    while (measure().clients > 0)
        turn();
    cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    (void)close(fd);
}

/* ---- large puts ---------------------------------------------------------------------------- */

/* What it answers, and its stream if there was one. */
static enum sl_err
ask_stream(int fd, struct sl_object_request *request, uint64_t size, struct sl_object_stream *ret)
{
    struct sl_object_packet packet = {0};
    struct sl_object_reply reply;
    uint8_t bytes[SL_OBJECT_SIZE_BYTES];
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(size >> (8 * i));
    if (request->ask == SL_OBJECT_STREAM)
        request->bytes = sl_slice(bytes, sizeof(bytes));
    sl_object_request_write(&packet.bytes, request);
    cr_assert_eq(sl_object_packet_send(fd, &packet), SL_OK);
    turn();
    cr_assert_eq(sl_object_packet_receive(fd, &packet), SL_OK);
    cr_assert_eq(sl_object_reply_read(sl_buf_slice(&packet.bytes), &reply), SL_OK);
    if (ret != NULL && packet.fds_count == 1)
        cr_assert_eq(sl_object_stream_attach(packet.fds[0], ret), SL_OK);
    sl_object_packet_close(&packet);
    sl_buf_deinit(&packet.bytes);
    return reply.err;
}

static enum sl_err
open_stream(int fd, uint64_t number, uint64_t size, struct sl_object_stream *ret)
{
    struct sl_object_request request = {.ask = SL_OBJECT_STREAM, .id = scene_id(number)};
    request.id.tenant = 0;
    return ask_stream(fd, &request, size, ret);
}

static enum sl_err
end_stream(int fd, bool is_whole)
{
    struct sl_object_request request = {.ask = SL_OBJECT_STREAMED, .number = is_whole};
    return ask_stream(fd, &request, 0, NULL);
}

static void
write_some(struct sl_object_stream *s, uint64_t size, uint64_t mark)
{
    uint8_t *bytes = sl_alloc(size);
    bool is_wanted;
    scene_fill(bytes, size, mark);
    for (size_t at = 0, part; at < size; at += part) {
        cr_assert_eq(sl_object_stream_write(s, sl_slice(bytes + at, size - at), &part, &is_wanted),
                     SL_OK);
        turn();
        (void)sl_object_server_turn(server);
    }
    sl_free(bytes);
}

Test(object_server, an_object_that_does_not_come_whole_is_not_there)
{
    struct sl_object_stream s = {.memory = SL_SHARED_NONE};
    struct sl_object_id id = scene_id(1);
    struct sl_objects_found found;
    uint64_t mark;
    int fd = connect_as(SCENE_TENANT);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_OK);
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), LARGE, "room is kept for it");
    write_some(&s, LARGE - 8, 5);
    cr_assert_eq(end_stream(fd, true), SL_EINVAL, "eight bytes are missing");
    cr_assert_eq(end_stream(fd, true), SL_ENOTFOUND);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_OK);
    write_some(&s, SL_MIB, 6);
    cr_assert_eq(end_stream(fd, false), SL_OK, "given up");
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), 0);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_OK);
    write_some(&s, SL_MIB, 7);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_OK, "given up without a word");
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), LARGE);
    write_some(&s, LARGE, 8);
    cr_assert_eq(sl_objects_find(objects, &id, &found), SL_ENOTFOUND, "not before it is sealed");
    cr_assert_eq(end_stream(fd, true), SL_OK);
    cr_assert_eq(sl_objects_find(objects, &id, &found), SL_OK);
    cr_assert(scene_is_whole(found.bytes, &mark) && mark == 8 && found.bytes.size == LARGE);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_EEXIST);
    cr_assert_eq(open_stream(fd, 2, LARGE, &s), SL_OK);
    write_some(&s, SL_MIB, 9);
    (void)close(fd);
    while (measure().clients > 0)
        turn();
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), LARGE, "its end is the draft's");
    sl_object_stream_deinit(&s);
}

Test(object_server, an_object_that_another_put_meanwhile_stays_the_others)
{
    struct sl_object_stream s = {.memory = SL_SHARED_NONE};
    struct sl_object_id id = scene_id(1);
    struct sl_objects_found found;
    int fd = connect_as(SCENE_TENANT);
    cr_assert_eq(open_stream(fd, 1, LARGE, &s), SL_OK);
    write_some(&s, LARGE, 5);
    cr_assert_eq(sl_objects_put(objects, &id, sl_slice_str("other"), 1), SL_OK);
    cr_assert_eq(end_stream(fd, true), SL_EEXIST);
    cr_assert_eq(sl_objects_find(objects, &id, &found), SL_OK);
    cr_assert_eq(found.bytes.size, 5);
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), 5);
    sl_object_stream_deinit(&s);
    (void)close(fd);
}

Test(object_server, drops_who_streams_more_than_it_said)
{
    struct sl_object_stream s = {.memory = SL_SHARED_NONE};
    uint8_t *bytes = sl_zalloc(2 * SL_MIB);
    size_t size;
    bool is_wanted;
    int fd = connect_as(SCENE_TENANT);
    cr_assert_eq(open_stream(fd, 1, 100000, &s), SL_OK);
    cr_assert_eq(sl_object_stream_write(&s, sl_slice(bytes, 100001), &size, &is_wanted), SL_OK);
    turn();
    (void)sl_object_server_turn(server);
    check_is_dropped(fd);
    cr_assert_eq(measure().dropped, 1);
    cr_assert_eq(sl_objects_used(objects, SCENE_TENANT), 0);
    sl_object_stream_deinit(&s);
    sl_free(bytes);
}

/* Memory to come through is lent to so many: others send files, and who has done may lose it. */
Test(object_server, lends_streams_to_some_and_takes_them_back)
{
    struct sl_object_stream streams[SL_OBJECT_STREAMS_MAX + 1];
    int fds[SL_OBJECT_STREAMS_MAX + 1];
    for (uint32_t i = 0; i <= SL_OBJECT_STREAMS_MAX; i++) {
        fds[i] = connect_as(SCENE_TENANT);
        streams[i] = (struct sl_object_stream){.memory = SL_SHARED_NONE};
    }
    for (uint32_t i = 0; i < SL_OBJECT_STREAMS_MAX; i++)
        cr_assert_eq(open_stream(fds[i], 200 + i, 100000, &streams[i]), SL_OK);
    uint32_t last = SL_OBJECT_STREAMS_MAX;
    cr_assert_eq(open_stream(fds[last], 100, 100000, &streams[last]), SL_EBUSY);
    serve_until_end(start(put_and_get, SCENE_TENANT));
    write_some(&streams[3], 100000, 3);
    cr_assert_eq(end_stream(fds[3], true), SL_OK);
    cr_assert_eq(open_stream(fds[last], 100, 100000, &streams[last]), SL_OK);
    cr_assert_eq(streams[3].memory.base[0], 0, "that memory is gone");
    sl_object_server_tidy(server);
    write_some(&streams[last], 100000, 3);
    cr_assert_eq(end_stream(fds[last], true), SL_OK, "not those in use");
    for (uint32_t i = 0; i <= SL_OBJECT_STREAMS_MAX; i++) {
        sl_object_stream_deinit(&streams[i]);
        (void)close(fds[i]);
    }
}

/* ---- what no client sends ------------------------------------------------------------------ */

static void
send_raw(int fd, const void *data, size_t size, int fds_count)
{
    struct sl_object_packet packet = {.fds_count = (uint32_t)fds_count};
    sl_buf_append(&packet.bytes, data, size);
    for (int i = 0; i < fds_count; i++)
        packet.fds[i] = STDIN_FILENO;
    cr_assert_eq(sl_object_packet_send(fd, &packet), SL_OK);
    sl_buf_deinit(&packet.bytes);
}

Test(object_server, drops_who_sends_nonsense)
{
    static const uint8_t nonsense[100] = {1, 2, 3};
    struct sl_buf long_one = {0};
    int fd = connect_as(SCENE_TENANT);
    send_raw(fd, nonsense, sizeof(nonsense), 0);
    check_is_dropped(fd);
    fd = connect_as(SCENE_TENANT);
    send_raw(fd, nonsense, sizeof(nonsense), 2);
    check_is_dropped(fd);
    fd = connect_as(SCENE_TENANT);
    sl_buf_reserve(&long_one, SL_OBJECT_MESSAGE_MAX + 1);
    memset(long_one.data, 0, SL_OBJECT_MESSAGE_MAX + 1);
    send_raw(fd, long_one.data, SL_OBJECT_MESSAGE_MAX + 1, 0);
    check_is_dropped(fd);
    sl_buf_deinit(&long_one);
    cr_assert_eq(measure().dropped, 3);
}

Test(object_server, answers_asks_that_make_no_sense_with_an_error)
{
    static const struct {
        struct sl_object_request request;
        enum sl_err err;
    } asks[] = {
        {{.ask = SL_OBJECT_HELLO}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_SEGMENT, .number = UINT32_MAX}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_LET_GO, .number = UINT32_MAX}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_FIND, .id = {.kind = SL_OBJECT_NAMED}}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_DELETE, .id = {.kind = SL_OBJECT_NAMED}}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_ADOPT, .id = {.kind = SL_OBJECT_NAMED}}, SL_EINVAL},
        {{.ask = SL_OBJECT_STREAMED}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_STREAMED, .number = 1}, SL_ENOTFOUND},
        {{.ask = SL_OBJECT_STREAM,
          .id = {.kind = SL_OBJECT_NAMED},
          .bytes = {(const void *)"1", 1}},
         SL_EINVAL},
        {{.ask = SL_OBJECT_STREAM,
          .id = {.kind = SL_OBJECT_NAMED},
          .bytes = {(const void *)"\0\0\0\0\0\0\0\0", 8}},
         SL_EINVAL},
        {{.ask = SL_OBJECT_STREAM,
          .id = {.kind = SL_OBJECT_NAMED},
          .bytes = {(const void *)"\377\377\377\377\377\377\377\377", 8}},
         SL_EFULL},
        {{.ask = SL_OBJECT_MODEL, .bytes = {(const uint8_t *)"m", 1}}, SL_EUNAVAIL},
    };
    int fd = connect_as(SCENE_TENANT);
    for (uint64_t i = 0; i < SL_COUNT_OF(asks); i++) {
        struct sl_object_packet packet = {0};
        struct sl_object_reply reply;
        struct sl_object_request request = asks[i].request;
        request.tag = i;
        sl_object_request_write(&packet.bytes, &request);
        cr_assert_eq(sl_object_packet_send(fd, &packet), SL_OK);
        turn();
        cr_assert_eq(sl_object_packet_receive(fd, &packet), SL_OK);
        cr_assert_eq(sl_object_reply_read(sl_buf_slice(&packet.bytes), &reply), SL_OK);
        cr_assert_eq(reply.err, asks[i].err, "ask %u", (unsigned)asks[i].request.ask);
        cr_assert_eq(reply.tag, i);
        sl_buf_deinit(&packet.bytes);
    }
    cr_assert_eq(measure().clients, 1);
    (void)close(fd);
}

/* Its ring, as a process gets it that goes its own ways. */
static void
map_ring(int fd, struct sl_object_ring *ring)
{
    struct sl_object_packet packet = {0};
    struct sl_object_request request = {.ask = SL_OBJECT_RING};
    sl_object_request_write(&packet.bytes, &request);
    cr_assert_eq(sl_object_packet_send(fd, &packet), SL_OK);
    turn();
    cr_assert_eq(sl_object_packet_receive(fd, &packet), SL_OK);
    cr_assert_eq(packet.fds_count, 1);
    cr_assert_eq(sl_object_ring_attach(packet.fds[0], ring), SL_OK);
    sl_object_packet_close(&packet);
    sl_buf_deinit(&packet.bytes);
}

static void
hand_over(struct sl_object_ring *ring, uint64_t number)
{
    bool is_wanted;
    uint8_t bytes[100];
    scene_fill(bytes, sizeof(bytes), number);
    struct sl_object_handed handed = {.id = scene_id(number),
                                      .bytes = sl_slice(bytes, sizeof(bytes))};
    cr_assert_eq(sl_object_ring_hand(ring, &handed, &is_wanted), SL_OK);
}

/* It died before anybody looked: what it had finished counts, what it had not does not. */
Test(object_server, what_a_process_handed_over_before_it_ended_is_put)
{
    int fd = connect_as(SCENE_TENANT);
    struct sl_object_ring ring;
    struct sl_objects_found found;
    struct sl_object_id first = scene_id(1), second = scene_id(2);
    map_ring(fd, &ring);
    hand_over(&ring, 1);
    uint64_t written;
    memcpy(&written, ring.memory.base, sizeof(written));
    hand_over(&ring, 2);
    memcpy(ring.memory.base, &written, sizeof(written)); /* As if it had not come so far. */
    (void)close(fd);
    turn();
    cr_assert_eq(measure().clients, 0);
    cr_assert_eq(sl_objects_find(objects, &first, &found), SL_OK);
    cr_assert_eq(sl_objects_find(objects, &second, &found), SL_ENOTFOUND);
    cr_assert_eq(measure().handed, 1);
    sl_object_ring_deinit(&ring);
}

static uint64_t told; /* The tag of who was dropped last. */

static void
note_dropped(void *arg, uint64_t tag)
{
    (void)arg;
    told = tag;
}

Test(object_server, who_writes_nonsense_into_its_ring_is_dropped_and_told_of)
{
    int pair[2];
    struct sl_object_ring ring;
    struct sl_object_peer peer = {.tenant = SCENE_TENANT, .tag = 5};
    uint64_t written = SL_OBJECT_RING_BYTES + 64;
    sl_object_server_tell(server, note_dropped, NULL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(sl_object_server_admit(server, pair[0], &peer), SL_OK);
    map_ring(pair[1], &ring);
    memcpy(ring.memory.base, &written, sizeof(written));
    cr_assert_eq(sl_object_server_turn(server), 0);
    cr_assert(measure().clients == 0 && measure().dropped == 1);
    cr_assert_eq(told, 5);
    (void)close(pair[1]);
    sl_object_ring_deinit(&ring);
}

Test(object_server, a_client_that_does_not_read_its_replies_is_dropped)
{
    int fd = connect_as(SCENE_TENANT);
    struct sl_object_packet packet = {0};
    struct sl_object_request request = {.ask = SL_OBJECT_HELLO};
    sl_object_request_write(&packet.bytes, &request);
    for (uint32_t i = 0; i < 100000 && measure().clients > 0; i++) {
        enum sl_err err = sl_object_packet_send(fd, &packet);
        cr_assert(err == SL_OK || err == SL_EBUSY || err == SL_EUNAVAIL);
        turn();
    }
    cr_assert_eq(measure().clients, 0);
    sl_buf_deinit(&packet.bytes);
    (void)close(fd);
}
