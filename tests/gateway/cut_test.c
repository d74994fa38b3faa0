/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of tenants and keys, cut off at each byte of what they write: afterwards a server that is
 * started is as before the change or as behind it, in its rows, queues, keys and doors alike.
 *
 * A kill leaves what was written until then. So the directory is copied as it is before the change,
 * the store still open, and once more for each cut, to which the log's bytes up to there are added.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/account.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

#define CUTS 10u /* Of each change, beside the first and the last byte. */
#define LOG  "log/segment-0000000000"

static struct harness h;
static struct sl_identity operator, acme;
static char *secret, *fresh; /* Of acme's key, and what a rotation gave instead; NULL: nothing. */

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants", "{\"tenant_id\":\"acme\",\"name\":\"A\"}"),
                 201, "%s", h.text);
    secret = harness_text(&h, "api_key");
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, sl_slice_str(secret), h.now_ms, &acme), SL_OK);
    sl_free(secret);
    h.who = acme;
    cr_assert_eq(harness_call(&h, "POST", "/v1/organizations/users/owner@acme.local/api-keys",
                              "{\"name\":\"other\"}"),
                 200, "%s", h.text);
    secret = harness_text(&h, "key");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/mail", "{}"), 200, "%s", h.text);
    h.who = operator;
}

static void
teardown(void)
{
    harness_deinit(&h);
    sl_free(secret);
    sl_free(fresh);
}

TestSuite(cut, .init = setup, .fini = teardown);

/* ---- directories ---------------------------------------------------------------------------- */

/* Values of objects stay where they are: no change here is about them. */
static void
copy(const char *from, const char *to)
{
    char *command = sl_format("rm -rf %s && mkdir %s && cd %s && cp -a log catalogue snapshots "
                              "admin.key %s && ln -s %s/blobs %s",
                              to, to, from, to, h.directory, to);
    cr_assert_eq(system(command), 0, "%s", command);
    sl_free(command);
}

/* All of the log; owned. */
static uint8_t *
read_log(size_t *ret_size)
{
    char *path = sl_format("%s/" LOG, h.directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    cr_assert(fd >= 0 && fstat(fd, &info) == 0, "%s", path);
    uint8_t *bytes = sl_alloc((size_t)info.st_size);
    cr_assert_eq(read(fd, bytes, (size_t)info.st_size), info.st_size);
    *ret_size = (size_t)info.st_size;
    close(fd);
    sl_free(path);
    return bytes;
}

static void
write_log(const char *directory, const uint8_t *bytes, size_t first, size_t end)
{
    char *path = sl_format("%s/" LOG, directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert(fd >= 0);
    cr_assert_eq(pwrite(fd, bytes + first, end - first, (off_t)first), (ssize_t)(end - first));
    close(fd);
    sl_free(path);
}

/* ---- what is there -------------------------------------------------------------------------- */

struct seen {
    uint64_t rows_and_queues;
    bool is_suspended, has_key, has_fresh_key;
};

static bool
opens(const struct sl_gateway *g, const char *key)
{
    struct sl_identity who;
    return key != NULL && sl_keyring_check(g->keyring, sl_slice_str(key), h.now_ms, &who) == SL_OK;
}

/* What a server finds that is started on a copy of a directory. */
static struct seen
look(const char *directory)
{
    struct harness other = {.now_ms = h.now_ms};
    struct sl_door door;
    snprintf(other.directory, sizeof(other.directory), "%s", directory);
    scene_open(&other.gateway, other.directory, other.now_ms);
    struct seen seen = {.rows_and_queues = harness_digest(&other),
                        .is_suspended = sl_keyring_door(other.gateway.keyring, acme.scope, &door) &&
                                        door.is_suspended,
                        .has_key = opens(&other.gateway, secret),
                        .has_fresh_key = opens(&other.gateway, fresh)};
    sl_store_abandon(&other.gateway.store); /* A checkpoint would wait for the disk. */
    scene_close(&other.gateway);
    return seen;
}

static bool
is_same(struct seen a, struct seen b)
{
    return a.rows_and_queues == b.rows_and_queues && a.is_suspended == b.is_suspended &&
           a.has_key == b.has_key && a.has_fresh_key == b.has_fresh_key;
}

/* ---- cuts ----------------------------------------------------------------------------------- */

struct change {
    const char *target, *body;
    int status;
    const char *secret_at; /* Where its reply has a new secret; NULL: it has none. */
};

static void
make(const struct change *c)
{
    cr_assert_eq(harness_call(&h, "POST", c->target, c->body), c->status, "%s", h.text);
    if (c->secret_at != NULL)
        fresh = harness_text(&h, c->secret_at);
    cr_assert_eq(sl_store_sync(h.gateway.store), SL_OK);
}

/* The whole change: what it is before and behind, and at each cut one of the two. Returns what is
 * there behind it. */
static struct seen
cut(const struct change *c)
{
    char *before = sl_format("%s.before", h.directory), *work = sl_format("%s.work", h.directory);
    size_t size, size_behind;
    cr_assert_eq(sl_store_sync(h.gateway.store), SL_OK);
    copy(h.directory, before);
    uint8_t *had = read_log(&size);
    make(c);
    uint8_t *has = read_log(&size_behind);
    cr_assert_eq(size, size_behind, "the log went on in another file");
    size_t first = 0, end = size;
    while (first < size && had[first] == has[first])
        first++;
    while (end > first && had[end - 1] == has[end - 1])
        end--;
    cr_assert_lt(first, end, "nothing was written");

    copy(before, work);
    struct seen was = look(work);
    copy(before, work);
    write_log(work, has, first, end);
    struct seen is = look(work);
    cr_expect_not(is_same(was, is), "%s changes nothing", c->target);
    size_t step = SL_MAX((end - first) / CUTS, (size_t)1);
    for (size_t at = first + 1; at < end; at += at + step < end || at == end - 1 ? step : 1) {
        copy(before, work);
        write_log(work, has, first, at);
        struct seen found = look(work);
        cr_expect(is_same(found, was), "%s, cut at %zu of %zu", c->target, at - first, end - first);
    }
    scene_remove(before);
    scene_remove(work);
    sl_free(before);
    sl_free(work);
    sl_free(had);
    sl_free(has);
    return is;
}

Test(cut, leaves_a_tenant_suspended_whole_or_not_at_all)
{
    struct seen is = cut(&(struct change){
        .target = "/v1/tenants/acme/suspend", .body = "{\"reason\":\"security\"}", .status = 200});
    cr_expect(is.is_suspended);
    is = cut(&(struct change){.target = "/v1/tenants/acme/resume", .status = 200});
    cr_expect_not(is.is_suspended);
}

Test(cut, leaves_a_key_rotated_with_one_secret_that_opens)
{
    struct change rotate = {.target =
                                "/v1/organizations/users/owner@acme.local/api-keys/other/rotate",
                            .status = 200,
                            .secret_at = "key"};
    h.who = acme;
    struct seen is = cut(&rotate);
    cr_expect(is.has_fresh_key && !is.has_key);
}

Test(cut, leaves_a_key_rotated_with_an_overlap_where_both_open)
{
    struct change rotate = {.target = "/v1/organizations/users/owner@acme.local/api-keys/other/"
                                      "rotate?overlap_s=60",
                            .status = 200,
                            .secret_at = "key"};
    h.who = acme;
    struct seen is = cut(&rotate);
    cr_expect(is.has_fresh_key && is.has_key);
}

Test(cut, leaves_a_tenant_that_leaves_as_it_was_or_on_its_way)
{
    struct seen is = cut(&(struct change){.target = "/v1/tenants/acme/offboard",
                                          .body = "{\"data_retention_days\":30}",
                                          .status = 202});
    cr_expect(is.is_suspended);
    is = cut(&(struct change){.target = "/v1/tenants/acme/offboard/cancel", .status = 200});
    cr_expect_not(is.is_suspended);
}
