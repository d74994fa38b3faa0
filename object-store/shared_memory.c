/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/memory_room.h"
#include "runtime/time.h"

#ifndef F_SEAL_FUTURE_WRITE /* Linux 5.1; glibc 2.36 has it under another name. */
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

#define SEALS_SIZE    (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_LARGE   (F_SEAL_SEAL | F_SEAL_WRITE | SEALS_SIZE)
#define LOOK_FROM     SL_MIB        /* From this size on it is asked whether there is memory. */
#define LEFT_AT_LEAST (64 * SL_MIB) /* What the machine is left with. */
#define SEAL_NS       (2 * SL_SECOND_NS)
#define HUGE_BYTES    (2 * SL_MIB)
#define HUGE_NS       (4 * SL_MILLI_NS) /* What one may take. Its 512 small pages take 2 ms. */
#define HUGE_MORE_NS  (50 * SL_MILLI_NS)

bool
sl_shared_has_memory(uint64_t size_bytes)
{
    if (size_bytes < LOOK_FROM)
        return true;
    uint64_t available = sl_memory_available("");
    return available >= size_bytes && available - size_bytes >= LEFT_AT_LEAST;
}

/* EFBIG: larger than the limit of this process (replicas), which is what the store would take. */
static enum sl_err
error_of(int error)
{
    return error == ENOSPC || error == EFBIG ? SL_ENOMEM : sl_err_from_errno(error);
}

/* Of that size, without memory yet. */
static enum sl_err
make_file(const char *name, uint64_t size_bytes, int *ret_fd)
{
    if (size_bytes > INT64_MAX / 2 || !sl_shared_has_memory(size_bytes))
        return SL_ENOMEM;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_of(errno);
    if (ftruncate(fd, (off_t)size_bytes) != 0) {
        enum sl_err err = error_of(errno);
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return SL_OK;
}

/*
 * Where the kernel has them to give, huge pages: made in a tenth of the time that their small ones
 * take, and found by one look at a page table rather than by 512. It makes one only of what has a
 * page already. When it refuses one, or has to clear up for them for long, the rest are small.
 */
static void
take_huge_pages(const struct sl_shared *s, struct sl_shared_taking *t, uint64_t until)
{
    uint64_t start_ns = sl_time_mono_ns();
    for (uint64_t at = t->bytes; !t->is_small && at + HUGE_BYTES <= until; at += HUGE_BYTES) {
        t->is_small = fallocate(s->fd, 0, (off_t)at, 1) != 0 ||
                      madvise(s->base + at, HUGE_BYTES, MADV_COLLAPSE) != 0;
        uint64_t now_ns = sl_time_mono_ns();
        t->late_ns += now_ns - start_ns;
        t->late_ns -= SL_MIN(t->late_ns, HUGE_NS);
        t->is_small |= t->late_ns > HUGE_MORE_NS;
        start_ns = now_ns;
    }
}

/* Make page tables before the first use rather than at it; that it could not be done is no error.
 */
static void
populate(void *base, uint64_t size_bytes, bool is_writable)
{
    (void)madvise(base, size_bytes, is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

enum sl_err
sl_shared_take(const struct sl_shared *shared, uint64_t until, struct sl_shared_taking *t)
{
    sl_assert(shared->base != NULL && until <= shared->size_bytes);
    until = SL_MIN((until + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES, shared->size_bytes);
    if (until <= t->bytes)
        return SL_OK;
    take_huge_pages(shared, t, until);
    if (fallocate(shared->fd, 0, (off_t)t->bytes, (off_t)(until - t->bytes)) != 0)
        return error_of(errno);
    populate(shared->base + t->bytes, until - t->bytes, true);
    t->bytes = until;
    return SL_OK;
}

/* An address for it that a huge page may have; NULL: any. Reserved, to be mapped over. */
static uint8_t *
reserve(uint64_t size_bytes)
{
    if (size_bytes < HUGE_BYTES || size_bytes > UINT64_MAX / 2)
        return NULL;
    uint64_t room = size_bytes + HUGE_BYTES;
    uint8_t *all = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t before = -(uintptr_t)all % HUGE_BYTES;
    uint64_t end = before + (size_bytes + page - 1) / page * page;
    if (before > 0)
        (void)munmap(all, before);
    if (end < room)
        (void)munmap(all + end, room - end);
    return all + before;
}

static enum sl_err
map(int fd, uint64_t size_bytes, bool is_writable, uint8_t **ret_base)
{
    uint8_t *at = reserve(size_bytes);
    void *base = mmap(at, size_bytes, is_writable ? PROT_READ | PROT_WRITE : PROT_READ,
                      at == NULL ? MAP_SHARED : MAP_SHARED | MAP_FIXED, fd, 0);
    if (base == MAP_FAILED) {
        enum sl_err err = error_of(errno) == SL_ENOMEM ? SL_ENOMEM : SL_EINVAL;
        if (at != NULL)
            (void)munmap(at, size_bytes);
        return err;
    }
    *ret_base = base;
    return SL_OK;
}

enum sl_err
sl_shared_reserve(const char *name, uint64_t size_bytes, struct sl_shared *ret_shared)
{
    sl_assert(ret_shared != NULL && size_bytes > 0);
    struct sl_shared s = {.fd = -1, .size_bytes = size_bytes};
    enum sl_err err = make_file(name, size_bytes, &s.fd);
    if (err == SL_OK)
        err = map(s.fd, size_bytes, true, &s.base);
    if (err == SL_OK && fcntl(s.fd, F_ADD_SEALS, SEALS_SIZE) != 0)
        err = error_of(errno);
    if (err == SL_OK)
        *ret_shared = s;
    else
        sl_shared_destroy(&s);
    return err;
}

static enum sl_err
create(const char *name, uint64_t size_bytes, struct sl_shared *ret_shared)
{
    struct sl_shared s;
    struct sl_shared_taking all = {0};
    enum sl_err err = sl_shared_reserve(name, size_bytes, &s);
    if (err != SL_OK)
        return err;
    err = sl_shared_take(&s, size_bytes, &all);
    if (err == SL_OK)
        *ret_shared = s;
    else
        sl_shared_destroy(&s);
    return err;
}

enum sl_err
sl_shared_settle(const struct sl_shared *shared, enum sl_shared_kind kind)
{
    /* A read-only descriptor would not do: it can be opened again for writing through /proc. */
    int seals = F_SEAL_SEAL | (kind == SL_SHARED_OURS ? F_SEAL_FUTURE_WRITE : 0);
    return fcntl(shared->fd, F_ADD_SEALS, seals) == 0 ? SL_OK : error_of(errno);
}

enum sl_err
sl_shared_create(const char *name, uint64_t size_bytes, enum sl_shared_kind kind,
                 struct sl_shared *ret_shared)
{
    struct sl_shared s;
    enum sl_err err = create(name, size_bytes, &s);
    if (err != SL_OK)
        return err;
    err = sl_shared_settle(&s, kind);
    if (err == SL_OK)
        *ret_shared = s;
    else
        sl_shared_destroy(&s);
    return err;
}

/* The seals come first: from then on the size cannot fall. */
static enum sl_err
check_file(int fd, int seals_needed, uint64_t *ret_size)
{
    struct stat about;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & seals_needed) != seals_needed || fstat(fd, &about) != 0)
        return SL_EINVAL;
    *ret_size = (uint64_t)about.st_size;
    return *ret_size == 0 ? SL_EINVAL : SL_OK;
}

enum sl_err
sl_shared_attach(int fd, uint64_t size_bytes_min, bool is_writable, struct sl_shared *ret_shared)
{
    sl_assert(ret_shared != NULL);
    struct sl_shared s = {.fd = -1};
    enum sl_err err = check_file(fd, F_SEAL_SHRINK, &s.size_bytes);
    if (err != SL_OK)
        return err;
    if (s.size_bytes < size_bytes_min)
        return SL_EINVAL;
    err = map(fd, s.size_bytes, is_writable, &s.base);
    if (err != SL_OK)
        return err;
    populate(s.base, s.size_bytes, is_writable);
    *ret_shared = s;
    return SL_OK;
}

enum sl_err
sl_shared_keep(int fd, struct sl_shared *shared)
{
    sl_assert(shared->fd < 0);
    shared->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return shared->fd < 0 ? error_of(errno) : SL_OK;
}

enum sl_err
sl_shared_seal(int fd)
{
    uint64_t until = sl_time_mono_ns() + SEAL_NS;
    while (fcntl(fd, F_ADD_SEALS, SEALS_LARGE) != 0) {
        if (errno != EBUSY || sl_time_mono_ns() >= until)
            return errno == EBUSY ? SL_EBUSY : error_of(errno);
        sl_time_sleep_ns(SL_MILLI_NS);
    }
    return SL_OK;
}

void
sl_shared_destroy(struct sl_shared *shared)
{
    if (shared->base != NULL)
        (void)munmap(shared->base, shared->size_bytes);
    if (shared->fd >= 0)
        (void)close(shared->fd);
    *shared = SL_SHARED_NONE;
}

/* ---- large objects ------------------------------------------------------------------------- */

enum sl_err
sl_large_create(uint64_t size_bytes, struct sl_shared *ret_shared)
{
    return create("sluice-object", size_bytes, ret_shared);
}

enum sl_err
sl_large_seal(struct sl_shared *shared)
{
    sl_assert(shared->base != NULL && shared->fd >= 0);
    /* The kernel refuses the seal while anybody maps the file to be written. */
    (void)munmap(shared->base, shared->size_bytes);
    shared->base = NULL;
    enum sl_err err = sl_shared_seal(shared->fd);
    return err != SL_OK ? err : map(shared->fd, shared->size_bytes, false, &shared->base);
}

enum sl_err
sl_large_attach(int fd, struct sl_shared *ret_shared)
{
    sl_assert(ret_shared != NULL);
    struct sl_shared s = {.fd = -1};
    enum sl_err err = check_file(fd, SEALS_LARGE, &s.size_bytes);
    if (err == SL_OK)
        err = map(fd, s.size_bytes, false, &s.base);
    if (err == SL_OK)
        *ret_shared = s;
    return err;
}

enum sl_err
sl_large_map(int fd, uint64_t size_bytes, struct sl_shared *ret_shared)
{
    sl_assert(ret_shared != NULL);
    struct sl_shared s = {.fd = -1, .size_bytes = size_bytes};
    uint64_t file_bytes;
    enum sl_err err = check_file(fd, F_SEAL_SHRINK, &file_bytes);
    if (err == SL_OK && (size_bytes == 0 || file_bytes < size_bytes))
        err = SL_EINVAL;
    if (err == SL_OK)
        err = map(fd, size_bytes, false, &s.base);
    if (err == SL_OK)
        *ret_shared = s;
    return err;
}
