/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/keyring.h"
#include "runtime/hash.h"

static enum sl_err
check(struct sl_keyring *k, const char *secret, uint64_t now_ms, struct sl_identity *who)
{
    return sl_keyring_check(k, sl_slice_str(secret), now_ms, who);
}

Test(keyring, a_minted_secret_is_well_formed_and_a_typo_is_not)
{
    char secret[SL_SECRET_SIZE + 1], other[SL_SECRET_SIZE + 1];
    sl_secret_mint(secret);
    sl_secret_mint(other);
    cr_assert_str_neq(secret, other);
    cr_assert_eq(strlen(secret), 43);
    cr_assert(sl_secret_is_well_formed(sl_slice_str(secret)));
    for (size_t i = 0; i < SL_SECRET_SIZE; i++) {
        char was = secret[i];
        secret[i] = was == 'a' ? 'b' : 'a';
        cr_assert_not(sl_secret_is_well_formed(sl_slice_str(secret)), "character %zu", i);
        secret[i] = was;
    }
    cr_assert_not(sl_secret_is_well_formed(sl_slice(secret, SL_SECRET_SIZE - 1)));
    cr_assert_not(sl_secret_is_well_formed(sl_slice(NULL, 0)));
}

/* The CRC-32 of the first 37 characters, computed with zlib, in base 36. */
Test(keyring, the_checksum_is_the_common_crc32)
{
    cr_assert(
        sl_secret_is_well_formed(sl_slice_str("sk_0000000000000000000000000000000000d6i9tm")));
}

Test(keyring, a_key_is_known_until_it_is_removed)
{
    struct sl_keyring *k = sl_keyring_create();
    struct sl_identity who = {.tenant_id = "acme", .permissions = 7}, found = {0};
    char secret[SL_SECRET_SIZE + 1];
    uint8_t digest[32];
    sl_secret_mint(secret);
    sl_sha256(sl_slice_str(secret), digest);
    cr_assert_eq(check(k, secret, 1, &found), SL_EDENIED);
    sl_keyring_put(k, digest, &who, 0);
    cr_assert_eq(check(k, secret, UINT64_MAX, &found), SL_OK);
    cr_assert_str_eq(found.tenant_id, "acme");
    who.permissions = 1;
    sl_keyring_put(k, digest, &who, 0);
    cr_assert_eq(check(k, secret, 1, &found), SL_OK);
    cr_assert_eq(found.permissions, 1);
    sl_keyring_remove(k, digest);
    sl_keyring_remove(k, digest);
    cr_assert_eq(check(k, secret, 1, &found), SL_EDENIED);
    sl_keyring_destroy(&k);
}

Test(keyring, a_key_ends_when_it_expires)
{
    struct sl_keyring *k = sl_keyring_create();
    struct sl_identity who = {.tenant_id = "acme"}, found;
    char secret[SL_SECRET_SIZE + 1];
    uint8_t digest[32];
    sl_secret_mint(secret);
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(k, digest, &who, 100);
    cr_assert_eq(check(k, secret, 99, &found), SL_OK);
    cr_assert_eq(check(k, secret, 100, &found), SL_EDENIED);
    sl_keyring_destroy(&k);
}

/* Digests that all want the same few slots, so that removal has to move entries back. */
Test(keyring, removal_leaves_every_other_key_reachable)
{
    enum { COUNT = 600 };
    struct sl_keyring *k = sl_keyring_create();
    static char secrets[COUNT][SL_SECRET_SIZE + 1];
    static uint8_t digests[COUNT][32];
    struct sl_identity found;
    for (int i = 0; i < COUNT; i++) {
        struct sl_identity who = {.scope = {(uint64_t)i}};
        sl_secret_mint(secrets[i]);
        sl_sha256(sl_slice_str(secrets[i]), digests[i]);
        sl_keyring_put(k, digests[i], &who, 0);
    }
    for (int gone = 0; gone < COUNT; gone++) {
        sl_keyring_remove(k, digests[gone]);
        cr_assert_eq(check(k, secrets[gone], 0, &found), SL_EDENIED);
        for (int i = gone + 1; i < COUNT; i += 7) {
            cr_assert_eq(check(k, secrets[i], 0, &found), SL_OK);
            cr_assert_eq(found.scope.id, (uint64_t)i);
        }
    }
    sl_keyring_destroy(&k);
}

Test(keyring, tenants_are_found_by_id)
{
    struct sl_keyring *k = sl_keyring_create();
    struct sl_identity tenant = {.scope = {9}, .tenant_id = "acme"}, found;
    cr_assert_eq(sl_keyring_tenant(k, sl_slice_str("acme"), &found), SL_EDENIED);
    sl_keyring_tenant_put(k, &tenant);
    cr_assert_eq(sl_keyring_tenant(k, sl_slice_str("acme"), &found), SL_OK);
    cr_assert_eq(found.scope.id, 9);
    cr_assert_eq(sl_keyring_tenant(k, sl_slice_str("acm"), &found), SL_EDENIED);
    sl_keyring_destroy(&k);
}

/* ---- copies -------------------------------------------------------------------------------- */

static void
put(struct sl_keyring *k, const char *secret, uint64_t scope)
{
    uint8_t digest[32];
    struct sl_identity who = {
        .scope = {scope}, .permissions = 6, .has_scopes = true, .tenant_id = "acme"};
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(k, digest, &who, 1000);
}

Test(keyring, a_copy_knows_what_the_original_knew_and_then_each_change)
{
    struct sl_keyring *k = sl_keyring_create(), *copy = sl_keyring_create();
    struct sl_identity tenant = {.scope = {9}, .tenant_id = "acme"}, found;
    char first[SL_SECRET_SIZE + 1], second[SL_SECRET_SIZE + 1], stray[SL_SECRET_SIZE + 1];
    struct sl_buf rows = {0};
    uint8_t digest[32];
    sl_secret_mint(first);
    sl_secret_mint(second);
    sl_secret_mint(stray);
    sl_keyring_await(copy);
    cr_assert_not(sl_keyring_is_filled(copy));
    put(copy, stray, 1);
    sl_keyring_tenant_put(k, &tenant);
    put(k, first, 9);
    sl_keyring_note_changes(k);
    cr_assert_not(sl_keyring_has_changes(k));

    sl_keyring_write(k, &rows);
    cr_assert_eq(sl_keyring_apply(copy, sl_buf_slice(&rows), true), SL_OK);
    cr_assert(sl_keyring_is_filled(copy));
    cr_assert_eq(check(copy, first, 999, &found), SL_OK);
    cr_assert_eq(found.scope.id, 9);
    cr_assert(found.has_scopes && found.permissions == 6);
    cr_assert_eq(check(copy, first, 1000, &found), SL_EDENIED, "it expires there as well");
    cr_assert_eq(check(copy, stray, 1, &found), SL_EDENIED, "what the original has not is gone");
    cr_assert_eq(sl_keyring_tenant(copy, sl_slice_str("acme"), &found), SL_OK);

    put(k, second, 10);
    sl_sha256(sl_slice_str(first), digest);
    sl_keyring_remove(k, digest);
    sl_buf_clear(&rows);
    cr_assert(sl_keyring_has_changes(k));
    cr_assert(sl_keyring_take_changes(k, &rows));
    cr_assert_eq(sl_keyring_apply(copy, sl_buf_slice(&rows), false), SL_OK);
    cr_assert_eq(check(copy, first, 1, &found), SL_EDENIED);
    cr_assert_eq(check(copy, second, 1, &found), SL_OK);
    cr_assert_eq(found.scope.id, 10);
    sl_sha256(sl_slice_str(second), digest);
    cr_assert_eq(sl_keyring_find(copy, digest, 1, &found), SL_OK);
    cr_assert_not(sl_keyring_take_changes(k, &rows), "each change is taken once");
    sl_buf_deinit(&rows);
    sl_keyring_destroy(&k);
    sl_keyring_destroy(&copy);
}

Test(keyring, rows_that_are_cut_change_nothing)
{
    struct sl_keyring *k = sl_keyring_create(), *copy = sl_keyring_create();
    struct sl_identity found;
    char secret[SL_SECRET_SIZE + 1], kept[SL_SECRET_SIZE + 1];
    struct sl_buf rows = {0};
    sl_secret_mint(secret);
    sl_secret_mint(kept);
    put(k, secret, 1);
    put(copy, kept, 2);
    sl_keyring_write(k, &rows);
    for (size_t size = 1; size < rows.size; size++) {
        cr_assert_eq(sl_keyring_apply(copy, sl_slice(rows.data, size), true), SL_ECORRUPT);
        cr_assert_eq(check(copy, kept, 1, &found), SL_OK);
        cr_assert_eq(check(copy, secret, 1, &found), SL_EDENIED);
    }
    sl_buf_deinit(&rows);
    sl_keyring_destroy(&k);
    sl_keyring_destroy(&copy);
}
