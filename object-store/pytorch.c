/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/pytorch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "object-store/pickle.h"
#include "object-store/zip.h"
#include "runtime/alloc.h"
#include "runtime/utf8.h"

#define AGAIN       "load it with torch 1.6 or later where it is trusted, and torch.save it again"
#define VERSION_MAX 10 /* Of the archive, not of torch. */

/* ---- the symbols that a pickle may name -------------------------------------------------------
 */

enum tag {
    TAG_SKIPPED, /* A value that is no tensor. */
    TAG_TENSOR,  /* Three generations of arguments. */
    TAG_TENSOR_V2,
    TAG_TENSOR_V3,
    TAG_PARAMETER,
    TAG_UNREAD,  /* Elements that tensor.h does not know: named, but no tensor has them. */
    TAG_UNTYPED, /* A storage of bytes. */
    TAG_STORAGE, /* TAG_STORAGE + dtype, and likewise: */
    TAG_DTYPE = TAG_STORAGE + SL_DTYPE_COUNT,
    TAG_END = TAG_DTYPE + SL_DTYPE_COUNT,
};

#define CALL(name, tag)                                                                            \
    {                                                                                              \
        name, SL_PICKLE_MAKES_CALL, tag                                                            \
    }
#define NAMED(name, tag)                                                                           \
    {                                                                                              \
        name, SL_PICKLE_MAKES_NOTHING, tag                                                         \
    }
#define STORAGE(name, type) NAMED("torch." name "Storage", TAG_STORAGE + SL_DTYPE_##type)
#define DTYPE(name, type)   NAMED("torch." name, TAG_DTYPE + SL_DTYPE_##type)
#define UNREAD(name)        NAMED("torch." name, TAG_UNREAD)

static const struct sl_pickle_symbol symbols[] = {
    {"collections.OrderedDict", SL_PICKLE_MAKES_DICT, TAG_SKIPPED},
    {"collections.Counter", SL_PICKLE_MAKES_DICT, TAG_SKIPPED},
    {"torch.Size", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
    CALL("torch.device", TAG_SKIPPED),
    CALL("torch._utils._rebuild_tensor", TAG_TENSOR),
    CALL("torch._utils._rebuild_tensor_v2", TAG_TENSOR_V2),
    CALL("torch._utils._rebuild_tensor_v3", TAG_TENSOR_V3),
    CALL("torch._utils._rebuild_parameter", TAG_PARAMETER),
    CALL("torch._utils._rebuild_parameter_with_state", TAG_PARAMETER),
    CALL("torch.nn.parameter.Parameter", TAG_PARAMETER),
    NAMED("torch.UntypedStorage", TAG_UNTYPED),
    NAMED("torch.storage.UntypedStorage", TAG_UNTYPED),
    NAMED("torch.storage.TypedStorage", TAG_UNREAD),
    STORAGE("Float", F32),
    STORAGE("Half", F16),
    STORAGE("BFloat16", BF16),
    STORAGE("Double", F64),
    STORAGE("Long", I64),
    STORAGE("Int", I32),
    STORAGE("Short", I16),
    STORAGE("Char", I8),
    STORAGE("Byte", U8),
    STORAGE("Bool", BOOL),
    STORAGE("ComplexFloat", C64),
    UNREAD("ComplexDoubleStorage"),
    UNREAD("QInt8Storage"),
    UNREAD("QUInt8Storage"),
    UNREAD("QInt32Storage"),
    UNREAD("QUInt4x2Storage"),
    UNREAD("QUInt2x4Storage"),
    DTYPE("float32", F32),
    DTYPE("float16", F16),
    DTYPE("bfloat16", BF16),
    DTYPE("float64", F64),
    DTYPE("int64", I64),
    DTYPE("int32", I32),
    DTYPE("int16", I16),
    DTYPE("int8", I8),
    DTYPE("uint8", U8),
    DTYPE("uint16", U16),
    DTYPE("uint32", U32),
    DTYPE("uint64", U64),
    DTYPE("bool", BOOL),
    DTYPE("complex64", C64),
    DTYPE("float8_e4m3fn", F8_E4M3),
    DTYPE("float8_e5m2", F8_E5M2),
    DTYPE("float8_e4m3fnuz", F8_E4M3FNUZ),
    DTYPE("float8_e5m2fnuz", F8_E5M2FNUZ),
    DTYPE("float8_e8m0fnu", F8_E8M0),
    UNREAD("float4_e2m1fn_x2"),
    UNREAD("complex32"),
    UNREAD("complex128"),
    UNREAD("qint8"),
    UNREAD("quint8"),
    UNREAD("qint32"),
    /* Those of TorchScript alone come last. */
    {"__torch__.*", SL_PICKLE_MAKES_OBJECT, TAG_SKIPPED},
    {"torch.jit._pickle.restore_type_tag", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
    {"torch.jit._pickle.build_intlist", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
    {"torch.jit._pickle.build_doublelist", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
    {"torch.jit._pickle.build_boollist", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
    {"torch.jit._pickle.build_tensorlist", SL_PICKLE_MAKES_FIRST, TAG_SKIPPED},
};
#define SCRIPT_SYMBOLS_COUNT 6u

/* ---- the archive ------------------------------------------------------------------------------
 */

struct source {
    struct sl_slice file;
    struct sl_zip zip;
    struct sl_slice root; /* The folder that all entries are in, with its '/'. */
    bool is_script;
    struct sl_pickle *pickle;
    struct sl_cause *cause;
};

static bool
starts_with(struct sl_slice s, struct sl_slice prefix)
{
    return s.size >= prefix.size && memcmp(s.data, prefix.data, prefix.size) == 0;
}

/* What a file is that does not begin like an archive. */
static enum sl_err
refuse_form(struct sl_slice file, struct sl_cause *cause)
{
    static const uint8_t stream[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                     0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (starts_with(file, sl_slice(stream, sizeof(stream))))
        return sl_cause_set(cause, SL_EVERSION,
                            "the file is a stream as torch wrote before 1.6, which is not read: %s",
                            AGAIN);
    if (file.size >= 262 && memcmp(file.data + 257, "ustar", 5) == 0)
        return sl_cause_set(cause, SL_EVERSION,
                            "the file is a tar archive as torch wrote before 0.1.10, which is not "
                            "read: %s",
                            AGAIN);
    if (file.size >= 2 && file.data[0] == 0x80 && file.data[1] <= 5)
        return sl_cause_set(cause, SL_EVERSION, "the file is a bare pickle, which is not read: %s",
                            AGAIN);
    return sl_cause_set(cause, SL_EINVAL,
                        "not a PyTorch file: it does not begin like the archive that torch.save "
                        "writes");
}

/* Whether it lies in `folder`, below the root. */
static bool
is_below(const struct source *s, struct sl_slice name, const char *folder)
{
    struct sl_slice rest = sl_slice(name.data + s->root.size, name.size - s->root.size);
    return starts_with(rest, sl_slice_str(folder));
}

static const struct sl_zip_entry *
lookup(const struct source *s, const char *folder, struct sl_slice leaf)
{
    char name[SL_ZIP_NAME_SIZE_MAX];
    size_t folder_size = strlen(folder);
    if (leaf.size > sizeof(name) - s->root.size - folder_size)
        return NULL;
    memcpy(name, s->root.data, s->root.size);
    memcpy(name + s->root.size, folder, folder_size);
    if (leaf.size > 0)
        memcpy(name + s->root.size + folder_size, leaf.data, leaf.size);
    return sl_zip_lookup(&s->zip, sl_slice(name, s->root.size + folder_size + leaf.size));
}

static struct sl_slice
content(const struct source *s, const struct sl_zip_entry *entry)
{
    return sl_slice(s->file.data + entry->offset, (size_t)entry->size);
}

static enum sl_err
find_root(struct source *s)
{
    if (s->zip.count == 0)
        return sl_cause_set(s->cause, SL_EINVAL, "not a PyTorch file: the archive is empty");
    struct sl_slice first = s->zip.entries[0].name;
    const uint8_t *slash = memchr(first.data, '/', first.size);
    s->root = sl_slice(first.data, slash == NULL ? 0 : (size_t)(slash - first.data) + 1);
    for (uint32_t i = 0; i < s->zip.count; i++) {
        if (slash == NULL || !starts_with(s->zip.entries[i].name, s->root) ||
            s->root.size > SL_ZIP_NAME_SIZE_MAX / 2)
            return sl_cause_set(s->cause, SL_EINVAL,
                                "not a PyTorch file: its entries are not in one folder");
    }
    s->is_script = lookup(s, "", sl_slice_str("constants.pkl")) != NULL;
    for (uint32_t i = 0; i < s->zip.count; i++) {
        const struct sl_zip_entry *e = &s->zip.entries[i];
        if (!e->is_stored && !(s->is_script && is_below(s, e->name, "code/")))
            return sl_cause_set(s->cause, SL_EINVAL,
                                "the archive's entry '%.*s' is compressed: tensors are used where "
                                "they lie, so save the file with torch.save, which does not "
                                "compress",
                                (int)SL_MIN(e->name.size, 128u), (const char *)e->name.data);
    }
    return SL_OK;
}

static enum sl_err
check_version(const struct source *s)
{
    const struct sl_zip_entry *entry = lookup(s, "", sl_slice_str("version"));
    if (entry == NULL)
        entry = lookup(s, "", sl_slice_str(".data/version"));
    if (entry == NULL)
        return sl_cause_set(s->cause, SL_EINVAL, "not a PyTorch file: it has no entry 'version'");
    struct sl_slice text = content(s, entry);
    uint32_t version = 0;
    if (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    for (size_t i = 0; i < text.size && version <= VERSION_MAX; i++) {
        bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        version = is_digit ? version * 10 + (text.data[i] - '0') : VERSION_MAX + 1;
    }
    if (version < 1 || version > VERSION_MAX)
        return sl_cause_set(s->cause, SL_EVERSION,
                            "the file's version is none of 1 to %d, which are read", VERSION_MAX);

    entry = lookup(s, "", sl_slice_str("byteorder")); /* Older ones have none: little. */
    if (entry != NULL && !sl_slice_is(content(s, entry), "little"))
        return sl_cause_set(
            s->cause, SL_EVERSION,
            "the file's numbers are not little-endian: load it and torch.save it on "
            "a little-endian machine");
    return SL_OK;
}

static enum sl_err
open_source(struct source *s)
{
    if (!starts_with(s->file, sl_slice("PK\3\4", 4)))
        return refuse_form(s->file, s->cause);
    enum sl_err err = sl_zip_parse(s->file, &s->zip, s->cause);
    if (err == SL_OK)
        err = find_root(s);
    if (err == SL_OK)
        err = check_version(s);
    if (err != SL_OK)
        return err;
    const struct sl_zip_entry *entry = lookup(s, "", sl_slice_str("data.pkl"));
    if (entry == NULL)
        return sl_cause_set(s->cause, SL_EINVAL, "not a PyTorch file: it has no entry 'data.pkl'");
    uint32_t count = SL_COUNT_OF(symbols) - (s->is_script ? 0 : SCRIPT_SYMBOLS_COUNT);
    return sl_pickle_parse(content(s, entry), symbols, count, &s->pickle, s->cause);
}

/* ---- a tensor ---------------------------------------------------------------------------------
 */

struct storage {
    const struct sl_zip_entry *entry;
    enum sl_dtype dtype; /* U8, if it is untyped. */
};

#define BAD(s, weight, ...) sl_cause_set((s)->cause, SL_EINVAL, "tensor '%s': " __VA_ARGS__)

static uint32_t
tag_of(const struct sl_pickle *p, uint32_t v, enum sl_pickle_kind kind)
{
    return sl_pickle_kind(p, v) == kind ? sl_pickle_symbol(p, v)->tag : TAG_SKIPPED;
}

/* ("storage", type, key, location, count of elements), and its entry has as many bytes. */
static enum sl_err
find_storage(const struct source *s, const char *name, uint32_t v, struct storage *ret_storage)
{
    const struct sl_pickle *p = s->pickle;
    uint32_t id = 0;
    int64_t count = 0;
    if (sl_pickle_kind(p, v) != SL_PICKLE_PERSID || !sl_pickle_inner(p, v, &id) ||
        sl_pickle_kind(p, id) != SL_PICKLE_TUPLE || sl_pickle_count(p, id) != 5 ||
        !sl_slice_is(sl_pickle_text(p, sl_pickle_item(p, id, 0)), "storage") ||
        sl_pickle_kind(p, sl_pickle_item(p, id, 3)) != SL_PICKLE_TEXT ||
        !sl_pickle_int(p, sl_pickle_item(p, id, 4), &count) || count < 0)
        return BAD(s, name, "what it calls its storage is none", name);
    uint32_t type = tag_of(p, sl_pickle_item(p, id, 1), SL_PICKLE_GLOBAL);
    if (type == TAG_UNREAD)
        return BAD(s, name, "its elements are of '%s', which is not read here", name,
                   sl_pickle_symbol(p, sl_pickle_item(p, id, 1))->name);
    if (type != TAG_UNTYPED && (type < TAG_STORAGE || type >= TAG_DTYPE))
        return BAD(s, name, "what it calls its storage is none", name);
    struct storage storage = {.dtype = type == TAG_UNTYPED ? SL_DTYPE_U8
                                                           : (enum sl_dtype)(type - TAG_STORAGE)};

    struct sl_slice key = sl_pickle_text(p, sl_pickle_item(p, id, 2));
    storage.entry = lookup(s, "data/", key);
    if (key.size == 0 || storage.entry == NULL)
        return BAD(s, name, "its storage 'data/%.*s' is not in the archive: the file is incomplete",
                   name, (int)SL_MIN(key.size, 32u), (const char *)key.data);
    uint64_t size = 0, shape[] = {(uint64_t)count};
    if (sl_tensor_size(storage.dtype, 1, shape, &size) != SL_OK || size != storage.entry->size)
        return BAD(s, name,
                   "its storage has %" PRIu64 " bytes, where %" PRId64 " elements of %s are stated",
                   name, storage.entry->size, count, sl_dtype_name(storage.dtype));
    *ret_storage = storage;
    return SL_OK;
}

/* A tuple of whole numbers that are not negative; how many, or UINT32_MAX. */
static uint32_t
read_numbers(const struct sl_pickle *p, uint32_t v, uint64_t numbers[static SL_TENSOR_DIMS_MAX])
{
    uint32_t count = sl_pickle_count(p, v);
    if (sl_pickle_kind(p, v) != SL_PICKLE_TUPLE || count > SL_TENSOR_DIMS_MAX)
        return UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        int64_t number = 0;
        if (!sl_pickle_int(p, sl_pickle_item(p, v, i), &number) || number < 0)
            return UINT32_MAX;
        numbers[i] = (uint64_t)number;
    }
    return count;
}

/* The view's elements lie in [0, count) of its storage. *ret_span: from its first to behind its
 * last. */
static bool
fits(const struct sl_weight *w, uint64_t offset, uint64_t count, uint64_t *ret_span)
{
    uint64_t last = 0;
    *ret_span = 0;
    if (offset > count)
        return false;
    for (uint32_t i = 0; i < w->dims_count; i++) {
        if (w->shape[i] == 0)
            return true;
    }
    for (uint32_t i = 0; i < w->dims_count; i++) {
        uint64_t reach = 0;
        if (__builtin_mul_overflow(w->shape[i] - 1, w->strides[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    if (last >= count - offset)
        return false;
    *ret_span = last + 1;
    return true;
}

static bool
is_nothing(const struct sl_pickle *p, uint32_t v)
{
    enum sl_pickle_kind kind = sl_pickle_kind(p, v);
    return kind == SL_PICKLE_NONE || (kind == SL_PICKLE_DICT && sl_pickle_count(p, v) == 0);
}

/* The arguments of a call that makes a tensor: how many there are, hooks, dtype, metadata. */
static enum sl_err
check_arguments(const struct source *s, uint32_t call, struct sl_weight *w)
{
    const struct sl_pickle *p = s->pickle;
    uint32_t tag = sl_pickle_symbol(p, call)->tag, count = sl_pickle_count(p, call);
    uint32_t least = tag == TAG_TENSOR ? 4 : tag == TAG_TENSOR_V2 ? 6 : 7;
    uint32_t most = tag == TAG_TENSOR ? 4 : least + 1;
    if (count < least || count > most)
        return BAD(s, w->name, "it is made with %u arguments", w->name, count);
    if (tag != TAG_TENSOR && !is_nothing(p, sl_pickle_item(p, call, 5)))
        return BAD(s, w->name, "it has hooks, which are not read: detach it before it is saved",
                   w->name);
    if (count > least && !is_nothing(p, sl_pickle_item(p, call, least)))
        return BAD(s, w->name, "it is a conjugate or negated view: clone it before it is saved",
                   w->name);
    if (tag != TAG_TENSOR_V3)
        return SL_OK;
    uint32_t dtype = tag_of(p, sl_pickle_item(p, call, 6), SL_PICKLE_GLOBAL);
    if (dtype == TAG_UNREAD)
        return BAD(s, w->name, "its elements are of '%s', which is not read here", w->name,
                   sl_pickle_symbol(p, sl_pickle_item(p, call, 6))->name);
    if (dtype < TAG_DTYPE || dtype >= TAG_END)
        return BAD(s, w->name, "it has no dtype", w->name);
    w->dtype = (enum sl_dtype)(dtype - TAG_DTYPE);
    return SL_OK;
}

/* Fill in the weight, which has its name, from (storage, offset, shape, strides, ...). */
static enum sl_err
read_tensor(const struct source *s, uint32_t call, struct sl_weight *w)
{
    const struct sl_pickle *p = s->pickle;
    struct storage storage = {0};
    enum sl_err err = check_arguments(s, call, w);
    if (err == SL_OK)
        err = find_storage(s, w->name, sl_pickle_item(p, call, 0), &storage);
    if (err != SL_OK)
        return err;
    if (sl_pickle_symbol(p, call)->tag != TAG_TENSOR_V3)
        w->dtype = storage.dtype;

    int64_t offset = 0;
    w->dims_count = read_numbers(p, sl_pickle_item(p, call, 2), w->shape);
    bool has_strides = w->dims_count != UINT32_MAX &&
                       read_numbers(p, sl_pickle_item(p, call, 3), w->strides) == w->dims_count;
    bool has_offset = sl_pickle_int(p, sl_pickle_item(p, call, 1), &offset) && offset >= 0;
    if (!has_strides || !has_offset) {
        w->dims_count = 0;
        return BAD(s, w->name,
                   "offset, shape and strides are not whole numbers from 0, of 0 to %d dimensions",
                   w->name, SL_TENSOR_DIMS_MAX);
    }
    uint64_t size = sl_dtype_bits(w->dtype) / 8, span = 0;
    if (!fits(w, (uint64_t)offset, storage.entry->size / size, &span)) {
        char text[128];
        return BAD(s, w->name, "%s at element %" PRId64 " of its storage goes beyond its end",
                   w->name, sl_tensor_shape_text(w->dims_count, w->shape, text, sizeof(text)),
                   offset);
    }
    w->offset = storage.entry->offset + (uint64_t)offset * size;
    w->span_bytes = span * size;
    return SL_OK;
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

/* A container that is being walked. Its members' names begin with path[0, path_size). */
struct frame {
    struct sl_pickle_iter members;
    uint32_t index, path_size;
    bool is_dict;
    bool is_nameless; /* A key on the way here is no name. */
};

struct walk {
    struct source *source;
    struct sl_weights weights;
    uint32_t weights_capacity;
    uint64_t views_bytes;
    uint8_t *is_checked; /* By value: its keys are known to differ. */
    struct frame frames[SL_PYTORCH_DEPTH_MAX];
    uint32_t depth, steps;
    char path[SL_TENSOR_NAME_SIZE_MAX + 1];
};

static bool
is_name_part(struct sl_slice part)
{
    return part.size == 0 || (memchr(part.data, '\0', part.size) == NULL && sl_utf8_is_valid(part));
}

/* Make path[0, ret_size) the name of a member. False: it has none that could be a tensor's. */
static bool
extend_path(struct walk *w, const struct frame *f, uint32_t key, uint32_t *ret_size)
{
    const struct sl_pickle *p = w->source->pickle;
    struct sl_slice part = sl_slice(NULL, 0);
    char number[24];
    int64_t n = (int64_t)f->index;
    if (f->is_dict && sl_pickle_kind(p, key) == SL_PICKLE_TEXT) {
        part = sl_pickle_text(p, key);
    } else if (!f->is_dict || sl_pickle_int(p, key, &n)) {
        (void)snprintf(number, sizeof(number), "%" PRId64, n);
        part = sl_slice_str(number);
    } else {
        return false;
    }
    uint32_t size = f->path_size;
    bool has_dot = size > 0;
    if (part.size + has_dot > SL_TENSOR_NAME_SIZE_MAX - size || !is_name_part(part))
        return false;
    if (has_dot)
        w->path[size++] = '.';
    if (part.size > 0)
        memcpy(w->path + size, part.data, part.size);
    *ret_size = size + (uint32_t)part.size;
    return true;
}

static enum sl_err
add_weight(struct walk *w, uint32_t call, uint32_t path_size)
{
    struct source *s = w->source;
    if (w->weights.count == SL_WEIGHTS_COUNT_MAX)
        return sl_cause_set(s->cause, SL_EINVAL, "more than %d tensors", SL_WEIGHTS_COUNT_MAX);
    if (w->weights.count == w->weights_capacity) {
        w->weights_capacity = SL_MAX(64u, w->weights_capacity * 2);
        w->weights.items =
            sl_realloc(w->weights.items, sizeof(*w->weights.items) * w->weights_capacity);
    }
    struct sl_weight *weight = &w->weights.items[w->weights.count++];
    *weight = (struct sl_weight){.name = sl_strndup(w->path, path_size)};
    enum sl_err err = read_tensor(s, call, weight);
    if (err != SL_OK)
        return err;
    uint64_t size = 0,
             limit = w->source->file.size * SL_PYTORCH_VIEWS_RATIO + SL_PYTORCH_VIEWS_MORE;
    err = sl_tensor_size(weight->dtype, weight->dims_count, weight->shape, &size);
    if (err != SL_OK)
        return BAD(s, weight->name, "its shape is too big to exist", weight->name);
    if (size > limit - w->views_bytes)
        return BAD(s, weight->name,
                   "with it, all tensors would take more than %d times the file, since they repeat "
                   "parts of it: clone expanded tensors before they are saved",
                   weight->name, SL_PYTORCH_VIEWS_RATIO);
    w->views_bytes += size;
    return SL_OK;
}

static int
by_text(const void *a, const void *b)
{
    const struct sl_slice *x = a, *y = b;
    int order = memcmp(x->data, y->data, SL_MIN(x->size, y->size));
    return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* Which of two values a key has is what readers differ in, so no dict has one twice. */
static enum sl_err
check_keys(struct walk *w, uint32_t dict)
{
    const struct sl_pickle *p = w->source->pickle;
    uint32_t count = 0, key = 0, value = 0;
    if (w->is_checked[dict] || sl_pickle_count(p, dict) < 4)
        return SL_OK;
    w->is_checked[dict] = 1;
    struct sl_slice *keys = sl_alloc(sizeof(*keys) * (sl_pickle_count(p, dict) / 2));
    struct sl_pickle_iter i = sl_pickle_iter(p, dict);
    while (sl_pickle_next(p, &i, &key) && sl_pickle_next(p, &i, &value)) {
        struct sl_slice text = sl_pickle_text(p, key);
        if (text.data != NULL)
            keys[count++] = text;
    }
    enum sl_err err = SL_OK;
    if (count > 1)
        qsort(keys, count, sizeof(*keys), by_text);
    for (uint32_t k = 1; k < count && err == SL_OK; k++) {
        if (sl_slice_equal(keys[k - 1], keys[k]))
            err = sl_cause_set(w->source->cause, SL_EINVAL, "the key '%.*s' is twice in a dict",
                               (int)SL_MIN(keys[k].size, 128u), (const char *)keys[k].data);
    }
    sl_free(keys);
    return err;
}

static enum sl_err
enter(struct walk *w, uint32_t v, uint32_t path_size, bool is_nameless)
{
    const struct sl_pickle *p = w->source->pickle;
    if (w->depth == SL_PYTORCH_DEPTH_MAX)
        return sl_cause_set(
            w->source->cause, SL_EINVAL,
            "more than %u dicts and lists within each other: save a flat state_dict",
            SL_PYTORCH_DEPTH_MAX);
    struct frame *f = &w->frames[w->depth++];
    *f = (struct frame){.members = sl_pickle_iter(p, v),
                        .path_size = path_size,
                        .is_dict = sl_pickle_kind(p, v) == SL_PICKLE_DICT,
                        .is_nameless = is_nameless};
    return f->is_dict ? check_keys(w, v) : SL_OK;
}

/* One value, whose name is path[0, path_size). */
static enum sl_err
visit(struct walk *w, uint32_t v, uint32_t path_size, bool is_nameless)
{
    const struct sl_pickle *p = w->source->pickle;
    uint32_t state = 0;
    if (sl_pickle_kind(p, v) == SL_PICKLE_OBJECT) {
        if (!sl_pickle_inner(p, v, &state))
            return SL_OK;
        v = state; /* An object as another's state has no attributes, so this is done once. */
    }
    enum sl_pickle_kind kind = sl_pickle_kind(p, v);
    if (kind == SL_PICKLE_TUPLE || kind == SL_PICKLE_LIST || kind == SL_PICKLE_DICT)
        return enter(w, v, path_size, is_nameless);
    uint32_t tag = tag_of(p, v, SL_PICKLE_CALL);
    if (tag == TAG_PARAMETER) {
        v = sl_pickle_count(p, v) == 0 ? v : sl_pickle_item(p, v, 0);
        tag = tag_of(p, v, SL_PICKLE_CALL);
        if (tag != TAG_TENSOR && tag != TAG_TENSOR_V2 && tag != TAG_TENSOR_V3)
            return sl_cause_set(w->source->cause, SL_EINVAL, "parameter '%.*s' is not of a tensor",
                                (int)path_size, w->path);
    }
    if (tag != TAG_TENSOR && tag != TAG_TENSOR_V2 && tag != TAG_TENSOR_V3)
        return SL_OK;
    if (is_nameless || path_size == 0)
        return sl_cause_set(
            w->source->cause, SL_EINVAL,
            "a tensor has no name: save a dict whose keys are texts of 1 to %d bytes",
            SL_TENSOR_NAME_SIZE_MAX);
    return add_weight(w, v, path_size);
}

static enum sl_err
walk_all(struct walk *w)
{
    const struct sl_pickle *p = w->source->pickle;
    enum sl_err err = visit(w, sl_pickle_root(p), 0, false);
    while (err == SL_OK && w->depth > 0) {
        struct frame *f = &w->frames[w->depth - 1];
        uint32_t key = 0, value = 0, path_size = f->path_size;
        if (!sl_pickle_next(p, &f->members, f->is_dict ? &key : &value)) {
            w->depth--;
            continue;
        }
        if (f->is_dict && SL_BUG(!sl_pickle_next(p, &f->members, &value)))
            return SL_EBUG;
        if (++w->steps > SL_PYTORCH_STEPS_MAX)
            return sl_cause_set(
                w->source->cause, SL_EINVAL,
                "more than %u values, counting shared ones again: save tensors alone",
                SL_PYTORCH_STEPS_MAX);
        bool has_name = extend_path(w, f, key, &path_size);
        f->index++;
        err = visit(w, value, path_size, f->is_nameless || !has_name);
    }
    return err;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum sl_err
check_names(const struct walk *w)
{
    enum sl_err err = SL_OK;
    uint32_t count = w->weights.count;
    const char **names = sl_alloc(sizeof(*names) * SL_MAX(count, 1u));
    for (uint32_t i = 0; i < count; i++)
        names[i] = w->weights.items[i].name;
    if (count > 1)
        qsort(names, count, sizeof(*names), by_name);
    for (uint32_t i = 1; i < count && err == SL_OK; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            err = BAD(w->source, names[i], "it is there twice", names[i]);
    }
    sl_free(names);
    return err;
}

enum sl_err
sl_pytorch_parse(struct sl_slice file, struct sl_weights *ret_weights, struct sl_cause *ret_cause)
{
    sl_assert(ret_weights != NULL);
    struct source source = {.file = file, .cause = ret_cause};
    struct walk *w = sl_zalloc(sizeof(*w));
    w->source = &source;
    enum sl_err err = open_source(&source);
    if (err != SL_OK)
        goto out;
    w->is_checked = sl_zalloc(sl_pickle_values_count(source.pickle));
    err = walk_all(w);
    if (err == SL_OK)
        err = check_names(w);
    if (err != SL_OK)
        goto out;
    *ret_weights = w->weights;
    w->weights = (struct sl_weights){0};
out:
    sl_weights_deinit(&w->weights);
    sl_free(w->is_checked);
    sl_free(w);
    sl_pickle_destroy(&source.pickle);
    sl_zip_deinit(&source.zip);
    return err;
}
