/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/model_keep.h"

#include <inttypes.h>
#include <unistd.h>

#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define TOKEN_OPEN 1 /* The head's only work. */

struct sl_reopening {
    char *directory;
    uint64_t pid, fd, inode;
    int opened; /* -1: it is not there any more. */
    struct sl_reopening *next;
};

static struct sl_kept_model *
model_of(struct sl_model_keep *keep, struct sl_slice directory)
{
    for (uint32_t i = 0; i < keep->count; i++) {
        if (sl_slice_is(directory, keep->models[i].directory))
            return &keep->models[i];
    }
    return NULL;
}

static void
forget(struct sl_model_keep *keep, struct sl_kept_model *m)
{
    if (m->fd >= 0)
        (void)close(m->fd);
    sl_free(m->directory);
    *m = keep->models[--keep->count];
}

static void
end_reopening(struct sl_model_keep *keep, struct sl_reopening *r)
{
    struct sl_reopening **at = &keep->reopenings;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (r->opened >= 0)
        (void)close(r->opened);
    sl_free(r->directory);
    sl_free(r);
}

void
sl_model_keep_deinit(struct sl_model_keep *keep)
{
    while (keep->reopenings != NULL)
        end_reopening(keep, keep->reopenings);
    while (keep->count > 0)
        forget(keep, &keep->models[keep->count - 1]);
}

static void
reopen_model(void *argument)
{
    struct sl_reopening *r = argument;
    if (sl_model_reopen(r->pid, r->fd, r->inode, &r->opened) != SL_OK)
        r->opened = -1;
}

void
sl_model_keep_take(struct sl_model_keep *keep, struct sl_ctx *ctx, uint64_t pid,
                   const struct sl_m_model_kept *m)
{
    struct sl_kept_model *known = model_of(keep, m->directory);
    if (keep->pid == 0 || pid == 0 || m->inode == 0 || m->directory.size == 0)
        return;
    if (known != NULL) /* Built anew: what there was is not what nodes have from now on. */
        forget(keep, known);
    if (keep->count == SL_KEEP_MODELS_MAX)
        return;
    keep->models[keep->count++] =
        (struct sl_kept_model){.directory = sl_strndup(m->directory.data, m->directory.size),
                               .inode = m->inode,
                               .fd = -1,
                               .size_bytes = m->size_bytes};
    struct sl_reopening *r = sl_zalloc(sizeof(*r));
    *r = (struct sl_reopening){.directory = sl_strndup(m->directory.data, m->directory.size),
                               .pid = pid,
                               .fd = m->fd,
                               .inode = m->inode,
                               .opened = -1,
                               .next = keep->reopenings};
    keep->reopenings = r;
    sl_work(ctx, reopen_model, r, TOKEN_OPEN);
}

void
sl_model_keep_opened(struct sl_model_keep *keep, const struct sl_m_work_done *done)
{
    struct sl_reopening *r = (struct sl_reopening *)(uintptr_t)done->argument;
    struct sl_kept_model *m = model_of(keep, sl_slice_str(r->directory));
    bool is_wanted = m != NULL && m->fd < 0 && m->inode == r->inode;
    sl_report_info("model-kept", "directory=%s is_kept=%d", r->directory,
                   is_wanted && r->opened >= 0);
    if (is_wanted && r->opened >= 0)
        m->fd = r->opened;
    else if (is_wanted)
        forget(keep, m);
    if (is_wanted)
        r->opened = -1; /* Else it was dropped meanwhile, and is closed. */
    end_reopening(keep, r);
}

void
sl_model_keep_drop(struct sl_model_keep *keep, struct sl_slice directory)
{
    struct sl_kept_model *m = model_of(keep, directory);
    if (m != NULL)
        forget(keep, m);
}

void
sl_model_keep_tell(const struct sl_model_keep *keep, struct sl_ctx *ctx, uint32_t node)
{
    /* It promises nothing, and must be there before the calls that waited for the node: no sync. */
    enum sl_level level = ctx->level;
    ctx->level = SL_LEVEL_RAM;
    for (uint32_t i = 0; i < keep->count; i++) {
        const struct sl_kept_model *m = &keep->models[i];
        if (m->fd < 0)
            continue;
        struct sl_m_model_kept told = {.directory = sl_slice_str(m->directory),
                                       .pid = keep->pid,
                                       .fd = (uint64_t)m->fd,
                                       .inode = m->inode,
                                       .size_bytes = m->size_bytes};
        sl_send(ctx, sl_at(node, SL_ACTOR_AGENT), SL_M_model_kept, &told);
    }
    ctx->level = level;
}
