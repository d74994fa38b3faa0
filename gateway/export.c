/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/journal.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "actors/source.h"
#include "gateway/base64.h"
#include "gateway/resource.h"
#include "object-store/archive_writer.h"
#include "runtime/alloc.h"
#include "runtime/utf8.h"

#define MEMBER_BYTES (256 * SL_KIB) /* Of rows in one file of the archive; about. */
#define DEPTH_MAX    16
#define TABLES       256

/* Readers of the archive go by these: never change one. */
static const char *const table_names[TABLES] = {
    [SL_TABLE_COUNT] = "counts",
    [SL_TABLE_SOURCE] = "objects",
    [SL_TABLE_EXTRACTION] = "extractions",
    [SL_TABLE_RECORD] = "documents",
    [SL_TABLE_VECTOR] = "vectors",
    [SL_TABLE_JOB] = "jobs",
    [SL_TABLE_FAILURE] = "failures",
    [SL_TABLE_MODEL] = "models",
    [SL_TABLE_WEBHOOK] = "webhooks",
    [SL_TABLE_LEDGER] = "ledger",
    [SL_TABLE_EVENT] = "events",
    [SL_TABLE_USER] = "users",
    [SL_TABLE_NAMESPACE] = "namespaces",
    [SL_TABLE_BUCKET] = "buckets",
    [SL_TABLE_COLLECTION] = "collections",
    [SL_TABLE_BATCH] = "batches",
    [SL_TABLE_RETRIEVER] = "retrievers",
    [SL_TABLE_EXECUTION] = "executions",
    [SL_TABLE_AUDIT] = "audit",
};

struct item {
    char *name, *path; /* In the archive; path NULL: a blob, by the end of its name. */
};

struct sl_export {
    struct sl_gateway *gateway;
    struct sl_identity tenant;
    uint64_t now_ms;
    struct sl_blob_writer *file;
    struct sl_archive_writer *archive;
    unsigned table; /* TABLES: all are written. */
    uint32_t part;
    struct sl_buf after; /* The key that was written last. */
    struct sl_buf out;
    uint64_t rows[TABLES];
    struct item *items;
    size_t items_count, item;
    uint64_t files; /* Of the items, those that were there. */
    bool has_manifest;
    int fd; /* Of the item under way. */
    uint64_t left;
};

static enum sl_err
take(void *arg, const void *data, size_t size)
{
    struct sl_export *e = arg;
    return sl_blob_writer_append(e->file, data, size);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void
add_item(struct sl_export *e, char *name, char *path)
{
    e->items = sl_realloc(e->items, (e->items_count + 1) * sizeof(*e->items));
    e->items[e->items_count++] = (struct item){name, path};
}

static enum sl_err add_tree(struct sl_export *e, const char *path, const char *name, int depth);

/* Takes both names. */
static enum sl_err
add_entry(struct sl_export *e, char *path, char *name, int depth)
{
    struct stat st;
    enum sl_err err = lstat(path, &st) != 0 ? sl_err_from_errno(errno) : SL_OK;
    if (err == SL_OK && S_ISREG(st.st_mode)) {
        add_item(e, name, path);
        return SL_OK;
    }
    if (err == SL_OK && S_ISDIR(st.st_mode))
        err = add_tree(e, path, name, depth);
    sl_free(path);
    sl_free(name);
    return err;
}

/* SL_ENOTFOUND: it is not there, or what was in it went meanwhile. */
static enum sl_err
add_tree(struct sl_export *e, const char *path, const char *name, int depth)
{
    DIR *directory = depth > DEPTH_MAX ? NULL : opendir(path);
    const struct dirent *entry = NULL;
    enum sl_err err = SL_OK;
    if (directory == NULL)
        return depth > DEPTH_MAX ? SL_ETOOBIG : sl_err_from_errno(errno);
    while (err == SL_OK) {
        errno = 0; /* The end of the directory leaves it so. */
        entry = readdir(directory);
        if (entry == NULL) {
            err = errno != 0 ? sl_err_from_errno(errno) : SL_OK;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = add_entry(e, sl_format("%s/%s", path, entry->d_name),
                            sl_format("%s/%s", name, entry->d_name), depth + 1);
    }
    closedir(directory);
    return err;
}

static void
add_blob(void *arg, const uint8_t *id)
{
    struct sl_export *e = arg;
    char *name = sl_format("blobs/%.*s", SL_BLOB_ID_SIZE - 1, (const char *)id);
    /* Neighbours that share one are not rare; that others come twice does no harm. */
    for (size_t i = e->items_count; i-- > 0 && e->items_count - i <= 64;)
        if (strcmp(e->items[i].name, name) == 0) {
            sl_free(name);
            return;
        }
    add_item(e, name, NULL);
}

void
sl_blobs_named(struct sl_slice row, void (*then)(void *arg, const uint8_t *id), void *arg)
{
    size_t run = 0, digits = SL_BLOB_ID_SIZE - 1;
    for (size_t i = 0; i < row.size; i++) {
        uint8_t c = row.data[i];
        run = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? run + 1 : 0;
        if (run >= digits)
            then(arg, row.data + i + 1 - digits);
    }
}

static enum sl_err
open_item(struct sl_export *e, const struct item *item)
{
    struct stat st;
    enum sl_err err = SL_OK;
    int fd = -1;
    if (item->path == NULL)
        err = sl_blob_open(e->gateway->blobs, item->name + strlen("blobs/"), &fd, &e->left);
    else {
        fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) != 0)
            err = sl_err_from_errno(errno);
        else
            e->left = (uint64_t)st.st_size;
    }
    if (err != SL_OK && fd >= 0 && item->path != NULL)
        (void)close(fd);
    if (err == SL_ENOTFOUND) {
        e->left = 0;
        return SL_OK; /* Hex digits that are no blob's name, or a file that has gone. */
    }
    if (err != SL_OK)
        return err;
    e->fd = fd;
    e->files++;
    return sl_archive_writer_begin(e->archive, item->name, e->left);
}

static void
close_item(struct sl_export *e)
{
    if (e->fd >= 0)
        (void)close(e->fd);
    e->fd = -1;
}

static enum sl_err
step_item(struct sl_export *e)
{
    enum sl_err err = e->fd < 0 ? open_item(e, &e->items[e->item]) : SL_OK;
    sl_buf_clear(&e->out);
    sl_buf_reserve(&e->out, MEMBER_BYTES);
    uint8_t *bytes = e->out.data;
    ssize_t size = e->fd < 0 ? 0 : read(e->fd, bytes, SL_MIN(e->left, (uint64_t)MEMBER_BYTES));
    if (err == SL_OK && size > 0)
        err = sl_archive_writer_data(e->archive, sl_slice(bytes, (size_t)size));
    if (size < 0 || (size == 0 && e->left > 0)) /* It was cut. */
        err = err == SL_OK ? SL_EIO : err;
    e->left -= size > 0 ? (uint64_t)size : 0;
    if (size <= 0 || e->left == 0) {
        close_item(e);
        e->item++;
    }
    return err;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void
write_base64(struct sl_jsonw *w, const char *name, struct sl_slice bytes)
{
    struct sl_buf text = {0};
    sl_base64_encode(bytes, false, &text);
    sl_jsonw_member_slice(w, name, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

/* The parts of a key, which are texts; a key of bytes as such. */
static void
write_key(struct sl_jsonw *w, struct sl_slice key)
{
    uint32_t parts = 1;
    for (size_t i = 0; i < key.size; i++)
        parts += key.data[i] == 0;
    if (!sl_utf8_is_valid(key)) {
        write_base64(w, "key_base64", key);
        return;
    }
    sl_jsonw_name(w, "key");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < parts; i++)
        sl_jsonw_slice(w, sl_key_part(key, i));
    sl_jsonw_end(w);
}

static void
write_json_text(struct sl_jsonw *w, const char *name, struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    if (text.size > 0 && sl_json_parse(text, &doc, NULL) == SL_OK)
        sl_jsonw_member_value(w, name, sl_json_root(doc));
    sl_json_destroy(&doc);
}

static bool
write_known(struct sl_export *e, struct sl_jsonw *w, struct sl_slice key, struct sl_slice value)
{
    struct sl_journal_row event;
    struct sl_record record;
    struct sl_source source;
    if (e->table == SL_TABLE_RECORD && sl_record_decode(value, &record) == SL_OK) {
        sl_jsonw_member_time(w, "created_at", record.created_ms);
        sl_jsonw_member_time(w, "updated_at", record.updated_ms);
        write_json_text(w, "fields", record.fields);
        return true;
    }
    if (e->table == SL_TABLE_SOURCE && sl_source_decode(value, &source) == SL_OK) {
        sl_jsonw_member_time(w, "created_at", source.created_ms);
        sl_jsonw_member_time(w, "updated_at", source.updated_ms);
        write_json_text(w, "fields", source.fields);
        write_json_text(w, "blobs", source.blobs);
        write_json_text(w, "extra", source.extra);
        return true;
    }
    if (e->table == SL_TABLE_EVENT && sl_journal_read(key, value, &event)) {
        write_json_text(w, "value", event.json);
        return true;
    }
    if (e->table == SL_TABLE_VECTOR && value.size % sizeof(float) == 0) {
        sl_jsonw_name(w, "vector");
        sl_jsonw_array(w);
        for (size_t at = 0; at < value.size; at += sizeof(float)) {
            float number;
            memcpy(&number, value.data + at, sizeof(number));
            sl_jsonw_f32(w, number);
        }
        sl_jsonw_end(w);
        return true;
    }
    return false;
}

/* A webhook's secret signs, and is told once, when it is made. */
static void
write_value(struct sl_export *e, struct sl_jsonw *w, struct sl_json value)
{
    static const char *const secret[] = {"secret", NULL};
    if (e->table != SL_TABLE_WEBHOOK) {
        sl_jsonw_member_value(w, "value", value);
        return;
    }
    sl_jsonw_name(w, "value");
    sl_jsonw_object(w);
    sl_write_except(w, value, secret);
    sl_jsonw_end(w);
}

static void
write_row(struct sl_export *e, struct sl_slice key, struct sl_slice value)
{
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    sl_jsonw_init(&w, &e->out);
    sl_jsonw_object(&w);
    write_key(&w, key);
    if (!write_known(e, &w, key, value)) {
        if (value.size > 0 && sl_json_parse(value, &doc, NULL) == SL_OK)
            write_value(e, &w, sl_json_root(doc));
        else
            write_base64(&w, "value_base64", value);
        sl_json_destroy(&doc);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_u8(&e->out, '\n');
}

/* Rows of one table up to a member's size; on to the next table behind its last. */
static enum sl_err
step_rows(struct sl_export *e, struct sl_txn *txn)
{
    struct sl_scan scan = {0};
    bool is_more = false;
    sl_buf_clear(&e->out);
    sl_txn_scan(txn, e->tenant.scope, (uint8_t)e->table, sl_slice(NULL, 0), sl_buf_slice(&e->after),
                false, &scan);
    /* Stored replies are another copy of what is there, but for secrets of keys. */
    while (e->table != SL_TABLE_IDEMPOTENT && !is_more && sl_scan_next(&scan)) {
        write_row(e, scan.key, scan.value);
        if (e->table == SL_TABLE_SOURCE || e->table == SL_TABLE_UPLOAD)
            sl_blobs_named(scan.value, add_blob, e);
        e->rows[e->table]++;
        sl_buf_clear(&e->after);
        sl_buf_append_slice(&e->after, scan.key);
        is_more = e->out.size >= MEMBER_BYTES;
    }
    sl_scan_end(&scan);
    enum sl_err err = SL_OK;
    if (e->out.size > 0) {
        const char *known = table_names[e->table];
        char *table = known == NULL ? sl_format("table-%u", e->table) : sl_strdup(known);
        char *name = sl_format("rows/%s/%06" PRIu32 ".jsonl", table, ++e->part);
        err = sl_archive_writer_add(e->archive, name, sl_buf_slice(&e->out));
        sl_free(name);
        sl_free(table);
    }
    if (!is_more) {
        e->table++;
        e->part = 0;
        sl_buf_clear(&e->after);
    }
    return err;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum sl_err
write_manifest(struct sl_export *e)
{
    struct sl_jsonw w;
    sl_buf_clear(&e->out);
    sl_jsonw_init(&w, &e->out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "format", "sluice-export");
    sl_jsonw_member_u64(&w, "version", 1);
    sl_jsonw_member_str(&w, "tenant_id", e->tenant.tenant_id);
    sl_jsonw_member_str(&w, "organization_id", e->tenant.organization_id);
    sl_jsonw_member_time(&w, "created_at", e->now_ms);
    sl_jsonw_name(&w, "rows");
    sl_jsonw_object(&w);
    for (unsigned i = 0; i < TABLES; i++) {
        if (e->rows[i] == 0)
            continue;
        char *name = table_names[i] == NULL ? sl_format("table-%u", i) : sl_strdup(table_names[i]);
        sl_jsonw_member_u64(&w, name, e->rows[i]);
        sl_free(name);
    }
    sl_jsonw_end(&w);
    sl_jsonw_member_u64(&w, "files", e->files);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    e->has_manifest = true;
    return sl_archive_writer_add(e->archive, "manifest.json", sl_buf_slice(&e->out));
}

enum sl_err
sl_export_create(struct sl_gateway *g, const struct sl_identity *tenant, uint64_t now_ms,
                 struct sl_export **ret_export)
{
    struct sl_blob_writer *file;
    if (g->blobs == NULL)
        return SL_EIO;
    enum sl_err err = sl_blob_writer_create(g->blobs, UINT64_MAX, &file);
    if (err != SL_OK)
        return err;
    struct sl_export *e = sl_zalloc(sizeof(*e));
    e->gateway = g;
    e->tenant = *tenant;
    e->now_ms = now_ms;
    e->file = file;
    e->archive = sl_archive_writer_create(take, e);
    e->table = 1;
    e->fd = -1;
    char *models = sl_format("%s/models/%" PRIu64, g->data_directory, tenant->scope.id);
    err = add_tree(e, models, "models", 0);
    if (err == SL_ENOTFOUND && e->items_count == 0)
        err = SL_OK; /* It has none. */
    sl_free(models);
    if (err != SL_OK)
        sl_export_destroy(&e);
    *ret_export = e;
    return err;
}

enum sl_err
sl_export_step(struct sl_export *e, struct sl_txn *txn, bool *ret_is_done, struct sl_blob *ret_blob)
{
    *ret_is_done = false;
    while (e->table < TABLES) { /* Most tables are empty: no turn for each. */
        enum sl_err err = step_rows(e, txn);
        if (err != SL_OK || e->out.size > 0)
            return err;
    }
    if (e->item < e->items_count)
        return step_item(e);
    if (!e->has_manifest)
        return write_manifest(e);
    enum sl_err err = sl_archive_writer_finish(&e->archive);
    if (err == SL_OK)
        err = sl_blob_writer_finish(&e->file, ret_blob);
    *ret_is_done = err == SL_OK;
    return err;
}

void
sl_export_destroy(struct sl_export **export)
{
    struct sl_export *e = *export;
    if (e == NULL)
        return;
    close_item(e);
    sl_archive_writer_abort(&e->archive);
    sl_blob_writer_abort(&e->file);
    for (size_t i = 0; i < e->items_count; i++) {
        sl_free(e->items[i].name);
        sl_free(e->items[i].path);
    }
    sl_free(e->items);
    sl_buf_deinit(&e->after);
    sl_buf_deinit(&e->out);
    sl_free(e);
    *export = NULL;
}

const char *
sl_export_tenant_id(const struct sl_export *e)
{
    return e->tenant.tenant_id;
}

bool
sl_export_is_of(const struct sl_export *e, struct sl_scope scope)
{
    return e != NULL && e->tenant.scope.id == scope.id;
}
