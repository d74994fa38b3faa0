/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may send: read as a request and as a reply, and answered by a server, which has
 * models from us: none, a file, or, where the id begins with '-', later or never. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "object-store/object_server.h"
#include "object-store/object_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What reads as a message is written as the same bytes. */
static void
read_both(struct sl_slice message)
{
    struct sl_object_request request;
    struct sl_object_reply reply;
    struct sl_buf again = {0};
    if (sl_object_request_read(message, &request) == SL_OK) {
        sl_object_request_write(&again, &request);
        sl_assert(sl_slice_equal(sl_buf_slice(&again), message));
    }
    sl_buf_clear(&again);
    if (sl_object_reply_read(message, &reply) == SL_OK) {
        sl_object_reply_write(&again, &reply);
        sl_assert(sl_slice_equal(sl_buf_slice(&again), message));
    }
    sl_buf_deinit(&again);
}

static int model = -1; /* A memory file that stands for one. */
static uint64_t later; /* A ticket that is not answered yet. */

static void
give(struct sl_object_server *s, uint64_t ticket, uint8_t first)
{
    bool is_there = first % 2 == 0;
    struct sl_object_given given = {.ticket = ticket,
                                    .err = is_there ? SL_OK : SL_ENOTFOUND,
                                    .fd = is_there ? model : -1,
                                    .text = sl_slice_str(is_there ? "" : "there is no such")};
    sl_object_server_give(s, &given);
}

static void
want(void *arg, const struct sl_object_want *want)
{
    sl_assert(want->ticket != 0 && want->tag == 5);
    sl_assert(want->model.size > 0 && want->model.size <= SL_OBJECT_MODEL_MAX);
    if (want->model.data[0] == '-')
        later = want->ticket;
    else
        *(struct sl_object_want *)arg = *want; /* Within its ask nobody answers. */
}

/* Messages of one client: each two bytes of size, little endian, and so many bytes. */
static void
send_all(struct sl_object_server *s, const uint8_t *data, size_t size)
{
    int pair[2];
    struct sl_object_peer peer = {.tenant = 1, .tag = 5};
    sl_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    sl_assert(sl_object_server_admit(s, pair[0], &peer) == SL_OK);
    while (size >= 2) {
        size_t part = SL_MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);
        read_both(sl_slice(data + 2, part));
        struct sl_object_packet packet = {0};
        sl_buf_append(&packet.bytes, data + 2, part);
        enum sl_err err = sl_object_packet_send(pair[1], &packet);
        struct sl_object_want wanted = {0};
        sl_object_server_lend(s, want, &wanted);
        (void)sl_object_server_turn(s);
        give(s, wanted.ticket, part > 0 ? data[1 + part] : 0);
        give(s, part % 3 == 0 ? later : 0, 0);
        if (err == SL_OK && sl_object_packet_receive(pair[1], &packet) == SL_OK) {
            read_both(sl_buf_slice(&packet.bytes));
            sl_object_packet_close(&packet);
        }
        sl_buf_deinit(&packet.bytes);
        data += 2 + part;
        size -= 2 + part;
    }
    (void)close(pair[1]);
    (void)sl_object_server_turn(s);
    give(s, later, 0); /* Its client has ended. */
    later = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_objects *objects;
    static struct sl_object_server *server;
    struct sl_objects_options options = {.node_bytes_max = 8 * SL_MIB,
                                         .tenant_bytes_max = 4 * SL_MIB,
                                         .arena = {.step_bytes = SL_MIB, .objects_max = 64}};
    if (server == NULL) {
        model = memfd_create("model", MFD_CLOEXEC);
        sl_assert(model >= 0);
        sl_assert(sl_objects_create(&options, &objects) == SL_OK);
        sl_assert(sl_object_server_create(objects, &server) == SL_OK);
    }
    send_all(server, data, size);
    struct sl_object_server_stats stats;
    sl_object_server_measure(server, &stats);
    sl_assert(stats.clients == 0);
    return 0;
}
