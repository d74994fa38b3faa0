/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables of identities, by the SHA-256 of a secret and by that of a tenant's id, and one of
 * doors, by that of a scope, under one lock. Reads are a hash and a probe; writes happen when
 * somebody edits keys. Digests are as good as random, so their first bytes are the hash, and nobody
 * can choose keys that collide without inverting it.
 */
#include "gateway/keyring.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"

#define KEYRING_MAGIC 0x6b657972u
#define SLOTS_MIN     64

struct entry {
    struct sl_identity who; /* With the digest that it is found by, whatever it is of. */
    uint64_t expires_ms;    /* 0: never */
    struct sl_door *door;   /* Of a door; owned. */
    uint64_t used_ms;       /* 0: not since the start. */
    bool is_use_noted;      /* It is among `used`. */
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
    struct table keys, tenants, doors;
    struct sl_buf changes;
    struct sl_buf used; /* Digests. */
    bool is_noting;
    atomic_bool is_awaited;
};

/* ---- rows as bytes ------------------------------------------------------------------------- */

enum row_kind { ROW_KEY = 1, ROW_GONE, ROW_TENANT, ROW_DOOR };

static void
write_text(struct sl_buf *out, const char *text)
{
    sl_buf_append_block(out, sl_slice_str(text));
}

static void
write_row(struct sl_buf *out, enum row_kind kind, const struct entry *e)
{
    sl_buf_append_u8(out, (uint8_t)kind);
    sl_buf_append(out, e->who.digest, sizeof(e->who.digest));
    if (kind == ROW_DOOR)
        sl_door_write(e->door, out);
    if (kind == ROW_GONE || kind == ROW_DOOR)
        return;
    sl_buf_append_u64(out, e->expires_ms);
    sl_buf_append_u64(out, e->who.scope.id);
    sl_buf_append_u32(out, e->who.permissions);
    sl_buf_append_u8(out,
                     (uint8_t)(e->who.is_operator + 2 * e->who.has_scopes + 4 * e->who.is_limited));
    write_text(out, e->who.tenant_id);
    write_text(out, e->who.organization_id);
    write_text(out, e->who.key_id);
    write_text(out, e->who.user_id);
    write_text(out, e->who.account_type);
}

static void
read_text(struct sl_reader *r, char *ret_text, size_t size)
{
    struct sl_slice text = sl_read_block(r);
    if (r->is_bad || text.size >= size ||
        (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        r->is_bad = true;
        return;
    }
    if (text.size > 0)
        memcpy(ret_text, text.data, text.size);
}

/* False: the row, and so all behind it, cannot be read. Fills `door` where it is one's. */
static bool
read_row(struct sl_reader *r, enum row_kind *ret_kind, struct entry *ret_entry,
         struct sl_door *door)
{
    struct entry *e = ret_entry;
    *e = (struct entry){.door = door};
    *ret_kind = (enum row_kind)sl_read_u8(r);
    struct sl_slice digest = sl_read_bytes(r, sizeof(e->who.digest));
    if (r->is_bad || *ret_kind < ROW_KEY || *ret_kind > ROW_DOOR)
        return false;
    memcpy(e->who.digest, digest.data, sizeof(e->who.digest));
    if (*ret_kind == ROW_GONE)
        return true;
    if (*ret_kind == ROW_DOOR)
        return sl_door_read_bytes(r, door) == SL_OK;
    e->expires_ms = sl_read_u64(r);
    e->who.scope.id = sl_read_u64(r);
    e->who.permissions = sl_read_u32(r);
    uint8_t flags = sl_read_u8(r);
    e->who.is_operator = (flags & 1u) != 0;
    e->who.has_scopes = (flags & 2u) != 0;
    e->who.is_limited = (flags & 4u) != 0;
    read_text(r, e->who.tenant_id, sizeof(e->who.tenant_id));
    read_text(r, e->who.organization_id, sizeof(e->who.organization_id));
    read_text(r, e->who.key_id, sizeof(e->who.key_id));
    read_text(r, e->who.user_id, sizeof(e->who.user_id));
    read_text(r, e->who.account_type, sizeof(e->who.account_type));
    return !r->is_bad && flags <= 3u;
}

/* ---- tables -------------------------------------------------------------------------------- */

static void
table_init(struct table *t, uint32_t slots_count)
{
    t->slots = sl_zalloc(slots_count * sizeof(struct entry *));
    t->slots_count = slots_count;
    t->count = 0;
}

static void
entry_free(struct entry *e)
{
    if (e != NULL)
        sl_free(e->door);
    sl_free(e);
}

static void
table_deinit(struct table *t)
{
    for (uint32_t i = 0; i < t->slots_count; i++)
        entry_free(t->slots[i]);
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
    while (t->slots[at] != NULL && memcmp(t->slots[at]->who.digest, digest, SL_SHA256_SIZE) != 0)
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
            t->slots[slot_of(t, old.slots[i]->who.digest)] = old.slots[i];
            t->count++;
        }
    }
    sl_assert(t->count == old.count);
    sl_free(old.slots);
}

static struct entry *
table_put(struct table *t, const uint8_t *digest, const struct sl_identity *who,
          uint64_t expires_ms)
{
    if (t->count * 2 >= t->slots_count)
        table_grow(t);
    uint32_t at = slot_of(t, digest);
    if (t->slots[at] == NULL) {
        t->slots[at] = sl_zalloc(sizeof(struct entry));
        t->count++;
    }
    t->slots[at]->who = *who;
    memcpy(t->slots[at]->who.digest, digest, SL_SHA256_SIZE);
    t->slots[at]->expires_ms = expires_ms;
    return t->slots[at];
}

/* Move back what probing would no longer reach over the hole, so that no tombstones are needed. */
static void
table_remove(struct table *t, const uint8_t *digest)
{
    uint32_t mask = t->slots_count - 1, hole = slot_of(t, digest);
    if (t->slots[hole] == NULL)
        return;
    entry_free(t->slots[hole]);
    t->slots[hole] = NULL;
    t->count--;
    for (uint32_t at = (hole + 1) & mask; t->slots[at] != NULL; at = (at + 1) & mask) {
        uint32_t home = home_of(t, t->slots[at]->who.digest);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            t->slots[hole] = t->slots[at];
            t->slots[at] = NULL;
            hole = at;
        }
    }
}

/* An open door goes. Copies `door`. */
static void
table_put_door(struct table *t, const uint8_t *digest, const struct sl_door *door)
{
    static const struct sl_identity nobody;
    if (sl_door_is_open(door)) {
        table_remove(t, digest);
        return;
    }
    struct entry *e = table_put(t, digest, &nobody, 0);
    if (e->door == NULL)
        e->door = sl_alloc(sizeof(*e->door));
    *e->door = *door;
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
    table_init(&k->doors, SLOTS_MIN);
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
    table_deinit(&k->doors);
    sl_buf_deinit(&k->changes);
    sl_buf_deinit(&k->used);
    pthread_rwlock_destroy(&k->lock);
    sl_free(k);
}

/* The lock is held. */
static void
note(struct sl_keyring *k, enum row_kind kind, const uint8_t *digest)
{
    struct table *t = kind == ROW_TENANT ? &k->tenants : &k->keys;
    const struct entry *entry = t->slots[slot_of(t, digest)];
    struct entry gone;
    if (!k->is_noting)
        return;
    memcpy(gone.who.digest, digest, sizeof(gone.who.digest));
    write_row(&k->changes, kind, kind == ROW_GONE ? &gone : entry);
}

void
sl_keyring_put(struct sl_keyring *k, const uint8_t digest[static 32], const struct sl_identity *who,
               uint64_t expires_ms)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_wrlock(&k->lock);
    (void)table_put(&k->keys, digest, who, expires_ms);
    note(k, ROW_KEY, digest);
    pthread_rwlock_unlock(&k->lock);
}

void
sl_keyring_remove(struct sl_keyring *k, const uint8_t digest[static 32])
{
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_wrlock(&k->lock);
    table_remove(&k->keys, digest);
    note(k, ROW_GONE, digest);
    pthread_rwlock_unlock(&k->lock);
}

void
sl_keyring_tenant_put(struct sl_keyring *k, const struct sl_identity *tenant)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_assert(k->magic == KEYRING_MAGIC);
    sl_sha256(sl_slice_str(tenant->tenant_id), digest);
    pthread_rwlock_wrlock(&k->lock);
    (void)table_put(&k->tenants, digest, tenant, 0);
    note(k, ROW_TENANT, digest);
    pthread_rwlock_unlock(&k->lock);
}

void
sl_keyring_tenant_remove(struct sl_keyring *k, const char *tenant_id)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_assert(k->magic == KEYRING_MAGIC);
    sl_sha256(sl_slice_str(tenant_id), digest);
    pthread_rwlock_wrlock(&k->lock);
    table_remove(&k->tenants, digest);
    note(k, ROW_GONE, digest);
    pthread_rwlock_unlock(&k->lock);
}

static void
door_digest(struct sl_scope scope, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    sl_sha256(sl_slice(&scope.id, sizeof(scope.id)), ret_digest);
}

void
sl_keyring_door_put(struct sl_keyring *k, struct sl_scope scope, const struct sl_door *door)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_assert(k->magic == KEYRING_MAGIC);
    door_digest(scope, digest);
    pthread_rwlock_wrlock(&k->lock);
    table_put_door(&k->doors, digest, door);
    if (k->is_noting) {
        struct entry e = {.door = (struct sl_door *)(uintptr_t)door};
        memcpy(e.who.digest, digest, sizeof(digest));
        write_row(&k->changes, ROW_DOOR, &e);
    }
    pthread_rwlock_unlock(&k->lock);
}

bool
sl_keyring_door(struct sl_keyring *k, struct sl_scope scope, struct sl_door *ret_door)
{
    uint8_t digest[SL_SHA256_SIZE];
    const struct entry *e = NULL;
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_rdlock(&k->lock);
    if (k->doors.count > 0) { /* Nobody has one, mostly. */
        door_digest(scope, digest);
        e = k->doors.slots[slot_of(&k->doors, digest)];
        if (e != NULL)
            *ret_door = *e->door;
    }
    pthread_rwlock_unlock(&k->lock);
    return e != NULL;
}

static enum sl_err
look_up_digest(struct sl_keyring *k, const struct table *t, const uint8_t *digest, uint64_t now_ms,
               struct sl_identity *ret_who)
{
    enum sl_err err = SL_EDENIED;
    pthread_rwlock_rdlock(&k->lock);
    const struct entry *entry = t->slots[slot_of(t, digest)];
    if (entry != NULL && (entry->expires_ms == 0 || now_ms < entry->expires_ms)) {
        *ret_who = entry->who;
        err = SL_OK;
    }
    pthread_rwlock_unlock(&k->lock);
    return err;
}

static enum sl_err
look_up(struct sl_keyring *k, const struct table *t, struct sl_slice text, uint64_t now_ms,
        struct sl_identity *ret_who)
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(text, digest);
    return look_up_digest(k, t, digest, now_ms, ret_who);
}

enum sl_err
sl_keyring_find(struct sl_keyring *k, const uint8_t digest[static 32], uint64_t now_ms,
                struct sl_identity *ret_who)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    return look_up_digest(k, &k->keys, digest, now_ms, ret_who);
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

enum sl_err
sl_keyring_tenant_of(struct sl_keyring *k, struct sl_scope scope, struct sl_identity *ret_tenant)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    enum sl_err err = SL_ENOTFOUND;
    pthread_rwlock_rdlock(&k->lock);
    for (uint32_t i = 0; i < k->tenants.slots_count && err != SL_OK; i++) {
        const struct entry *e = k->tenants.slots[i];
        if (e == NULL || e->who.scope.id != scope.id)
            continue;
        *ret_tenant = e->who;
        err = SL_OK;
    }
    pthread_rwlock_unlock(&k->lock);
    return err;
}

/* ---- use ------------------------------------------------------------------------------------ */

/* Nobody else reads or writes what is noted here, and who puts and removes is the same thread. */
void
sl_keyring_note_use(struct sl_keyring *k, const uint8_t digest[static 32], uint64_t now_ms)
{
    struct entry *e = k->keys.slots[slot_of(&k->keys, digest)];
    if (e == NULL)
        return;
    e->used_ms = now_ms;
    if (!e->is_use_noted)
        sl_buf_append(&k->used, digest, SL_SHA256_SIZE);
    e->is_use_noted = true;
}

uint64_t
sl_keyring_used_ms(const struct sl_keyring *k, const uint8_t digest[static 32])
{
    const struct entry *e = k->keys.slots[slot_of(&k->keys, digest)];
    return e == NULL ? 0 : e->used_ms;
}

bool
sl_keyring_take_used(struct sl_keyring *k, uint8_t ret_digest[static 32], uint64_t *ret_ms)
{
    while (k->used.size >= SL_SHA256_SIZE) {
        k->used.size -= SL_SHA256_SIZE;
        memcpy(ret_digest, k->used.data + k->used.size, SL_SHA256_SIZE);
        struct entry *e = k->keys.slots[slot_of(&k->keys, ret_digest)];
        if (e == NULL || !e->is_use_noted)
            continue; /* It was removed meanwhile. */
        e->is_use_noted = false;
        *ret_ms = e->used_ms;
        return true;
    }
    return false;
}

/* ---- copies -------------------------------------------------------------------------------- */

void
sl_keyring_note_changes(struct sl_keyring *k)
{
    pthread_rwlock_wrlock(&k->lock);
    k->is_noting = true;
    pthread_rwlock_unlock(&k->lock);
}

bool
sl_keyring_has_changes(struct sl_keyring *k)
{
    pthread_rwlock_rdlock(&k->lock);
    bool has_any = k->changes.size > 0;
    pthread_rwlock_unlock(&k->lock);
    return has_any;
}

bool
sl_keyring_take_changes(struct sl_keyring *k, struct sl_buf *out)
{
    pthread_rwlock_wrlock(&k->lock);
    bool has_any = k->changes.size > 0;
    sl_buf_append_slice(out, sl_buf_slice(&k->changes));
    sl_buf_deinit(&k->changes);
    pthread_rwlock_unlock(&k->lock);
    return has_any;
}

static void
write_table(const struct table *t, enum row_kind kind, struct sl_buf *out)
{
    for (uint32_t i = 0; i < t->slots_count; i++) {
        if (t->slots[i] != NULL)
            write_row(out, kind, t->slots[i]);
    }
}

void
sl_keyring_write(struct sl_keyring *k, struct sl_buf *out)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    pthread_rwlock_rdlock(&k->lock);
    write_table(&k->tenants, ROW_TENANT, out);
    write_table(&k->keys, ROW_KEY, out);
    write_table(&k->doors, ROW_DOOR, out);
    pthread_rwlock_unlock(&k->lock);
}

static bool
are_rows_good(struct sl_slice rows)
{
    struct sl_reader r = sl_reader(rows);
    struct sl_door door;
    struct entry entry;
    enum row_kind kind;
    while (!sl_reader_is_done(&r)) {
        if (!read_row(&r, &kind, &entry, &door))
            return false;
    }
    return true;
}

/* The lock is held. */
static void
apply_rows(struct sl_keyring *k, struct sl_slice rows)
{
    struct sl_reader r = sl_reader(rows);
    struct sl_door door;
    struct entry e;
    for (enum row_kind kind; !sl_reader_is_done(&r) && read_row(&r, &kind, &e, &door);) {
        if (kind == ROW_GONE) { /* Of a secret or of a tenant's id: none is the other's. */
            table_remove(&k->keys, e.who.digest);
            table_remove(&k->tenants, e.who.digest);
        } else if (kind == ROW_DOOR)
            table_put_door(&k->doors, e.who.digest, &door);
        else
            (void)table_put(kind == ROW_KEY ? &k->keys : &k->tenants, e.who.digest, &e.who,
                            e.expires_ms);
    }
}

enum sl_err
sl_keyring_apply(struct sl_keyring *k, struct sl_slice rows, bool is_all)
{
    sl_assert(k->magic == KEYRING_MAGIC);
    if (!are_rows_good(rows))
        return SL_ECORRUPT;
    pthread_rwlock_wrlock(&k->lock);
    struct table keys = k->keys, tenants = k->tenants, doors = k->doors;
    if (is_all) {
        table_init(&k->keys, SLOTS_MIN);
        table_init(&k->tenants, SLOTS_MIN);
        table_init(&k->doors, SLOTS_MIN);
    }
    apply_rows(k, rows);
    pthread_rwlock_unlock(&k->lock);
    if (is_all) {
        table_deinit(&keys);
        table_deinit(&tenants);
        table_deinit(&doors);
        atomic_store(&k->is_awaited, false);
    }
    return SL_OK;
}

void
sl_keyring_await(struct sl_keyring *k)
{
    atomic_store(&k->is_awaited, true);
}

bool
sl_keyring_is_filled(const struct sl_keyring *k)
{
    return !atomic_load(&k->is_awaited);
}
