/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/origin.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "tests/object-store/tiny_model.h"

#define SIZE (SL_CHUNK_BYTES + 12345)

static char root[] = "/tmp/sluice-origin-XXXXXX";
static struct sl_image_name name;
static char text[SL_IMAGE_NAME_SIZE];
static uint8_t *bytes;
static struct sl_origin *origin;

static void
setup(void)
{
    struct sl_chunks_stream *stream = sl_chunks_create();
    struct sl_chunks chunks;
    bytes = sl_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    cr_assert_eq(sl_chunks_update(stream, bytes, SIZE), SL_OK);
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, name.digest);
    sl_chunks_deinit(&chunks);
    sl_image_name_text(&name, text);
    cr_assert_not_null(mkdtemp(root));
    cr_assert_eq(sl_origin_open(root, &origin), SL_OK);
}

static void
finish(void)
{
    sl_origin_close(&origin);
    tiny_directory_remove(root);
    sl_free(bytes);
}

TestSuite(origin, .init = setup, .fini = finish);

static char *
path_of(const char *below)
{
    return sl_format("%s/%s", root, below);
}

static void
make_directory(const char *below)
{
    char *path = path_of(below);
    (void)mkdir(path, 0700);
    sl_free(path);
}

/* As an upload leaves one; `model` is SCOPE/NAMESPACE/ID. */
static void
make_model(const char *scope, const char *space, const char *id)
{
    char *directories[] = {sl_strdup("models"), sl_format("models/%s", scope),
                           sl_format("models/%s/%s", scope, space),
                           sl_format("models/%s/%s/%s.%s", scope, space, id, text)};
    for (size_t i = 0; i < SL_COUNT_OF(directories); i++)
        make_directory(directories[i]);
    char *path = sl_format("%s/%s/image", root, directories[3]);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, SIZE, file), SIZE);
    cr_assert_eq(fclose(file), 0);
    sl_free(path);
    for (size_t i = 0; i < SL_COUNT_OF(directories); i++)
        sl_free(directories[i]);
}

static void
remove_model(const char *scope, const char *space, const char *id)
{
    char *path = sl_format("%s/models/%s/%s/%s.%s", root, scope, space, id, text);
    tiny_directory_remove(path);
    sl_free(path);
}

static enum sl_err
size_of(uint64_t *ret_size)
{
    return sl_images_size(sl_origin_images(origin), &name, ret_size);
}

static void
expect_served(void)
{
    const struct sl_images *images = sl_origin_images(origin);
    uint8_t *data = sl_alloc(SL_CHUNK_BYTES);
    struct sl_chunks chunks = {0};
    uint64_t size = 0;
    size_t got = 0;
    cr_assert_eq(size_of(&size), SL_OK);
    cr_assert_eq(size, SIZE);
    cr_assert_eq(sl_images_chunks(images, &name, &chunks), SL_OK);
    cr_assert_eq(chunks.count, 2);
    cr_assert_eq(sl_images_read(images, &name, 1, data, &got), SL_OK);
    cr_assert(sl_chunk_is(&chunks, 1, sl_slice(data, got)));
    sl_chunks_deinit(&chunks);
    sl_free(data);
}

static bool
is_there(const char *below)
{
    struct stat st;
    char *path = path_of(below);
    bool is_found = lstat(path, &st) == 0;
    sl_free(path);
    return is_found;
}

Test(origin, serves_a_model_by_its_digest_without_a_copy)
{
    uint64_t size;
    cr_assert_eq(size_of(&size), SL_ENOTFOUND);
    make_model("7", "ns_a", "m_1_0_0");
    expect_served();
    char *link = sl_format("images/%s", text);
    char *path = path_of(link);
    struct stat st;
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISLNK(st.st_mode), "no second copy");
    cr_assert_eq(stat(path, &st), 0, "people can follow it, too");
    cr_assert_eq(st.st_size, SIZE);
    sl_free(path);
    sl_free(link);
}

Test(origin, finds_another_model_of_the_same_image_when_one_is_deleted)
{
    uint64_t size;
    make_model("7", "ns_a", "m_1_0_0");
    expect_served();
    make_model("12", "ns_b", "other_1_0_0");
    remove_model("7", "ns_a", "m_1_0_0");
    expect_served();
    remove_model("12", "ns_b", "other_1_0_0");
    cr_assert_eq(size_of(&size), SL_ENOTFOUND);
}

Test(origin, takes_nothing_for_a_model_that_lies_elsewhere)
{
    uint64_t size;
    char *names[] = {sl_format("models/%s", text), sl_format("models/7/x.%s", text),
                     sl_format("models/7/ns_a/.m.%s", text), sl_format("models/7/ns_a/m%s", text)};
    make_directory("models");
    make_directory("models/7");
    make_directory("models/7/ns_a");
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        make_directory(names[i]);
        char *path = sl_format("%s/%s/image", root, names[i]);
        FILE *file = fopen(path, "we");
        cr_assert_not_null(file);
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(size_of(&size), SL_ENOTFOUND, "%s", names[i]);
        sl_free(path);
        sl_free(names[i]);
    }
}

Test(origin, damaged_image_is_told)
{
    struct sl_chunks chunks = {0};
    bytes[99] ^= 1;
    make_model("7", "ns_a", "m_1_0_0");
    cr_assert_eq(sl_images_chunks(sl_origin_images(origin), &name, &chunks), SL_ECORRUPT);
}

Test(origin, links_and_lists_of_what_is_gone_go_at_the_next_open)
{
    char *link = sl_format("images/%s", text), *list = sl_format("images/%s.list", text);
    make_model("7", "ns_a", "m_1_0_0");
    expect_served();
    sl_origin_close(&origin);
    cr_assert_eq(sl_origin_open(root, &origin), SL_OK);
    cr_assert(is_there(link) && is_there(list), "the model is there");
    remove_model("7", "ns_a", "m_1_0_0");
    sl_origin_close(&origin);
    cr_assert_eq(sl_origin_open(root, &origin), SL_OK);
    cr_assert(!is_there(link) && !is_there(list));
    sl_free(link);
    sl_free(list);
}
