/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/images.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/sim_disk.h"

#define COUNT 3
#define SIZE  ((COUNT - 1) * SL_CHUNK_BYTES + 12345)

static uint8_t *bytes;
static struct sl_chunks chunks;
static struct sl_image_name name;

static void
setup(void)
{
    struct sl_random random;
    struct sl_chunks_stream *stream = sl_chunks_create();
    bytes = sl_alloc(SIZE);
    sl_random_seed(&random, 7);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)sl_random_u64(&random);
    cr_assert_eq(sl_chunks_update(stream, bytes, SIZE), SL_OK);
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, name.digest);
}

static void
finish(void)
{
    sl_chunks_deinit(&chunks);
    sl_free(bytes);
}

TestSuite(images, .init = setup, .fini = finish);

static struct sl_slice
chunk(uint32_t index)
{
    return sl_slice(bytes + index * SL_CHUNK_BYTES, sl_chunk_size(&chunks, index));
}

static bool
is_whole(const struct sl_images *images)
{
    uint64_t size = 0;
    enum sl_err err = sl_images_size(images, &name, &size);
    if (err != SL_OK)
        return false;
    cr_assert_eq(size, SIZE, "it is visible with %lu bytes", (unsigned long)size);
    uint8_t *data = sl_alloc(SL_CHUNK_BYTES);
    for (uint32_t i = 0; i < COUNT; i++) {
        size_t got = 0;
        cr_assert_eq(sl_images_read(images, &name, i, data, &got), SL_OK);
        cr_assert(sl_slice_equal(sl_slice(data, got), chunk(i)), "chunk %u is another", i);
    }
    sl_free(data);
    return true;
}

/* Fetch what is missing; how many chunks that were. */
static enum sl_err
fetch(const struct sl_images *images, uint32_t *ret_fetched)
{
    struct sl_image_part *part = NULL;
    uint32_t fetched = 0;
    enum sl_err err = sl_image_part_begin(images, &name, &chunks, &part);
    for (uint32_t i = 0; err == SL_OK && i < COUNT; i++) {
        if (sl_image_part_has(part, i))
            continue;
        err = sl_image_part_put(part, i, chunk(i));
        fetched++;
    }
    if (part != NULL && err == SL_OK)
        err = sl_image_part_finish(&part);
    sl_image_part_close(&part);
    *ret_fetched = fetched;
    return err;
}

Test(images, life_on_a_real_disk)
{
    char root[] = "/tmp/sluice-images-XXXXXX";
    cr_assert_not_null(mkdtemp(root));
    char *path = sl_format("%s/images", root);
    struct sl_images images = {0};
    struct sl_image_part *part = NULL;
    struct stat st;
    uint8_t *data = sl_alloc(SL_CHUNK_BYTES);
    size_t got = 0;
    cr_assert_eq(sl_disk_open(path, &images.disk), SL_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);

    cr_assert_eq(sl_image_part_begin(&images, &name, NULL, &part), SL_ENOTFOUND);
    cr_assert_eq(sl_image_part_begin(&images, &name, &chunks, &part), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 1, chunk(1)), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 1, chunk(1)), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 0, chunk(1)), SL_ECORRUPT);
    cr_assert_eq(sl_image_part_put(part, COUNT, chunk(1)), SL_ECORRUPT);
    cr_assert_not(is_whole(&images));
    cr_assert_eq(sl_images_read(&images, &name, 1, data, &got), SL_OK); /* Of the part. */
    cr_assert(sl_slice_equal(sl_slice(data, got), chunk(1)));
    cr_assert_eq(sl_image_part_finish(&part), SL_EBUSY);
    cr_assert_null(part);

    /* Its list is here by now: it goes on without a word of anybody's. */
    cr_assert_eq(sl_image_part_begin(&images, &name, NULL, &part), SL_OK);
    cr_assert(sl_image_part_has(part, 1));
    cr_assert_not(sl_image_part_has(part, 0));
    cr_assert_eq(sl_image_part_put(part, 0, chunk(0)), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 2, chunk(2)), SL_OK);
    cr_assert_eq(sl_image_part_finish(&part), SL_OK);
    cr_assert(is_whole(&images));
    cr_assert_eq(sl_image_part_begin(&images, &name, &chunks, &part), SL_EEXIST);
    cr_assert_eq(sl_images_read(&images, &name, COUNT, data, &got), SL_EINVAL);

    cr_assert_eq(sl_images_remove(&images, &name), SL_OK);
    cr_assert_eq(sl_images_remove(&images, &name), SL_OK);
    cr_assert_not(is_whole(&images));
    cr_assert_eq(rmdir(path), 0, "something is left");
    cr_assert_eq(rmdir(root), 0);
    sl_disk_close(&images.disk);
    sl_free(data);
    sl_free(path);
}

static void
count_one(void *arg, const struct sl_image_name *found, uint64_t size)
{
    cr_assert_eq(memcmp(found, &name, sizeof(name)), 0);
    *(uint64_t *)arg += size;
}

static bool
keep(void *arg, const struct sl_image_name *found)
{
    (void)found;
    return *(bool *)arg;
}

Test(images, list_of_a_whole_one_is_made_checked_and_made_again)
{
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_images images = {.disk = sl_sim_disk_ops(sim)};
    struct sl_chunks told = {0};
    struct sl_file *file = NULL;
    char text[SL_IMAGE_NAME_SIZE], list[SL_IMAGE_NAME_SIZE + 8];
    sl_image_name_text(&name, text);
    (void)snprintf(list, sizeof(list), "%s.list", text);
    cr_assert_eq(images.disk.open(sim, text, &file), SL_OK); /* As the intake makes one. */
    cr_assert_eq(images.disk.write(file, 0, bytes, SIZE), SL_OK);
    images.disk.close(&file);

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sl_images_chunks(&images, &name, &told), SL_OK);
        cr_assert_eq(told.size_bytes, SIZE);
        cr_assert_eq(memcmp(told.digests, chunks.digests, COUNT * SL_SHA256_SIZE), 0);
        sl_chunks_deinit(&told);
        size_t size = 0;
        sl_sim_disk_bytes(sim, list, &size)[8 + 40 * (size_t)i] ^=
            1; /* It does not prove itself. */
    }
    uint64_t size = 0;
    cr_assert_eq(sl_images_each(&images, count_one, &size), SL_OK);
    cr_assert_eq(size, SIZE);

    size_t whole = 0;
    sl_sim_disk_bytes(sim, text, &whole)[99] ^= 1;
    cr_assert_eq(sl_images_chunks(&images, &name, &told), SL_ECORRUPT);

    bool is_kept = true;
    cr_assert_eq(sl_images_sweep(&images, keep, &is_kept), 0);
    is_kept = false;
    cr_assert_eq(sl_images_sweep(&images, keep, &is_kept), 2);
    cr_assert_eq(sl_images_sweep(&images, keep, &is_kept), 0);
    sl_sim_disk_destroy(&sim);
}

Test(images, names_and_lists_of_strangers_are_refused)
{
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_images images = {.disk = sl_sim_disk_ops(sim)};
    struct sl_image_part *part = NULL;
    struct sl_image_name read;
    char text[SL_IMAGE_NAME_SIZE];
    sl_image_name_text(&name, text);
    cr_assert(sl_image_name_read(text, &read));
    cr_assert_eq(memcmp(&read, &name, sizeof(name)), 0);
    text[5] = 'A';
    cr_assert_not(sl_image_name_read(text, &read));
    text[5] = '\0';
    cr_assert_not(sl_image_name_read(text, &read));

    struct sl_chunks wrong = chunks;
    wrong.size_bytes--;
    cr_assert_eq(sl_image_part_begin(&images, &name, &wrong, &part), SL_EINVAL);
    wrong.size_bytes = chunks.size_bytes + 50 * SL_MIB;
    cr_assert_eq(sl_image_part_begin(&images, &name, &wrong, &part), SL_EINVAL);
    cr_assert_eq(sl_sim_disk_writes(sim), 0);
    sl_sim_disk_set_full(sim, true);
    cr_assert_eq(sl_image_part_begin(&images, &name, &chunks, &part), SL_ENOSPC);
    sl_sim_disk_destroy(&sim);
}

/* The power fails at each operation in turn, also with torn sectors; then it goes on. */
Test(images, crash_at_any_step_leaves_nothing_half_visible)
{
    uint32_t rounds = 0;
    for (uint64_t nth = 1;; nth++) {
        struct sl_sim_disk *sim = sl_sim_disk_create();
        struct sl_images images = {.disk = sl_sim_disk_ops(sim)};
        uint32_t fetched = 0;
        sl_sim_disk_set_torn(sim, nth % 2 == 0);
        sl_sim_disk_fail_at(sim, nth);
        enum sl_err err = fetch(&images, &fetched);
        bool is_over = err == SL_OK;
        sl_sim_disk_crash(sim, nth);
        bool was_whole = is_whole(&images);
        cr_assert(!is_over || was_whole, "whole, and gone with the power");
        if (!was_whole) {
            cr_assert_eq(fetch(&images, &fetched), SL_OK, "after operation %lu",
                         (unsigned long)nth);
            rounds++;
        }
        cr_assert(is_whole(&images));
        sl_sim_disk_destroy(&sim);
        if (is_over)
            break;
    }
    cr_assert_gt(rounds, 10);
}

/* A process that dies, unlike the power, loses nothing that was written. */
Test(images, part_that_was_closed_fetches_only_the_rest)
{
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_images images = {.disk = sl_sim_disk_ops(sim)};
    struct sl_image_part *part = NULL;
    uint32_t fetched = 0;
    cr_assert_eq(sl_image_part_begin(&images, &name, &chunks, &part), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 2, chunk(2)), SL_OK);
    cr_assert_eq(sl_image_part_put(part, 0, chunk(0)), SL_OK);
    sl_image_part_close(&part);
    cr_assert_eq(fetch(&images, &fetched), SL_OK);
    cr_assert_eq(fetched, 1);
    cr_assert(is_whole(&images));
    sl_sim_disk_destroy(&sim);
}
