/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/channel_port.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define CHANNELS_MAX 256u
#define READY_MAX    16
#define RINGS_MAX    64 /* Without an answer between: an honest end rings for each, at most. */
/* While an answer is awaited, or a call may follow one that was just answered, the thread looks on
   so long before it sleeps: to wake it takes about as much. */
#define PATIENCE_NS (50 * SL_MICRO_NS)
#define RECENT_NS   (100 * SL_MICRO_NS)

struct entry {
    struct sl_channel *channel; /* NULL: a free slot. */
    uint64_t node, tag;
    uint32_t generation; /* Tells a bell of this channel from those of the slot's earlier ones. */
    uint32_t awaited;    /* Calls without an answer: only those who have some are looked at. */
    uint32_t rings;      /* Since its last answer. */
    enum sl_err untold;  /* What its actor has to be told of it. */
    bool is_dozing, is_deaf; /* Deaf: its bell is in the set no more. */
};

struct sl_channel_port {
    struct sl_channel_port_options options;
    struct sl_channels face;
    struct entry entries[CHANNELS_MAX];
    uint32_t count;   /* No entry is at or behind it. */
    uint32_t awaited; /* Of all. */
    uint32_t untold;  /* Of how many. */
    uint32_t generation;
    uint32_t at;      /* Whose turn it is. */
    uint64_t last_ns; /* When something was received last. */
    int epoll_fd;     /* Of all bells. */
    bool is_told;     /* Its actor knows of news, and has not looked yet. */
};

/* Said, for it would leave the set by itself only once no other process has its file either. */
static void
deafen(struct sl_channel_port *p, struct entry *e)
{
    if (!e->is_deaf)
        (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, sl_channel_bell(e->channel), NULL);
    e->is_deaf = true;
}

static void
drop(struct sl_channel_port *p, struct entry *e)
{
    deafen(p, e);
    p->awaited -= e->awaited;
    p->untold -= e->untold != SL_OK;
    sl_channel_close(&e->channel);
    *e = (struct entry){0};
}

static void
tell(struct sl_channel_port *p, struct entry *e, enum sl_err err)
{
    p->untold += e->untold == SL_OK;
    e->untold = err;
}

static uint64_t
bell_number(uint32_t index, uint32_t generation)
{
    return (uint64_t)generation << 32 | index;
}

void
sl_channel_port_shown(void *port, const struct sl_spawn_event *event)
{
    struct sl_channel_port *p = port;
    struct sl_channel *channel = NULL;
    struct entry *free_entry = NULL;
    if (event->fds_count != SL_CHANNEL_FDS) {
        for (uint32_t i = 0; i < event->fds_count; i++)
            (void)close(event->fds[i]);
        return;
    }
    enum sl_err err = sl_channel_open(SL_CHANNEL_ASKER, event->fds, &channel);
    for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
        struct entry *e = &p->entries[i];
        if (e->channel != NULL && e->node == event->by && e->tag == event->tag)
            drop(p, e);
        if (e->channel == NULL && free_entry == NULL)
            free_entry = e;
    }
    if (err == SL_OK && free_entry == NULL)
        err = SL_EFULL;
    struct epoll_event bell = {.events = EPOLLIN};
    if (err == SL_OK)
        bell.data.u64 = bell_number((uint32_t)(free_entry - p->entries), ++p->generation);
    if (err == SL_OK && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, sl_channel_bell(channel), &bell) != 0)
        err = SL_ENOMEM;
    if (err != SL_OK) {
        sl_report_warn("channel-refused", "err=%s", sl_err_name(err));
        sl_channel_close(&channel);
        return;
    }
    *free_entry = (struct entry){
        .channel = channel, .node = event->by, .tag = event->tag, .generation = p->generation};
    p->count = SL_MAX(p->count, (uint32_t)(free_entry - p->entries) + 1);
}

/* ---- for the actor ------------------------------------------------------------------------- */

/* A node's word may come sooner than the spawner's, which was sent before it. */
static void
look(const struct sl_channel_port *p)
{
    if (*p->options.spawner != NULL)
        sl_spawn_port_look(*p->options.spawner);
}

static uint32_t
find(void *arg, uint32_t node, uint64_t tag)
{
    struct sl_channel_port *p = arg;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < p->count; i++) {
            const struct entry *e = &p->entries[i];
            if (e->channel != NULL && e->node == node && e->tag == tag)
                return i + 1;
        }
        if (round == 0)
            look(p);
    }
    return 0;
}

static struct entry *
entry_of(struct sl_channel_port *p, uint32_t channel)
{
    sl_assert(channel > 0 && channel <= CHANNELS_MAX);
    struct entry *e = &p->entries[channel - 1];
    return e->channel == NULL ? NULL : e;
}

static void
close_one(void *arg, uint32_t channel)
{
    struct entry *e = entry_of(arg, channel);
    if (e != NULL)
        drop(arg, e);
}

static void
forget(void *arg, uint32_t node)
{
    struct sl_channel_port *p = arg;
    look(p); /* What is shown later would be nobody's. */
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->entries[i].channel != NULL && p->entries[i].node == node)
            drop(p, &p->entries[i]);
    }
}

static enum sl_err
send(void *arg, uint32_t channel, bool is_call, const struct sl_msg *msg)
{
    struct sl_channel_port *p = arg;
    struct entry *e = entry_of(p, channel);
    if (e == NULL)
        return SL_EUNAVAIL;
    enum sl_err err = sl_channel_send(e->channel, msg);
    e->awaited += err == SL_OK && is_call;
    p->awaited += err == SL_OK && is_call;
    return err;
}

/* Of one channel: its answers, then what there is to tell of it. */
static enum sl_err
receive_of(struct sl_channel_port *p, struct entry *e, struct sl_msg **ret_msg)
{
    enum sl_err err = e->awaited == 0 ? SL_ENOTFOUND : sl_channel_receive(e->channel, ret_msg);
    if (err == SL_ENOTFOUND && e->untold != SL_OK) {
        err = e->untold;
        e->untold = SL_OK;
        p->untold--;
    }
    uint32_t fewer = err == SL_OK ? 1 : err == SL_ECORRUPT ? e->awaited : 0;
    e->awaited -= fewer;
    p->awaited -= fewer;
    if (err == SL_OK) {
        e->rings = 0;
        p->last_ns = sl_time_mono_ns();
    }
    return err;
}

static enum sl_err
receive(void *arg, uint32_t *ret_channel, struct sl_msg **ret_msg)
{
    struct sl_channel_port *p = arg;
    p->is_told = false;
    for (uint32_t i = 0; i < p->count && p->awaited + p->untold > 0; i++) {
        struct entry *e = &p->entries[p->at % p->count];
        enum sl_err err = receive_of(p, e, ret_msg);
        if (err != SL_ENOTFOUND) {
            *ret_channel = (uint32_t)(e - p->entries) + 1;
            return err;
        }
        p->at = (p->at + 1) % p->count;
    }
    return SL_ENOTFOUND;
}

/* ---- for the loop -------------------------------------------------------------------------- */

static bool
has_news(const struct sl_channel_port *p)
{
    for (uint32_t i = 0; p->awaited > 0 && i < p->count; i++) {
        if (p->entries[i].awaited > 0 && sl_channel_has_news(p->entries[i].channel))
            return true;
    }
    return p->untold > 0;
}

static bool
take(void *arg)
{
    struct sl_channel_port *p = arg;
    if (p->is_told || !has_news(p))
        return false;
    struct sl_msg *msg = sl_msg_create(SL_M_channel_news, NULL);
    msg->to.actor = p->options.actor;
    p->is_told = sl_live_post(p->options.live, msg) == SL_OK;
    return p->is_told;
}

static uint64_t
patience_ns(void *arg)
{
    const struct sl_channel_port *p = arg;
    if (p->awaited > 0)
        return PATIENCE_NS;
    return p->last_ns != 0 && sl_time_mono_ns() - p->last_ns < RECENT_NS ? PATIENCE_NS : 0;
}

static bool
doze(void *arg)
{
    struct sl_channel_port *p = arg;
    bool is_quiet = p->untold == 0;
    for (uint32_t i = 0; p->awaited > 0 && i < p->count && is_quiet; i++) {
        struct entry *e = &p->entries[i];
        if (e->awaited == 0)
            continue;
        is_quiet = sl_channel_doze(e->channel);
        e->is_dozing = is_quiet;
    }
    return is_quiet;
}

static void
rouse(void *arg)
{
    struct sl_channel_port *p = arg;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->entries[i].is_dozing)
            sl_channel_rouse(p->entries[i].channel);
        p->entries[i].is_dozing = false;
    }
}

/* Rung: what has come is seen by whoever takes it. One that rings for nothing would keep us awake.
 */
static void
on_bell(struct sl_channel_port *p, struct entry *e)
{
    enum sl_err err = sl_channel_hush(e->channel);
    if (err == SL_OK && ++e->rings > RINGS_MAX)
        err = SL_ECORRUPT;
    if (err == SL_OK)
        return;
    deafen(p, e);
    tell(p, e, err);
}

static void
on_bells(void *arg)
{
    struct sl_channel_port *p = arg;
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(p->epoll_fd, ready, READY_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct entry *e = &p->entries[(uint32_t)ready[i].data.u64 % CHANNELS_MAX];
        if (e->channel != NULL && e->generation == ready[i].data.u64 >> 32)
            on_bell(p, e);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

struct sl_channel_port *
sl_channel_port_open(const struct sl_channel_port_options *options)
{
    struct sl_channel_port *p = sl_zalloc(sizeof(*p));
    p->options = *options;
    p->face = (struct sl_channels){.find = find,
                                   .close = close_one,
                                   .forget = forget,
                                   .send = send,
                                   .receive = receive,
                                   .arg = p};
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sl_assert(p->epoll_fd >= 0);
    struct sl_live_source source = {
        .take = take, .patience_ns = patience_ns, .doze = doze, .rouse = rouse, .arg = p};
    sl_live_source_set(options->live, &source);
    sl_live_watch(options->live, p->epoll_fd, on_bells, p);
    return p;
}

void
sl_channel_port_close(struct sl_channel_port **port)
{
    struct sl_channel_port *p = *port;
    if (p == NULL)
        return;
    *port = NULL;
    sl_live_source_set(p->options.live, NULL);
    sl_live_unwatch(p->options.live, p->epoll_fd);
    for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
        if (p->entries[i].channel != NULL)
            drop(p, &p->entries[i]);
    }
    close(p->epoll_fd);
    sl_free(p);
}

const struct sl_channels *
sl_channel_port_channels(const struct sl_channel_port *port)
{
    return &port->face;
}
