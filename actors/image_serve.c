/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_serve.h"

#include "runtime/alloc.h"

void
sl_image_serve_init(struct sl_image_serve *s)
{
    *s = (struct sl_image_serve){0};
    s->tail = &s->oldest;
}

static void
destroy_list(struct sl_image_work *list)
{
    for (struct sl_image_work *next; list != NULL; list = next) {
        next = list->next;
        sl_image_work_destroy(&list);
    }
}

void
sl_image_serve_deinit(struct sl_image_serve *s)
{
    destroy_list(s->oldest);
    destroy_list(s->running);
    sl_image_serve_init(s);
}

/* Making a list may mean to read all of a file: once is enough, whoever else asks does so again. */
static bool
is_same_list(const struct sl_image_work *a, const struct sl_image_work *b)
{
    return a->kind == SL_IMAGE_LIST && b->kind == SL_IMAGE_LIST &&
           memcmp(&a->name, &b->name, sizeof(a->name)) == 0;
}

bool
sl_image_serve_add(struct sl_image_serve *s, struct sl_image_work *work)
{
    uint32_t of_node = 0;
    const struct sl_image_work *lists[] = {s->oldest, s->running};
    for (size_t i = 0; i < SL_COUNT_OF(lists); i++) {
        for (const struct sl_image_work *w = lists[i]; w != NULL; w = w->next) {
            of_node += w->from.node == work->from.node;
            if (is_same_list(w, work))
                return false;
        }
    }
    if (s->waiting_count == SL_SERVE_WAITING_MAX || of_node >= SL_SERVE_A_NODE_MAX)
        return false;
    work->next = NULL;
    *s->tail = work;
    s->tail = &work->next;
    s->waiting_count++;
    return true;
}

struct sl_image_work *
sl_image_serve_next(struct sl_image_serve *s)
{
    struct sl_image_work *w = s->oldest;
    if (w == NULL || s->running_count == SL_SERVE_RUNNING_MAX)
        return NULL;
    s->oldest = w->next;
    if (s->oldest == NULL)
        s->tail = &s->oldest;
    s->waiting_count--;
    w->next = s->running;
    s->running = w;
    s->running_count++;
    return w;
}

bool
sl_image_serve_end(struct sl_image_serve *s, const struct sl_image_work *work)
{
    for (struct sl_image_work **at = &s->running; *at != NULL; at = &(*at)->next) {
        if (*at != work)
            continue;
        *at = work->next;
        s->running_count--;
        return true;
    }
    return false;
}
