/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - the small file interface under the log, so that a simulation or a fault loop can put a
 * virtual disk there. Everything durable in a data directory's log/ goes through one of these.
 */
#ifndef SL_RUNTIME_FILE_H
#define SL_RUNTIME_FILE_H

#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_file;

/* Operations of a disk; `self` is the disk. Paths are relative to the directory it was made for. */
struct sl_disk {
    void *self;
    /* Open for reading and writing, creating it when absent. */
    enum sl_err (*open)(void *self, const char *path, struct sl_file **ret_file);
    /* Open for reading what is there. SL_ENOTFOUND. */
    enum sl_err (*find)(void *self, const char *path, struct sl_file **ret_file);
    /* Read up to `size` bytes at `offset`; *ret_size is less only at the end of the file. */
    enum sl_err (*read)(struct sl_file *f, uint64_t offset, void *data, size_t size,
                        size_t *ret_size);
    enum sl_err (*write)(struct sl_file *f, uint64_t offset, const void *data, size_t size);
    enum sl_err (*sync)(struct sl_file *f); /* Data, and the size: fdatasync. */
    /*
     * Begin to write a part of a file that grows to the disk, so that a later sync has less to do;
     * only the part some MiB before it is waited for. Safe it is by that sync alone.
     */
    enum sl_err (*flush)(struct sl_file *f, uint64_t offset, size_t size);
    enum sl_err (*size)(struct sl_file *f, uint64_t *ret_size);
    void (*close)(struct sl_file **f);
    enum sl_err (*rename)(void *self, const char *from, const char *to); /* Durable on return. */
    enum sl_err (*remove)(void *self, const char *path);
    /* Names in the directory, sorted, '\n'-separated, appended to *names. */
    enum sl_err (*list)(void *self, struct sl_buf *names);
    /* Bytes that may still be written, or might have been 20 ms ago; NULL, UINT64_MAX: not known.
     */
    uint64_t (*room)(void *self);
    uint32_t (*salt)(void *self); /* A number that nobody could guess, nor old bytes have. */
};

/* The real disk at `directory`, made (0700) when absent. Errors: of mkdir and open. */
SL_MUST_CHECK enum sl_err sl_disk_open(const char *directory, struct sl_disk *ret_disk);
void sl_disk_close(struct sl_disk *disk);

#endif
