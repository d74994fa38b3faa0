/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/child_output.h"
#include "runtime/report_sink.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define CLIENTS_MAX   64
#define CHILDREN_MAX  256
#define MAGIC         0x736c7370u
#define REPLY_WAIT_MS 1000
#define MAIN_FD       3 /* Of a spawner's process. */
#define KEPT_FD       4
#define SINK_FD       5 /* report_sink.h; 4 and 5 are there or closed. */

enum request_what { REQUEST_SPAWN = 1, REQUEST_KILL = 2 };

struct request {
    uint32_t magic, what;
    uint32_t kind;
    int32_t signal;
    uint32_t shown_count;
    uint64_t tag;
    char text[SL_SPAWN_TEXT_MAX];
};

struct reply {
    uint32_t magic, what;
    uint64_t tag, by;
    int32_t pid, exit_code, signal;
};

struct child {
    pid_t pid; /* 0: a free slot. */
    uint64_t tag;
    int client_fd;     /* Who asked; told when it ends. */
    int own_client_fd; /* Its own requests come from here; -1: it is contained. */
    bool is_silent;    /* It closed its end: nothing more will come, and polling would spin. */
    struct sl_child_output output; /* Of a contained one. */
};

struct spawner {
    const struct sl_child_kind *kinds;
    uint32_t kinds_count;
    int main_fd, signal_fd;
    int kept_fd;     /* Of sl_spawner_start; -1: none. */
    int lifeline[2]; /* read: every child's; write: only ours. */
    struct child children[CHILDREN_MAX];
};

/* ---- the spawner's side -------------------------------------------------------------------- */

static void
reply_to(int fd, uint32_t what, uint64_t tag, const int values[3])
{
    struct reply r = {.magic = MAGIC,
                      .what = what,
                      .tag = tag,
                      .pid = values[0],
                      .exit_code = values[1],
                      .signal = values[2]};
    /* A client that is gone needs no answer. One that does not read would miss an end for ever, so
       it gets a moment; all other clients wait with it, so no more than that. */
    while (send(fd, &r, sizeof(r), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, REPLY_WAIT_MS) <= 0)
            break;
    }
}

/* A message and descriptors, if there are any. False: it was not taken whole. */
static bool
send_with(int fd, const struct iovec *data, const int *fds, uint32_t fds_count, int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(SL_SPAWN_FDS_MAX * sizeof(int))];
    } control = {0};
    struct iovec part = *data;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds_count > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fds_count * sizeof(int));
    }
    return sendmsg(fd, &m, flags | MSG_NOSIGNAL) == (ssize_t)data->iov_len;
}

/* One message with its descriptors, which are the caller's; as recv. */
static ssize_t
receive_with(int fd, const struct iovec *data, int ret_fds[static SL_SPAWN_FDS_MAX],
             uint32_t *ret_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(SL_SPAWN_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = *data;
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t size = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *ret_count = 0;
    for (struct cmsghdr *c = size <= 0 ? NULL : CMSG_FIRSTHDR(&m); c != NULL;
         c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t bytes = c->cmsg_len - CMSG_LEN(0);
        *ret_count = (uint32_t)SL_MIN(bytes / sizeof(int), (size_t)SL_SPAWN_FDS_MAX);
        memcpy(ret_fds, CMSG_DATA(c), *ret_count * sizeof(int));
    }
    return size;
}

static void
close_all(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
}

/* ---- in the child -------------------------------------------------------------------------- */

static struct guard {
    int lifeline_fd;
    uint32_t (*look)(void *arg);
    void *arg;
} guard;

/* The reading end closes with the spawner, and so ends this process. */
static void *
guard_lifeline(void *arg)
{
    const struct guard *g = arg;
    struct pollfd lifeline = {.fd = g->lifeline_fd, .events = POLLIN};
    int ready = 0;
    while (ready == 0 || (ready < 0 && errno == EINTR))
        ready = poll(&lifeline, 1, g->look == NULL ? -1 : (int)g->look(g->arg));
    _exit(0);
}

void
sl_child_guard(const struct sl_child *child, uint32_t (*look)(void *arg), void *arg)
{
    pthread_t thread;
    guard = (struct guard){.lifeline_fd = child->lifeline_fd, .look = look, .arg = arg};
    if (child->lifeline_fd <= 0)
        return;
    if (pthread_create(&thread, NULL, guard_lifeline, &guard) != 0)
        _exit(125);
    pthread_detach(thread);
}

static void
close_inherited(const struct spawner *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *c = &s->children[i];
        if (c->pid != 0 && c->own_client_fd >= 0)
            close(c->own_client_fd);
        if (c->pid != 0 && c->output.fd >= 0)
            close(c->output.fd);
    }
    close(s->main_fd);
    close(s->signal_fd);
    close(s->lifeline[1]);
}

/* What it prints goes to its pipe, and nobody types for it. What others are kept by is not its own
   to write to or to let go. */
static void
redirect(const struct spawner *s, int output_fd)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(output_fd, STDERR_FILENO) < 0)
        _exit(125);
    close(null_fd);
    close(output_fd);
    if (s->kept_fd >= 0)
        close(s->kept_fd);
    if (sl_report_sink() >= 0)
        close(sl_report_sink());
    sl_report_sink_set(-1); /* Or it could speak for others. */
}

static void
child_run(struct spawner *s, const struct request *r, const struct sl_child *given, int output_fd)
{
    const struct sl_child_kind *kind = &s->kinds[r->kind];
    struct sl_child child = *given;
    char name[16];
    snprintf(name, sizeof(name), "sluice-%s", kind->name);
    prctl(PR_SET_NAME, name);
    sl_report_role_set(kind->name);
    close_inherited(s);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    child.lifeline_fd = s->lifeline[0];
    if (output_fd >= 0)
        redirect(s, output_fd);
    if (!kind->is_contained)
        sl_child_guard(&child, NULL, NULL);
    exit(kind->run(&child));
}

/* ---- requests ------------------------------------------------------------------------------ */

static struct child *
free_slot(struct spawner *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        if (s->children[i].pid == 0)
            return &s->children[i];
    }
    return NULL;
}

/* The two ends of what a child keeps to its spawner: a socket, or a pipe that it prints to. */
static bool
tie(struct child *slot, bool is_contained, int *ret_child_fd)
{
    int pair[2];
    slot->own_client_fd = slot->output.fd = -1;
    if (is_contained)
        return sl_child_output_open(&slot->output, ret_child_fd);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    slot->own_client_fd = pair[0];
    *ret_child_fd = pair[1];
    return true;
}

static void
untie(struct child *c)
{
    if (c->own_client_fd >= 0)
        close(c->own_client_fd);
    sl_child_output_close(&c->output, sl_time_mono_ns());
}

/* The descriptors that a child of main's has its own child share with main. Main may be busy: then
   it does without, and whoever wants to use them will see that they are not there. */
static void
show(const struct spawner *s, int client_fd, const struct request *r, const struct sl_child *given)
{
    struct reply shown = {.magic = MAGIC, .what = SL_SPAWN_SHOWN, .tag = r->tag};
    if (given->shown_count == 0 || client_fd == s->main_fd)
        return;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        if (s->children[i].pid != 0 && s->children[i].own_client_fd == client_fd)
            shown.by = s->children[i].tag;
    }
    const int *first = given->fds + given->fds_count - given->shown_count;
    if (!send_with(s->main_fd, &(struct iovec){&shown, sizeof(shown)}, first, given->shown_count,
                   MSG_DONTWAIT))
        sl_report_warn("spawn-unshown", "tag=%llu", (unsigned long long)r->tag);
}

static void
name_lines(struct child *c, const struct sl_child_kind *kind, const char *text)
{
    struct sl_report_source source = {.role = kind->name, .pid = (uint32_t)c->pid};
    if (kind->source != NULL)
        kind->source(text, &source);
    sl_report_output_init(&c->output.lines, &source);
}

/* `given`: its descriptors. */
static void
serve_spawn(struct spawner *s, int client_fd, const struct request *r, struct sl_child *given)
{
    struct child *slot = free_slot(s);
    struct child made = {.tag = r->tag, .client_fd = client_fd};
    bool is_contained = r->kind < s->kinds_count && s->kinds[r->kind].is_contained;
    int child_fd;
    if (r->kind >= s->kinds_count || slot == NULL || !tie(&made, is_contained, &child_fd)) {
        reply_to(client_fd, SL_SPAWN_FAILED, r->tag, (int[3]){0, EAGAIN, 0});
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (made.own_client_fd >= 0)
            close(made.own_client_fd);
        if (made.output.fd >= 0)
            close(made.output.fd);
        given->text = r->text;
        given->spawner_fd = is_contained ? -1 : child_fd;
        child_run(s, r, given, is_contained ? child_fd : -1);
    }
    int error = errno;
    close(child_fd);
    if (pid < 0) {
        untie(&made);
        reply_to(client_fd, SL_SPAWN_FAILED, r->tag, (int[3]){0, error, 0});
        return;
    }
    made.pid = made.output.pid = pid;
    if (is_contained)
        name_lines(&made, &s->kinds[r->kind], r->text);
    *slot = made;
    show(s, client_fd, r, given);
    reply_to(client_fd, SL_SPAWN_STARTED, r->tag, (int[3]){pid, 0, 0});
}

static void
serve_kill(struct spawner *s, int client_fd, const struct request *r)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->children[i];
        if (c->pid != 0 && c->client_fd == client_fd && c->tag == r->tag)
            kill(c->pid, r->signal);
    }
}

/* One request of a client with its descriptors; false when the client is gone. */
static bool
serve(struct spawner *s, int client_fd)
{
    struct request r;
    struct sl_child given = {.fds_count = 0};
    ssize_t size =
        receive_with(client_fd, &(struct iovec){&r, sizeof(r)}, given.fds, &given.fds_count);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0)
        return false;
    given.shown_count = SL_MIN(r.shown_count, given.fds_count);

    bool is_whole =
        size == sizeof(r) && r.magic == MAGIC && memchr(r.text, '\0', sizeof(r.text)) != NULL;
    if (is_whole && r.what == REQUEST_SPAWN)
        serve_spawn(s, client_fd, &r, &given);
    else if (is_whole && r.what == REQUEST_KILL)
        serve_kill(s, client_fd, &r);
    close_all(given.fds, given.fds_count);
    return true;
}

/* A child ended: tell who asked for it, and end what it had asked for itself. */
static void
reap(struct spawner *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct child *ended = NULL;
        for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
            if (s->children[i].pid == pid)
                ended = &s->children[i];
        }
        if (ended == NULL)
            continue;
        int own_fd = ended->own_client_fd;
        for (uint32_t i = 0; own_fd >= 0 && i < CHILDREN_MAX; i++) {
            struct child *c = &s->children[i];
            if (c->pid != 0 && c->client_fd == own_fd) {
                kill(c->pid, SIGKILL);
                c->client_fd = -1; /* Nobody is left to tell, and the number may be used again. */
            }
        }
        untie(ended); /* Before it is told: whoever hears of the end finds nothing of it left. */
        reply_to(ended->client_fd, SL_SPAWN_EXITED, ended->tag,
                 (int[3]){pid, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                          WIFSIGNALED(status) ? WTERMSIG(status) : 0});
        *ended = (struct child){0};
    }
}

/* The lifeline ends all that run; a stopped or traced one would not notice. */
static void
end_all(struct spawner *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        if (s->children[i].pid != 0)
            kill(s->children[i].pid, SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static bool
spawner_init(struct spawner *s)
{
    sigset_t child_only;
    sigemptyset(&child_only);
    sigaddset(&child_only, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_only, NULL);
    /* ctrl-c reaches the whole group: main alone decides when to stop. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &child_only, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 && pipe2(s->lifeline, O_CLOEXEC) == 0;
}

/* A slot for each child, by its number: it asks, or prints. */
enum { POLL_MAIN = CHILDREN_MAX, POLL_SIGNAL, POLLS_MAX };

static void
fill_polls(const struct spawner *s, struct pollfd polls[static POLLS_MAX])
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *c = &s->children[i];
        int fd = c->own_client_fd >= 0 ? c->own_client_fd : c->output.fd;
        polls[i] = (struct pollfd){.fd = c->pid == 0 || c->is_silent ? -1 : fd, .events = POLLIN};
    }
    polls[POLL_MAIN] = (struct pollfd){.fd = s->main_fd, .events = POLLIN};
    polls[POLL_SIGNAL] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
}

/* False: nothing more comes from it. A slot that another child took meanwhile is looked at again.
 */
static bool
serve_child(struct spawner *s, struct child *c, int fd)
{
    if (c->own_client_fd >= 0)
        return fd != c->own_client_fd || serve(s, fd);
    return fd != c->output.fd || sl_child_output_take(&c->output, sl_time_mono_ns());
}

int
sl_spawner_main(int main_fd, const struct sl_child_kind *kinds, uint32_t kinds_count)
{
    static struct spawner s;
    s = (struct spawner){.kinds = kinds, .kinds_count = kinds_count, .main_fd = main_fd};
    closefrom(SINK_FD + 1); /* Whatever somebody's library left open is nothing for children. */
    s.kept_fd = fcntl(KEPT_FD, F_GETFD) == 0 ? KEPT_FD : -1;
    if (fcntl(SINK_FD, F_GETFD) >= 0 && fcntl(SINK_FD, F_SETFD, FD_CLOEXEC) == 0)
        sl_report_sink_set(SINK_FD);
    prctl(PR_SET_NAME, "sluice-spawner");
    sl_report_role_set("spawner");
    if (fcntl(main_fd, F_SETFD, FD_CLOEXEC) != 0 || !spawner_init(&s))
        return 1;
    for (;;) {
        struct pollfd polls[POLLS_MAX];
        fill_polls(&s, polls);
        if (poll(polls, POLLS_MAX, -1) < 0) {
            if (errno != EINTR)
                return 1;
            continue;
        }
        if (polls[POLL_MAIN].revents != 0 && !serve(&s, main_fd)) {
            end_all(&s); /* Main is gone. */
            return 0;
        }
        for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
            if (polls[i].revents != 0 && !serve_child(&s, &s.children[i], polls[i].fd))
                s.children[i].is_silent = true;
        }
        struct signalfd_siginfo info;
        while (read(s.signal_fd, &info, sizeof(info)) > 0)
            ;
        reap(&s);
    }
}

/* ---- the clients' side --------------------------------------------------------------------- */

extern char **environ;

enum sl_err
sl_spawner_start(const char *program, int keep_fd, int *ret_fd, int *ret_pid)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return sl_err_from_errno(errno);
    char number[16];
    snprintf(number, sizeof(number), "%d", MAIN_FD);
    char *argv[] = {(char *)"sluice", (char *)"spawner", number, NULL};

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    /* dup2 onto itself clears close-on-exec, so it is right whatever the numbers are. */
    int moved = fcntl(pair[1], F_DUPFD_CLOEXEC, 10), kept = -1, sink = -1;
    posix_spawn_file_actions_adddup2(&actions, moved, MAIN_FD);
    if (keep_fd >= 0) {
        kept = fcntl(keep_fd, F_DUPFD_CLOEXEC, 10);
        posix_spawn_file_actions_adddup2(&actions, kept, KEPT_FD);
    }
    if (sl_report_sink() >= 0) {
        sink = fcntl(sl_report_sink(), F_DUPFD_CLOEXEC, 10);
        posix_spawn_file_actions_adddup2(&actions, sink, SINK_FD);
    }
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid;
    int error = posix_spawn(&pid, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(pair[1]);
    close(moved);
    if (kept >= 0)
        close(kept);
    if (sink >= 0)
        close(sink);
    if (error != 0) {
        close(pair[0]);
        return sl_err_from_errno(error);
    }
    *ret_fd = pair[0];
    *ret_pid = pid;
    return SL_OK;
}

static enum sl_err
send_request(int fd, struct request *r, const int *fds, uint32_t fds_count)
{
    return send_with(fd, &(struct iovec){r, sizeof(*r)}, fds, fds_count, 0) ? SL_OK : SL_EUNAVAIL;
}

enum sl_err
sl_spawner_ask(int fd, const struct sl_spawn *spawn)
{
    struct request r = {.magic = MAGIC,
                        .what = REQUEST_SPAWN,
                        .kind = spawn->kind,
                        .shown_count = spawn->shown_count,
                        .tag = spawn->tag};
    size_t size = strlen(spawn->text);
    if (size >= sizeof(r.text))
        return SL_ETOOBIG;
    sl_assert(spawn->fds_count <= SL_SPAWN_FDS_MAX);
    memcpy(r.text, spawn->text, size + 1);
    return send_request(fd, &r, spawn->fds, spawn->fds_count);
}

enum sl_err
sl_spawner_kill(int fd, uint64_t tag, int signal)
{
    struct request r = {.magic = MAGIC, .what = REQUEST_KILL, .tag = tag, .signal = signal};
    return send_request(fd, &r, NULL, 0);
}

enum sl_err
sl_spawner_event(int fd, struct sl_spawn_event *ret_event)
{
    struct reply r;
    struct sl_spawn_event e = {.fds_count = 0};
    ssize_t size = receive_with(fd, &(struct iovec){&r, sizeof(r)}, e.fds, &e.fds_count);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? SL_EBUSY : SL_EUNAVAIL;
    if (size != sizeof(r) || r.magic != MAGIC) {
        close_all(e.fds, e.fds_count);
        return SL_EUNAVAIL;
    }
    e.what = r.what;
    e.tag = r.tag;
    e.by = r.by;
    e.pid = r.pid;
    e.exit_code = r.exit_code;
    e.signal = r.signal;
    *ret_event = e;
    return SL_OK;
}
