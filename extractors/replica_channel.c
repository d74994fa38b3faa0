/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_channel.h"

#include <unistd.h>

#include "runtime/report.h"
#include "sluice/extractor.h"

#define CHANNEL_ACTOR 2 /* Who such messages are for: no agent sends to it. */

uint32_t
sl_replica_channel_others(const struct sl_child *child)
{
    bool has = child->shown_count == SL_CHANNEL_FDS;
    return child->fds_count - (has ? (uint32_t)SL_CHANNEL_FDS : 0);
}

void
sl_replica_channel_open(struct sl_replica_channel *c, const struct sl_child *child)
{
    uint32_t others = sl_replica_channel_others(child);
    if (others == child->fds_count)
        return;
    enum sl_err err = sl_channel_open(SL_CHANNEL_WORKER, child->fds + others, &c->channel);
    if (err != SL_OK)
        sl_report_warn("channel-refused", "err=%s", sl_err_name(err));
}

void
sl_replica_channel_close(struct sl_replica_channel *c)
{
    sl_channel_close(&c->channel);
}

bool
sl_replica_channel_is(const struct sl_msg *msg)
{
    return msg->to.actor == CHANNEL_ACTOR;
}

struct sl_msg *
sl_replica_channel_receive(struct sl_replica_channel *c)
{
    struct sl_msg *msg = NULL;
    if (c->channel == NULL)
        return NULL;
    enum sl_err err = sl_channel_receive(c->channel, &msg);
    if (err == SL_ENOTFOUND)
        return NULL;
    if (err != SL_OK) {
        sl_report_warn("channel-corrupt", "action=\"it is used no more\"");
        sl_channel_close(&c->channel);
        return NULL;
    }
    msg->to.actor = CHANNEL_ACTOR;
    return msg;
}

static enum sl_err
send(struct sl_replica_channel *c, const struct sl_m_processed *answer)
{
    struct sl_msg *msg = sl_msg_create(SL_M_processed, answer);
    enum sl_err err = sl_channel_send(c->channel, msg);
    sl_msg_destroy(&msg);
    return err;
}

/* There is room for all that was asked; what is too large by itself is asked for another way. */
void
sl_replica_channel_answer(struct sl_replica_channel *c, const struct sl_m_processed *answer)
{
    if (c->channel == NULL)
        return;
    enum sl_err err = send(c, answer);
    if (err == SL_ETOOBIG)
        err = send(c, &(struct sl_m_processed){.item = answer->item,
                                               .kind = SLUICE_ERROR_TRANSIENT,
                                               .code = sl_slice_str(SL_REPLICA_TOO_LARGE),
                                               .busy_ns = answer->busy_ns,
                                               .served_ns = answer->served_ns});
    if (err != SL_OK)
        sl_report_warn("answer-unsent", "err=%s", sl_err_name(err));
}

/* It rang when this end slept: said only now, when what it rang for is answered. */
static void
hush(struct sl_replica_channel *c)
{
    enum sl_err err = c->channel != NULL && c->has_rung ? sl_channel_hush(c->channel) : SL_OK;
    c->has_rung = false;
    if (err == SL_OK)
        return;
    /* Nobody asks this way any more. */
    sl_report_info("channel-closed", "err=%s", sl_err_name(err));
    sl_channel_close(&c->channel);
}

bool
sl_replica_channel_doze(struct sl_replica_channel *c, int *ret_fd)
{
    hush(c);
    *ret_fd = c->channel == NULL ? -1 : sl_channel_bell(c->channel);
    c->is_dozing = c->channel != NULL && sl_channel_doze(c->channel);
    return c->channel == NULL || c->is_dozing;
}

void
sl_replica_channel_rouse(struct sl_replica_channel *c, bool has_rung)
{
    if (c->is_dozing)
        sl_channel_rouse(c->channel);
    c->is_dozing = false;
    c->has_rung = c->has_rung || has_rung;
}
