/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "object-store/shared_memory.h"

/* Some have room for huge pages, some end in the middle of one. */
static const uint64_t sizes[] = {1, 4096, 2 * SL_MIB - 1, 2 * SL_MIB, 2 * SL_MIB + 1, 9 * SL_MIB};

static uint64_t
holes_bytes(const struct sl_shared *s)
{
    struct stat about;
    cr_assert_eq(fstat(s->fd, &about), 0);
    cr_assert_eq((uint64_t)about.st_size, s->size_bytes);
    uint64_t there = (uint64_t)about.st_blocks * 512;
    return there >= s->size_bytes ? 0 : s->size_bytes - there;
}

static void
check_zero(const struct sl_shared *s)
{
    for (uint64_t i = 0; i < s->size_bytes; i++)
        cr_assert_eq(s->base[i], 0, "byte %llu", (unsigned long long)i);
}

Test(shared_memory, is_there_whole_and_zero_whatever_pages_it_got)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        struct sl_shared s, there;
        cr_assert_eq(sl_shared_create("test", sizes[i], SL_SHARED_OURS, &s), SL_OK);
        cr_assert_eq(holes_bytes(&s), 0);
        check_zero(&s);
        memset(s.base, 0x5a, sizes[i]);
        cr_assert_eq(sl_shared_attach(s.fd, sizes[i], false, &there), SL_OK);
        cr_assert_eq(memcmp(there.base, s.base, sizes[i]), 0);
        cr_assert_eq(sl_shared_attach(s.fd, sizes[i], true, &there), SL_EINVAL);
        sl_shared_destroy(&there);
        sl_shared_destroy(&s);
        sl_shared_destroy(&s);
    }
}

Test(shared_memory, can_have_huge_pages_where_there_is_room_for_one)
{
    struct sl_shared s, there;
    cr_assert_eq(sl_large_create(4 * SL_MIB, &s), SL_OK);
    cr_assert_eq((uintptr_t)s.base % (2 * SL_MIB), 0);
    cr_assert_eq(sl_large_seal(&s), SL_OK);
    cr_assert_eq((uintptr_t)s.base % (2 * SL_MIB), 0);
    cr_assert_eq(sl_large_attach(s.fd, &there), SL_OK);
    cr_assert_eq((uintptr_t)there.base % (2 * SL_MIB), 0);
    sl_shared_destroy(&there);
    sl_shared_destroy(&s);
}

Test(shared_memory, a_large_one_is_written_by_nobody_once_it_is_sealed)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        struct sl_shared s, there;
        cr_assert_eq(sl_large_create(sizes[i], &s), SL_OK);
        cr_assert_eq(sl_large_attach(s.fd, &there), SL_EINVAL, "it is not sealed yet");
        memset(s.base, 7, sizes[i]);
        cr_assert_eq(sl_large_seal(&s), SL_OK);
        cr_assert_eq(
            mmap(NULL, sizes[i], PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0) == MAP_FAILED, 1);
        cr_assert_eq(errno, EPERM);
        cr_assert_eq(sl_large_attach(s.fd, &there), SL_OK);
        cr_assert_eq(there.base[0] + there.base[sizes[i] - 1], 14);
        sl_shared_destroy(&there);
        sl_shared_destroy(&s);
    }
}

Test(shared_memory, refuses_more_than_the_machine_has)
{
    struct sl_shared s = SL_SHARED_NONE;
    cr_assert_eq(sl_large_create(UINT64_C(1) << 50, &s), SL_ENOMEM);
    cr_assert_eq(sl_large_create(UINT64_MAX, &s), SL_ENOMEM);
    cr_assert_eq(s.fd, -1);
}
