/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_items.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define INPUTS_MAX   64
#define SIZE_COUNTED (2 * SL_MIB) /* Of an item: what is larger is worked on in parts. */
#define SIZE_OF_ANY  512

const struct sl_m_process *
sl_replica_item_body(const struct sl_replica_item *item)
{
    return SL_BODY(item->msg, process);
}

/* Map a stored blob read-only. An empty slice and false: it is not there. */
static bool
map_blob(struct sl_replica_item *item, const char *blobs, struct sl_slice id,
         struct sl_slice *ret_bytes)
{
    char hex[SL_BLOB_ID_SIZE];
    struct stat st;
    if (id.size != sizeof(hex) - 1 || blobs == NULL)
        return false;
    memcpy(hex, id.data, id.size);
    hex[id.size] = '\0';
    if (!sl_blob_is_id(hex))
        return false;
    char *path = sl_format("%s/%.2s/%s", blobs, hex, hex);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    sl_free(path);
    if (fd < 0)
        return false;
    bool is_ok = fstat(fd, &st) == 0;
    *ret_bytes = (struct sl_slice){0};
    if (is_ok && st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        is_ok = data != MAP_FAILED;
        if (is_ok) {
            *ret_bytes = sl_slice(data, (size_t)st.st_size);
            item->mappings =
                sl_realloc(item->mappings, (item->mappings_count + 1) * sizeof(item->mappings[0]));
            item->mappings[item->mappings_count++] = *ret_bytes;
        }
    }
    close(fd);
    return is_ok;
}

static void
add_input(struct sl_replica_item *item, struct sl_slice name, struct sl_slice type,
          struct sl_slice bytes)
{
    uint32_t count = item->item.input_count;
    if (count == 0 || (count >= 4 && (count & (count - 1)) == 0)) /* One has one as a rule. */
        item->inputs = sl_realloc(item->inputs, SL_MAX(2 * count, 4u) * sizeof(item->inputs[0]));
    item->inputs[item->item.input_count++] =
        (struct sluice_input){.size = sizeof(struct sluice_input),
                              .name = sl_strndup(name.data, name.size),
                              .type = sl_slice_is(type, "json") ? "object" : NULL,
                              .data = bytes.data,
                              .data_bytes = bytes.size};
}

/*
 * Names are C strings for the plugin: they are short, and live as long as the item. The result is
 * NULL, or why the item cannot be run: a plugin must never take a blob's name for its bytes.
 */
static const char *
read_inputs(struct sl_replica_item *item, struct sl_slice encoded, const char *blobs)
{
    struct sl_reader in = sl_reader(encoded);
    while (in.at != in.end) {
        struct sl_slice name = sl_read_block(&in), type = sl_read_block(&in),
                        bytes = sl_read_block(&in);
        if (in.is_bad)
            return "the inputs cannot be read";
        if (item->item.input_count == INPUTS_MAX)
            return "the item has too many inputs";
        if (sl_slice_is(type, "blob") && !map_blob(item, blobs, bytes, &bytes)) {
            sl_report_warn("blob-missing", "blob=%.*s", SL_SLICE_FMT(bytes));
            return "a blob that it needs is not there";
        }
        add_input(item, name, type, bytes);
    }
    return NULL;
}

struct sl_replica_item *
sl_replica_item_create(struct sl_msg *msg, const char *blobs, const char **ret_why)
{
    const struct sl_m_process *m = SL_BODY(msg, process);
    struct sl_replica_item *item = sl_zalloc(sizeof(*item));
    item->item = (struct sluice_item){.size = sizeof(item->item),
                                      .id = "",
                                      .params = (const char *)m->params.data,
                                      .params_bytes = m->params.size,
                                      .resume = m->resume.size == 0 ? NULL : m->resume.data,
                                      .resume_bytes = (uint32_t)m->resume.size,
                                      .first_record = m->first};
    *ret_why = read_inputs(item, m->inputs, blobs);
    if (*ret_why != NULL) {
        sl_replica_item_destroy(&item);
        return NULL;
    }
    item->item.inputs = item->inputs;
    item->msg = msg;
    return item;
}

void
sl_replica_item_destroy(struct sl_replica_item **item)
{
    struct sl_replica_item *i = *item;
    *item = NULL;
    if (i == NULL)
        return;
    for (uint32_t at = 0; at < i->item.input_count; at++)
        sl_free((void *)(uintptr_t)i->inputs[at].name);
    for (uint32_t at = 0; at < i->mappings_count; at++)
        munmap((void *)(uintptr_t)i->mappings[at].data, i->mappings[at].size);
    sl_free(i->inputs);
    sl_free(i->mappings);
    sl_msg_destroy(&i->msg);
    sl_free(i);
}

uint64_t
sl_replica_item_size(const struct sl_replica_item *item)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < item->item.input_count; i++)
        size += SL_MIN(item->inputs[i].data_bytes, (uint64_t)SIZE_COUNTED);
    return SIZE_OF_ANY + SL_MIN(size, (uint64_t)SIZE_COUNTED);
}
