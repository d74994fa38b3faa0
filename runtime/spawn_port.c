/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spawn_port.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/channel.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define STOP_NS      (2 * SL_SECOND_NS)
#define STOP_POLL_MS 5

struct sl_spawn_port {
    struct sl_spawn_port_options options;
    int fd;
    int pid;
};

static void
post(struct sl_spawn_port *p, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to.actor = p->options.actor;
    sl_live_post(p->options.live, msg);
}

static void
post_exited(struct sl_spawn_port *p, const struct sl_spawn_event *e)
{
    struct sl_m_child_exited body = {.tag = e->tag,
                                     .pid = (uint64_t)e->pid,
                                     .exit_code = e->exit_code,
                                     .signal = (uint64_t)e->signal};
    post(p, SL_M_child_exited, &body);
}

static void
close_all(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

static void on_ready(void *arg);

static enum sl_err
start(struct sl_spawn_port *p)
{
    enum sl_err err = sl_spawner_start(p->options.program, p->options.keep_fd, &p->fd, &p->pid);
    if (err == SL_OK)
        sl_live_watch(p->options.live, p->fd, on_ready, p);
    return err;
}

static void
on_lost(struct sl_spawn_port *p)
{
    sl_live_unwatch(p->options.live, p->fd);
    close(p->fd);
    p->fd = -1;
    if (p->options.program == NULL) {
        p->options.lost(p->options.arg);
        return;
    }
    struct sl_m_spawner_lost body = {.pid = (uint64_t)p->pid};
    kill(p->pid, SIGKILL); /* It closed its socket: dead, or no use to us. */
    waitpid(p->pid, NULL, 0);
    enum sl_err err = start(p);
    sl_report_warn("spawner-lost", "pid=%d restarted=%s", (int)body.pid, sl_err_name(err));
    post(p, SL_M_spawner_lost, &body);
}

static void
on_ready(void *arg)
{
    struct sl_spawn_port *p = arg;
    struct sl_spawn_event e;
    enum sl_err err;
    while ((err = sl_spawner_event(p->fd, &e)) == SL_OK) {
        if (e.what == SL_SPAWN_STARTED)
            post(p, SL_M_child_started,
                 &(struct sl_m_child_started){.tag = e.tag, .pid = (uint64_t)e.pid});
        else if (e.what == SL_SPAWN_SHOWN && p->options.shown != NULL)
            p->options.shown(p->options.arg, &e);
        else if (e.what == SL_SPAWN_SHOWN)
            close_all(e.fds, e.fds_count);
        else
            post_exited(p, &e);
    }
    if (err == SL_EUNAVAIL)
        on_lost(p);
}

void
sl_spawn_port_look(struct sl_spawn_port *port)
{
    if (port->fd >= 0)
        on_ready(port);
}

/* Without one it is called by way of its node alone. */
static void
add_channel(const struct sl_spawn_port *p, struct sl_spawn *want)
{
    if (!p->options.has_channels || want->fds_count + SL_CHANNEL_FDS > SL_SPAWN_FDS_MAX)
        return;
    enum sl_err err = sl_channel_create(want->fds + want->fds_count);
    if (err != SL_OK) {
        sl_report_warn("channel-failed", "tag=%llu err=%s", (unsigned long long)want->tag,
                       sl_err_name(err));
        return;
    }
    want->fds_count += SL_CHANNEL_FDS;
    want->shown_count = SL_CHANNEL_FDS;
}

static void
ask(struct sl_spawn_port *p, const struct sl_m_spawn *m)
{
    char *text = sl_strndup(m->text.data, m->text.size);
    struct sl_spawn want = {.kind = (uint32_t)m->kind, .tag = m->tag, .text = text};
    int objects = m->tenant == 0 || p->options.objects == NULL
                      ? -1
                      : p->options.objects(p->options.arg, m->tenant, m->tag);
    if (m->fd >= 0)
        want.fds[want.fds_count++] = (int)m->fd;
    if (objects >= 0)
        want.fds[want.fds_count++] = objects;
    add_channel(p, &want);
    /* A spawner that could not be started again when it was lost may start now. */
    if (p->fd < 0 && p->options.program != NULL && start(p) != SL_OK)
        p->fd = -1;
    enum sl_err err = p->fd < 0 ? SL_EUNAVAIL : sl_spawner_ask(p->fd, &want);
    if (err != SL_OK) {
        sl_report_warn("spawn-failed", "kind=%u err=%s", want.kind, sl_err_name(err));
        post_exited(p, &(struct sl_spawn_event){.tag = m->tag, .exit_code = 126});
    }
    close_all(want.fds + want.fds_count - want.shown_count, want.shown_count);
    if (m->fd >= 0 && m->kind < 32 && (p->options.taken_kinds >> m->kind & 1) != 0)
        (void)close((int)m->fd);
    if (objects >= 0) /* The child's alone: its end is to be seen by this. */
        (void)close(objects);
    sl_free(text);
}

static void
take(void *arg, struct sl_msg *msg)
{
    struct sl_spawn_port *p = arg;
    if (msg->id == SL_M_spawn) {
        ask(p, SL_BODY(msg, spawn));
    } else if (msg->id == SL_M_spawn_kill) {
        const struct sl_m_spawn_kill *m = SL_BODY(msg, spawn_kill);
        if (p->fd >= 0 && sl_spawner_kill(p->fd, m->tag, (int)m->signal) != SL_OK)
            sl_report_warn("kill-failed", "tag=%llu", (unsigned long long)m->tag);
    }
    sl_msg_destroy(&msg);
}

enum sl_err
sl_spawn_port_open(const struct sl_spawn_port_options *options, struct sl_spawn_port **ret_port)
{
    struct sl_spawn_port *p = sl_zalloc(sizeof(*p));
    p->options = *options;
    p->fd = options->fd;
    if (options->fd < 0) {
        enum sl_err err = start(p);
        if (err != SL_OK) {
            sl_free(p);
            return err;
        }
    } else {
        sl_live_watch(options->live, p->fd, on_ready, p);
    }
    sl_live_port(options->live, SL_PORT_SPAWNER, take, p);
    *ret_port = p;
    return SL_OK;
}

/* A spawner that does not end by itself (stopped, say) is killed, so that a stop never hangs. */
static void
await_end(int pid)
{
    uint64_t deadline_ns = sl_time_mono_ns() + STOP_NS;
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (sl_time_mono_ns() >= deadline_ns) {
            sl_report_warn("spawner-overdue", "pid=%d action=kill", pid);
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return;
        }
        poll(NULL, 0, STOP_POLL_MS);
    }
}

void
sl_spawn_port_close(struct sl_spawn_port **port)
{
    struct sl_spawn_port *p = *port;
    if (p == NULL)
        return;
    if (p->fd >= 0) {
        sl_live_unwatch(p->options.live, p->fd);
        close(p->fd); /* The spawner ends when its last client's socket closes. */
    }
    if (p->pid > 0)
        await_end(p->pid);
    sl_free(p);
    *port = NULL;
}

int
sl_spawn_port_pid(const struct sl_spawn_port *port)
{
    return port->pid;
}
