/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_writer.h - write a .tar (POSIX pax), front to back, to whoever takes its bytes.
 *
 *   create --> (add | begin, data...)* --> finish
 *                                    `---> abort
 *
 * Names are as given, files are 0600, times 0: the same files give the same bytes.
 * Threading: one owner; a call blocks as long as the taker does.
 */
#ifndef SL_OBJECT_STORE_ARCHIVE_WRITER_H
#define SL_OBJECT_STORE_ARCHIVE_WRITER_H

#include "runtime/base.h"

struct sl_archive_writer;

/* `take` gets the bytes in order; its error ends the writing. */
struct sl_archive_writer *
sl_archive_writer_create(enum sl_err (*take)(void *arg, const void *data, size_t size), void *arg);
/* A whole file. Errors: what `take` said; SL_ENOMEM; SL_EINVAL: the name. */
SL_MUST_CHECK enum sl_err sl_archive_writer_add(struct sl_archive_writer *w, const char *name,
                                                struct sl_slice bytes);
/* One of `size` bytes, which come in pieces; fewer are filled up with zeroes, more are dropped. */
SL_MUST_CHECK enum sl_err sl_archive_writer_begin(struct sl_archive_writer *w, const char *name,
                                                  uint64_t size);
SL_MUST_CHECK enum sl_err sl_archive_writer_data(struct sl_archive_writer *w,
                                                 struct sl_slice piece);
/* Write the end, and destroy the writer, whatever is returned. */
SL_MUST_CHECK enum sl_err sl_archive_writer_finish(struct sl_archive_writer **w);
void sl_archive_writer_abort(struct sl_archive_writer **w); /* NULL inside is fine. */

#endif
