/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing but libmicrohttpd, used as the front uses it: the request's thread suspends the
 * connection and hands it to another, which resumes it; then the reply is made. Or, where it is
 * static, made at once.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/http.h"
#include "runtime/alloc.h"
#include "runtime/iopool.h"

#define CONNECTIONS_MAX 2048
#define CHILD_ENDED     1

/* A request: begun, handed over, and come back. */
struct handed {
    struct MHD_Connection *connection;
    bool is_handed;
};

static enum MHD_Result
reply(struct MHD_Connection *connection)
{
    static const char body[] = "{\"data\":{\"embedding\":[1]}}";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof(body) - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void
hand_back(void *argument)
{
    const struct handed *h = argument;
    MHD_resume_connection(h->connection);
}

static void
done(void *context, const struct sl_io_work *work)
{
    (void)context, (void)work;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *data_size, void **state)
{
    struct handed *h = *state;
    (void)url, (void)method, (void)version, (void)data;
    if (h == NULL) {
        *state = h = sl_zalloc(sizeof(*h));
        h->connection = connection;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0;
        return MHD_YES;
    }
    if (h->is_handed || arg == NULL)
        return reply(connection);
    h->is_handed = true;
    MHD_suspend_connection(connection);
    sl_iopool_submit(arg, &(struct sl_io_work){.work = hand_back, .done = done, .argument = h});
    return MHD_YES;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode how)
{
    (void)arg, (void)connection, (void)how;
    sl_free(*state);
    *state = NULL;
}

SL_NORETURN static void
serve(int listen_fd, bool is_static)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
        is_static ? NULL : sl_iopool_create(1), MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        NULL, MHD_OPTION_END);
    if (daemon == NULL)
        _exit(CHILD_ENDED);
    for (;;)
        (void)pause();
}

static bool
start(struct sl_bench_echo *ret_echo, bool is_static)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&where, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&where, &size) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return sl_bench_fail("no port for the bare server");
    }
    pid_t pid = fork();
    if (pid == 0)
        serve(fd, is_static);
    (void)close(fd);
    *ret_echo = (struct sl_bench_echo){.pid = pid, .port = ntohs(where.sin_port)};
    return pid > 0 || sl_bench_fail("the bare server could not be forked");
}

bool
sl_bench_echo_start(struct sl_bench_echo *ret_echo)
{
    return start(ret_echo, false);
}

bool
sl_bench_echo_start_static(struct sl_bench_echo *ret_echo)
{
    return start(ret_echo, true);
}

void
sl_bench_echo_end(struct sl_bench_echo *echo)
{
    if (echo->pid <= 0)
        return;
    (void)kill(echo->pid, SIGKILL);
    (void)waitpid(echo->pid, NULL, 0);
    echo->pid = 0;
}
