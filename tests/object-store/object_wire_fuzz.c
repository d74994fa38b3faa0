/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may send: read as a request and as a reply, and answered by a server. */
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

/* Messages of one client: each two bytes of size, little endian, and so many bytes. */
static void
send_all(struct sl_object_server *s, const uint8_t *data, size_t size)
{
    int pair[2];
    sl_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    sl_assert(sl_object_server_admit(s, pair[0], &(struct sl_object_peer){.tenant = 1}) == SL_OK);
    while (size >= 2) {
        size_t part = SL_MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);
        read_both(sl_slice(data + 2, part));
        struct sl_object_packet packet = {0};
        sl_buf_append(&packet.bytes, data + 2, part);
        enum sl_err err = sl_object_packet_send(pair[1], &packet);
        (void)sl_object_server_turn(s);
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
        sl_assert(sl_objects_create(&options, &objects) == SL_OK);
        sl_assert(sl_object_server_create(objects, &server) == SL_OK);
    }
    send_all(server, data, size);
    struct sl_object_server_stats stats;
    sl_object_server_measure(server, &stats);
    sl_assert(stats.clients == 0);
    return 0;
}
