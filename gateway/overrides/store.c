/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/overrides/store.h"

#include "runtime/yaml.h"

#define NEW_FILE SL_OVERRIDES_FILE ".new"

enum sl_err
sl_overrides_save(struct sl_disk *disk, struct sl_slice text)
{
    struct sl_file *file = NULL;
    /* One that a crash left may be longer, and nothing here makes a file shorter. */
    enum sl_err err = disk->remove(disk->self, NEW_FILE);
    if (err == SL_OK || err == SL_ENOTFOUND)
        err = disk->open(disk->self, NEW_FILE, &file);
    if (err == SL_OK)
        err = disk->write(file, 0, text.data, text.size);
    if (err == SL_OK)
        err = disk->sync(file);
    if (file != NULL)
        disk->close(&file);
    return err == SL_OK ? disk->rename(disk->self, NEW_FILE, SL_OVERRIDES_FILE) : err;
}

enum sl_err
sl_overrides_load(struct sl_disk *disk, struct sl_buf *text)
{
    struct sl_file *file;
    uint64_t size;
    size_t done = 0;
    enum sl_err err = disk->find(disk->self, SL_OVERRIDES_FILE, &file);
    if (err != SL_OK)
        return err;
    err = disk->size(file, &size);
    if (err == SL_OK && size > SL_YAML_SIZE_MAX)
        err = SL_ETOOBIG;
    if (err == SL_OK) {
        sl_buf_reserve(text, size + 1);
        err = disk->read(file, 0, text->data + text->size, size, &done);
        text->size += err == SL_OK ? done : 0;
    }
    disk->close(&file);
    return err;
}
