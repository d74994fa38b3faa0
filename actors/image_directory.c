/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looked for by a walk over an image's nodes: a thousand at most as a rule, once a fetch. What a
 * node has is not kept by node, so losing one walks over everything; nodes are lost rarely.
 */
#include "actors/image_directory.h"

#include "runtime/alloc.h"

#define DIRECTORY_MAGIC 0x696d6472u
#define SERVES_MAX      3
#define BUCKETS         1024u

struct entry {
    uint32_t node;
    uint32_t order; /* Of those that fetch: who began earlier. */
    uint32_t load;  /* Others that fetch from it. */
    bool is_whole;
    uint32_t sources_count;
    uint32_t sources[SL_IMAGE_SOURCES_MAX];
};

struct image {
    struct image *next;
    struct sl_image_name name;
    uint64_t size_bytes;
    struct entry *entries;
    uint32_t count, capacity, order_last;
};

struct sl_image_directory {
    uint32_t magic;
    uint32_t serves_max;
    uint32_t entries_count;
    struct image *buckets[BUCKETS];
};

static void
check(const struct sl_image_directory *d)
{
    sl_assert(d != NULL);
    sl_assert(d->magic == DIRECTORY_MAGIC);
}

struct sl_image_directory *
sl_image_directory_create(uint32_t serves_max)
{
    struct sl_image_directory *d = sl_zalloc(sizeof(*d));
    d->magic = DIRECTORY_MAGIC;
    d->serves_max = serves_max == 0 ? SERVES_MAX : serves_max;
    return d;
}

void
sl_image_directory_destroy(struct sl_image_directory **directory)
{
    struct sl_image_directory *d = *directory;
    if (d == NULL)
        return;
    check(d);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (struct image *image = d->buckets[i], *next; image != NULL; image = next) {
            next = image->next;
            sl_free(image->entries);
            sl_free(image);
        }
    }
    d->magic = 0;
    sl_free(d);
    *directory = NULL;
}

/* ---- images and nodes ---------------------------------------------------------------------- */

static struct image **
bucket_of(const struct sl_image_directory *d, const struct sl_image_name *name)
{
    uint64_t hash = sl_hash64(sl_slice(name->digest, sizeof(name->digest)));
    return (struct image **)&d->buckets[hash % BUCKETS];
}

static struct image *
image_of(const struct sl_image_directory *d, const struct sl_image_name *name)
{
    struct image *image = *bucket_of(d, name);
    while (image != NULL && memcmp(&image->name, name, sizeof(*name)) != 0)
        image = image->next;
    return image;
}

static struct entry *
entry_of(const struct image *image, uint32_t node)
{
    for (uint32_t i = 0; image != NULL && i < image->count; i++) {
        if (image->entries[i].node == node)
            return &image->entries[i];
    }
    return NULL;
}

static struct entry *
add_entry(struct sl_image_directory *d, const struct sl_image_name *name, uint32_t node,
          struct image **ret_image)
{
    struct image *image = image_of(d, name);
    struct entry *e = entry_of(image, node);
    *ret_image = image;
    if (e != NULL)
        return e;
    if (d->entries_count == SL_DIRECTORY_ENTRIES_MAX)
        return NULL;
    if (image == NULL) {
        image = sl_zalloc(sizeof(*image));
        image->name = *name;
        image->next = *bucket_of(d, name);
        *bucket_of(d, name) = image;
        *ret_image = image;
    }
    if (image->count == image->capacity) {
        image->capacity = SL_MAX(image->capacity * 2, 4u);
        image->entries = sl_realloc(image->entries, image->capacity * sizeof(image->entries[0]));
    }
    d->entries_count++;
    e = &image->entries[image->count++];
    *e = (struct entry){.node = node, .order = ++image->order_last};
    return e;
}

static void
release_sources(struct image *image, struct entry *e)
{
    for (uint32_t i = 0; i < e->sources_count; i++) {
        struct entry *source = entry_of(image, e->sources[i]);
        if (!SL_BUG(source == NULL || source->load == 0))
            source->load--;
    }
    e->sources_count = 0;
}

static void
forget_source(struct entry *e, uint32_t node)
{
    for (uint32_t i = 0; i < e->sources_count; i++) {
        if (e->sources[i] == node) {
            e->sources[i] = e->sources[--e->sources_count];
            return;
        }
    }
}

/* The image goes with its last node. */
static void
remove_entry(struct sl_image_directory *d, struct image *image, struct entry *e)
{
    uint32_t node = e->node;
    release_sources(image, e);
    *e = image->entries[--image->count];
    d->entries_count--;
    for (uint32_t i = 0; i < image->count; i++)
        forget_source(&image->entries[i], node);
    if (image->count > 0)
        return;
    struct image **at = bucket_of(d, &image->name);
    while (*at != image)
        at = &(*at)->next;
    *at = image->next;
    sl_free(image->entries);
    sl_free(image);
}

enum sl_err
sl_image_directory_has(struct sl_image_directory *d, uint32_t node,
                       const struct sl_image_name *name, uint64_t size_bytes)
{
    check(d);
    struct image *image;
    struct entry *e = add_entry(d, name, node, &image);
    if (e == NULL)
        return SL_EFULL;
    release_sources(image, e);
    e->is_whole = true;
    image->size_bytes = size_bytes;
    return SL_OK;
}

void
sl_image_directory_gone(struct sl_image_directory *d, uint32_t node,
                        const struct sl_image_name *name)
{
    check(d);
    struct image *image = image_of(d, name);
    struct entry *e = entry_of(image, node);
    if (e != NULL)
        remove_entry(d, image, e);
}

void
sl_image_directory_lose(struct sl_image_directory *d, uint32_t node)
{
    check(d);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (struct image *image = d->buckets[i], *next; image != NULL; image = next) {
            next = image->next;
            struct entry *e = entry_of(image, node);
            if (e != NULL)
                remove_entry(d, image, e);
        }
    }
}

/* ---- who from whom ------------------------------------------------------------------------- */

struct choice {
    const struct sl_image_directory *directory;
    struct image *image;
    struct entry *who;
    uint32_t before[SL_IMAGE_SOURCES_MAX]; /* What it was told the last time. */
    uint32_t before_count;
};

static bool
is_among(const uint32_t *nodes, uint32_t count, uint32_t node)
{
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i] == node)
            return true;
    }
    return false;
}

/*
 * Those that have all of it come first, who serves least before others; then those that began
 * earliest, for they are the nearest to it: the least busy ones would make a chain. A further
 * source must cost nobody a first one: a whole one that serves nobody else, or a second parent as
 * long as it serves less than it may by two.
 */
static struct entry *
choose(const struct choice *c, bool is_again)
{
    const struct entry *who = c->who;
    struct entry *best = NULL;
    for (uint32_t i = 0; i < c->image->count; i++) {
        struct entry *e = &c->image->entries[i];
        uint32_t serves = c->directory->serves_max, nth = who->sources_count;
        bool is_earlier = e->is_whole || e->order < who->order;
        if (e == who || !is_earlier || e->load >= serves || is_among(who->sources, nth, e->node) ||
            (!is_again && is_among(c->before, c->before_count, e->node)))
            continue;
        if ((nth == 1 && e->load + 1 >= serves) || (nth > 1 && (!e->is_whole || e->load > 0)))
            continue;
        bool is_better = best == NULL || (e->is_whole && !best->is_whole);
        if (!is_better && e->is_whole == best->is_whole)
            is_better = e->is_whole ? e->load < best->load : e->order < best->order;
        best = is_better ? e : best;
    }
    return best;
}

static void
give_sources(struct choice *c)
{
    for (int again = 0; again < 2 && c->who->sources_count == 0; again++) {
        while (c->who->sources_count < SL_IMAGE_SOURCES_MAX) {
            struct entry *source = choose(c, again == 1);
            if (source == NULL)
                break;
            source->load++;
            c->who->sources[c->who->sources_count++] = source->node;
        }
    }
}

enum sl_err
sl_image_directory_locate(struct sl_image_directory *d, uint32_t node,
                          const struct sl_image_name *name, struct sl_image_located *ret_located)
{
    check(d);
    struct sl_image_located located = {0};
    struct image *image = image_of(d, name);
    struct entry *e = entry_of(image, node);
    if (image == NULL || (e != NULL && image->count == 1)) { /* Nobody but itself. */
        *ret_located = located;
        return SL_OK;
    }
    if (e != NULL && e->is_whole) /* It lost it without a word: it begins behind all others. */
        remove_entry(d, image, e);
    e = add_entry(d, name, node, &image);
    if (e == NULL)
        return SL_EFULL;
    struct choice c = {.directory = d, .image = image, .who = e, .before_count = e->sources_count};
    memcpy(c.before, e->sources, sizeof(c.before));
    release_sources(image, e);
    give_sources(&c);
    located.is_known = true;
    located.size_bytes = image->size_bytes;
    located.count = e->sources_count;
    memcpy(located.nodes, e->sources, sizeof(located.nodes));
    *ret_located = located;
    return SL_OK;
}

void
sl_image_directory_count(const struct sl_image_directory *d, const struct sl_image_name *name,
                         uint32_t *ret_whole, uint32_t *ret_fetching)
{
    check(d);
    const struct image *image = image_of(d, name);
    *ret_whole = *ret_fetching = 0;
    for (uint32_t i = 0; image != NULL && i < image->count; i++) {
        *ret_whole += image->entries[i].is_whole;
        *ret_fetching += !image->entries[i].is_whole;
    }
}

uint32_t
sl_image_directory_load(const struct sl_image_directory *d, uint32_t node,
                        const struct sl_image_name *name)
{
    check(d);
    const struct entry *e = entry_of(image_of(d, name), node);
    return e == NULL ? 0 : e->load;
}
