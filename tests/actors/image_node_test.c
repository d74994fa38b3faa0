/* SPDX-License-Identifier: Apache-2.0 */
/* The actor of images by hand: as the head's origin, with a limit, and what is swept. How it
 * fetches is in image_live_test, simulate_image_test and image_fuzz. */
#include "actors/image_node.h"

#include "actors/image_message.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "tests/actors/recorder.h"

#define SIZE 1000 /* Of an image: one chunk. */

static struct recorder r;
static struct sl_sim_disk *disk;
static struct sl_images images;

struct image {
    uint8_t bytes[SIZE];
    struct sl_image_name name;
    uint8_t digest[SL_SHA256_SIZE]; /* Of its chunk. */
    char text[SL_IMAGE_NAME_SIZE];
};
static struct image a, b;

static void
make(struct image *image, int fill)
{
    struct sl_chunks_stream *stream = sl_chunks_create();
    struct sl_chunks chunks;
    memset(image->bytes, fill, SIZE);
    cr_assert_eq(sl_chunks_update(stream, image->bytes, SIZE), SL_OK);
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, image->name.digest);
    memcpy(image->digest, chunks.digests[0], SL_SHA256_SIZE);
    sl_image_name_text(&image->name, image->text);
    sl_chunks_deinit(&chunks);
}

static void
put(const char *path, const uint8_t *bytes, size_t size)
{
    struct sl_file *file = NULL;
    cr_assert_eq(images.disk.open(images.disk.self, path, &file), SL_OK);
    cr_assert_eq(images.disk.write(file, 0, bytes, size), SL_OK);
    images.disk.close(&file);
}

static void
start(struct sl_image_node_options options)
{
    options.images = &images;
    recorder_start(&r, &sl_image_node_class, sl_at(7, SL_ACTOR_IMAGES), &options);
}

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    disk = sl_sim_disk_create();
    images.disk = sl_sim_disk_ops(disk);
    make(&a, 1);
    make(&b, 2);
}

static void
finish(void)
{
    recorder_stop(&r);
    sl_sim_disk_destroy(&disk);
}

TestSuite(image_node, .init = setup, .fini = finish);

static void
work(void)
{
    while (r.works_count > 0)
        recorder_do_work(&r);
}

static void
fetch(const struct image *image)
{
    struct sl_m_image_fetch m = {.name = sl_image_name_bytes(&image->name)};
    recorder_deliver(&r, sl_at(7, 3), SL_M_image_fetch, &m);
    work();
}

static enum sl_err
fetched(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_image_fetched);
    cr_assert_not_null(msg, "it is not answered");
    enum sl_err err = (enum sl_err)SL_BODY(msg, image_fetched)->err;
    cr_assert_eq(err == SL_OK, SL_BODY(msg, image_fetched)->message.size == 0);
    if (err == SL_OK)
        cr_assert_eq(SL_BODY(msg, image_fetched)->size_bytes, SIZE);
    sl_msg_destroy(&msg);
    return err;
}

static void
located(const struct image *image, bool is_known, bool is_final)
{
    uint8_t head[4] = {SL_NODE_HEAD, 0, 0, 0};
    struct sl_m_image_located m = {
        .name = sl_image_name_bytes(&image->name), .is_known = is_known, .is_final = is_final};
    if (is_known)
        m.holders = sl_slice(head, sizeof(head));
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_LOCATOR), SL_M_image_located, &m);
    work();
}

static void
list(const struct image *image, enum sl_err err)
{
    struct sl_m_image_list m = {.name = sl_image_name_bytes(&image->name),
                                .err = err,
                                .size_bytes = SIZE,
                                .digests = sl_slice(image->digest, sizeof(image->digest))};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_IMAGES), SL_M_image_list, &m);
    work();
    recorder_wait(&r, SL_SECOND_NS / 5); /* What had to go first is gone. */
    work();
}

static void
come(const struct image *image)
{
    struct sl_m_image_chunk m = {.name = sl_image_name_bytes(&image->name),
                                 .bytes = sl_slice(image->bytes, SIZE)};
    fetch(image);
    located(image, true, true);
    list(image, SL_OK);
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_IMAGES), SL_M_image_chunk, &m);
    work();
}

static bool
is_on_disk(const char *path)
{
    size_t size;
    return sl_sim_disk_bytes(disk, path, &size) != NULL;
}

static struct sl_image_node_counts
counts(void)
{
    struct sl_image_node_counts found;
    sl_image_node_counts(r.actor, &found);
    return found;
}

Test(image_node, the_origin_says_whether_it_has_an_image_and_fetches_none)
{
    put(a.text, a.bytes, SIZE);
    start((struct sl_image_node_options){.is_origin = true});
    recorder_wait(&r, 7200 * SL_SECOND_NS);
    cr_assert_eq(r.works_count, 0, "it lists and sweeps nothing");
    fetch(&a);
    cr_assert_eq(fetched(), SL_OK);
    fetch(&b);
    cr_assert_eq(fetched(), SL_ENOTFOUND);
    cr_assert_eq(recorder_count(&r, SL_M_image_locate), 0);
    struct sl_m_image_list_want want = {.name = sl_image_name_bytes(&a.name)};
    recorder_deliver(&r, sl_at(70000, SL_ACTOR_IMAGES), SL_M_image_list_want, &want);
    work();
    cr_assert_eq(recorder_count(&r, SL_M_image_list), 1);
}

Test(image_node, nobody_has_it_is_told_at_once_when_it_is_sure)
{
    start((struct sl_image_node_options){0});
    work();
    fetch(&a);
    located(&a, false, false);
    cr_assert_eq(recorder_count(&r, SL_M_image_fetched), 0, "others may say that they have it");
    located(&a, false, true);
    cr_assert_eq(fetched(), SL_ENOTFOUND);
}

Test(image_node, only_holder_that_is_damaged_ends_it_at_once)
{
    start((struct sl_image_node_options){0});
    work();
    fetch(&a);
    located(&a, true, true);
    list(&a, SL_ECORRUPT);
    cr_assert_eq(recorder_count(&r, SL_M_image_fetched), 0);
    located(&a, true, true);
    cr_assert_eq(fetched(), SL_ECORRUPT);
}

Test(image_node, with_a_limit_the_oldest_goes_for_the_next)
{
    start((struct sl_image_node_options){.bytes_max = 2 * SIZE - 1});
    work();
    come(&a);
    cr_assert_eq(fetched(), SL_OK);
    cr_assert(is_on_disk(a.text));
    come(&b);
    cr_assert_eq(fetched(), SL_OK);
    cr_assert(is_on_disk(b.text));
    cr_assert_not(is_on_disk(a.text));
    cr_assert_eq(counts().evicted, 1);
    cr_assert_eq(counts().kept, 1);
    cr_assert_eq(counts().kept_bytes, SIZE);
}

Test(image_node, what_is_larger_than_the_limit_is_refused_and_nothing_goes_for_it)
{
    start((struct sl_image_node_options){.bytes_max = SIZE - 1});
    work();
    fetch(&a);
    located(&a, true, true);
    list(&a, SL_OK);
    cr_assert_eq(fetched(), SL_ENOSPC);
    cr_assert_eq(counts().kept_bytes, 0);
    cr_assert_eq(counts().evicted, 0);
}

Test(image_node, one_more_waits_for_those_that_are_coming)
{
    start((struct sl_image_node_options){.bytes_max = 2 * SIZE - 1});
    work();
    fetch(&a);
    located(&a, true, true);
    list(&a, SL_OK);
    fetch(&b);
    located(&b, true, true);
    list(&b, SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_image_chunk_want), 1);
    struct sl_m_image_chunk m = {.name = sl_image_name_bytes(&a.name),
                                 .bytes = sl_slice(a.bytes, SIZE)};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_IMAGES), SL_M_image_chunk, &m);
    work();
    cr_assert_eq(fetched(), SL_OK);
    recorder_wait(&r, SL_SECOND_NS / 5);
    work(); /* The first goes, */
    recorder_wait(&r, SL_SECOND_NS / 5);
    work(); /* and the second is begun. */
    cr_assert_eq(recorder_count(&r, SL_M_image_chunk_want), 2);
    cr_assert_eq(counts().evicted, 1);
}

Test(image_node, lower_limit_than_before_lets_the_surplus_go)
{
    put(a.text, a.bytes, SIZE);
    put(b.text, b.bytes, SIZE);
    start((struct sl_image_node_options){.bytes_max = SIZE});
    work();
    cr_assert_neq(is_on_disk(a.text), is_on_disk(b.text));
    cr_assert_eq(counts().kept, 1);
}

Test(image_node, parts_that_nobody_fetches_any_more_are_swept_and_no_others)
{
    char *part = sl_format("%s.part", b.text);
    put(a.text, a.bytes, SIZE);
    put(part, b.bytes, SIZE / 2);
    start((struct sl_image_node_options){0});
    work();
    recorder_wait(&r, 3599 * SL_SECOND_NS);
    work();
    cr_assert(is_on_disk(part), "who crashed has an hour to go on with it");
    fetch(&b);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    work();
    cr_assert(is_on_disk(part), "it is being fetched");
    located(&b, false, true);
    (void)fetched();
    recorder_wait(&r, 3600 * SL_SECOND_NS);
    work();
    cr_assert_not(is_on_disk(part));
    cr_assert(is_on_disk(a.text));
    cr_assert_eq(counts().swept, 1);
    sl_free(part);
}
