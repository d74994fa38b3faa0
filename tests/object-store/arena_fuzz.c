/* SPDX-License-Identifier: Apache-2.0 */
/* An index that anybody may have written: attach to it, look for everything, touch what is given.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/arena_index.h"
#include "object-store/arena_reader.h"
#include "object-store/shared_memory.h"
#include "runtime/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint32_t sink; /* So that the reads are not optimised away. */

static int
make_file(const void *data, size_t size, size_t size_min)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    sl_assert(fd >= 0 && ftruncate(fd, (off_t)SL_MAX(size, size_min)) == 0);
    sl_assert(pwrite(fd, data, size, 0) == (ssize_t)size);
    sl_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    return fd;
}

/* Ids are those of the entries themselves, wherever they lie. */
static void
look_for(struct sl_object_reader *r, const uint8_t *entry)
{
    struct sl_object_id id = {.tenant = sl_object_reader_tenant(r)};
    struct sl_object_arena_ref ref;
    memcpy(&id.kind, entry + offsetof(struct sl_object_arena_entry, size_kind), sizeof(id.kind));
    id.kind &= 0xff;
    memcpy(id.key, entry + offsetof(struct sl_object_arena_entry, key), sizeof(id.key));
    enum sl_err err = sl_object_reader_get(r, &id, &ref);
    if (err == SL_EUNAVAIL) {
        int fd = make_file("", 0, SL_MIB);
        uint64_t life = 1;
        err = sl_object_reader_add_segment(r, ref.segment, life, fd);
        sl_assert(err == SL_OK || err == SL_EINVAL);
        (void)close(fd);
        err = sl_object_reader_get(r, &id, &ref);
    }
    if (err != SL_OK)
        return;
    sink = sl_crc32c(sink, ref.bytes.data, ref.bytes.size);
    sl_object_reader_release(r, &ref);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_object_reader *r = NULL;
    int index = make_file(data, size, size % 2 == 0 ? 12288 : 1), pins = make_file("", 0, 4096);
    enum sl_err err = sl_object_reader_attach(index, pins, &r);
    (void)close(index);
    (void)close(pins);
    if (err != SL_OK)
        return 0;
    for (size_t at = SL_ARENA_HEADER_BYTES; at + sizeof(struct sl_object_arena_entry) <= size;
         at += sizeof(struct sl_object_arena_entry))
        look_for(r, data + at);
    sl_assert(sl_object_reader_pins(r) == 0);
    (void)sl_object_reader_trim(r);
    sl_object_reader_detach(&r);
    return 0;
}
