/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/onnx_names.h"

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define CAPACITY_MIN 64u
/* With a chain for each name, chance makes one of a million this long once in 10^18 files. */
#define CHAIN_MAX 24u

void
sl_onnx_names_deinit(struct sl_onnx_names *names)
{
    sl_free(names->items);
    sl_free(names->heads);
    *names = (struct sl_onnx_names){0};
}

static uint32_t *
head_of(const struct sl_onnx_names *names, uint64_t hash)
{
    return &names->heads[hash & (names->heads_count - 1)];
}

static void
grow(struct sl_onnx_names *names)
{
    names->capacity = SL_MAX(CAPACITY_MIN, names->capacity * 2);
    names->items = sl_realloc(names->items, names->capacity * sizeof(names->items[0]));
    sl_free(names->heads);
    names->heads_count = names->capacity;
    names->heads = sl_zalloc(names->heads_count * sizeof(names->heads[0]));
    /* Oldest first, so that each chain starts with its latest again. */
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t *head = head_of(names, names->items[i].hash);
        names->items[i].next = *head;
        *head = i + 1;
    }
}

const struct sl_onnx_name *
sl_onnx_names_lookup(const struct sl_onnx_names *names, struct sl_slice text)
{
    if (names->count == 0)
        return NULL;
    uint64_t hash = sl_hash64(text);
    for (uint32_t i = *head_of(names, hash); i != 0; i = names->items[i - 1].next) {
        const struct sl_onnx_name *name = &names->items[i - 1];
        if (name->hash == hash && sl_slice_equal(name->text, text))
            return name;
    }
    return NULL;
}

enum sl_err
sl_onnx_names_add(struct sl_onnx_names *names, struct sl_slice text, uint32_t value,
                  uint32_t count_max)
{
    if (names->count >= count_max)
        return SL_EFULL;
    if (names->count == names->capacity)
        grow(names);
    uint64_t hash = sl_hash64(text);
    uint32_t *head = head_of(names, hash), length = 0;
    for (uint32_t i = *head; i != 0; i = names->items[i - 1].next) {
        if (++length == CHAIN_MAX)
            return SL_EFULL;
    }
    names->items[names->count] =
        (struct sl_onnx_name){.text = text, .value = value, .next = *head, .hash = hash};
    *head = ++names->count;
    return SL_OK;
}

void
sl_onnx_names_cut(struct sl_onnx_names *names, uint32_t count)
{
    sl_assert(count <= names->count);
    while (names->count > count) {
        const struct sl_onnx_name *name = &names->items[names->count - 1];
        uint32_t *head = head_of(names, name->hash);
        sl_assert(*head == names->count); /* The latest is the first of its chain. */
        *head = name->next;
        names->count--;
    }
}
