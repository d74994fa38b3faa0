/* SPDX-License-Identifier: Apache-2.0 */
/* Clients, the front, a poster on another thread, and somebody who edits keys, all at once. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/front.h"
#include "runtime/hash.h"

#define CLIENTS  4
#define REQUESTS 200

static struct sl_front *front;
static struct sl_keyring *keyring;
static char secret[SL_SECRET_SIZE + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct sl_call *posted;
static bool must_end;

static void
post(void *arg, struct sl_call *call)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    call->next = posted;
    posted = call;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static void *
answer(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    while (!must_end || posted != NULL) {
        struct sl_call *call = posted;
        if (call == NULL) {
            pthread_cond_wait(&wake, &lock);
            continue;
        }
        posted = call->next;
        pthread_mutex_unlock(&lock);
        sl_buf_append_str(&call->reply, "{}");
        sl_front_reply(front, &call);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *
edit_keys(void *arg)
{
    (void)arg;
    struct sl_identity who = {.tenant_id = "other"};
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t digest[32];
        sl_sha256(sl_slice(&i, sizeof(i)), digest);
        sl_keyring_put(keyring, digest, &who, 0);
        if (i % 3 == 0)
            sl_keyring_remove(keyring, digest);
    }
    return NULL;
}

static void *
ask(void *arg)
{
    char text[512], reply[4096];
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(sl_front_port(front)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sl_assert(connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0);
    int size = snprintf(
        text, sizeof(text),
        "GET /v1/namespaces/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", secret);
    for (int i = 0; i < REQUESTS; i++) {
        sl_assert(send(fd, text, (size_t)size, MSG_NOSIGNAL) == size);
        if (i == REQUESTS - 1 && arg != NULL)
            break; /* This one leaves without waiting. */
        sl_assert(recv(fd, reply, sizeof(reply), 0) > 12);
        sl_assert(memcmp(reply + 9, "200", 3) == 0);
    }
    close(fd);
    return NULL;
}

int
main(void)
{
    struct sl_identity who = {.permissions = SL_PERMIT_BIT(SL_PERMIT_READ)};
    uint8_t digest[32];
    pthread_t answerer, editor, clients[CLIENTS];
    keyring = sl_keyring_create();
    sl_secret_mint(secret);
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(keyring, digest, &who, 0);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}},
                                       .planes_count = 1,
                                       .post = post};
    enum sl_err err = sl_front_start(&options, &front);
    sl_assert(err == SL_OK);
    pthread_create(&answerer, NULL, answer, NULL);
    pthread_create(&editor, NULL, edit_keys, NULL);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, i % 2 == 0 ? NULL : &clients[i]);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    pthread_join(editor, NULL);
    sl_front_drain(front);
    pthread_mutex_lock(&lock);
    must_end = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(answerer, NULL);
    sl_front_stop(&front);
    sl_keyring_destroy(&keyring);
    puts("ok");
    return 0;
}
