/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_memory.h - anonymous memory files that several processes map: reserved whole before
 * anybody touches them, so that no access can fail for want of memory, and sealed, so that no other
 * process can cut them short or, of those that only their maker writes, write to them.
 *
 * Threading: none of its own. Making one blocks for as long as its pages take: 0.1 ms a MiB where
 * the kernel has huge ones (Linux 6.1) and memory is not in pieces, else 0.7 ms and more.
 */
#ifndef SL_OBJECT_STORE_SHARED_MEMORY_H
#define SL_OBJECT_STORE_SHARED_MEMORY_H

#include "runtime/base.h"

struct sl_shared {
    int fd; /* -1: none. */
    uint8_t *base;
    uint64_t size_bytes;
};
#define SL_SHARED_NONE ((struct sl_shared){.fd = -1})

enum sl_shared_kind {
    SL_SHARED_OURS,  /* Whoever gets the descriptor may read. */
    SL_SHARED_THEIRS /* They may write as well. */
};

/* Whether the machine has memory for so much more, and would be left with enough. */
bool sl_shared_has_memory(uint64_t size_bytes);

/*
 * Make one of zeroes, mapped to be written. SL_ENOMEM: the memory is not there, or would leave the
 * machine with too little. SL_EFULL: no descriptor is free.
 */
SL_MUST_CHECK enum sl_err sl_shared_create(const char *name, uint64_t size_bytes,
                                           enum sl_shared_kind kind, struct sl_shared *ret_shared);
/*
 * The same in steps, so that who makes a large one need not wait for all of its memory: reserve,
 * take and fill, a part after the other, then settle, before its descriptor is sent to anybody.
 */
SL_MUST_CHECK enum sl_err sl_shared_reserve(const char *name, uint64_t size_bytes,
                                            struct sl_shared *ret_shared);
struct sl_shared_taking { /* At first zero. */
    uint64_t bytes;       /* What has memory. */
    uint64_t late_ns;     /* Of huge pages: over what they may take. */
    bool is_small;        /* No huge ones any more. */
};
/* Memory up to `until` at least, of what follows t->bytes. SL_ENOMEM: there is none. */
SL_MUST_CHECK enum sl_err sl_shared_take(const struct sl_shared *shared, uint64_t until,
                                         struct sl_shared_taking *t);
SL_MUST_CHECK enum sl_err sl_shared_settle(const struct sl_shared *shared,
                                           enum sl_shared_kind kind);
/*
 * Map what another process made and sent; `fd` is borrowed, the mapping has none. What is at least
 * as large as `size_bytes_min` and cannot shrink. SL_EINVAL: it is no such file. SL_ENOMEM.
 */
SL_MUST_CHECK enum sl_err sl_shared_attach(int fd, uint64_t size_bytes_min, bool is_writable,
                                           struct sl_shared *ret_shared);
/* Give an attached one a descriptor of its own for the same file. SL_EFULL: none is free. */
SL_MUST_CHECK enum sl_err sl_shared_keep(int fd, struct sl_shared *shared);
/*
 * No more writes to a file, by anybody, for good. The kernel refuses while somebody maps it to be
 * written, and now and then while it holds a page itself, to move it, say: it is asked again, for
 * two seconds, which this may block. SL_EBUSY: after that.
 */
SL_MUST_CHECK enum sl_err sl_shared_seal(int fd);
void sl_shared_destroy(struct sl_shared *shared); /* Unmap and close; again is fine. */

/* ---- large objects --------------------------------------------------------------------------
 * Either a client made its file, which then nobody can write any more once it is sealed; or it is
 * the store's, which alone can write it and does so again once nobody holds it.
 */
/* SL_ENOMEM, SL_EFULL. */
SL_MUST_CHECK enum sl_err sl_large_create(uint64_t size_bytes, struct sl_shared *ret_shared);
/* As sl_shared_seal; the mapping is read only from here on. SL_ENOMEM: there is none. */
SL_MUST_CHECK enum sl_err sl_large_seal(struct sl_shared *shared);
/* Map one that is sealed so; `fd` is borrowed. SL_EINVAL: it is not. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_large_attach(int fd, struct sl_shared *ret_shared);
/* Map the first `size_bytes` of one of either kind, as the store sent it, to be read; the rest as
 * above. SL_EINVAL: it is smaller, or may shrink. */
SL_MUST_CHECK enum sl_err sl_large_map(int fd, uint64_t size_bytes, struct sl_shared *ret_shared);

#endif
