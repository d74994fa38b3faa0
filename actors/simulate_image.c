/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_image.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "actors/image_locator.h"
#include "actors/image_message.h"
#include "actors/image_node.h"
#include "runtime/alloc.h"
#include "runtime/sim.h"
#include "runtime/sim_disk.h"

#define START_MS      UINT64_C(1700000000000)
#define NODES         5 /* The head, and workers. */
#define FAULTS_AN_ASK 2
#define IMAGES        3
#define ASKS          20
#define FAULT_NS      (40 * SL_SECOND_NS)
#define HEALED_NS     (55 * SL_SECOND_NS) /* No fault lasts until here. */
#define CALM_NS       (70 * SL_SECOND_NS) /* Pauses and patience of what was ill are over. */
#define END_NS        (400 * SL_SECOND_NS)
#define CHECK_NS      (SL_SECOND_NS / 2)
#define ASKER         1 /* An actor of each process, which wants images. */
#define PATIENCE_NS   (20 * SL_SECOND_NS)
#define STAR_EVERY                                                                                 \
    5 /* So many runs are one in which nodes reach the head alone, as in the product. */

struct image {
    uint8_t *bytes;
    uint64_t size;
    struct sl_image_name name;
    char text[SL_IMAGE_NAME_SIZE];
};

struct machine {
    uint32_t node, process; /* Another number in each life, but the head's; 0: it is down. */
    uint32_t lives;
    struct sl_sim_disk *disk;
    struct sl_images images;
    struct sl_image_node_options options;
    bool is_flipped[IMAGES]; /* A bit of it was turned: what lies there is bad for a reason. */
};

struct ask {
    uint32_t machine, process, image;
    uint32_t answers;
    bool is_calm; /* Asked when nothing was ill any more. */
};

struct world {
    struct sl_simulate_image_options options;
    struct sl_simulate_image_result *result;
    struct sl_sim *sim;
    struct image images[IMAGES];
    struct machine machines[NODES];
    struct ask asks[(1 + FAULTS_AN_ASK) * ASKS + NODES * IMAGES];
    uint32_t asks_count;
    uint32_t asked_last; /* A machine. */
    bool is_star;        /* And the last machine has room for little more than the largest image. */
};

SL_PRINTF(2, 3)
static void
fail(struct world *w, const char *format, ...)
{
    va_list args;
    if (!w->result->is_ok)
        return;
    w->result->is_ok = false;
    va_start(args, format);
    (void)vsnprintf(w->result->failure, sizeof(w->result->failure), format, args);
    va_end(args);
}

static uint64_t
below(struct world *w, uint64_t limit)
{
    return sl_random_below(sl_sim_random(w->sim), limit);
}

/* ---- what must hold ------------------------------------------------------------------------ */

static bool
is_right(const struct machine *m, const struct image *image)
{
    size_t size = 0;
    const uint8_t *bytes = sl_sim_disk_bytes(m->disk, image->text, &size);
    return bytes != NULL && size == image->size && memcmp(bytes, image->bytes, size) == 0;
}

static void
check_visible(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        for (uint32_t k = 0; k < IMAGES; k++) {
            struct machine *m = &w->machines[i];
            size_t size;
            bool is_there = sl_sim_disk_bytes(m->disk, w->images[k].text, &size) != NULL;
            if (is_there && !m->is_flipped[k] && !is_right(m, &w->images[k]))
                fail(w, "machine %u shows image %u with other bytes", i, k);
        }
    }
}

static struct machine *
machine_of(struct world *w, uint32_t process)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (w->machines[i].process == process)
            return &w->machines[i];
    }
    return NULL;
}

static const struct image *
image_of(const struct world *w, struct sl_slice name)
{
    for (uint32_t k = 0; k < IMAGES; k++) {
        if (sl_slice_equal(name, sl_image_name_bytes(&w->images[k].name)))
            return &w->images[k];
    }
    return NULL;
}

static void
check_room(struct world *w, const struct machine *m)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < IMAGES; k++) {
        size_t size = 0;
        if (sl_sim_disk_bytes(m->disk, w->images[k].text, &size) != NULL)
            bytes += size;
    }
    if (m->options.bytes_max > 0 && bytes > m->options.bytes_max)
        fail(w, "a machine keeps %" PRIu64 " bytes, more than its limit of %" PRIu64, bytes,
             m->options.bytes_max);
}

/* Nobody asks for what it has. */
static void
check_want(struct world *w, const struct machine *m, const struct sl_m_image_chunk_want *want)
{
    const struct image *image = image_of(w, want->name);
    char part[SL_IMAGE_NAME_SIZE + 8];
    size_t size = 0;
    (void)snprintf(part, sizeof(part), "%s.part", image->text);
    const uint8_t *bytes = sl_sim_disk_bytes(m->disk, part, &size);
    uint64_t at = want->index * SL_CHUNK_BYTES;
    uint64_t chunk = SL_MIN(SL_CHUNK_BYTES, image->size - at);
    if (at >= image->size)
        fail(w, "a chunk behind the end is asked for");
    else if (bytes != NULL && size >= at + chunk &&
             memcmp(bytes + at, image->bytes + at, chunk) == 0)
        fail(w, "chunk %" PRIu64 " is asked for again, and is here", want->index);
}

static void
observe(void *arg, enum sl_sim_what what, uint32_t process, const struct sl_msg *msg)
{
    struct world *w = arg;
    struct machine *m = machine_of(w, process);
    if (m == NULL)
        return;
    if (what == SL_SIM_SENT && msg->id == SL_M_image_chunk_want)
        check_want(w, m, SL_BODY(msg, image_chunk_want));
    if (what == SL_SIM_DELIVERED && msg->id == SL_M_image_chunk)
        w->result->chunks_bytes += SL_BODY(msg, image_chunk)->bytes.size;
}

/* ---- who wants images ---------------------------------------------------------------------- */

struct asker {
    struct world *world;
};

static void
asker_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct asker *a = self;
    (void)ctx;
    a->world = *(struct world *const *)argument;
}

static void
take_fetched(struct world *w, const struct sl_msg *msg)
{
    const struct sl_m_image_fetched *m = SL_BODY(msg, image_fetched);
    sl_assert(msg->request > 0 && msg->request <= w->asks_count);
    struct ask *ask = &w->asks[msg->request - 1];
    struct machine *machine = &w->machines[ask->machine];
    if (++ask->answers > 1)
        fail(w, "a fetch is answered twice");
    if (m->err != SL_OK) {
        w->result->failed++;
        if (ask->is_calm)
            fail(w, "in calm weather machine %u does not get image %u: %s, %.*s", ask->machine,
                 ask->image, sl_err_name((enum sl_err)m->err), SL_SLICE_FMT(m->message));
        return;
    }
    w->result->fetched++;
    w->result->image_bytes += m->size_bytes;
    if (m->size_bytes != w->images[ask->image].size)
        fail(w, "a fetched image has another size");
    if (!machine->is_flipped[ask->image] && ask->is_calm && machine->options.bytes_max == 0 &&
        !is_right(machine, &w->images[ask->image]))
        fail(w, "a fetched image is not there");
}

/* A timer is a wish: its token is the number of the ask. */
static void
asker_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct asker *a = self;
    if (msg->id == SL_M_image_fetched) {
        take_fetched(a->world, msg);
    } else if (msg->id == SL_M_timer) {
        uint64_t number = SL_BODY(msg, timer)->token;
        const struct image *image = &a->world->images[a->world->asks[number - 1].image];
        struct sl_m_image_fetch m = {.name = sl_image_name_bytes(&image->name)};
        sl_request(ctx, sl_at(0, SL_ACTOR_IMAGES), number, SL_M_image_fetch, &m);
    }
}

static const struct sl_actor_class asker_class = {
    .name = "asker",
    .state_size = sizeof(struct asker),
    .init = asker_init,
    .handle = asker_handle,
};

static void
want(struct world *w, uint32_t machine, uint32_t image, bool is_calm)
{
    struct machine *m = &w->machines[machine];
    if (m->process == 0)
        return;
    w->asks[w->asks_count++] =
        (struct ask){.machine = machine, .process = m->process, .image = image, .is_calm = is_calm};
    sl_sim_post(w->sim, m->process, ASKER, 0,
                sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = w->asks_count}));
}

static void
want_any(void *arg, uint64_t draw)
{
    struct world *w = arg;
    w->asked_last = 1 + (uint32_t)(draw % (NODES - 1));
    want(w, w->asked_last, (uint32_t)(draw / NODES % (IMAGES + 1) % IMAGES), false);
}

/* ---- machines ------------------------------------------------------------------------------ */

static bool
has_link(const struct world *w, const struct machine *a, const struct machine *b)
{
    bool is_of_head = a == &w->machines[0] || b == &w->machines[0];
    return a != b && a->process != 0 && b->process != 0 && (is_of_head || !w->is_star);
}

/* What a driver tells of links and the head of nodes. */
static void
tell_peer(struct world *w, const struct machine *m, const struct machine *of, bool is_up)
{
    struct sl_m_peer_up up = {.node = of->node};
    struct sl_m_peer_down down = {.node = of->node};
    struct sl_m_node_lost lost = {.node = of->node};
    sl_sim_post(w->sim, m->process, SL_ACTOR_IMAGES, SL_MILLI_NS,
                is_up ? sl_msg_create(SL_M_peer_up, &up) : sl_msg_create(SL_M_peer_down, &down));
    if (m->node != SL_NODE_HEAD || is_up)
        return;
    struct sl_msg *msg = sl_msg_create(SL_M_node_lost, &lost);
    msg->from = sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD);
    sl_sim_post(w->sim, m->process, SL_ACTOR_LOCATOR, SL_MILLI_NS, msg);
}

static void
start(void *arg, uint64_t index)
{
    struct world *w = arg;
    struct machine *m = &w->machines[index];
    if (m->process != 0)
        return;
    m->node = index == 0 ? SL_NODE_HEAD : (uint32_t)index + 1 + NODES * m->lives;
    m->lives++;
    sl_sim_disk_fail_at(m->disk, 0);
    m->process = sl_sim_start(w->sim, m->node, NULL);
    struct sl_image_locator_options locator = {.is_star = w->is_star};
    if (index == 0)
        sl_sim_spawn(w->sim, m->process, SL_ACTOR_LOCATOR, &sl_image_locator_class, &locator);
    sl_sim_spawn(w->sim, m->process, SL_ACTOR_IMAGES, &sl_image_node_class, &m->options);
    sl_sim_spawn(w->sim, m->process, ASKER, &asker_class, &w);
    for (uint32_t i = 0; i < NODES; i++) {
        struct machine *other = &w->machines[i];
        if (!has_link(w, m, other))
            continue;
        sl_sim_link(w->sim, m->process, other->process);
        tell_peer(w, m, other, true);
        tell_peer(w, other, m, true);
    }
}

static void
stop(struct world *w, struct machine *m, bool is_power_loss)
{
    struct sl_image_node_counts counts;
    if (m->process == 0)
        return;
    sl_image_node_counts(sl_sim_state(w->sim, m->process, SL_ACTOR_IMAGES), &counts);
    w->result->bad += counts.bad;
    w->result->resumed += counts.resumed;
    for (uint32_t i = 0; i < NODES; i++) {
        struct machine *other = &w->machines[i];
        if (!has_link(w, m, other))
            continue;
        sl_sim_unlink(w->sim, m->process, other->process);
        tell_peer(w, other, m, false);
    }
    sl_sim_kill(w->sim, m->process);
    m->process = 0;
    if (is_power_loss)
        sl_sim_disk_crash(m->disk, below(w, UINT64_MAX));
}

/* ---- faults -------------------------------------------------------------------------------- */

static void
heal(void *arg, uint64_t index)
{
    struct world *w = arg;
    sl_sim_disk_fail_at(w->machines[index].disk, 0);
    sl_sim_disk_set_full(w->machines[index].disk, false);
}

static void
evict(struct world *w, struct machine *m)
{
    const struct image *image = &w->images[below(w, IMAGES)];
    struct sl_m_image_drop drop = {.name = sl_image_name_bytes(&image->name)};
    if (m->process != 0)
        sl_sim_post(w->sim, m->process, SL_ACTOR_IMAGES, 0, sl_msg_create(SL_M_image_drop, &drop));
}

/* Of a worker's copy: the head's are what all comes from. */
static void
flip(struct world *w, struct machine *m)
{
    uint32_t k = (uint32_t)below(w, IMAGES);
    const struct image *image = &w->images[k];
    if (!is_right(m, image))
        return;
    uint64_t at = below(w, image->size);
    (void)sl_sim_disk_flip(m->disk, image->text, at, (uint32_t)below(w, 8));
    sl_sim_disk_mend(m->disk, false);
    m->is_flipped[k] = true;
}

static void
spoil_links(struct world *w, uint64_t kind)
{
    uint64_t until_ns = sl_sim_now_ns(w->sim) + (1 + below(w, 9)) * SL_SECOND_NS;
    struct sl_sim_weather weather = {.until_ns = until_ns,
                                     .room_bytes = kind == 0 ? 2 * SL_MIB : 0};
    weather.delay_max_ns = below(w, 500) * SL_MILLI_NS; /* One after the other, on any compiler. */
    weather.loss = (uint32_t)below(w, 300);
    weather.duplicate = (uint32_t)below(w, 300);
    weather.reorder = (uint32_t)below(w, 300);
    uint32_t a = (uint32_t)below(w, NODES);
    for (uint32_t i = 0; i < NODES; i++) {
        struct machine *one = &w->machines[a], *other = &w->machines[i];
        if (!has_link(w, one, other) || below(w, 2) == 0)
            continue;
        if (kind < 2)
            sl_sim_weather(w->sim, one->process, other->process, &weather);
        else
            sl_sim_cut(w->sim, one->process, other->process, until_ns - sl_sim_now_ns(w->sim),
                       (uint32_t)below(w, 4));
    }
}

static void
strike(void *arg, uint64_t kind)
{
    struct world *w = arg;
    uint32_t index = below(w, 2) == 0 ? w->asked_last : (uint32_t)below(w, NODES);
    struct machine *m = &w->machines[index];
    uint64_t for_ns = (1 + below(w, 8)) * SL_SECOND_NS;
    w->result->faults++;
    switch (kind) {
    case 0: /* Killed, or out of power; then it starts again, and wants what it wanted. */
    case 1:
    case 14:
    case 15:
        stop(w, m, kind == 1);
        sl_sim_at(w->sim, for_ns, start, w, index);
        sl_sim_at(w->sim, for_ns + SL_SECOND_NS, want_any, w, SL_MAX(index, 1u) - 1);
        break;
    case 2:
        if (m->process != 0)
            sl_sim_stall(w->sim, m->process, for_ns);
        break;
    case 3:
        sl_sim_disk_fail_at(m->disk, 1 + below(w, 20));
        sl_sim_at(w->sim, for_ns, heal, w, index);
        break;
    case 4:
        sl_sim_disk_set_full(m->disk, true);
        sl_sim_at(w->sim, for_ns, heal, w, index);
        break;
    case 5:
    case 6:
        if (index != 0)
            evict(w, m);
        break;
    case 7:
    case 16:
    case 17:
    case 18:
    case 19:
        if (index != 0)
            flip(w, m);
        break;
    default:
        spoil_links(w, kind % 3);
    }
}

/* Faults strike when something is under way. */
static void
plan(struct world *w)
{
    for (uint32_t i = 0; i < ASKS; i++) {
        uint64_t at_ns = below(w, FAULT_NS), what = below(w, UINT64_C(1) << 32);
        sl_sim_at(w->sim, at_ns, want_any, w, what);
        for (uint32_t k = 0; k < FAULTS_AN_ASK && !w->options.is_fair && below(w, 2) == 0; k++) {
            uint64_t after_ns = below(w, 2 * SL_SECOND_NS), kind = below(w, 20);
            sl_sim_at(w->sim, at_ns + after_ns, strike, w, kind);
        }
    }
}

/* ---- a run --------------------------------------------------------------------------------- */

static void
make_image(struct world *w, struct image *image, uint64_t size)
{
    struct sl_chunks_stream *stream = sl_chunks_create();
    struct sl_chunks chunks;
    struct sl_random random;
    sl_random_seed(&random, w->options.seed ^ size);
    image->size = size;
    image->bytes = sl_alloc(size + 8);
    for (uint64_t at = 0; at < size; at += 8) {
        uint64_t word = sl_random_u64(&random);
        memcpy(image->bytes + at, &word, 8);
    }
    enum sl_err err = sl_chunks_update(stream, image->bytes, size);
    sl_chunks_finish(&stream, &chunks);
    sl_chunks_digest(&chunks, image->name.digest);
    sl_image_name_text(&image->name, image->text);
    sl_chunks_deinit(&chunks);
    if (err != SL_OK)
        fail(w, "an image is too large");
}

static void
put_image(struct world *w, struct machine *m, const struct image *image)
{
    struct sl_file *file = NULL;
    struct sl_disk *disk = &m->images.disk;
    enum sl_err err = disk->open(disk->self, "new", &file);
    if (err == SL_OK)
        err = disk->write(file, 0, image->bytes, image->size);
    if (err == SL_OK)
        err = disk->sync(file);
    disk->close(&file);
    if (err != SL_OK || disk->rename(disk->self, "new", image->text) != SL_OK)
        fail(w, "an image cannot be put");
}

static void
make_machines(struct world *w)
{
    uint64_t chunks = 2 + below(w, 4), rest = below(w, SL_CHUNK_BYTES);
    make_image(w, &w->images[0], chunks * SL_CHUNK_BYTES + rest);
    make_image(w, &w->images[1], SL_CHUNK_BYTES);
    make_image(w, &w->images[2], 1 + below(w, SL_CHUNK_BYTES));
    for (uint32_t i = 0; i < NODES; i++) {
        struct machine *m = &w->machines[i];
        uint32_t holder_max = 1 + (uint32_t)below(w, 4), overall_max = 1 + (uint32_t)below(w, 8);
        m->disk = sl_sim_disk_create();
        m->images.disk = sl_sim_disk_ops(m->disk);
        m->options = (struct sl_image_node_options){.images = &m->images,
                                                    .pull = {.holder_max = holder_max,
                                                             .overall_max = overall_max,
                                                             .answer_ns = 2 * SL_SECOND_NS,
                                                             .pause_ns = SL_SECOND_NS,
                                                             .patience_ns = PATIENCE_NS},
                                                    .announce_ns = 10 * SL_SECOND_NS};
        for (uint32_t k = 0; k < IMAGES && i == 0; k++)
            put_image(w, m, &w->images[k]);
    }
    w->machines[0].options.is_origin = w->is_star;
    if (w->is_star)
        w->machines[NODES - 1].options.bytes_max = w->images[0].size + SL_CHUNK_BYTES / 2;
    for (uint32_t i = 0; i < NODES; i++)
        start(w, i);
}

static void
run_until(struct world *w, uint64_t until_ns)
{
    for (uint64_t check_ns = 0; w->result->is_ok && sl_sim_now_ns(w->sim) < until_ns;) {
        if (!sl_sim_step(w->sim))
            return;
        if (sl_sim_now_ns(w->sim) < check_ns)
            continue;
        check_ns = sl_sim_now_ns(w->sim) + CHECK_NS;
        check_visible(w);
    }
}

static bool
is_at_rest(const struct world *w)
{
    for (uint32_t i = 0; i < w->asks_count; i++) {
        const struct ask *ask = &w->asks[i];
        if (ask->answers == 0 && w->machines[ask->machine].process == ask->process)
            return false;
    }
    return true;
}

/* All that is ill is over: everybody gets everything. */
static void
ask_in_calm(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        heal(w, i);
        start(w, i);
    }
    run_until(w, CALM_NS);
    for (uint32_t i = 1; i < NODES; i++) {
        for (uint32_t k = 0; k < IMAGES; k++)
            want(w, i, k, true);
    }
    while (w->result->is_ok && sl_sim_now_ns(w->sim) < END_NS) {
        run_until(w, sl_sim_now_ns(w->sim) + SL_SECOND_NS);
        if (is_at_rest(w))
            break;
    }
    check_visible(w);
    if (!is_at_rest(w))
        fail(w, "stuck: a fetch has no end");
    run_until(w, sl_sim_now_ns(w->sim) + SL_SECOND_NS); /* What was to go is gone. */
    check_room(w, &w->machines[NODES - 1]);
}

static void
end(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++)
        stop(w, &w->machines[i], false);
    w->result->hash = sl_sim_hash(w->sim);
    w->result->events = sl_sim_events(w->sim);
    w->result->virtual_ns = sl_sim_now_ns(w->sim);
    if (!w->result->is_ok)
        sl_sim_trace(w->sim, &w->result->trace);
    sl_sim_destroy(&w->sim);
    for (uint32_t i = 0; i < NODES; i++)
        sl_sim_disk_destroy(&w->machines[i].disk);
    for (uint32_t k = 0; k < IMAGES; k++)
        sl_free(w->images[k].bytes);
}

void
sl_simulate_image(const struct sl_simulate_image_options *options,
                  struct sl_simulate_image_result *ret_result)
{
    struct world *w = sl_zalloc(sizeof(*w));
    *ret_result = (struct sl_simulate_image_result){.is_ok = true};
    w->options = *options;
    w->result = ret_result;
    w->is_star = options->seed % STAR_EVERY == STAR_EVERY - 1;
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    w->sim = sl_sim_create(&(struct sl_sim_options){.seed = options->seed,
                                                    .start_ms = START_MS,
                                                    .delay_max_ns = 500 * SL_MILLI_NS,
                                                    .observe = observe,
                                                    .trace_lines = options->trace_lines,
                                                    .arg = w});
    make_machines(w);
    plan(w);
    run_until(w, HEALED_NS);
    ask_in_calm(w);
    end(w);
    sl_free(w);
}

void
sl_simulate_image_result_deinit(struct sl_simulate_image_result *result)
{
    sl_buf_deinit(&result->trace);
}
