/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/model_image.h"
#include "runtime/alloc.h"
#include "tests/object-store/tiny_model.h"
#include "tests/runtime/descriptors.h"

static char directory[64];
static struct sl_cause cause;

static void
setup(void)
{
    cr_assert_not_null(tiny_directory_make(directory));
}

static void
teardown(void)
{
    tiny_directory_remove(directory);
}

TestSuite(model, .init = setup, .fini = teardown);

static enum sl_err
build(const struct sl_model_options *options, int *ret_fd)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(dir, 0);
    memset(&cause, 0, sizeof(cause));
    enum sl_err err = sl_model_build(dir, options, ret_fd, &cause);
    (void)close(dir);
    return err;
}

static struct sl_model *
build_and_attach(const struct tiny_model_options *options)
{
    int fd = -1;
    struct sl_model *model = NULL;
    cr_assert_eq(tiny_model_write(directory, options), 0);
    cr_assert_eq(build(NULL, &fd), SL_OK, "%s", cause.text);
    cr_assert_eq(sl_model_attach(fd, &model, &cause), SL_OK, "%s", cause.text);
    (void)close(fd);
    return model;
}

static void
put_file(const char *name, const void *data, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

static void
remove_file(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    cr_assert_eq(unlink(path), 0);
}

static void
build_refused(const struct sl_model_options *options, enum sl_err want, const char *says)
{
    int fd = -1;
    enum sl_err err = build(options, &fd);
    cr_assert_eq(err, want, "%s: %s", sl_err_name(err), cause.text);
    cr_assert(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_assert_eq(fd, -1);
}

/* The bytes of the one-file model, straight from the disk. */
static void *
read_weights(size_t *ret_size)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", directory);
    struct stat st;
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    cr_assert_eq(fstat(fileno(f), &st), 0);
    void *data = sl_alloc((size_t)st.st_size);
    *ret_size = fread(data, 1, (size_t)st.st_size, f);
    (void)fclose(f);
    return data;
}

Test(model, holds_every_tensor_byte_for_byte_and_aligned)
{
    struct sl_model *model = build_and_attach(&(struct tiny_model_options){.seed = 3});
    size_t size = 0;
    void *weights = read_weights(&size);
    struct sl_weights table = {0};
    cr_assert_eq(sl_safetensors_parse(sl_slice(weights, size), size, &table, &cause), SL_OK);
    cr_assert_eq(sl_model_tensors_count(model), table.count);
    for (uint32_t i = 0; i < table.count; i++) {
        struct sl_tensor t;
        cr_assert(sl_model_tensor_lookup(model, table.items[i].name, &t));
        cr_assert_eq((uintptr_t)t.data % SL_MODEL_ALIGNMENT, 0);
        cr_assert_eq(t.dtype, table.items[i].dtype);
        cr_assert_eq(t.size_bytes, table.items[i].span_bytes);
        cr_assert_eq(memcmp(t.data, (char *)weights + table.items[i].offset, t.size_bytes), 0);
    }
    struct sl_tensor none;
    cr_assert_not(sl_model_tensor_lookup(model, "no.such.tensor", &none));
    sl_weights_deinit(&table);
    sl_free(weights);
    sl_model_destroy(&model);
    cr_assert_null(model);
}

Test(model, carries_side_files_by_path)
{
    struct sl_model *model = build_and_attach(NULL);
    struct sl_slice file;
    cr_assert(sl_model_file_lookup(model, "vocab.txt", &file));
    cr_assert_eq(memcmp(file.data, "[PAD]\n", 6), 0);
    cr_assert(sl_model_file_lookup(model, "1_Pooling/config.json", &file));
    cr_assert_not(sl_model_file_lookup(model, "model.safetensors", &file));
    cr_assert_eq(sl_model_files_count(model), 6);
    const char *path = NULL;
    sl_model_file_at(model, 0, &path, &file);
    cr_assert_str_eq(path, "1_Pooling/config.json");
    sl_model_destroy(&model);
}

Test(model, cannot_be_changed_once_built)
{
    int fd = -1;
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    cr_assert_eq(build(NULL, &fd), SL_OK, "%s", cause.text);
    cr_assert_eq(pwrite(fd, "x", 1, 0), -1);
    cr_assert_eq(ftruncate(fd, 0), -1);
    cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
}

Test(model, reads_shards_through_their_index)
{
    struct sl_model *whole = build_and_attach(&(struct tiny_model_options){.seed = 9});
    remove_file("model.safetensors");
    struct sl_model *cut =
        build_and_attach(&(struct tiny_model_options){.seed = 9, .shards_count = 3});
    cr_assert_eq(sl_model_tensors_count(cut), sl_model_tensors_count(whole));
    for (uint32_t i = 0; i < sl_model_tensors_count(whole); i++) {
        struct sl_tensor a, b;
        sl_model_tensor_at(whole, i, &a);
        sl_model_tensor_at(cut, i, &b);
        cr_assert_str_eq(a.name, b.name);
        cr_assert_eq(a.size_bytes, b.size_bytes);
        cr_assert_eq(memcmp(a.data, b.data, a.size_bytes), 0);
    }
    sl_model_destroy(&whole);
    sl_model_destroy(&cut);
}

Test(model, refuses_shards_that_their_index_does_not_describe)
{
    cr_assert_eq(tiny_model_write(directory, &(struct tiny_model_options){.shards_count = 2}), 0);
    put_file("model.safetensors.index.json", "{\"weight_map\":{}}", 17);
    build_refused(NULL, SL_EINVAL, "lists 0 tensors");
    put_file("model.safetensors.index.json", "[", 1);
    build_refused(NULL, SL_EINVAL, "JSON");
    remove_file("model.safetensors.index.json");
    build_refused(NULL, SL_EINVAL, "add the index");
    cr_assert_eq(tiny_model_write(directory, &(struct tiny_model_options){.shards_count = 2}), 0);
    remove_file("model-00002-of-00002.safetensors");
    build_refused(NULL, SL_EINVAL, "the files have");
}

Test(model, descends_into_the_directory_that_wraps_it)
{
    size_t root_size = strlen(directory);
    cr_assert_lt(root_size, sizeof(directory) - 3);
    strcat(directory, "/w");
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    directory[root_size] = '\0';
    int fd = -1;
    cr_assert_eq(build(NULL, &fd), SL_OK, "%s", cause.text);
    (void)close(fd);
}

Test(model, says_what_to_do_with_other_formats)
{
    put_file("pytorch_model.bin", "x", 1);
    build_refused(NULL, SL_EINVAL, "pytorch_model.bin");
    remove_file("pytorch_model.bin");
    put_file("model.onnx", "x", 1);
    build_refused(NULL, SL_EINVAL, "model.onnx");
    remove_file("model.onnx");
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    build_refused(&(struct sl_model_options){.format = "pytorch"}, SL_EINVAL,
                  "model_format=safetensors");
    build_refused(&(struct sl_model_options){.format = "onnx"}, SL_EINVAL,
                  "model_format=safetensors");
    build_refused(&(struct sl_model_options){.format = "gguf"}, SL_EINVAL, "gguf");
    remove_file("config.json");
    build_refused(&(struct sl_model_options){.format = "huggingface"}, SL_EINVAL, "config.json");
}

Test(model, refuses_what_is_missing_linked_broken_or_too_big)
{
    build_refused(NULL, SL_EINVAL, "no .safetensors");
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    build_refused(&(struct sl_model_options){.size_bytes_max = 1000}, SL_ETOOBIG, "1000");
    put_file("model.safetensors", "garbage and more", 16);
    build_refused(NULL, SL_EINVAL, "model.safetensors");
    put_file("model.safetensors", "abc", 3);
    build_refused(NULL, SL_EINVAL, "model.safetensors");
    remove_file("model.safetensors");
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", directory);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    build_refused(NULL, SL_EINVAL, "not a link");
}

/* The nth descriptor cannot be had, for every n until all can: an error each time, and no leak. */
Test(model, build_survives_running_out_of_descriptors_anywhere)
{
    struct rlimit limit, low;
    cr_assert_eq(tiny_model_write(directory, &(struct tiny_model_options){.shards_count = 2}), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t open_count = descriptors_open();
    enum sl_err err = SL_EIO;
    rlim_t n = (rlim_t)dir + 1;
    for (; err != SL_OK && n < (rlim_t)dir + 64; n++) {
        int fd = -1;
        low = (struct rlimit){.rlim_cur = n, .rlim_max = limit.rlim_max};
        memset(&cause, 0, sizeof(cause));
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        err = sl_model_build(dir, NULL, &fd, &cause);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_assert_eq(err == SL_OK, fd >= 0);
        cr_assert_neq(err, SL_EINVAL, "blames the model: %s", cause.text);
        cr_assert(err == SL_OK || cause.text[0] != '\0');
        if (fd >= 0)
            (void)close(fd);
        cr_assert_eq(descriptors_open(), open_count, "a descriptor was left open");
    }
    cr_assert_eq(err, SL_OK);
    cr_assert_gt(n, (rlim_t)dir + 3, "nothing failed: the loop tests nothing");
    (void)close(dir);
}

/* Memory runs out at byte n of the memory file. */
Test(model, build_survives_running_out_of_memory_anywhere)
{
    struct rlimit limit, low;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    enum sl_err err = SL_EIO;
    uint32_t failures = 0;
    for (rlim_t n = 0; err != SL_OK; n += 4999, failures++) {
        int fd = -1;
        cr_assert_lt(n, SL_MIB);
        low = (struct rlimit){.rlim_cur = n, .rlim_max = limit.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
        err = build(NULL, &fd);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cr_assert_eq(err == SL_OK, fd >= 0);
        if (fd >= 0)
            (void)close(fd);
    }
    cr_assert_gt(failures, 10);
}

/* ---- attach: what a peer hands over -------------------------------------------------------- */

static uint8_t *
image_copy(size_t *ret_size)
{
    int fd = -1;
    struct stat st;
    cr_assert_eq(tiny_model_write(directory, NULL), 0);
    cr_assert_eq(build(NULL, &fd), SL_OK, "%s", cause.text);
    cr_assert_eq(fstat(fd, &st), 0);
    uint8_t *copy = sl_alloc((size_t)st.st_size);
    cr_assert_eq(pread(fd, copy, (size_t)st.st_size, 0), st.st_size);
    (void)close(fd);
    *ret_size = (size_t)st.st_size;
    return copy;
}

static enum sl_err
attach_bytes(const void *data, size_t size, int seals, struct sl_model **ret_model)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    enum sl_err err = sl_model_attach(fd, ret_model, &cause);
    (void)close(fd);
    return err;
}

#define ALL_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

Test(model, attaches_a_sealed_copy_and_refuses_one_that_lacks_a_seal)
{
    static const int seals[] = {F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_SEAL};
    size_t size = 0;
    uint8_t *image = image_copy(&size);
    struct sl_model *model = NULL;
    cr_assert_eq(attach_bytes(image, size, ALL_SEALS, &model), SL_OK, "%s", cause.text);
    cr_assert_eq(sl_model_size_bytes(model), size);
    sl_model_destroy(&model);
    for (size_t i = 0; i < SL_COUNT_OF(seals); i++)
        cr_assert_eq(attach_bytes(image, size, ALL_SEALS & ~seals[i], &model), SL_EINVAL);
    cr_assert_null(model);
    sl_free(image);
}

Test(model, refuses_descriptors_that_are_no_memory_file)
{
    struct sl_model *model = NULL;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(sl_model_attach(fd, &model, &cause), SL_EINVAL);
    cr_assert_eq(sl_model_attach(-1, &model, &cause), SL_EINVAL);
    (void)close(fd);
}

Test(model, refuses_every_cut_of_an_image)
{
    size_t size = 0;
    uint8_t *image = image_copy(&size);
    for (size_t cut = 0; cut < size; cut += cut < 512 ? 1 : 997)
        cr_assert_eq(sl_model_image_check(sl_slice(image, cut), &cause), SL_ECORRUPT);
    sl_free(image);
}

/* Changes `size` bytes at `offset` to `value`, checks, and changes them back. */
static void
bent_image_refused(struct sl_slice image, size_t offset, uint64_t value, size_t size)
{
    uint8_t *at = (uint8_t *)(uintptr_t)image.data + offset, saved[8];
    memcpy(saved, at, size);
    cr_assert_neq(memcmp(at, &value, size), 0, "byte %zu: nothing changed", offset);
    memcpy(at, &value, size);
    enum sl_err err = sl_model_image_check(image, &cause);
    cr_expect(err == SL_ECORRUPT || err == SL_EVERSION, "byte %zu = %" PRIu64, offset, value);
    memcpy(at, saved, size);
}

Test(model, refuses_images_with_impossible_numbers)
{
    size_t size = 0;
    uint8_t *image = image_copy(&size);
    struct sl_slice s = sl_slice(image, size);
    bent_image_refused(s, offsetof(struct sl_model_header, magic), 1, 8);
    bent_image_refused(s, offsetof(struct sl_model_header, version), 1, 4);
    bent_image_refused(s, offsetof(struct sl_model_header, tensors_count), UINT32_MAX, 4);
    bent_image_refused(s, offsetof(struct sl_model_header, files_count), UINT32_MAX, 4);
    bent_image_refused(s, offsetof(struct sl_model_header, names_offset), 0, 8);
    bent_image_refused(s, offsetof(struct sl_model_header, names_size), UINT64_MAX, 8);
    bent_image_refused(s, offsetof(struct sl_model_header, total_size), size + 1, 8);
    bent_image_refused(s, offsetof(struct sl_model_header, entries_offset), 0, 8);
    bent_image_refused(s, offsetof(struct sl_model_header, entries_offset), UINT64_MAX - 7, 8);
    struct sl_model_header header;
    memcpy(&header, image, sizeof(header));
    size_t entry = (size_t)header.entries_offset;
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, kind), SL_MODEL_FILE, 4);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, dtype), SL_DTYPE_COUNT, 4);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, dims_count), 9, 4);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, name_size), 0, 4);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, name_offset), UINT64_MAX, 8);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, offset), 0, 8);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, offset), UINT64_MAX - 63, 8);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, size_bytes), UINT64_MAX, 8);
    bent_image_refused(s, entry + offsetof(struct sl_model_entry, shape), UINT64_MAX, 8);
    cr_assert_eq(sl_model_image_check(s, &cause), SL_OK, "%s", cause.text);
    sl_free(image);
}

Test(model, of_another_process_only_what_is_sealed_and_the_same_is_opened)
{
    int fd = -1, open_fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_geq(open_fd, 0);
    cr_assert_eq(
        sl_model_reopen((uint64_t)getpid(), (uint64_t)open_fd, sl_model_inode(open_fd), &fd),
        SL_ENOTFOUND);
    cr_assert_eq(
        fcntl(open_fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    cr_assert_eq(
        sl_model_reopen((uint64_t)getpid(), (uint64_t)open_fd, sl_model_inode(open_fd) + 1, &fd),
        SL_ENOTFOUND);
    cr_assert_eq(
        sl_model_reopen((uint64_t)getpid(), (uint64_t)open_fd, sl_model_inode(open_fd), &fd),
        SL_OK);
    cr_assert_eq(write(fd, "x", 1), -1);
    close(fd);
    cr_assert_eq(sl_model_reopen((uint64_t)getpid(), 1u << 20, 1, &fd), SL_ENOTFOUND);
    close(open_fd);
}
