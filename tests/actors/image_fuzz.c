/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any messages from peers, in any order, to a node's actor of images that fetches one and to the
 * locator: nothing but what the digest proves becomes visible.
 */
#include "actors/image_locator.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_driver driver;
static struct sl_random stream;
static struct sl_m_work_done done[1024];
static uint32_t done_count;

static void
take_send(struct sl_driver *d, struct sl_msg *msg)
{
    (void)d;
    sl_msg_destroy(&msg);
}

static void
take_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    (void)d, (void)who, (void)delay_ns, (void)token;
}

static void
take_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
          uint64_t token)
{
    (void)d, (void)who;
    sl_assert(done_count < SL_COUNT_OF(done));
    work(argument);
    done[done_count++] =
        (struct sl_m_work_done){.token = token, .argument = (uint64_t)(uintptr_t)argument};
}

static struct sl_ctx
context(void)
{
    static uint64_t now_ns = 1;
    now_ns += 50 * SL_MILLI_NS;
    return (struct sl_ctx){
        .self = sl_at(7, SL_ACTOR_IMAGES), .now_ns = now_ns, .random = &stream, .driver = &driver};
}

static void
deliver(const struct sl_actor_class *class, void *actor, const struct sl_msg *msg)
{
    struct sl_ctx ctx = context();
    class->handle(actor, &ctx, msg);
}

/* What work brings about may be work again. */
static void
end_work(void *node)
{
    for (uint32_t i = 0; i < done_count; i++) {
        struct sl_msg *end = sl_msg_create(SL_M_work_done, &done[i]);
        deliver(&sl_image_node_class, node, end);
        sl_msg_destroy(&end);
    }
    done_count = 0;
}

static void
deliver_local(void *node, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    deliver(&sl_image_node_class, node, msg);
    sl_msg_destroy(&msg);
    end_work(node);
}

/* Two chunks' list, so that guesses of it are cheap. */
static void
make_name(struct sl_image_name *ret_name)
{
    static uint8_t digests[2][SL_SHA256_SIZE];
    static const uint8_t text[] = "chunk";
    sl_sha256(sl_slice(text, sizeof(text)), digests[1]);
    struct sl_chunks chunks = {
        .size_bytes = SL_CHUNK_BYTES + sizeof(text), .count = 2, .digests = digests};
    sl_chunks_digest(&chunks, ret_name->digest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sl_driver_ops ops = {
        .send = take_send, .after = take_after, .work = take_work};
    static bool is_ready;
    if (!is_ready) {
        sl_protocol_register(&sl_protocol_cluster);
        sl_protocol_register(&sl_protocol_image);
        sl_report_level_set(SL_REPORT_ERROR);
        is_ready = true;
    }
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_images images = {.disk = sl_sim_disk_ops(disk)};
    /* The length says what sort of node it is: one with little room, one that fetches nothing, in a
     * star or not. */
    struct sl_image_node_options options = {.images = &images,
                                            .bytes_max = size % 3 == 0 ? SL_CHUNK_BYTES : 0,
                                            .is_origin = size % 7 == 0};
    struct sl_image_locator_options star = {.is_star = size % 2 == 0};
    struct sl_image_name name;
    void *node = sl_zalloc(sl_image_node_class.state_size);
    void *locator = sl_zalloc(sl_image_locator_class.state_size);
    driver.ops = &ops;
    sl_random_seed(&stream, 1);
    struct sl_ctx ctx = context();
    sl_image_node_class.init(node, &ctx, &options);
    sl_image_locator_class.init(locator, &ctx, &star);
    end_work(node);
    make_name(&name);
    deliver_local(node, SL_M_image_fetch,
                  &(struct sl_m_image_fetch){.name = sl_image_name_bytes(&name)});
    struct sl_slice rest = sl_slice(data, size);
    struct sl_msg *msg;
    enum sl_err err;
    while (sl_msg_decode(&rest, &msg, &err)) {
        if (msg != NULL && msg->id >> 16 == SL_PROTOCOL_IMAGE) {
            msg->from = sl_at(msg->from.node % 5, SL_ACTOR_IMAGES);
            bool is_located = msg->id == SL_M_image_located;
            if (sl_image_head_takes(msg))
                deliver(&sl_image_locator_class, locator, msg);
            if (is_located || sl_image_node_takes(msg))
                deliver(&sl_image_node_class, node, msg);
            end_work(node);
            deliver_local(node, SL_M_timer, &(struct sl_m_timer){.token = 2});
        }
        sl_msg_destroy(&msg);
    }
    uint64_t visible = 0;
    if (sl_images_size(&images, &name, &visible) == SL_OK)
        sl_assert(visible == SL_CHUNK_BYTES + 6 && !options.is_origin && options.bytes_max == 0);
    sl_image_node_class.deinit(node);
    sl_image_locator_class.deinit(locator);
    sl_free(node);
    sl_free(locator);
    sl_sim_disk_destroy(&disk);
    return 0;
}
