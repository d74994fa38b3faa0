/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/archive_writer.h"

#include <archive.h>
#include <archive_entry.h>

#include "runtime/alloc.h"

#define ARCHIVE_WRITER_MAGIC 0x61726377u

struct sl_archive_writer {
    uint32_t magic;
    struct archive *archive;
    enum sl_err (*take)(void *arg, const void *data, size_t size);
    void *arg;
    enum sl_err err; /* The first. */
};

static la_ssize_t
on_bytes(struct archive *archive, void *self, const void *data, size_t size)
{
    struct sl_archive_writer *w = self;
    if (w->err == SL_OK)
        w->err = w->take(w->arg, data, size);
    if (w->err == SL_OK)
        return (la_ssize_t)size;
    archive_set_error(archive, -1, "the taker has failed");
    return -1;
}

/* The taker's error goes before the library's, which only follows from it. */
static enum sl_err
settle(struct sl_archive_writer *w, int code, enum sl_err otherwise)
{
    if (code < ARCHIVE_WARN && w->err == SL_OK)
        w->err = otherwise;
    return w->err;
}

struct sl_archive_writer *
sl_archive_writer_create(enum sl_err (*take)(void *arg, const void *data, size_t size), void *arg)
{
    struct sl_archive_writer *w = sl_zalloc(sizeof(*w));
    w->magic = ARCHIVE_WRITER_MAGIC;
    w->take = take;
    w->arg = arg;
    w->archive = archive_write_new();
    if (w->archive == NULL)
        w->err = SL_ENOMEM;
    if (w->err == SL_OK)
        (void)settle(w, archive_write_set_format_pax_restricted(w->archive), SL_EBUG);
    if (w->err == SL_OK)
        (void)settle(w, archive_write_open(w->archive, w, NULL, on_bytes, NULL), SL_EIO);
    return w;
}

enum sl_err
sl_archive_writer_begin(struct sl_archive_writer *w, const char *name, uint64_t size)
{
    sl_assert(w->magic == ARCHIVE_WRITER_MAGIC);
    if (w->err != SL_OK)
        return w->err;
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL)
        return w->err = SL_ENOMEM;
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    (void)settle(w, archive_write_header(w->archive, entry), SL_EINVAL);
    archive_entry_free(entry);
    return w->err;
}

enum sl_err
sl_archive_writer_data(struct sl_archive_writer *w, struct sl_slice piece)
{
    sl_assert(w->magic == ARCHIVE_WRITER_MAGIC);
    if (w->err == SL_OK && piece.size > 0 &&
        archive_write_data(w->archive, piece.data, piece.size) < 0 && w->err == SL_OK)
        w->err = SL_EIO;
    return w->err;
}

enum sl_err
sl_archive_writer_add(struct sl_archive_writer *w, const char *name, struct sl_slice bytes)
{
    enum sl_err err = sl_archive_writer_begin(w, name, bytes.size);
    return err == SL_OK ? sl_archive_writer_data(w, bytes) : err;
}

static void
destroy(struct sl_archive_writer **writer)
{
    struct sl_archive_writer *w = *writer;
    if (w->archive != NULL)
        (void)archive_write_free(w->archive);
    w->magic = 0;
    sl_free(w);
    *writer = NULL;
}

enum sl_err
sl_archive_writer_finish(struct sl_archive_writer **writer)
{
    struct sl_archive_writer *w = *writer;
    sl_assert(w->magic == ARCHIVE_WRITER_MAGIC);
    if (w->err == SL_OK)
        (void)settle(w, archive_write_close(w->archive), SL_EIO);
    enum sl_err err = w->err;
    destroy(writer);
    return err;
}

void
sl_archive_writer_abort(struct sl_archive_writer **writer)
{
    if (*writer == NULL)
        return;
    (*writer)->err = SL_ECANCELED; /* Nothing more goes out. */
    destroy(writer);
}
