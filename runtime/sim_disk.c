/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_disk.h"

#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define SECTOR     512
#define INODES_MAX 256

struct inode {
    char name[80];
    bool is_there, was_there; /* Now; as of the last directory sync. */
    struct sl_buf now, safe;  /* Contents now; as of the last sync. */
    uint8_t *dirty;           /* One byte for each sector. */
    size_t dirty_size;
    size_t dirty_from, dirty_to; /* Only sectors in [from, to) may be dirty. */
    bool is_written;
    uint64_t written_at; /* Where its last write began. */
};

struct sl_sim_disk {
    struct inode inodes[INODES_MAX];
    uint64_t operations, syncs, writes, fail_at, salts;
    bool is_full, is_torn;
    struct inode *flipped; /* In which a bit was turned, until it is mended. */
    uint64_t flipped_at;
    uint8_t flipped_bit;
};

struct sl_file {
    struct sl_sim_disk *disk;
    struct inode *inode;
};

static enum sl_err
count(struct sl_sim_disk *disk)
{
    disk->operations++;
    return disk->fail_at != 0 && disk->operations >= disk->fail_at ? SL_EIO : SL_OK;
}

static struct inode *
find(struct sl_sim_disk *disk, const char *name)
{
    for (size_t i = 0; i < INODES_MAX; i++)
        if (disk->inodes[i].is_there && strcmp(disk->inodes[i].name, name) == 0)
            return &disk->inodes[i];
    return NULL;
}

static void
clear(struct inode *inode)
{
    sl_buf_deinit(&inode->now);
    sl_buf_deinit(&inode->safe);
    sl_free(inode->dirty);
    *inode = (struct inode){0};
}

static struct sl_file *
handle_of(struct sl_sim_disk *disk, struct inode *inode)
{
    struct sl_file *f = sl_alloc(sizeof(*f));
    *f = (struct sl_file){.disk = disk, .inode = inode};
    return f;
}

static enum sl_err
disk_find(void *self, const char *path, struct sl_file **ret_file)
{
    struct sl_sim_disk *disk = self;
    if (count(disk) != SL_OK)
        return SL_EIO;
    struct inode *inode = find(disk, path);
    if (inode == NULL)
        return SL_ENOTFOUND;
    *ret_file = handle_of(disk, inode);
    return SL_OK;
}

static enum sl_err
disk_open(void *self, const char *path, struct sl_file **ret_file)
{
    struct sl_sim_disk *disk = self;
    if (count(disk) != SL_OK)
        return SL_EIO;
    struct inode *inode = find(disk, path);
    for (size_t i = 0; inode == NULL && i < INODES_MAX; i++) {
        if (disk->inodes[i].is_there || disk->inodes[i].was_there)
            continue;
        inode = &disk->inodes[i];
        clear(inode);
        snprintf(inode->name, sizeof(inode->name), "%s", path);
        inode->is_there = true;
    }
    sl_assert(inode != NULL);
    *ret_file = handle_of(disk, inode);
    return SL_OK;
}

static enum sl_err
disk_read(struct sl_file *f, uint64_t offset, void *data, size_t size, size_t *ret_size)
{
    if (count(f->disk) != SL_OK)
        return SL_EIO;
    size_t left = offset < f->inode->now.size ? f->inode->now.size - offset : 0;
    *ret_size = SL_MIN(size, left);
    if (*ret_size > 0)
        memcpy(data, f->inode->now.data + offset, *ret_size);
    return SL_OK;
}

static void
grow(struct sl_buf *b, size_t size)
{
    if (b->size >= size)
        return;
    sl_buf_reserve(b, size - b->size);
    memset(b->data + b->size, 0, size - b->size);
    b->size = size;
}

static enum sl_err
disk_write(struct sl_file *f, uint64_t offset, const void *data, size_t size)
{
    struct inode *inode = f->inode;
    f->disk->writes++;
    inode->is_written = true;
    inode->written_at = offset;
    enum sl_err err = count(f->disk);
    if (err == SL_OK && f->disk->is_full && offset + size > inode->now.size)
        return SL_ENOSPC; /* What a file has already may be written over. */
    if (err != SL_OK)
        size /= 2; /* A failed write may have done some. */
    grow(&inode->now, offset + size);
    if (size > 0)
        memcpy(inode->now.data + offset, data, size);
    size_t sectors = (inode->now.size + SECTOR - 1) / SECTOR;
    if (inode->dirty_size < sectors) {
        inode->dirty = sl_realloc(inode->dirty, sectors);
        memset(inode->dirty + inode->dirty_size, 0, sectors - inode->dirty_size);
        inode->dirty_size = sectors;
    }
    if (size == 0)
        return err;
    size_t from = offset / SECTOR, to = (offset + size - 1) / SECTOR + 1;
    memset(inode->dirty + from, 1, to - from);
    bool is_clean = inode->dirty_from >= inode->dirty_to;
    inode->dirty_from = is_clean ? from : SL_MIN(from, inode->dirty_from);
    inode->dirty_to = is_clean ? to : SL_MAX(to, inode->dirty_to);
    return err;
}

static enum sl_err
disk_sync(struct sl_file *f)
{
    struct inode *inode = f->inode;
    f->disk->syncs++;
    if (count(f->disk) != SL_OK)
        return SL_EIO;
    grow(&inode->safe, inode->now.size);
    for (size_t i = inode->dirty_from; i < inode->dirty_to; i++) {
        size_t at = i * SECTOR;
        if (inode->dirty[i])
            memcpy(inode->safe.data + at, inode->now.data + at,
                   SL_MIN((size_t)SECTOR, inode->now.size - at));
        inode->dirty[i] = 0;
    }
    inode->dirty_from = inode->dirty_to = 0;
    return SL_OK;
}

/* A crash picks of what is dirty anyway: that some of it is under way changes nothing. */
static enum sl_err
disk_flush(struct sl_file *f, uint64_t offset, size_t size)
{
    sl_assert(offset + size <= f->inode->now.size);
    return count(f->disk);
}

static uint64_t
disk_room(void *self)
{
    return ((struct sl_sim_disk *)self)->is_full ? 0 : UINT64_MAX;
}

/* Equal runs have equal bytes: else what a crash tears would differ between them. */
static uint32_t
disk_salt(void *self)
{
    struct sl_sim_disk *disk = self;
    return (uint32_t)(++disk->salts * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

static enum sl_err
disk_size(struct sl_file *f, uint64_t *ret_size)
{
    *ret_size = f->inode->now.size;
    return count(f->disk);
}

static void
disk_close(struct sl_file **f)
{
    sl_free(*f);
    *f = NULL;
}

/* Durable: so all names are, as of now. */
static enum sl_err
disk_rename(void *self, const char *from, const char *to)
{
    struct sl_sim_disk *disk = self;
    if (count(disk) != SL_OK)
        return SL_EIO;
    struct inode *inode = find(disk, from), *old = find(disk, to);
    if (inode == NULL)
        return SL_ENOTFOUND;
    if (old != NULL)
        old->is_there = false;
    snprintf(inode->name, sizeof(inode->name), "%s", to);
    for (size_t i = 0; i < INODES_MAX; i++)
        disk->inodes[i].was_there = disk->inodes[i].is_there;
    return SL_OK;
}

static enum sl_err
disk_remove(void *self, const char *path)
{
    struct sl_sim_disk *disk = self;
    struct inode *inode = find(disk, path);
    if (count(disk) != SL_OK)
        return SL_EIO;
    if (inode == NULL)
        return SL_ENOTFOUND;
    inode->is_there = false;
    return SL_OK;
}

static enum sl_err
disk_list(void *self, struct sl_buf *names)
{
    struct sl_sim_disk *disk = self;
    const char *last = "";
    if (count(disk) != SL_OK)
        return SL_EIO;
    for (;;) {
        struct inode *next = NULL;
        for (size_t i = 0; i < INODES_MAX; i++) {
            struct inode *inode = &disk->inodes[i];
            if (inode->is_there && strcmp(inode->name, last) > 0 &&
                (next == NULL || strcmp(inode->name, next->name) < 0))
                next = inode;
        }
        if (next == NULL)
            return SL_OK;
        sl_buf_append_str(names, next->name);
        sl_buf_append_u8(names, '\n');
        last = next->name;
    }
}

struct sl_sim_disk *
sl_sim_disk_create(void)
{
    return sl_zalloc(sizeof(struct sl_sim_disk));
}

void
sl_sim_disk_destroy(struct sl_sim_disk **disk)
{
    for (size_t i = 0; i < INODES_MAX; i++)
        clear(&(*disk)->inodes[i]);
    sl_free(*disk);
    *disk = NULL;
}

struct sl_disk
sl_sim_disk_ops(struct sl_sim_disk *disk)
{
    return (struct sl_disk){
        .self = disk,
        .open = disk_open,
        .find = disk_find,
        .read = disk_read,
        .write = disk_write,
        .sync = disk_sync,
        .flush = disk_flush,
        .size = disk_size,
        .close = disk_close,
        .rename = disk_rename,
        .remove = disk_remove,
        .list = disk_list,
        .room = disk_room,
        .salt = disk_salt,
    };
}

void
sl_sim_disk_fail_at(struct sl_sim_disk *disk, uint64_t nth)
{
    disk->fail_at = nth == 0 ? 0 : disk->operations + nth;
}

uint64_t
sl_sim_disk_operations(const struct sl_sim_disk *disk)
{
    return disk->operations;
}

uint64_t
sl_sim_disk_syncs(const struct sl_sim_disk *disk)
{
    return disk->syncs;
}

uint64_t
sl_sim_disk_writes(const struct sl_sim_disk *disk)
{
    return disk->writes;
}

/* A sector that was under way: the new one, the old one, or, torn, some of both and damage. */
static void
lose_sector(struct sl_sim_disk *disk, struct inode *inode, size_t at, struct sl_random *random)
{
    size_t size = SL_MIN((size_t)SECTOR, inode->now.size - at);
    uint8_t *now = inode->now.data + at;
    if (sl_random_below(random, 2)) {
        size_t kept = 0;
        if (disk->is_torn && sl_random_below(random, 4) == 0)
            kept = sl_random_below(random, size);
        memcpy(now + kept, inode->safe.data + at + kept, size - kept);
    }
    /* Only what was to change may be damaged: what was synced before lies beside it. */
    size_t hit = disk->is_torn ? sl_random_below(random, size) : 0;
    if (disk->is_torn && now[hit] != inode->safe.data[at + hit])
        now[hit] ^= (uint8_t)(1u << sl_random_below(random, 8));
    memcpy(inode->safe.data + at, now, size);
}

void
sl_sim_disk_set_torn(struct sl_sim_disk *disk, bool is_torn)
{
    disk->is_torn = is_torn;
}

void
sl_sim_disk_set_full(struct sl_sim_disk *disk, bool is_full)
{
    disk->is_full = is_full;
}

bool
sl_sim_disk_flip(struct sl_sim_disk *disk, const char *name, uint64_t offset, uint32_t bit)
{
    struct inode *inode = find(disk, name);
    sl_assert(bit < 8 && disk->flipped == NULL);
    if (inode == NULL || offset >= inode->now.size)
        return false;
    disk->flipped = inode;
    disk->flipped_at = offset;
    disk->flipped_bit = (uint8_t)(1u << bit);
    inode->now.data[offset] ^= disk->flipped_bit;
    return true;
}

void
sl_sim_disk_mend(struct sl_sim_disk *disk, bool is_back)
{
    if (disk->flipped != NULL && is_back)
        disk->flipped->now.data[disk->flipped_at] ^= disk->flipped_bit;
    disk->flipped = NULL;
}

void
sl_sim_disk_crash(struct sl_sim_disk *disk, uint64_t seed)
{
    struct sl_random random;
    sl_random_seed(&random, seed);
    disk->fail_at = 0;
    for (size_t n = 0; n < INODES_MAX; n++) {
        struct inode *inode = &disk->inodes[n];
        if (inode->is_there != inode->was_there && sl_random_below(&random, 2))
            inode->is_there = inode->was_there;
        inode->was_there = inode->is_there;
        grow(&inode->safe, inode->now.size);
        for (size_t i = inode->dirty_from; i < inode->dirty_to; i++) {
            if (inode->dirty[i])
                lose_sector(disk, inode, i * SECTOR, &random);
            inode->dirty[i] = 0;
        }
        inode->dirty_from = inode->dirty_to = 0;
    }
}

uint64_t
sl_sim_disk_last_write(struct sl_sim_disk *disk, const char *name)
{
    const struct inode *inode = find(disk, name);
    return inode != NULL && inode->is_written ? inode->written_at : UINT64_MAX;
}

uint8_t *
sl_sim_disk_bytes(struct sl_sim_disk *disk, const char *name, size_t *ret_size)
{
    struct inode *inode = find(disk, name);
    if (inode == NULL)
        return NULL;
    *ret_size = inode->now.size;
    return inode->now.data;
}
