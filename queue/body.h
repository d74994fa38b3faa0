/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.h - bodies, read back from the log: payloads, results, and why something failed.
 */
#ifndef SL_QUEUE_BODY_H
#define SL_QUEUE_BODY_H

#include "queue/queue.h"
#include "runtime/store.h"

/*
 * Read a body. *ret_bytes is borrowed until the store's next read. SL_ECORRUPT: the bytes are not
 * those that were written; SL_EIO, SL_ENOTFOUND: they cannot be had.
 */
SL_MUST_CHECK enum sl_err sl_body_read(struct sl_store *store, struct sl_body body,
                                       struct sl_slice *ret_bytes);
/* Copy a lease's payload to `copy`, which it is borrowed from then. Errors as above. */
SL_MUST_CHECK enum sl_err sl_lease_read(struct sl_store *store, struct sl_lease *lease,
                                        struct sl_buf *copy);

#endif
