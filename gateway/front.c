/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that serves every connection, and what reaches it from others. libmicrohttpd runs
 * inside our own loop rather than on a thread of its own: so replies come back in batches (one
 * wake-up for all that are ready, none while the loop is busy), and a connection is touched by one
 * thread only.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/front/page.h"
#include "gateway/front/state.h"
#include "gateway/transport.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "runtime/tls.h"

#define FRONT_MAGIC     0x66726f6eu
#define CONNECTIONS_MAX 4096
/*
 * The largest head that front/head.c takes, what libmicrohttpd notes of each header, and the head
 * of the reply; then the piece of body read. Zeroed for every request, so not generous.
 */
#define CONNECTION_MEMORY ((size_t)24 * 1024)
#define IDLE_S            30
#define SMALL_BODY_BYTES  (64 * SL_KIB) /* Read, though refused, to keep the connection. */
#define LAST_ROUNDS       50
#define VAIN_ROUNDS       16
#define REST_MS           250 /* The guard's tick. */
/* While a call is under way, the thread looks on so long before it sleeps: to wake it takes about
   as much as a replica's answer. Sockets are looked at once in so many looks. */
#define PATIENCE_NS  (50 * SL_MICRO_NS)
#define SOCKET_LOOKS 32u

static const char stops[] = "this server stops";

/* ---- slots --------------------------------------------------------------------------------- */

static void
slots_init(struct sl_front *front, uint32_t count)
{
    front->slots_count = count;
    front->slots = sl_zalloc(count * sizeof(struct sl_request));
    for (uint32_t i = count; i-- > 0;) {
        front->slots[i].handle = i;
        front->slots[i].next = front->free_slots;
        front->free_slots = &front->slots[i];
    }
}

static struct sl_request *
request_create(struct sl_front *front, struct MHD_Connection *connection)
{
    struct sl_request *request = front->free_slots;
    if (SL_BUG(request == NULL)) /* There are as many slots as connections. */
        return NULL;
    front->free_slots = request->next;
    uint64_t handle = request->handle + (UINT64_C(1) << 32); /* The next generation. */
    *request = (struct sl_request){.front = front,
                                   .connection = connection,
                                   .handle = handle,
                                   .is_used = true,
                                   .started_ns = front->round_ns};
    request->call = sl_call_create();
    request->call->handle = handle;
    request->call->front = front->options.number;
    return request;
}

static void
request_free(struct sl_request *request)
{
    struct sl_front *front = request->front;
    sl_assert(request->is_used);
    sl_form_destroy(&request->form);
    sl_put_destroy(&request->put);
    sl_call_destroy(&request->call);
    front->body_bytes -= request->charge;
    request->is_used = false;
    request->next = front->free_slots;
    front->free_slots = request;
}

static struct sl_request *
request_of(struct sl_front *front, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    sl_assert(index < front->slots_count);
    struct sl_request *request = &front->slots[index];
    bool is_same = request->is_used && request->handle == handle;
    return is_same && request->stage == SL_STAGE_POSTED ? request : NULL;
}

/* ---- replies ------------------------------------------------------------------------------- */

static void
add_header(struct MHD_Response *response, struct sl_pair pair)
{
    /* Texts of ours, and NUL-terminated; what a client sent must not end a line early. */
    const char *value = (const char *)pair.value.data;
    if (value != NULL && strpbrk(value, "\r\n") == NULL)
        MHD_add_response_header(response, (const char *)pair.name.data, value);
}

static struct MHD_Response *
response_of(struct sl_request *request, struct sl_call *call)
{
    if (call->status == 204)
        sl_buf_clear(&call->reply);
    else if (call->reply.size == 0 && call->reply_type == NULL)
        sl_buf_append_str(&call->reply, "{}"); /* Clients parse what says it is JSON. */
    struct MHD_Response *response;
    if (request->reply_type == sl_stream_type) {
        response = sl_stream_create(request, call);
    } else if (call->reply_fd >= 0 && call->status < 400) {
        response = MHD_create_response_from_fd64(call->reply_file_size, call->reply_fd);
        call->reply_fd = -1; /* The response closes it. */
    } else {
        response = MHD_create_response_from_buffer_with_free_callback(call->reply.size,
                                                                      call->reply.data, sl_free);
        call->reply = (struct sl_buf){0};
    }
    sl_assert(response != NULL);
    const char *type =
        call->reply_type != NULL && call->status < 400 ? call->reply_type : request->reply_type;
    if (call->status != 204)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                type == NULL ? "application/json" : type);
    MHD_add_response_header(response, "X-Request-Id", call->request_id);
    if (call->status == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (request->must_close)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    for (uint32_t i = 0; i < call->headers_count; i++)
        add_header(response, call->headers[i]);
    sl_page_guard(request, response);
    return response;
}

static enum MHD_Result
answer(struct sl_request *request, struct sl_call **call)
{
    unsigned status = (*call)->status;
    size_t file_size = (*call)->reply_fd >= 0 ? (*call)->reply_file_size : 0;
    sl_guard_answered(request->connection, (*call)->reply.size + file_size);
    struct MHD_Response *response = response_of(request, *call);
    request->stage = SL_STAGE_DONE;
    sl_call_destroy(call);
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result
sl_front_answer(struct sl_request *request)
{
    return answer(request, &request->call);
}

void
sl_front_wake(struct sl_front *front)
{
    uint64_t one = 1;
    if (atomic_exchange(&front->is_asleep, false)) {
        ssize_t size = write(front->wake_fd, &one, sizeof(one));
        (void)size; /* It cannot be full, and a signal does not interrupt it. */
    }
}

void
sl_front_reply(struct sl_front *front, struct sl_call **call)
{
    sl_assert(front != NULL && front->magic == FRONT_MAGIC);
    struct sl_call *done = *call;
    *call = NULL;
    done->next = atomic_load(&front->replied);
    while (!atomic_compare_exchange_weak(&front->replied, &done->next, done))
        ;
    sl_front_wake(front);
}

static struct sl_call *
take_replied(struct sl_front *front)
{
    struct sl_call *call = atomic_exchange(&front->replied, NULL), *in_order = NULL;
    while (call != NULL) { /* The list is newest first. */
        struct sl_call *next = call->next;
        call->next = in_order;
        in_order = call;
        call = next;
    }
    return in_order;
}

static void
drain_replies(struct sl_front *front)
{
    for (struct sl_call *call = take_replied(front), *next; call != NULL; call = next) {
        next = call->next;
        struct sl_request *request = request_of(front, call->handle);
        atomic_fetch_sub(&front->in_flight, 1);
        front->waiting[call->plane]--;
        if (request == NULL) {
            sl_call_destroy(&call);
            continue;
        }
        if (answer(request, &call) != MHD_YES)
            request->stage = SL_STAGE_DONE; /* The connection is closed when it runs. */
        MHD_resume_connection(request->connection);
    }
}

/* ---- the settler --------------------------------------------------------------------------- */

static void *
settle(void *arg)
{
    struct sl_front *front = arg;
    pthread_mutex_lock(&front->settle_lock);
    while (!front->settler_must_end) {
        struct sl_request *request = front->to_settle;
        if (request == NULL) {
            pthread_cond_wait(&front->settle_wake, &front->settle_lock);
            continue;
        }
        front->to_settle = request->next;
        pthread_mutex_unlock(&front->settle_lock);
        if (request->put != NULL)
            sl_put_settle(request);
        else
            sl_form_settle(request);
        pthread_mutex_lock(&front->settle_lock);
        request->next = front->settled;
        front->settled = request;
        atomic_store(&front->has_settled, true);
        sl_front_wake(front);
    }
    pthread_mutex_unlock(&front->settle_lock);
    return NULL;
}

static void
hand_to_settler(struct sl_request *request)
{
    struct sl_front *front = request->front;
    request->stage = SL_STAGE_SETTLING;
    MHD_suspend_connection(request->connection);
    pthread_mutex_lock(&front->settle_lock);
    request->next = front->to_settle;
    front->to_settle = request;
    pthread_cond_signal(&front->settle_wake);
    pthread_mutex_unlock(&front->settle_lock);
}

/* The connection sleeps already. */
static void
post(struct sl_request *request)
{
    struct sl_front *front = request->front;
    struct sl_call *call = request->call;
    request->call = NULL;
    request->stage = SL_STAGE_POSTED;
    call->client_gone = &request->is_gone;
    sl_guard_posted(request->connection, &request->is_gone);
    front->waiting[call->plane]++;
    atomic_fetch_add(&front->in_flight, 1);
    atomic_fetch_add(&front->posted, 1);
    front->options.post(front->options.arg, call);
}

static void
drain_settled(struct sl_front *front)
{
    if (!atomic_exchange(&front->has_settled, false))
        return;
    pthread_mutex_lock(&front->settle_lock);
    struct sl_request *request = front->settled;
    front->settled = NULL;
    pthread_mutex_unlock(&front->settle_lock);
    while (request != NULL) {
        struct sl_request *next = request->next;
        if (request->put != NULL)
            sl_put_publish(request);
        else
            sl_form_publish(request);
        if (!sl_call_has_failed(request->call) && atomic_load(&front->is_shut))
            sl_call_fail(request->call, SL_API_UNAVAILABLE, stops);
        if (sl_call_has_failed(request->call)) {
            sl_front_answer(request);
            MHD_resume_connection(request->connection);
        } else {
            post(request);
        }
        request = next;
    }
}

/* ---- libmicrohttpd's callbacks ------------------------------------------------------------- */

static size_t
keep_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg, (void)connection;
    return strlen(text); /* Decoded after routing: "%2F" in a name is no slash. */
}

static enum MHD_Result
begin(struct sl_front *front, struct MHD_Connection *connection, const struct sl_request_line *line,
      void **state)
{
    struct sl_request *request = request_create(front, connection);
    if (request == NULL)
        return MHD_NO;
    *state = request;
    sl_guard_begun(connection);
    sl_request_begin(request, line);
    struct sl_call *call = request->call;
    bool is_over = sl_call_has_failed(call) || request->reply_type != NULL;
    if (!is_over && call->route->body == SL_BODY_MULTIPART) {
        request->form = sl_form_create(request);
        is_over = request->form == NULL;
    }
    if (!is_over && call->route->body == SL_BODY_UPLOAD)
        is_over = !sl_put_begin(request);
    if (request->has_body)
        sl_guard_body(connection, request->is_chunked);
    if (!is_over)
        return MHD_YES;
    request->stage = SL_STAGE_DISCARDING;
    bool is_small = !request->has_body || (!request->is_chunked && !request->must_close &&
                                           request->content_length <= SMALL_BODY_BYTES);
    if (is_small) /* libmicrohttpd closes a connection that is answered before its body. */
        return MHD_YES;
    request->must_close = true;
    return sl_front_answer(request);
}

/* Whether it may be posted; if not, it has failed. */
static void
admit(struct sl_request *request)
{
    if (atomic_load(&request->front->is_shut))
        sl_call_fail(request->call, SL_API_UNAVAILABLE, stops);
    else
        sl_plane_admit(request);
}

static enum MHD_Result
finish(struct sl_request *request)
{
    struct sl_call *call = request->call;
    if (request->stage != SL_STAGE_READING)
        return sl_front_answer(request);
    sl_guard_begun(request->connection);
    sl_body_finish(request);
    if (!sl_call_has_failed(call) && (call->route->flags & SL_ROUTE_FRONT))
        call->route->handler(call);
    if (!sl_call_has_failed(call) && !(call->route->flags & SL_ROUTE_FRONT))
        admit(request);
    if (sl_call_has_failed(call) || (call->route->flags & SL_ROUTE_FRONT))
        return sl_front_answer(request);
    if (request->put != NULL || sl_form_has_upload(request->form)) {
        hand_to_settler(request);
    } else {
        MHD_suspend_connection(request->connection);
        post(request);
    }
    return MHD_YES;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *data_size, void **state)
{
    struct sl_front *front = arg;
    struct sl_request *request = *state;
    front->vain_rounds = 0;
    if (request == NULL)
        return begin(front, connection, &(struct sl_request_line){method, url, version}, state);
    if (request->stage == SL_STAGE_DONE) /* Its answer could not be queued. */
        return MHD_NO;
    if (*data_size == 0)
        return finish(request);
    size_t size = *data_size;
    *data_size = 0;
    sl_guard_body(connection, request->is_chunked);
    return sl_body_receive(request, data, size);
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode how)
{
    struct sl_front *front = arg;
    (void)how;
    front->vain_rounds = 0;
    if (*state != NULL)
        request_free(*state);
    sl_guard_completed(connection);
    *state = NULL;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/*
 * How long nothing is to be done. libmicrohttpd wants to be run again at once for as long as a
 * connection's buffer is full of what it can make nothing of, like a chunk's size that has no end:
 * until that connection's time is over, rounds that bring nothing are spaced. What comes from
 * others ends the wait, and a long reply writes more in these rounds than a network takes.
 */
static int
rest_ms(struct sl_front *front)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = REST_MS;
    bool has_timeout = MHD_get_timeout(front->daemon, &timeout_ms) == MHD_YES;
    front->has_leftovers = has_timeout && timeout_ms == 0;
    if (front->has_leftovers)
        return ++front->vain_rounds > VAIN_ROUNDS ? 1 : 0;
    if (!has_timeout && front->links == NULL)
        return -1; /* Nobody is connected, so nothing has a deadline. */
    return (int)SL_MIN(timeout_ms, REST_MS);
}

static bool
has_news(struct sl_front *front)
{
    return atomic_load(&front->replied) != NULL || atomic_load(&front->has_settled) ||
           atomic_load(&front->is_stopping);
}

/* True: something came, and there is no need to sleep. */
static bool
look_on(struct sl_front *front)
{
    struct pollfd sockets = {.fd = front->epoll_fd, .events = POLLIN};
    bool has_come = has_news(front);
    if (atomic_load(&front->in_flight) == 0 || !sl_spin_begin(&front->spin, PATIENCE_NS))
        return has_come;
    for (uint32_t i = 1; !has_come && sl_spin_goes_on(&front->spin); i++)
        has_come = has_news(front) || (i % SOCKET_LOOKS == 0 && poll(&sockets, 1, 0) > 0);
    sl_spin_end(&front->spin, has_come);
    return has_come;
}

static void
wait_for_work(struct sl_front *front)
{
    struct pollfd fds[] = {{.fd = front->epoll_fd, .events = POLLIN},
                           {.fd = front->wake_fd, .events = POLLIN}};
    int timeout_ms = rest_ms(front);
    if (timeout_ms == 0 || look_on(front))
        return;
    atomic_store(&front->is_asleep, true);
    /* Whoever pushed before this line left the flag alone, so look again before sleeping. */
    if (!has_news(front))
        poll(fds, SL_COUNT_OF(fds), timeout_ms);
    atomic_store(&front->is_asleep, false);
    if (fds[1].revents != 0) {
        uint64_t count;
        ssize_t size = read(front->wake_fd, &count, sizeof(count));
        (void)size; /* It only has to be empty. */
    }
}

/* Nobody will answer what sleeps now: say so, and let libmicrohttpd write it. */
static void
release_all(struct sl_front *front)
{
    for (uint32_t i = 0; i < front->slots_count; i++) {
        struct sl_request *request = &front->slots[i];
        bool is_asleep = request->is_used &&
                         (request->stage == SL_STAGE_POSTED || request->stage == SL_STAGE_SETTLING);
        if (!is_asleep)
            continue;
        struct sl_call *call = request->call == NULL ? sl_call_create() : request->call;
        request->call = NULL;
        request->must_close = true;
        sl_call_fail(call, SL_API_UNAVAILABLE, stops);
        answer(request, &call);
        MHD_resume_connection(request->connection);
    }
    for (int i = 0; i < LAST_ROUNDS; i++)
        MHD_run(front->daemon);
}

static void *
serve(void *arg)
{
    struct sl_front *front = arg;
    while (!atomic_load(&front->is_stopping)) {
        if (atomic_load(&front->is_shutting))
            atomic_store(&front->is_shut, true);
        drain_replies(front);
        drain_settled(front);
        sl_guard_tick(front);
        sl_stream_tick(front);
        MHD_run(front->daemon);
        sl_guard_round(front);
        wait_for_work(front);
    }
    drain_replies(front);
    sl_guard_release(front);
    sl_stream_release(front);
    release_all(front);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static enum sl_err
resolve(const char *address, struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    if (colon == NULL)
        return SL_EINVAL;
    bool is_bracketed = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    char *host = is_bracketed ? sl_strndup(address + 1, (size_t)(colon - address) - 2)
                              : sl_strndup(address, (size_t)(colon - address));
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host[0] == '\0' ? NULL : host, colon + 1, &hints, &found);
    sl_free(host);
    if (error != 0)
        return SL_EINVAL;
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_size = found->ai_addrlen;
    freeaddrinfo(found);
    return SL_OK;
}

/* Our own socket, because libmicrohttpd does not tell why it could not bind. */
static enum sl_err
listen_on(const char *address, int *ret_fd, uint16_t *ret_port)
{
    struct sockaddr_storage where;
    socklen_t size;
    int one = 1;
    enum sl_err err = resolve(address, &where, &size);
    if (err != SL_OK)
        return err;
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sl_err_from_errno(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&where, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&where, &size) != 0) {
        err = errno == EADDRINUSE ? SL_EBUSY : sl_err_from_errno(errno);
        close(fd);
        return err;
    }
    char port[8];
    getnameinfo((struct sockaddr *)&where, size, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    *ret_port = (uint16_t)strtoul(port, NULL, 10);
    *ret_fd = fd;
    return SL_OK;
}

static struct MHD_Daemon *
daemon_start(struct sl_front *front, int listen_fd)
{
    const struct sl_transport *transport = front->options.transport;
    bool is_tls = transport != NULL && transport->is_tls;
    /* All who come through a proxy have its address; of others sl_guard_accepts takes half. */
    uint32_t share = transport != NULL && transport->proxies_count > 0
                         ? front->slots_count
                         : (front->slots_count + 1) / 2;
    uint32_t per_address =
        front->options.per_address_max == 0 ? share : front->options.per_address_max;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, sl_tls_callback()},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)sl_tls_rules()},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, front->slots_count, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_address, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, front->idle_s, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL}, /* front/head.c is, and says so in JSON. */
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, front},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)sl_guard_notify, front},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_encoded, front},
        {MHD_OPTION_ARRAY, 0, is_tls ? tls : &tls[2]},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned how = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_tls ? MHD_USE_TLS : 0);
    return MHD_start_daemon(how, 0, sl_guard_accepts, front, on_request, front, MHD_OPTION_ARRAY,
                            options, MHD_OPTION_END);
}

static void
front_free(struct sl_front *front)
{
    if (front->wake_fd >= 0)
        close(front->wake_fd);
    pthread_mutex_destroy(&front->settle_lock);
    pthread_cond_destroy(&front->settle_wake);
    sl_free(front->slots);
    front->magic = 0;
    sl_free(front);
}

static struct sl_front *
front_create(const struct sl_front_options *options)
{
    struct sl_front *front = sl_zalloc(sizeof(*front));
    front->magic = FRONT_MAGIC;
    front->options = *options;
    front->idle_s = options->idle_s == 0 ? IDLE_S : options->idle_s;
    slots_init(front, options->connections_max == 0 ? CONNECTIONS_MAX : options->connections_max);
    sl_random_seed_secret(&front->random);
    pthread_mutex_init(&front->settle_lock, NULL);
    pthread_cond_init(&front->settle_wake, NULL);
    front->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return front;
}

/* Signals are main's business: our threads take none. */
static bool
thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

enum sl_err
sl_front_start(const struct sl_front_options *options, struct sl_front **ret_front)
{
    sl_assert((options->post != NULL && options->planes_count > 0) || options->page != NULL);
    sl_assert(options->planes_count <= SL_FRONT_PLANES_MAX);
    int listen_fd = -1;
    uint16_t port = 0;
    enum sl_err err = listen_on(options->address, &listen_fd, &port);
    if (err != SL_OK)
        return err;
    struct sl_front *front = front_create(options);
    front->port = port;
    front->daemon = front->wake_fd < 0 ? NULL : daemon_start(front, listen_fd);
    if (front->daemon == NULL) {
        close(listen_fd);
        front_free(front);
        return SL_EFULL; /* Of descriptors: nothing else is left to fail. */
    }
    front->epoll_fd = MHD_get_daemon_info(front->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    bool has_blobs = false;
    for (uint32_t i = 0; i < options->planes_count; i++)
        has_blobs = has_blobs || options->planes[i].blobs != NULL;
    front->has_settler = has_blobs && thread_start(&front->settler, settle, front);
    if (!thread_start(&front->thread, serve, front) || (has_blobs && !front->has_settler)) {
        sl_assert_failed("threads can be started", __FILE__, __LINE__);
    }
    *ret_front = front;
    return SL_OK;
}

uint16_t
sl_front_port(const struct sl_front *front)
{
    return front->port;
}

void
sl_front_drain(struct sl_front *front)
{
    atomic_store(&front->is_draining, true);
}

bool
sl_front_shut(struct sl_front *front)
{
    atomic_store(&front->is_shutting, true);
    sl_front_wake(front);
    return atomic_load(&front->is_shut);
}

uint32_t
sl_front_in_flight(const struct sl_front *front)
{
    return atomic_load(&front->in_flight);
}

uint64_t
sl_front_posted(const struct sl_front *front)
{
    return atomic_load(&front->posted);
}

void
sl_front_stop(struct sl_front **front)
{
    struct sl_front *f = *front;
    if (f == NULL)
        return;
    sl_assert(f->magic == FRONT_MAGIC);
    *front = NULL;
    if (f->has_settler) {
        pthread_mutex_lock(&f->settle_lock);
        f->settler_must_end = true;
        pthread_cond_signal(&f->settle_wake);
        pthread_mutex_unlock(&f->settle_lock);
        pthread_join(f->settler, NULL);
    }
    atomic_store(&f->is_stopping, true);
    sl_front_wake(f);
    pthread_join(f->thread, NULL);
    MHD_stop_daemon(f->daemon); /* Closes every connection, each of which frees its request. */
    drain_replies(f);
    sl_stream_destroy(f);
    front_free(f);
}
