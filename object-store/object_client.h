/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_client.h - objects for a process that is not the store's: what is in the arena without
 * asking anybody, the rest over the socket it was given (object_server.h).
 *
 * Threading: one at a time. (Gets of what is mapped may run on many: sl_object_client_reader.)
 */
#ifndef SL_OBJECT_STORE_OBJECT_CLIENT_H
#define SL_OBJECT_STORE_OBJECT_CLIENT_H

#include "object-store/arena_reader.h"
#include "object-store/cause.h"
#include "object-store/shared_memory.h"

struct sl_object_client;

/* Takes `fd` over. A call that asks the store waits `timeout_ns` for its answer. */
struct sl_object_client *sl_object_client_create(int fd, uint64_t tenant, uint64_t timeout_ns);
/* What it gave is not to be used any more. NULL inside is fine. */
void sl_object_client_destroy(struct sl_object_client **client);

struct sl_object_ref {
    struct sl_slice bytes; /* Read only; until it is released. */
    struct sl_object_arena_ref small;
    struct sl_shared large; /* base NULL: it is a small one. */
    uint32_t hold;
};
/* SL_ENOTFOUND. SL_EFULL: too many are held, or there is no room to read it back from the disk.
 * SL_EUNAVAIL: the store is gone. SL_ETIMEOUT. What sl_object_reader_get says. */
SL_MUST_CHECK enum sl_err sl_object_client_get(struct sl_object_client *c,
                                               const struct sl_object_id *id,
                                               struct sl_object_ref *ret_ref);
void sl_object_client_release(struct sl_object_client *c, struct sl_object_ref *ref);

/* SL_EEXIST, SL_EFULL, SL_ENOMEM; SL_EINVAL: no digest of the bytes; SL_EUNAVAIL, SL_ETIMEOUT. */
SL_MUST_CHECK enum sl_err sl_object_client_put(struct sl_object_client *c,
                                               const struct sl_object_id *id, struct sl_slice bytes,
                                               uint64_t rebuild_ns);
/*
 * Without waiting for the store, where the bytes are few (SL_OBJECT_RING_BYTES_MAX) and it keeps
 * up; as a put else. SL_OK: it is on its way, and what becomes of it nobody says; a get of ours
 * finds it if it could be put. SL_EINVAL, SL_EUNAVAIL; of larger ones what put says.
 */
SL_MUST_CHECK enum sl_err sl_object_client_hand(struct sl_object_client *c,
                                                const struct sl_object_id *id,
                                                struct sl_slice bytes, uint64_t rebuild_ns);
/* A put in two steps: fill ret_draft->base, then seal it, which no write may follow. It is
 * destroyed by the caller (sl_shared_destroy), sealed or not. SL_EINVAL: no bytes. SL_ENOMEM. */
SL_MUST_CHECK enum sl_err sl_object_client_begin(struct sl_object_client *c, uint64_t size_bytes,
                                                 struct sl_shared *ret_draft);
/* As of put. */
SL_MUST_CHECK enum sl_err sl_object_client_seal(struct sl_object_client *c, struct sl_shared *draft,
                                                const struct sl_object_id *id, uint64_t rebuild_ns);
SL_MUST_CHECK enum sl_err sl_object_client_delete(struct sl_object_client *c,
                                                  const struct sl_object_id *id);

/*
 * The memory file of a model of the tenant's, the caller's to close (sl_model_attach). It may have
 * to be loaded first: waits for `timeout_ns`. The cause says why there is none. SL_ENOTFOUND: it is
 * not one that this process may have. SL_EFULL, SL_ENOMEM: no room for it. SL_EINVAL: no id.
 * SL_EBUSY, SL_EUNAVAIL, SL_ETIMEOUT and what else kept it from being loaded.
 */
SL_MUST_CHECK enum sl_err sl_object_client_model(struct sl_object_client *c, struct sl_slice id,
                                                 uint64_t timeout_ns, int *ret_fd,
                                                 struct sl_cause *ret_cause);

/* Borrowed; NULL while nothing has been got from the arena yet. */
struct sl_object_reader *sl_object_client_reader(struct sl_object_client *c);

#endif
