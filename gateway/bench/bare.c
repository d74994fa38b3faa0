/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/bare.h"

#include <fcntl.h>
#include <unistd.h>

#include "gateway/bench.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define BYTES (4 * SL_MIB)

bool
sl_bench_bare_open(const char *directory, struct sl_bench_bare *ret_bare)
{
    char *path = sl_format("%s/bare", directory);
    uint8_t *zeroes = sl_zalloc(BYTES);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_ok = fd >= 0 && pwrite(fd, zeroes, BYTES, 0) == (ssize_t)BYTES && fsync(fd) == 0;
    *ret_bare = (struct sl_bench_bare){.fd = fd};
    sl_free(path);
    sl_free(zeroes);
    return is_ok || sl_bench_fail("the bare file cannot be made");
}

bool
sl_bench_bare_write(struct sl_bench_bare *bare, size_t size)
{
    uint8_t bytes[SL_BENCH_BARE_MAX];
    sl_assert(size <= sizeof(bytes));
    memset(bytes, (int)bare->at | 1, sizeof(bytes));
    if (bare->at + size > BYTES)
        bare->at = 0;
    if (pwrite(bare->fd, bytes, size, (off_t)bare->at) != (ssize_t)size || fdatasync(bare->fd) != 0)
        return sl_bench_fail("the bare file cannot be written");
    bare->at += size;
    return true;
}

void
sl_bench_bare_close(struct sl_bench_bare *bare)
{
    if (bare->fd >= 0)
        (void)close(bare->fd);
    bare->fd = -1;
}

double
sl_bench_bare_us(struct sl_bench_bare *bare, size_t size, uint32_t count)
{
    double *took = sl_alloc(count * sizeof(*took));
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < count; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = sl_bench_bare_write(bare, size);
        took[i] = (double)(sl_time_mono_ns() - start_ns) / 1e3;
    }
    double median = is_ok ? sl_bench_median(took, count) : 0;
    sl_free(took);
    return median;
}
