/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables of identities, by the SHA-256 of a secret and by that of a tenant's id, under one
 * lock. Reads are a hash and a probe; writes happen when somebody edits keys. Digests are as good
 * as random, so their first bytes are the hash, and nobody can choose keys that collide without
 * inverting it.
 */
#include "gateway/keyring.h"

#include <pthread.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"

#define KEYRING_MAGIC 0x6b657972u
#define SLOTS_MIN     64

struct entry {
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who;
    uint64_t expires_ms; /* 0: never */
};

/* Open addressing, linear probing, at most half full. */
struct table {
    struct entry **slots;
    uint32_t slots_count; /* A power of two. */
    uint32_t count;
};

struct sl_keyring {
    uint32_t magic;
    pthread_rwlock_t lock;
    struct table keys, tenants;
};

static void
table_init(struct table *t, uint32_t slots_count)
{
    t->slots = sl_zalloc(slots_count * sizeof(struct entry *));
    t->slots_count = slots_count;
    t->count = 0;
}

static void
table_deinit(struct table *t)
{
    for (uint32_t i = 0; i < t->slots_count; i++)
        sl_free(t->slots[i]);
    sl_free(t->slots);
}

static uint32_t
home_of(const struct table *t, const uint8_t *digest)
{
    uint32_t hash;
    memcpy(&hash, digest, sizeof(hash));
    return hash & (t->slots_count - 1);
}

/* The slot that holds `digest`, or the empty one where it would go. */
static uint32_t
slot_of(const struct table *t, const uint8_t *digest)
{
    uint32_t at = home_of(t, digest);
    while (t->slots[at] != NULL && memcmp(t->slots[at]->digest, digest, SL_SHA256_SIZE) != 0)
        at = (at + 1) & (t->slots_count - 1);
    return at;
}

static void
table_grow(struct table *t)
{
    struct table old = *t;
    table_init(t, old.slots_count * 2);
    for (uint32_t i = 0; i < old.slots_count; i++) {
        if (old.slots[i] != NULL) {
            t->slots[slot_of(t, old.slots[i]->digest)] = old.slots[i];
            t->count++;
        }
    }
    sl_assert(t->count == old.count);
    sl_free(old.slots);
}

static void
table_put(struct table *t, const uint8_t *digest, const struct sl_identity *who,
          uint64_t expires_ms)
{
    if (t->count * 2 >= t->slots_count)
        table_grow(t);
    uint32_t at = slot_of(t, digest);
    if (t->slots[at] == NULL) {
        t->slots[at] = sl_alloc(sizeof(struct entry));
        memcpy(t->slots[at]->digest, digest, SL_SHA256_SIZE);
        t->count++;
    }
    t->slots[at]->who = *who;
    memcpy(t->slots[at]->who.digest, digest, SL_SHA256_SIZE);
    t->slots[at]->expires_ms = expires_ms;
}

/* Move back what probing would no longer reach over the hole, so that no tombstones are needed. */
static void
table_remove(struct table *t, const uint8_t *digest)
{
    uint32_t mask = t->slots_count - 1, hole = slot_of(t, digest);
    if (t->slots[hole] == NULL)
        return;
    sl_free(t->slots[hole]);
    t->slots[hole] = NULL;
    t->count--;
    for (uint32_t at = (hole + 1) & mask; t->slots[at] != NULL; at = (at + 1) & mask) {
        uint32_t home = home_of(t, t->slots[at]->digest);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            t->slots[hole] = t->slots[at];
            t->slots[at] = NULL;
            hole = at;
        }
    }
}

struct sl_keyring *
sl_keyring_create(void)
{
    struct sl_keyring *k = sl_zalloc(sizeof(*k));
    k->magic = KEYRING_MAGIC;
    int error = pthread_rwlock_init(&k->lock, NULL);
    sl_assert(error == 0);
    table_init(&k->keys, SLOTS_MIN);
    table_init(&k->tenants, SLOTS_MIN);
    return k;
}

void
sl_keyring_destroy(struct sl_keyring **keyring)
{
    sl_assert(keyring != NULL);
    struct sl_keyring *k = *keyring;
    if (k == NULL)
        return;
    sl_assert(k->magic == KEYRING_MAGIC);
    *keyring = NULL;
    table_deinit(&k->keys);
    table_deinit(&k->tenants);
    pthread_rwlock_destroy(&k->lock);
    sl_free(k);
}

void
sl_keyring_put(struct sl_keyring *k, const uint8_t digest[static 32], const struct sl_identity *who,
               uint64_t expires_ms)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_wrlock(&k->lock);
    table_put(&k->keys, digest, who, expires_ms);
    pthread_rwlock_unlock(&k->lock);
}

void
sl_keyring_remove(struct sl_keyring *k, const uint8_t digest[static 32])
{
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_wrlock(&k->lock);
    table_remove(&k->keys, digest);
    pthread_rwlock_unlock(&k->lock);
}

void
sl_keyring_tenant_put(struct sl_keyring *k, const struct sl_identity *tenant)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_assert(k->magic == KEYRING_MAGIC);
    sl_sha256(sl_slice_str(tenant->tenant_id), digest);
    pthread_rwlock_wrlock(&k->lock);
    table_put(&k->tenants, digest, tenant, 0);
    pthread_rwlock_unlock(&k->lock);
}

static enum sl_err
look_up(struct sl_keyring *k, const struct table *t, struct sl_slice text, uint64_t now_ms,
        struct sl_identity *ret_who)
{
    uint8_t digest[SL_SHA256_SIZE];
    enum sl_err err = SL_EDENIED;
    sl_sha256(text, digest);
    pthread_rwlock_rdlock(&k->lock);
    const struct entry *entry = t->slots[slot_of(t, digest)];
    if (entry != NULL && (entry->expires_ms == 0 || now_ms < entry->expires_ms)) {
        *ret_who = entry->who;
        err = SL_OK;
    }
    pthread_rwlock_unlock(&k->lock);
    return err;
}

enum sl_err
sl_keyring_check(struct sl_keyring *k, struct sl_slice secret, uint64_t now_ms,
                 struct sl_identity *ret_who)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    if (!sl_secret_is_well_formed(secret))
        return SL_EDENIED;
    return look_up(k, &k->keys, secret, now_ms, ret_who);
}

enum sl_err
sl_keyring_tenant(struct sl_keyring *k, struct sl_slice tenant_id, struct sl_identity *ret_tenant)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    return look_up(k, &k->tenants, tenant_id, 0, ret_tenant);
}
