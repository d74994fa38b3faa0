/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "actors/rows.h"
#include "gateway/unpack.h"
#include "gateway/upload.h"
#include "object-store/blob.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define DIGITS (SL_BLOB_ID_SIZE - 1)

/* What is known of the blobs that objects name: the first 64 bits of each id. Two ids that share
 * them keep each other, which does no harm. */
struct marks {
    struct sl_gateway *gateway;
    uint64_t *items;
    size_t count, capacity;
    uint64_t sources, sources_max;
    bool is_read, is_too_much;
};

/* ---- tenants ------------------------------------------------------------------------------- */

typedef void each_scope_fn(void *arg, struct sl_txn *txn, struct sl_scope scope);

static void
each_scope(struct sl_gateway *g, each_scope_fn *then, void *arg)
{
    struct sl_scan scan = {0};
    uint64_t *scopes = NULL;
    size_t count = 0;
    struct sl_txn *txn = sl_store_begin(g->store);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        uint64_t scope = 0;
        if (sl_json_parse(scan.value, &doc, NULL) == SL_OK &&
            sl_json_u64(sl_json_member(sl_json_root(doc), "scope"), &scope) == SL_OK) {
            scopes = sl_realloc(scopes, (count + 1) * sizeof(*scopes));
            scopes[count++] = scope;
        }
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    for (size_t i = 0; i < count; i++)
        then(arg, txn, (struct sl_scope){scopes[i]});
    sl_txn_abort(&txn);
    sl_free(scopes);
}

/* ---- blobs --------------------------------------------------------------------------------- */

static uint64_t
number_of(const uint8_t *id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 16; i++)
        number = number << 4 | (uint64_t)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    return number;
}

static void
mark(struct marks *m, const uint8_t *id)
{
    if (m->count == m->capacity) {
        m->capacity = SL_MAX(m->capacity * 2, (size_t)256);
        m->items = sl_realloc(m->items, m->capacity * sizeof(*m->items));
    }
    m->items[m->count++] = number_of(id);
}

/* Each place with 64 hex digits, whatever the row is: a row that cannot be decoded keeps its own.
 */
static void
mark_row(struct marks *m, struct sl_slice row)
{
    size_t run = 0;
    for (size_t i = 0; i < row.size; i++) {
        uint8_t c = row.data[i];
        run = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? run + 1 : 0;
        if (run >= DIGITS)
            mark(m, row.data + i + 1 - DIGITS);
    }
}

static void
mark_scope(void *arg, struct sl_txn *txn, struct sl_scope scope)
{
    struct marks *m = arg;
    struct sl_scan scan = {0};
    sl_txn_scan(txn, scope, SL_TABLE_SOURCE, sl_slice(NULL, 0), sl_slice(NULL, 0), false, &scan);
    while (!m->is_too_much && sl_scan_next(&scan)) {
        m->is_too_much = ++m->sources > m->sources_max;
        mark_row(m, scan.value);
    }
    sl_scan_end(&scan);
    sl_txn_scan(txn, scope, SL_TABLE_UPLOAD, sl_slice(NULL, 0), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan))
        mark_row(m, scan.value);
    sl_scan_end(&scan);
}

/* The export of one that leaves is a blob. */
static void
mark_tenants(struct marks *m)
{
    struct sl_scan scan = {0};
    struct sl_txn *txn = sl_store_begin(m->gateway->store);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        mark_row(m, scan.value);
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
}

static int
order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool
is_named(void *arg, const char *id)
{
    struct marks *m = arg;
    if (!m->is_read) { /* Most directories hold no blob: then no row is read. */
        m->is_read = true;
        mark_tenants(m);
        each_scope(m->gateway, mark_scope, m);
        if (m->count > 0)
            qsort(m->items, m->count, sizeof(*m->items), order);
    }
    uint64_t number = number_of((const uint8_t *)id);
    return m->is_too_much ||
           (m->count > 0 && bsearch(&number, m->items, m->count, sizeof(number), order) != NULL);
}

/* ---- presigned uploads --------------------------------------------------------------------- */

/* Names of files that wait for more or for their confirmation. */
struct waiting {
    uint64_t now_ms;
    char **names;
    size_t count;
};

static int
order_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
note_waiting(void *arg, struct sl_txn *txn, struct sl_scope scope)
{
    struct waiting *w = arg;
    struct sl_scan scan = {0};
    sl_txn_scan(txn, scope, SL_TABLE_UPLOAD, sl_slice(NULL, 0), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        bool is_over = sl_json_parse(scan.value, &doc, NULL) == SL_OK &&
                       (sl_upload_is_complete(sl_json_root(doc)) ||
                        sl_upload_is_over(sl_json_root(doc), w->now_ms));
        sl_json_destroy(&doc);
        if (is_over)
            continue;
        struct sl_slice name = sl_key_part(scan.key, 1);
        w->names = sl_realloc(w->names, (w->count + 1) * sizeof(*w->names));
        w->names[w->count++] = sl_strndup((const char *)name.data, name.size);
    }
    sl_scan_end(&scan);
}

static bool
is_waiting(void *arg, const char *name)
{
    const struct waiting *w = arg;
    return w->count > 0 &&
           bsearch(&name, w->names, w->count, sizeof(*w->names), order_names) != NULL;
}

static uint32_t
sweep_incoming(struct sl_gateway *g)
{
    struct waiting w = {.now_ms = sl_time_wall_ms()};
    each_scope(g, note_waiting, &w);
    if (w.count > 0)
        qsort(w.names, w.count, sizeof(*w.names), order_names);
    uint32_t removed = sl_incoming_sweep(g->incoming, is_waiting, &w);
    for (size_t i = 0; i < w.count; i++)
        sl_free(w.names[i]);
    sl_free(w.names);
    return removed;
}

/* ---- models -------------------------------------------------------------------------------- */

static bool
is_directory(DIR *in, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) /* Which some file systems say of all. */
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(in), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Call `then` for each directory in `path`, with its path and name. */
static void
each_directory(const char *path, void (*then)(void *arg, const char *path, const char *name),
               void *arg)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char *below = sl_format("%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && is_directory(directory, entry))
            then(arg, below, entry->d_name);
        sl_free(below);
    }
    closedir(directory);
}

struct models {
    struct sl_gateway *gateway;
    struct sl_scope scope;
    const char *namespace_id;
    struct sl_sweep *sweep;
};

static void
sweep_unpacked(void *arg, const char *path, const char *name)
{
    (void)name;
    sl_tree_remove(path);
    ((struct models *)arg)->sweep->unpacked++;
}

/* Whether the model's row says that its files are those of the directory `name`. */
static bool
is_of_row(struct sl_slice row, const char *name)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(row, &doc, NULL) != SL_OK)
        return true; /* Nothing is removed on the word of a row that cannot be read. */
    char *directory = sl_json_strdup(sl_json_member(sl_json_root(doc), "directory"));
    const char *slash = directory == NULL ? NULL : strrchr(directory, '/');
    bool is_its_own = slash == NULL || strcmp(slash + 1, name) == 0;
    sl_free(directory);
    sl_json_destroy(&doc);
    return is_its_own;
}

/* A directory is named by its model; since there are images, '.' and more follow. */
static void
sweep_model(void *arg, const char *path, const char *name)
{
    const struct models *m = arg;
    struct sl_buf key = {0};
    struct sl_slice row;
    char *id = sl_strndup(name, strcspn(name, "."));
    struct sl_txn *txn = sl_store_begin(m->gateway->store);
    enum sl_err err =
        sl_txn_get(txn, m->scope, SL_TABLE_MODEL, sl_key(&key, 2, m->namespace_id, id), &row);
    bool is_lost = err == SL_ENOTFOUND || (err == SL_OK && !is_of_row(row, name));
    sl_txn_abort(&txn);
    sl_buf_deinit(&key);
    sl_free(id);
    if (!is_lost)
        return;
    sl_tree_remove(path);
    m->sweep->models++;
}

static void
sweep_namespace(void *arg, const char *path, const char *name)
{
    struct models *m = arg;
    m->namespace_id = name;
    each_directory(path, sweep_model, m);
}

static void
sweep_tenant(void *arg, const char *path, const char *name)
{
    struct models *m = arg;
    char *end;
    m->scope = (struct sl_scope){strtoull(name, &end, 10)};
    if (*end == '\0' && m->scope.id != 0) /* "tmp" and strangers are not ours to judge. */
        each_directory(path, sweep_namespace, m);
}

struct sl_sweep
sl_gateway_sweep(struct sl_gateway *g, uint64_t sources_max)
{
    struct sl_sweep sweep = {0};
    struct models models = {.gateway = g, .sweep = &sweep};
    struct marks marks = {.gateway = g, .sources_max = sources_max};
    char *path = sl_format("%s/models/tmp", g->data_directory);
    each_directory(path, sweep_unpacked, &models);
    path[strlen(path) - strlen("/tmp")] = '\0';
    each_directory(path, sweep_tenant, &models);
    sl_free(path);
    if (g->incoming != NULL)
        sweep.incoming = sweep_incoming(g);
    if (g->blobs != NULL)
        sweep.are_blobs_skipped =
            sl_blobs_sweep(g->blobs, is_named, &marks, &sweep.blobs) != SL_OK || marks.is_too_much;
    sl_free(marks.items);
    return sweep;
}
