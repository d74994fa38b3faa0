/* SPDX-License-Identifier: Apache-2.0 */
/* The real thing: two processes, a link, disks; and the one that serves is killed in the middle. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/image_locator.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"

#define CHUNKS   40
#define WATCHING 1
#define CUT_AT   (8 * SL_CHUNK_BYTES)

static char root[] = "/tmp/sluice-image-live-XXXXXX";
static struct sl_image_name name;

static void
make_image(struct sl_images *images)
{
    struct sl_chunks_stream *stream = sl_chunks_create();
    struct sl_chunks chunks;
    struct sl_file *file = NULL;
    uint8_t *bytes = sl_zalloc(SL_CHUNK_BYTES);
    char text[SL_IMAGE_NAME_SIZE];
    cr_assert_eq(images->disk.open(images->disk.self, "new", &file), SL_OK);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        memset(bytes, (int)i + 1, SL_CHUNK_BYTES);
        cr_assert_eq(images->disk.write(file, i * SL_CHUNK_BYTES, bytes, SL_CHUNK_BYTES), SL_OK);
        cr_assert_eq(sl_chunks_update(stream, bytes, SL_CHUNK_BYTES), SL_OK);
    }
    images->disk.close(&file);
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, name.digest);
    sl_chunks_deinit(&chunks);
    sl_image_name_text(&name, text);
    cr_assert_eq(images->disk.rename(images->disk.self, "new", text), SL_OK);
    sl_free(bytes);
}

static struct sl_images
open_images(const char *directory)
{
    struct sl_images images = {0};
    char *path = sl_format("%s/%s", root, directory);
    cr_assert_eq(sl_disk_open(path, &images.disk), SL_OK);
    sl_free(path);
    return images;
}

/* Serves once a byte comes through `go`. */
static pid_t
fork_head(int go, const char *endpoint)
{
    pid_t pid = fork();
    char byte;
    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(go, &byte, 1) != 1)
        _exit(1);
    struct sl_images images = open_images("head");
    struct sl_image_node_options options = {.images = &images};
    struct sl_live *live = sl_live_create(&(struct sl_live_options){.node = SL_NODE_HEAD});
    if (sl_live_listen(live, endpoint) != SL_OK)
        _exit(2);
    sl_live_spawn(live, SL_ACTOR_LOCATOR, &sl_image_locator_class, NULL);
    sl_live_spawn(live, SL_ACTOR_IMAGES, &sl_image_node_class, &options);
    enum sl_err err = sl_live_run(live);
    _exit(err == SL_OK ? 0 : 3);
}

struct watching {
    struct sl_live *live;
    pid_t first;
    int go; /* The second one's. */
    bool is_cut;
    enum sl_err err;
    uint64_t fetched_at_cut;
};

static void
watching_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    *(struct watching **)self = (struct watching *)(uintptr_t)argument;
    struct sl_m_image_fetch m = {.name = sl_image_name_bytes(&name)};
    sl_request(ctx, sl_at(0, SL_ACTOR_IMAGES), 1, SL_M_image_fetch, &m);
    sl_after(ctx, SL_MILLI_NS, 0);
}

static void
watching_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct watching *w = *(struct watching **)self;
    struct sl_image_node_counts counts;
    if (msg->id == SL_M_image_fetched) {
        w->err = (enum sl_err)SL_BODY(msg, image_fetched)->err;
        sl_live_stop(w->live);
        return;
    }
    sl_image_node_counts(sl_live_state(w->live, SL_ACTOR_IMAGES), &counts);
    if (!w->is_cut && counts.fetched_bytes >= CUT_AT) {
        w->is_cut = true;
        w->fetched_at_cut = counts.fetched_bytes;
        (void)kill(w->first, SIGKILL);
        cr_assert_eq(write(w->go, "g", 1), 1);
    }
    sl_after(ctx, SL_MILLI_NS, 0);
}

static const struct sl_actor_class watching_class = {.name = "watching",
                                                     .state_size = sizeof(struct watching *),
                                                     .init = watching_init,
                                                     .handle = watching_handle};

static void
fetch(struct watching *w, const char *endpoint, uint64_t *ret_fetched_bytes)
{
    struct sl_images images = open_images("worker");
    struct sl_image_node_options options = {.images = &images,
                                            .pull = {.holder_max = 2, .overall_max = 2}};
    struct sl_links_options links = {.watcher = SL_ACTOR_IMAGES, .takes = sl_cluster_node_takes};
    struct sl_image_node_counts counts;
    uint8_t *bytes = sl_alloc(SL_CHUNK_BYTES);
    size_t size = 0;
    w->live =
        sl_live_create(&(struct sl_live_options){.node = SL_NODE_WORKERS_FIRST, .links = &links});
    cr_assert_eq(sl_live_connect(w->live, SL_NODE_HEAD, endpoint), SL_OK);
    sl_live_spawn(w->live, SL_ACTOR_IMAGES, &sl_image_node_class, &options);
    sl_live_spawn(w->live, WATCHING, &watching_class, w);
    cr_assert_eq(sl_live_run(w->live), SL_OK);
    sl_image_node_counts(sl_live_state(w->live, SL_ACTOR_IMAGES), &counts);
    *ret_fetched_bytes = counts.fetched_bytes;
    sl_live_destroy(&w->live);
    cr_assert_eq(w->err, SL_OK, "%s", sl_err_name(w->err));
    for (uint32_t i = 0; i < CHUNKS; i++) {
        cr_assert_eq(sl_images_read(&images, &name, i, bytes, &size), SL_OK);
        cr_assert_eq(size, SL_CHUNK_BYTES);
        cr_assert(bytes[0] == i + 1 && memcmp(bytes, bytes + 1, size - 1) == 0);
    }
    sl_disk_close(&images.disk);
    sl_free(bytes);
}

Test(image_live, fetch_outlives_the_process_it_comes_from, .timeout = 60)
{
    int go[2][2];
    uint64_t fetched_bytes = 0;
    sl_report_level_set(SL_REPORT_ERROR);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    cr_assert_not_null(mkdtemp(root));
    struct sl_images images = open_images("head");
    make_image(&images);
    sl_disk_close(&images.disk);
    char *endpoint = sl_format("ipc://%s/socket", root);
    pid_t heads[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pipe(go[i]), 0);
        heads[i] = fork_head(go[i][0], endpoint);
    }
    cr_assert_eq(write(go[0][1], "g", 1), 1);

    struct watching w = {.first = heads[0], .go = go[1][1], .err = SL_EUNAVAIL};
    fetch(&w, endpoint, &fetched_bytes);
    cr_assert(w.is_cut);
    cr_assert_lt(w.fetched_at_cut, CHUNKS * SL_CHUNK_BYTES, "it was over before the cut");
    cr_assert_eq(fetched_bytes, CHUNKS * SL_CHUNK_BYTES, "nothing was written twice");

    for (int i = 0; i < 2; i++) {
        (void)kill(heads[i], SIGKILL);
        (void)waitpid(heads[i], NULL, 0);
    }
    sl_free(endpoint);
    char *command[] = {"rm", "-rf", root, NULL};
    if (fork() == 0) /* No shell, and no walk of our own. */
        execv("/bin/rm", command);
    (void)wait(NULL);
}
