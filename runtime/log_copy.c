/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_copy.h"

#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/log_state.h"

#define STEP ((size_t)1 << 20)

struct part {
    char name[32];
    struct sl_file *file; /* The log's: read at offsets, by whoever. */
    uint64_t bytes, size;
};

struct sl_log_copy {
    struct sl_disk disk;
    uint64_t durable;
    uint32_t count;
    struct part parts[];
};

enum sl_err
sl_log_copy_begin(struct sl_log *log, struct sl_log_copy **ret_copy)
{
    enum sl_err err = sl_log_sync(log);
    if (err != SL_OK)
        return err;
    struct sl_log_copy *copy = sl_zalloc(sizeof(*copy) + log->live.count * sizeof(copy->parts[0]));
    copy->disk = log->options.disk;
    copy->durable = log->durable;
    for (uint32_t i = 0; i < log->live.count; i++) {
        const struct sl_segment *s = log->live.items[i];
        bool is_active = s == sl_log_active(log);
        if (is_active && s->last < s->first)
            continue; /* Without a record it may yet get another life. */
        struct part *part = &copy->parts[copy->count++];
        snprintf(part->name, sizeof(part->name), "%s", s->name);
        part->file = s->file;
        part->size = s->size;
        part->bytes = is_active ? log->offset : s->size;
    }
    *ret_copy = copy;
    return SL_OK;
}

enum sl_err
sl_file_copy(const struct sl_disk *disk, struct sl_file *from, uint64_t bytes,
             const struct sl_disk *target, const char *name, uint64_t size)
{
    struct sl_file *to = NULL;
    uint8_t *step = sl_alloc(STEP);
    enum sl_err err = target->open(target->self, name, &to);
    for (uint64_t at = 0; err == SL_OK && at < bytes;) {
        size_t got = 0;
        err = disk->read(from, at, step, (size_t)SL_MIN((uint64_t)STEP, bytes - at), &got);
        if (err == SL_OK && got == 0)
            err = SL_EIO;
        if (err == SL_OK)
            err = target->write(to, at, step, got);
        at += got;
    }
    step[0] = 0;
    if (err == SL_OK && bytes < size) /* The rest is zeroes. */
        err = target->write(to, size - 1, step, 1);
    if (err == SL_OK)
        err = target->sync(to);
    if (to != NULL)
        target->close(&to);
    sl_free(step);
    return err;
}

enum sl_err
sl_log_copy_run(const struct sl_log_copy *copy, const struct sl_disk *target)
{
    struct sl_log_note note;
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; err == SL_OK && i < copy->count; i++) {
        const struct part *part = &copy->parts[i];
        err = sl_file_copy(&copy->disk, part->file, part->bytes, target, part->name, part->size);
    }
    if (err != SL_OK || copy->count == 0)
        return err;
    err = sl_log_note_open(target, &note);
    if (err == SL_OK)
        err = sl_log_note_write(target, &note, copy->durable);
    if (err == SL_OK)
        err = sl_log_note_sync(target, &note);
    sl_log_note_close(target, &note);
    return err;
}

void
sl_log_copy_destroy(struct sl_log_copy **copy)
{
    sl_free(*copy);
    *copy = NULL;
}
