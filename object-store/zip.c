/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/zip.h"

#include <inttypes.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/utf8.h"

#define END_MAGIC        0x06054b50u
#define END_SIZE         22u
#define LOCATOR_MAGIC    0x07064b50u
#define LOCATOR_SIZE     20u
#define END64_MAGIC      0x06064b50u
#define END64_SIZE       56u
#define CENTRAL_MAGIC    0x02014b50u
#define CENTRAL_SIZE     46u
#define LOCAL_MAGIC      0x04034b50u
#define LOCAL_SIZE       30u
#define DESCRIPTOR_MAGIC 0x08074b50u
#define EXTRA_ZIP64      1u

#define FLAG_ENCRYPTED   0x0001u
#define FLAG_LEVEL       0x0006u /* How hard the compressor tried: says nothing to a reader. */
#define FLAG_DESCRIPTOR  0x0008u /* Sizes follow the data. */
#define FLAG_UTF8        0x0800u

#define METHOD_STORED    0u
#define METHOD_DEFLATED  8u

/* What is said of an entry, in either place. */
struct header {
    uint32_t flags, method, crc;
    uint64_t packed_size, size, offset;
    struct sl_slice name, extra;
};

/* An entry while archives are checked: what it covers is [header, end of data) and a descriptor. */
struct draft {
    struct sl_zip_entry entry;
    uint64_t header, content_size;
    uint32_t crc;
    bool has_descriptor;
};

static uint32_t
read_u16(struct sl_reader *r)
{
    uint32_t low = sl_read_u8(r);
    return low | (uint32_t)sl_read_u8(r) << 8;
}

static enum sl_err
bad(struct sl_cause *cause, const char *what)
{
    return sl_cause_set(cause, SL_EINVAL, "not a ZIP archive that is read here: %s", what);
}

static enum sl_err
bad_entry(struct sl_cause *cause, struct sl_slice name, const char *what)
{
    /* The name is shown only once it is known to be clean. */
    return sl_cause_set(cause, SL_EINVAL, "the archive's entry '%.*s' %s",
                        (int)SL_MIN(name.size, 128u), (const char *)name.data, what);
}

/* ---- the end: how many entries there are, and where their directory is ------------------------
 */

struct directory {
    uint64_t count, offset, size;
};

/* A field that is full says that the wide one holds. */
static bool
is_agreed(uint64_t narrow, uint64_t full, uint64_t wide)
{
    return narrow == wide || narrow == full;
}

static enum sl_err
read_end64(struct sl_slice file, uint64_t locator_at, struct directory *dir, struct sl_cause *cause)
{
    struct sl_reader r = sl_reader(sl_slice(file.data + locator_at + 4, LOCATOR_SIZE - 4));
    uint32_t disk = sl_read_u32(&r);
    uint64_t at = sl_read_u64(&r);
    uint32_t disks = sl_read_u32(&r);
    if (disk != 0 || disks > 1)
        return bad(cause, "it is one of several disks");
    if (locator_at < END64_SIZE || at != locator_at - END64_SIZE)
        return bad(cause, "its ZIP64 record is not where it says, so it was cut or put together");
    r = sl_reader(sl_slice(file.data + at, END64_SIZE));
    if (sl_read_u32(&r) != END64_MAGIC || sl_read_u64(&r) != END64_SIZE - 12)
        return bad(cause, "its ZIP64 record is damaged");
    (void)sl_read_u32(&r); /* Versions. */
    uint32_t this_disk = sl_read_u32(&r), first_disk = sl_read_u32(&r);
    uint64_t here = sl_read_u64(&r);
    struct directory wide = {.count = sl_read_u64(&r)};
    wide.size = sl_read_u64(&r);
    wide.offset = sl_read_u64(&r);
    if (this_disk != 0 || first_disk != 0 || here != wide.count)
        return bad(cause, "it is one of several disks");
    if (!is_agreed(dir->count, UINT16_MAX, wide.count) ||
        !is_agreed(dir->size, UINT32_MAX, wide.size) ||
        !is_agreed(dir->offset, UINT32_MAX, wide.offset))
        return bad(cause, "its two end records disagree");
    *dir = wide;
    return SL_OK;
}

static enum sl_err
read_end(struct sl_slice file, struct directory *dir, struct sl_cause *cause)
{
    if (file.size < END_SIZE)
        return bad(cause, "it is too short");
    uint64_t end_at = file.size - END_SIZE, limit = end_at;
    struct sl_reader r = sl_reader(sl_slice(file.data + end_at, END_SIZE));
    if (sl_read_u32(&r) != END_MAGIC)
        return bad(cause,
                   "it does not end in an end record, so it is cut, or something follows it");
    uint32_t disk = read_u16(&r), first_disk = read_u16(&r), here = read_u16(&r);
    dir->count = read_u16(&r);
    dir->size = sl_read_u32(&r);
    dir->offset = sl_read_u32(&r);
    if (read_u16(&r) != 0)
        return bad(cause, "it has a comment");
    if (disk != 0 || first_disk != 0 || here != dir->count)
        return bad(cause, "it is one of several disks");
    if (end_at >= LOCATOR_SIZE) {
        uint64_t locator_at = end_at - LOCATOR_SIZE;
        r = sl_reader(sl_slice(file.data + locator_at, LOCATOR_SIZE));
        if (sl_read_u32(&r) == LOCATOR_MAGIC) {
            enum sl_err err = read_end64(file, locator_at, dir, cause);
            if (err != SL_OK)
                return err;
            limit = locator_at - END64_SIZE;
        }
    }
    if (dir->offset > limit || limit - dir->offset != dir->size)
        return bad(cause, "its directory does not reach to its end record, so it was cut, or "
                          "something was put in front of it");
    if (dir->count > SL_ZIP_ENTRIES_MAX)
        return sl_cause_set(cause, SL_EINVAL,
                            "the archive has %" PRIu64 " entries; at most %d are read", dir->count,
                            SL_ZIP_ENTRIES_MAX);
    if (dir->size / CENTRAL_SIZE < dir->count)
        return bad(cause, "its directory is too small for its entries");
    return SL_OK;
}

/* ---- names ------------------------------------------------------------------------------------
 */

static bool
is_name_clean(struct sl_slice name)
{
    if (name.size == 0 || name.size > SL_ZIP_NAME_SIZE_MAX || !sl_utf8_is_valid(name))
        return false;
    size_t start = 0;
    for (size_t i = 0; i <= name.size; i++) {
        uint8_t c = i == name.size ? '/' : name.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            return false;
        if (c != '/')
            continue;
        struct sl_slice part = sl_slice(name.data + start, i - start);
        bool is_folder_end = i == name.size && part.size == 0 && i > 0;
        if ((part.size == 0 && !is_folder_end) || sl_slice_is(part, ".") || sl_slice_is(part, ".."))
            return false;
        start = i + 1;
    }
    return true;
}

/* ---- headers ----------------------------------------------------------------------------------
 */

/*
 * Replace what did not fit into 32 bits by what the ZIP64 field has. Other fields are skipped:
 * torch pads with one, so that data is aligned. False: the fields do not add up.
 */
static bool
widen(struct header *h, bool is_central)
{
    bool is_wide = h->size == UINT32_MAX || h->packed_size == UINT32_MAX ||
                   (is_central && h->offset == UINT32_MAX);
    bool is_found = false;
    struct sl_reader r = sl_reader(h->extra);
    while (r.at != r.end && !r.is_bad) {
        uint32_t id = read_u16(&r);
        struct sl_slice field = sl_read_bytes(&r, read_u16(&r));
        if (r.is_bad || id != EXTRA_ZIP64)
            continue;
        if (is_found)
            return false;
        is_found = true;
        struct sl_reader f = sl_reader(field);
        if (h->size == UINT32_MAX)
            h->size = sl_read_u64(&f);
        if (h->packed_size == UINT32_MAX)
            h->packed_size = sl_read_u64(&f);
        if (is_central && h->offset == UINT32_MAX)
            h->offset = sl_read_u64(&f);
        if (f.is_bad)
            return false;
    }
    return !r.is_bad && (is_found || !is_wide);
}

static enum sl_err
check_kind(const struct header *h, struct sl_cause *cause)
{
    if (h->flags & FLAG_ENCRYPTED)
        return bad_entry(cause, h->name, "is encrypted: save the file without a password");
    if (h->flags & ~(FLAG_LEVEL | FLAG_DESCRIPTOR | FLAG_UTF8))
        return bad_entry(cause, h->name, "uses features of ZIP that are not read here");
    if (h->method != METHOD_STORED && h->method != METHOD_DEFLATED)
        return bad_entry(cause, h->name,
                         "is packed in a way that is not read here: save the file "
                         "without compression");
    if (h->method == METHOD_STORED && h->size != h->packed_size)
        return bad_entry(cause, h->name, "is stored, but has two sizes");
    if (h->name.data[h->name.size - 1] == '/' && h->packed_size != 0)
        return bad_entry(cause, h->name, "is a folder with content");
    return SL_OK;
}

/* One record of the central directory. */
static enum sl_err
read_central(struct sl_reader *r, struct header *h, struct sl_cause *cause)
{
    if (sl_read_u32(r) != CENTRAL_MAGIC)
        return bad(cause, "its directory is damaged");
    (void)sl_read_u32(r); /* Versions. */
    h->flags = read_u16(r);
    h->method = read_u16(r);
    (void)sl_read_u32(r); /* Time and date. */
    h->crc = sl_read_u32(r);
    h->packed_size = sl_read_u32(r);
    h->size = sl_read_u32(r);
    uint32_t name_size = read_u16(r), extra_size = read_u16(r), comment_size = read_u16(r);
    uint32_t disk = read_u16(r);
    (void)read_u16(r);    /* Attributes: they matter to who unpacks, */
    (void)sl_read_u32(r); /* which nobody does here. */
    h->offset = sl_read_u32(r);
    h->name = sl_read_bytes(r, name_size);
    h->extra = sl_read_bytes(r, extra_size);
    if (r->is_bad)
        return bad(cause, "its directory is damaged");
    if (!is_name_clean(h->name))
        return bad(cause, "the name of an entry is absolute, too long, not UTF-8, or has '..', an "
                          "empty part or a character in it that no name has");
    if (comment_size != 0)
        return bad_entry(cause, h->name, "has a comment, which is not read here");
    if (disk != 0)
        return bad_entry(cause, h->name, "is on another disk");
    if (!widen(h, true))
        return bad_entry(cause, h->name, "has a damaged extra field");
    return check_kind(h, cause);
}

/* The sizes of a local header may be left out when a descriptor follows the data. */
static bool
is_size_agreed(uint64_t local, uint64_t central, bool has_descriptor)
{
    return local == central || (has_descriptor && local == 0);
}

/* The header in front of the data, which has to say the same. Fills in where the data is. */
static enum sl_err
read_local(struct sl_slice file, uint64_t limit, const struct header *h, struct draft *draft,
           struct sl_cause *cause)
{
    if (h->offset > limit || limit - h->offset < LOCAL_SIZE)
        return bad_entry(cause, h->name, "lies outside of the archive");
    struct sl_reader r = sl_reader(sl_slice(file.data + h->offset, (size_t)(limit - h->offset)));
    uint32_t magic = sl_read_u32(&r);
    (void)read_u16(&r); /* Version. */
    struct header local = {.flags = read_u16(&r)};
    local.method = read_u16(&r);
    (void)sl_read_u32(&r); /* Time and date. */
    local.crc = sl_read_u32(&r);
    local.packed_size = sl_read_u32(&r);
    local.size = sl_read_u32(&r);
    uint32_t name_size = read_u16(&r), extra_size = read_u16(&r);
    local.name = sl_read_bytes(&r, name_size);
    local.extra = sl_read_bytes(&r, extra_size);
    if (magic != LOCAL_MAGIC || r.is_bad || !widen(&local, false))
        return bad_entry(cause, h->name, "has no sound header in front of its data");
    bool has_descriptor = (local.flags & FLAG_DESCRIPTOR) != 0;
    if (local.flags != h->flags || local.method != h->method ||
        !sl_slice_equal(local.name, h->name) ||
        !is_size_agreed(local.size, h->size, has_descriptor) ||
        !is_size_agreed(local.packed_size, h->packed_size, has_descriptor) ||
        (local.crc != h->crc && !(has_descriptor && local.crc == 0)))
        return bad_entry(cause, h->name, "is not what the directory says of it");
    uint64_t offset = (uint64_t)(r.at - file.data);
    if (h->packed_size > limit - offset)
        return bad_entry(cause, h->name, "is longer than the archive: the file is cut");
    *draft = (struct draft){.entry = {.name = h->name,
                                      .offset = offset,
                                      .size = h->packed_size,
                                      .is_stored = h->method == METHOD_STORED},
                            .header = h->offset,
                            .content_size = h->size,
                            .crc = h->crc,
                            .has_descriptor = has_descriptor};
    return SL_OK;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static int
by_header(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static int
compare_names(struct sl_slice x, struct sl_slice y)
{
    int order = memcmp(x.data, y.data, SL_MIN(x.size, y.size));
    return order != 0 ? order : x.size < y.size ? -1 : x.size > y.size;
}

static int
by_name(const void *a, const void *b)
{
    return compare_names(((const struct sl_zip_entry *)a)->name,
                         ((const struct sl_zip_entry *)b)->name);
}

/* `size` bytes lie between an entry's data and what comes next. */
static bool
is_descriptor_sound(struct sl_slice file, const struct draft *d, uint64_t size)
{
    if (!d->has_descriptor || (size != 16 && size != 24))
        return size == 0 && !d->has_descriptor;
    struct sl_reader r = sl_reader(sl_slice(file.data + d->entry.offset + d->entry.size, size));
    bool is_same = sl_read_u32(&r) == DESCRIPTOR_MAGIC;
    is_same &= sl_read_u32(&r) == d->crc;
    uint64_t packed_size = size == 16 ? sl_read_u32(&r) : sl_read_u64(&r);
    uint64_t content_size = size == 16 ? sl_read_u32(&r) : sl_read_u64(&r);
    return is_same && packed_size == d->entry.size && content_size == d->content_size;
}

static enum sl_err
check_tiling(struct sl_slice file, uint64_t directory_at, struct draft *drafts, uint32_t count,
             struct sl_cause *cause)
{
    if (count > 1)
        qsort(drafts, count, sizeof(*drafts), by_header);
    if ((count == 0 ? directory_at : drafts[0].header) != 0)
        return bad(cause, "something is in front of its first entry");
    for (uint32_t i = 0; i < count; i++) {
        const struct draft *d = &drafts[i];
        uint64_t end = d->entry.offset + d->entry.size;
        uint64_t next = i + 1 < count ? drafts[i + 1].header : directory_at;
        if (end > next)
            return bad_entry(cause, d->entry.name, "overlaps the one behind it");
        if (!is_descriptor_sound(file, d, next - end))
            return bad_entry(cause, d->entry.name, "is followed by bytes that belong to no entry");
    }
    return SL_OK;
}

static enum sl_err
check_names(struct sl_zip *zip, struct sl_cause *cause)
{
    if (zip->count > 1)
        qsort(zip->entries, zip->count, sizeof(*zip->entries), by_name);
    for (uint32_t i = 1; i < zip->count; i++) {
        if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return bad_entry(cause, zip->entries[i].name, "is there twice");
    }
    return SL_OK;
}

enum sl_err
sl_zip_parse(struct sl_slice file, struct sl_zip *ret_zip, struct sl_cause *ret_cause)
{
    sl_assert(ret_zip != NULL);
    struct directory dir = {0};
    enum sl_err err = read_end(file, &dir, ret_cause);
    if (err != SL_OK)
        return err;

    uint32_t count = (uint32_t)dir.count;
    struct draft *drafts = sl_zalloc(sizeof(*drafts) * SL_MAX(count, 1u));
    struct sl_zip zip = {0};
    struct sl_reader r = sl_reader(sl_slice(file.data + dir.offset, (size_t)dir.size));
    for (uint32_t i = 0; i < count && err == SL_OK; i++) {
        struct header h = {0};
        err = read_central(&r, &h, ret_cause);
        if (err == SL_OK)
            err = read_local(file, dir.offset, &h, &drafts[i], ret_cause);
    }
    if (err == SL_OK && r.at != r.end)
        err = bad(ret_cause, "its directory has more entries than it says");
    if (err == SL_OK)
        err = check_tiling(file, dir.offset, drafts, count, ret_cause);
    if (err != SL_OK)
        goto out;
    zip.entries = sl_zalloc(sizeof(*zip.entries) * SL_MAX(count, 1u));
    zip.count = count;
    for (uint32_t i = 0; i < count; i++)
        zip.entries[i] = drafts[i].entry;
    err = check_names(&zip, ret_cause);
    if (err != SL_OK)
        goto out;
    *ret_zip = zip;
    zip = (struct sl_zip){0};
out:
    sl_zip_deinit(&zip);
    sl_free(drafts);
    return err;
}

void
sl_zip_deinit(struct sl_zip *zip)
{
    sl_assert(zip != NULL);
    sl_free(zip->entries);
    *zip = (struct sl_zip){0};
}

const struct sl_zip_entry *
sl_zip_lookup(const struct sl_zip *zip, struct sl_slice name)
{
    uint32_t low = 0, high = zip->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_names(zip->entries[middle].name, name);
        if (order == 0)
            return &zip->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
