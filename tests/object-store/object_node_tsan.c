/* SPDX-License-Identifier: Apache-2.0 */
/* A node's store beside its clients, each on a thread, while the node grants and measures. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "tests/object-store/arena_scene.h"

enum { CLIENTS = 3, ROUNDS = 400, GRANTS = 60, MODELS = ROUNDS / 50 };

struct worker {
    int fd;
    uint64_t seed;
};

/* The node has none: it says so. */
static void
ask_for_model(struct sl_object_client *c)
{
    int fd = -1;
    struct sl_cause cause = {0};
    enum sl_err err =
        sl_object_client_model(c, sl_slice_str("m_1"), 20 * SL_SECOND_NS, &fd, &cause);
    sl_assert(err == SL_ENOTFOUND && strcmp(cause.text, "none") == 0);
}

static void
look(struct sl_object_node *n, const struct sl_object_want *told, uint64_t *dropped,
     uint64_t *asked)
{
    struct sl_object_given given = {
        .ticket = told->ticket, .err = SL_ENOTFOUND, .fd = -1, .text = sl_slice_str("none")};
    *dropped += told->ticket == 0 && told->tag >= 100;
    if (told->ticket == 0)
        return;
    ++*asked;
    sl_assert(sl_slice_is(told->model, "m_1"));
    sl_assert(sl_object_node_give(n, &given) == SL_OK);
}

static void *
work(void *arg)
{
    const struct worker *w = arg;
    struct sl_object_client *c = sl_object_client_create(w->fd, SCENE_TENANT, 20 * SL_SECOND_NS);
    static const uint64_t sizes[] = {4096, 200000};
    uint8_t *bytes = malloc(sizes[1]);
    sl_assert(bytes != NULL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t size = sizes[i % 16 == 6];
        struct sl_object_id id = scene_id((i * 7 + w->seed) % 50);
        struct sl_object_ref ref;
        uint64_t mark;
        if (i % 50 == 0)
            ask_for_model(c);
        scene_fill(bytes, size, i);
        enum sl_err err = i % 5 == 4   ? sl_object_client_delete(c, &id)
                          : i % 2 == 1 ? sl_object_client_hand(c, &id, sl_slice(bytes, size), 1)
                                       : sl_object_client_put(c, &id, sl_slice(bytes, size), 1);
        sl_assert(err == SL_OK || err == SL_EEXIST || err == SL_ENOTFOUND);
        if (sl_object_client_get(c, &id, &ref) != SL_OK)
            continue;
        sl_assert(scene_is_whole(ref.bytes, &mark));
        sl_object_client_release(c, &ref);
    }
    sl_object_client_destroy(&c);
    free(bytes);
    return NULL;
}

int
main(void)
{
    struct sl_object_node *n = NULL;
    struct worker workers[CLIENTS];
    pthread_t threads[CLIENTS];
    uint64_t dropped = 0, asked = 0;
    struct sl_object_want told_of;
    sl_report_level_set(SL_REPORT_ERROR);
    struct sl_object_node_options options = {.memory_bytes = 64 * SL_MIB};
    sl_assert(sl_object_node_open(&options, &n) == SL_OK);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        struct sl_object_peer peer = {.tenant = SCENE_TENANT, .tag = i};
        sl_assert(sl_object_node_grant(n, &peer, &workers[i].fd) == SL_OK);
        workers[i].seed = i;
        sl_assert(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (uint64_t i = 0; i < GRANTS; i++) {
        struct sl_object_node_stats stats;
        struct sl_object_peer peer = {.tenant = SCENE_TENANT, .tag = 100 + i};
        int fd;
        sl_assert(sl_object_node_grant(n, &peer, &fd) == SL_OK);
        sl_assert(send(fd, "nonsense", 8, MSG_NOSIGNAL) == 8);
        struct pollfd told = {.fd = sl_object_node_fd(n), .events = POLLIN};
        (void)poll(&told, 1, 10000);
        while (sl_object_node_told(n, &told_of))
            look(n, &told_of, &dropped, &asked);
        sl_object_node_measure(n, &stats);
        (void)close(fd);
    }
    while (asked < CLIENTS * MODELS) {
        struct pollfd told = {.fd = sl_object_node_fd(n), .events = POLLIN};
        sl_assert(poll(&told, 1, 10000) == 1);
        while (sl_object_node_told(n, &told_of))
            look(n, &told_of, &dropped, &asked);
    }
    for (uint64_t i = 0; i < CLIENTS; i++)
        sl_assert(pthread_join(threads[i], NULL) == 0);
    sl_assert(dropped == GRANTS);
    sl_object_node_close(&n);
    puts("ok");
    return 0;
}
