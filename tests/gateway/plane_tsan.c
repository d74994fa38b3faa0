/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front before two planes on threads of their own, whose heads are not there: clients of both,
 * somebody who reads the status page, and keys that change, until the planes leave.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/api.h"
#include "gateway/gateway_page.h"
#include "tests/object-store/tiny_model.h"
#include "runtime/hash.h"

#define PLANES   2
#define CLIENTS  4
#define REQUESTS 100

static struct sl_plane planes[PLANES];
static char directories[PLANES][64];
static char secrets[PLANES][SL_SECRET_SIZE + 1];
static struct sl_front *front;
static atomic_bool must_end;

static void
reply(void *arg, struct sl_call *call)
{
    (void)arg;
    sl_front_reply(front, &call);
}

static void
refused(void *arg)
{
    (void)arg;
}

static void
post(void *arg, struct sl_call *call)
{
    (void)arg;
    sl_plane_post(&planes[call->plane], call);
}

static void
put_key(uint32_t plane, const char *secret)
{
    struct sl_identity who = {.permissions = SL_PERMIT_BIT(SL_PERMIT_READ)};
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(planes[plane].gateway.keyring, digest, &who, 0);
}

static void *
edit_keys(void *arg)
{
    (void)arg;
    char secret[SL_SECRET_SIZE + 1];
    while (!atomic_load(&must_end)) {
        sl_secret_mint(secret);
        put_key(0, secret);
        put_key(1, secret);
    }
    return NULL;
}

static void *
look(void *arg)
{
    (void)arg;
    struct sl_gateway_page page = {.planes = planes, .planes_count = PLANES, .front = front};
    while (!atomic_load(&must_end)) {
        struct sl_page got = {.status = 200, .is_wanted = true};
        sl_assert(sl_gateway_page(&page, "/status.json", &got));
        sl_buf_deinit(&got.body);
        sl_assert(sl_gateway_page(&page, "/healthz", &got) && got.status == 503);
        sl_buf_deinit(&got.body);
    }
    return NULL;
}

static void *
ask(void *secret)
{
    char text[512], got[4096];
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(sl_front_port(front)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sl_assert(connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0);
    int size =
        snprintf(text, sizeof(text),
                 "GET /v1/namespaces/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                 (const char *)secret);
    for (int i = 0; i < REQUESTS; i++) {
        sl_assert(send(fd, text, (size_t)size, MSG_NOSIGNAL) == size);
        ssize_t count = recv(fd, got, sizeof(got), 0);
        sl_assert(count > 12 && memcmp(got + 9, "503", 3) == 0);
        sl_assert(memmem(got, (size_t)count, "head_away", 9) != NULL);
    }
    close(fd);
    return NULL;
}

static void
open_plane(uint32_t index)
{
    char path[256];
    sl_assert(tiny_directory_make(directories[index]) != NULL);
    (void)snprintf(path, sizeof(path), "%s/address", directories[index]);
    sl_assert(close(creat(path, 0600)) == 0);
    (void)snprintf(path, sizeof(path), "%s/run", directories[index]);
    sl_assert(mkdir(path, 0700) == 0);
    struct sl_plane_options options = {.head = "ipc:///tmp/no-head-is-here",
                                       .data = directories[index],
                                       .cert = "",
                                       .head_cert = "",
                                       .run = "",
                                       .name = "tsan",
                                       .index = index,
                                       .silence_ns = SL_SECOND_NS,
                                       .timeout_ns = SL_SECOND_NS,
                                       .reply = reply,
                                       .refused = refused};
    sl_assert(sl_plane_open(&planes[index], &options));
    sl_secret_mint(secrets[index]);
    enum sl_err err = sl_keyring_apply(planes[index].gateway.keyring, sl_slice_str(""), true);
    sl_assert(err == SL_OK);
    put_key(index, secrets[index]);
}

int
main(void)
{
    pthread_t editor, looker, clients[CLIENTS];
    struct sl_front_options options = {
        .address = "127.0.0.1:0", .planes_count = PLANES, .post = post, .is_relayed = true};
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_relay);
    for (uint32_t i = 0; i < PLANES; i++) {
        open_plane(i);
        options.planes[i] = (struct sl_front_plane){.keyring = planes[i].gateway.keyring,
                                                    .blobs = planes[i].gateway.blobs,
                                                    .incoming = planes[i].gateway.incoming,
                                                    .is_up = &planes[i].view.is_up};
    }
    enum sl_err err = sl_front_start(&options, &front);
    sl_assert(err == SL_OK);
    for (uint32_t i = 0; i < PLANES; i++)
        sl_plane_start(&planes[i]);
    pthread_create(&editor, NULL, edit_keys, NULL);
    pthread_create(&looker, NULL, look, NULL);
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, secrets[i % PLANES]);
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&must_end, true);
    pthread_join(editor, NULL);
    pthread_join(looker, NULL);
    sl_plane_leave(&planes[0]);
    sl_plane_stop(&planes[1]);
    for (uint32_t i = 0; i < PLANES; i++)
        sl_plane_join(&planes[i]);
    sl_front_stop(&front);
    for (uint32_t i = 0; i < PLANES; i++) {
        sl_plane_destroy(&planes[i]);
        tiny_directory_remove(directories[i]);
    }
    puts("ok");
    return 0;
}
