/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first start of a directory makes the operator's tenant and key; every start fills the
 * keyring. The key's file is written before the commit that makes the key valid: a crash in between
 * leaves a file with a key that was never valid, and the next start, on a store still empty,
 * replaces it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/offboard.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

/* Write a file as one: never seen half-written, 0600 from its first moment. Blocking: at start
 * only. */
static enum sl_err
write_secret_file(const char *path, const char *text)
{
    char *temporary = sl_format("%s.new", path);
    enum sl_err err = SL_OK;
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err = sl_err_from_errno(errno);
        sl_free(temporary);
        return err;
    }
    size_t size = strlen(text);
    if (write(fd, text, size) != (ssize_t)size || fsync(fd) != 0)
        err = SL_EIO;
    if (close(fd) != 0)
        err = SL_EIO;
    if (err == SL_OK && rename(temporary, path) != 0)
        err = sl_err_from_errno(errno);
    if (err != SL_OK)
        unlink(temporary);
    sl_free(temporary);
    return err;
}

static enum sl_err
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = fsync(fd) == 0 ? SL_OK : SL_EIO;
    close(fd);
    return err;
}

static enum sl_err
make_operator(struct sl_gateway *g, uint64_t now_ms)
{
    struct sl_tenant_made made;
    struct sl_txn *txn = sl_store_begin(g->store);
    sl_tenant_make(txn,
                   &(struct sl_tenant_new){.tenant_id = SL_OPERATOR_TENANT,
                                           .organization_id = "org_operator",
                                           .name = "Operator",
                                           .owner_email = "owner@operator.local",
                                           .owner_name = "Operator",
                                           .plan = sl_plan_lookup(sl_slice_str("unlimited")),
                                           .is_operator = true,
                                           .now_ms = now_ms},
                   &made);
    char *path = sl_format("%s/admin.key", g->data_directory);
    char *line = sl_format("%s\n", made.secret);
    enum sl_err err = write_secret_file(path, line);
    if (err == SL_OK)
        err = sync_directory(g->data_directory);
    sl_free(line);
    sl_free(path);
    if (err != SL_OK) {
        sl_txn_abort(&txn);
        return err;
    }
    err = sl_txn_commit(&txn);
    return err == SL_OK ? sl_store_sync(g->store) : err;
}

static bool
has_tenants(struct sl_txn *txn)
{
    struct sl_scan scan = {0};
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    bool has = sl_scan_next(&scan);
    sl_scan_end(&scan);
    return has;
}

static enum sl_err
load_tenants(struct sl_gateway *g, struct sl_txn *txn)
{
    struct sl_scan scan = {0};
    enum sl_err err = SL_OK;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (err == SL_OK && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        struct sl_identity who;
        struct sl_door door;
        err = sl_json_parse(scan.value, &doc, NULL) == SL_OK ? SL_OK : SL_ECORRUPT;
        if (err == SL_OK)
            err = sl_identity_of_tenant(sl_json_root(doc), &who);
        if (err == SL_OK) {
            if (!sl_offboard_is_final(txn, sl_json_root(doc)))
                sl_keyring_tenant_put(g->keyring, &who);
            /* A list that cannot be read lets nobody in, until the operator has set another. */
            if (sl_door_read(sl_json_root(doc), &door) != SL_OK)
                door = (struct sl_door){.ranges_count = 1, .ranges = {{.bits = 128}}};
            sl_keyring_door_put(g->keyring, who.scope, &door);
        }
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    return err;
}

/* A row that another one names, parsed; NULL: there is none. Owned. */
static struct sl_json_doc *
load_row(struct sl_txn *txn, struct sl_scope scope, uint8_t table, struct sl_json name)
{
    struct sl_json_doc *doc = NULL;
    struct sl_buf key = {0};
    struct sl_slice row;
    char *text = sl_json_strdup(name);
    if (text == NULL || sl_txn_get(txn, scope, table, sl_key(&key, 1, text), &row) != SL_OK ||
        sl_json_parse(row, &doc, NULL) != SL_OK)
        doc = NULL;
    sl_free(text);
    sl_buf_deinit(&key);
    return doc;
}

static enum sl_err
load_key(struct sl_gateway *g, struct sl_txn *txn, const struct sl_scan *scan)
{
    struct sl_json_doc *key = NULL, *user = NULL, *tenant = NULL;
    struct sl_buf time = {0};
    struct sl_slice text;
    struct sl_identity who;
    uint64_t expires_ms = 0;
    enum sl_err err = SL_ECORRUPT;
    if (scan->key.size != SL_SHA256_SIZE || sl_json_parse(scan->value, &key, NULL) != SL_OK)
        goto out;
    struct sl_json root = sl_json_root(key);
    tenant = load_row(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_json_member(root, "tenant_id"));
    if (sl_identity_of_tenant(sl_json_root(tenant), &who) != SL_OK)
        goto out;
    user = load_row(txn, who.scope, SL_TABLE_USER, sl_json_member(root, "email"));
    err = sl_identity_read(root, sl_json_root(user), sl_json_root(tenant), &who);
    if (err == SL_OK && sl_json_text(sl_json_member(root, "expires_at"), &time, &text) == SL_OK)
        err = sl_time_parse(text, &expires_ms);
    if (err == SL_OK && sl_json_is(sl_json_member(root, "status"), "active") &&
        sl_user_is_active(sl_json_root(user)))
        sl_keyring_put(g->keyring, scan->key.data, &who, expires_ms);
out:
    sl_json_destroy(&key);
    sl_json_destroy(&user);
    sl_json_destroy(&tenant);
    sl_buf_deinit(&time);
    return err;
}

enum sl_err
sl_gateway_bootstrap(struct sl_gateway *g, uint64_t now_ms)
{
    sl_assert(g != NULL && g->store != NULL && g->keyring != NULL);
    g->started_ms = now_ms;
    struct sl_txn *txn = sl_store_begin(g->store);
    bool is_empty = !has_tenants(txn);
    sl_txn_abort(&txn);
    if (is_empty) {
        enum sl_err err = make_operator(g, now_ms);
        if (err != SL_OK)
            return err;
    }
    struct sl_scan scan = {0};
    txn = sl_store_begin(g->store);
    enum sl_err err = load_tenants(g, txn);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (err == SL_OK && sl_scan_next(&scan))
        err = load_key(g, txn, &scan);
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    return err;
}
