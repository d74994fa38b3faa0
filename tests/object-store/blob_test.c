/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/blob.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/object-store/tiny_model.h"

#define HELLO_ID "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static char directory[64];
static struct sl_blobs *blobs;

static void
setup(void)
{
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(sl_blobs_open(directory, false, &blobs), SL_OK);
}

static void
teardown(void)
{
    sl_blobs_close(&blobs);
    tiny_directory_remove(directory);
}

TestSuite(blob, .init = setup, .fini = teardown);

static uint32_t
leftovers(void)
{
    char path[128];
    uint32_t count = 0;
    (void)snprintf(path, sizeof(path), "%s/tmp", directory);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

Test(blob, is_named_by_the_hash_of_what_was_appended)
{
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    cr_assert_eq(sl_blob_writer_create(blobs, 5, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "hel", 3), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "", 0), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "lo", 2), SL_OK);
    cr_assert_eq(sl_blob_writer_size(w), 5);
    cr_assert_eq(sl_blob_writer_finish(&w, &blob), SL_OK);
    cr_assert_null(w);
    cr_assert_str_eq(blob.id, HELLO_ID);
    cr_assert_eq(blob.size_bytes, 5);
    cr_assert_eq(leftovers(), 0);

    int fd = -1;
    uint64_t size = 0;
    char text[8] = "";
    cr_assert_eq(sl_blob_open(blobs, HELLO_ID, &fd, &size), SL_OK);
    cr_assert_eq(read(fd, text, sizeof(text)), 5);
    cr_assert_str_eq(text, "hello");
    (void)close(fd);
}

Test(blob, outlives_a_reopen_and_leftovers_do_not)
{
    struct sl_blob blob;
    uint64_t size = 0;
    cr_assert_eq(sl_blob_put(blobs, sl_slice("hello", 5), &blob), SL_OK);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/tmp/crashed", directory);
    cr_assert_geq(creat(path, 0600), 0);
    cr_assert_eq(leftovers(), 1);
    sl_blobs_close(&blobs);
    cr_assert_eq(sl_blobs_open(directory, true, &blobs), SL_OK);
    cr_assert_eq(leftovers(), 0);
    cr_assert_eq(sl_blob_size(blobs, HELLO_ID, &size), SL_OK);
    cr_assert_eq(size, 5);
}

Test(blob, of_the_same_bytes_is_the_same_blob)
{
    struct sl_blob a, b;
    cr_assert_eq(sl_blob_put(blobs, sl_slice("hello", 5), &a), SL_OK);
    cr_assert_eq(sl_blob_put(blobs, sl_slice("hello", 5), &b), SL_OK);
    cr_assert_str_eq(a.id, b.id);
    cr_assert_eq(sl_blob_put(blobs, sl_slice(NULL, 0), &b), SL_OK);
    cr_assert_eq(b.size_bytes, 0);
}

Test(blob, over_its_limit_is_refused_and_leaves_nothing)
{
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    cr_assert_eq(sl_blob_writer_create(blobs, 4, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "hell", 4), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "o", 1), SL_ETOOBIG);
    cr_assert_eq(sl_blob_writer_append(w, "", 0), SL_ETOOBIG);
    cr_assert_eq(sl_blob_writer_finish(&w, &blob), SL_ETOOBIG);
    cr_assert_null(w);
    cr_assert_eq(leftovers(), 0);
}

Test(blob, aborted_leaves_nothing)
{
    struct sl_blob_writer *w = NULL;
    cr_assert_eq(sl_blob_writer_create(blobs, 4, &w), SL_OK);
    cr_assert_eq(leftovers(), 1);
    sl_blob_writer_abort(&w);
    sl_blob_writer_abort(&w);
    cr_assert_eq(leftovers(), 0);
}

Test(blob, ids_that_are_no_hash_never_become_paths)
{
    static const char *const ids[] = {
        "",
        "../../etc/passwd",
        "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824",
        HELLO_ID "0",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982",
        "../../../../../../../../../../../../../../../../../../etc/passwd",
        NULL};
    for (size_t i = 0; i < SL_COUNT_OF(ids); i++) {
        int fd = -1;
        uint64_t size;
        cr_expect_eq(sl_blob_open(blobs, ids[i], &fd, &size), SL_EINVAL);
        cr_expect_eq(sl_blob_size(blobs, ids[i], &size), SL_EINVAL);
        cr_expect_eq(sl_blob_remove(blobs, ids[i]), SL_EINVAL);
        cr_expect_eq(fd, -1);
    }
}

Test(blob, removed_is_gone_but_not_for_its_readers)
{
    struct sl_blob blob;
    int fd = -1, none = -1;
    uint64_t size;
    char c;
    cr_assert_eq(sl_blob_put(blobs, sl_slice("hello", 5), &blob), SL_OK);
    cr_assert_eq(sl_blob_open(blobs, blob.id, &fd, &size), SL_OK);
    cr_assert_eq(sl_blob_remove(blobs, blob.id), SL_OK);
    cr_assert_eq(sl_blob_remove(blobs, blob.id), SL_OK);
    cr_assert_eq(sl_blob_open(blobs, blob.id, &none, &size), SL_ENOTFOUND);
    cr_assert_eq(read(fd, &c, 1), 1);
    (void)close(fd);
}

/* The disk takes n bytes and no more, for every n until it takes all. */
Test(blob, survives_a_disk_that_fills_at_any_byte)
{
    static char data[64];
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    for (rlim_t n = 0; n <= sizeof(data); n++) {
        struct rlimit low = {.rlim_cur = n, .rlim_max = limit.rlim_max};
        struct sl_blob blob = {.size_bytes = 1};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
        enum sl_err err = sl_blob_put(blobs, sl_slice(data, sizeof(data)), &blob);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cr_assert_eq(err == SL_OK, n == sizeof(data));
        cr_assert_eq(blob.size_bytes, n == sizeof(data) ? sizeof(data) : 1);
        cr_assert_eq(leftovers(), 0);
    }
}

Test(blob, store_in_a_place_that_cannot_be_is_an_error)
{
    struct sl_blobs *none = NULL;
    cr_assert_neq(sl_blobs_open("/proc/no/such/place", true, &none), SL_OK);
    cr_assert_null(none);
}

/* ---- beside another process ---------------------------------------------------------------- */

Test(blob, left_under_a_name_is_taken_once_by_whoever_knows_it)
{
    struct sl_blobs *other = NULL;
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    char name[SL_BLOB_LEFT_SIZE], text[8] = "";
    int fd = -1;
    cr_assert_eq(sl_blobs_join(directory, &other), SL_OK);
    cr_assert_eq(sl_blob_writer_create(other, 5, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "hello", 5), SL_OK);
    cr_assert_eq(sl_blob_writer_leave(&w, &blob, name), SL_OK);
    cr_assert_null(w);
    cr_assert_str_eq(blob.id, HELLO_ID);
    cr_assert_eq(leftovers(), 1);
    cr_assert_eq(sl_blob_take(blobs, name, &fd), SL_OK);
    cr_assert_eq(leftovers(), 0);
    cr_assert_eq(read(fd, text, sizeof(text)), 5);
    cr_assert_str_eq(text, "hello");
    (void)close(fd);
    cr_assert_eq(sl_blob_take(blobs, name, &fd), SL_ENOTFOUND);
    cr_assert_eq(sl_blob_take(blobs, "../../../../../../etc/hostname....", &fd), SL_EINVAL);
    cr_assert_eq(sl_blob_take(blobs, "", &fd), SL_EINVAL);
    sl_blobs_close(&other);
}

Test(blob, that_was_left_can_be_dropped)
{
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    char name[SL_BLOB_LEFT_SIZE];
    cr_assert_eq(sl_blob_writer_create(blobs, 5, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "too long", 8), SL_ETOOBIG);
    cr_assert_eq(sl_blob_writer_leave(&w, &blob, name), SL_ETOOBIG);
    cr_assert_eq(leftovers(), 0);
    cr_assert_eq(sl_blob_writer_create(blobs, 5, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_leave(&w, &blob, name), SL_OK);
    sl_blob_drop_left(blobs, "nothing");
    cr_assert_eq(leftovers(), 1);
    sl_blob_drop_left(blobs, name);
    sl_blob_drop_left(blobs, name);
    cr_assert_eq(leftovers(), 0);
}

Test(blob, what_another_process_writes_outlives_an_open)
{
    struct sl_blobs *owner = NULL;
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    char name[SL_BLOB_LEFT_SIZE];
    int fd = -1;
    cr_assert_eq(sl_blob_writer_create(blobs, 100, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "abc", 3), SL_OK);
    cr_assert_eq(sl_blobs_open(directory, true, &owner), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "def", 3), SL_OK);
    cr_assert_eq(sl_blob_writer_leave(&w, &blob, name), SL_OK);
    cr_assert_eq(sl_blob_take(owner, name, &fd), SL_OK);
    (void)close(fd);
    sl_blobs_close(&owner);
}

Test(blob, joining_a_directory_leaves_what_others_write_alone)
{
    struct sl_blobs *other = NULL;
    struct sl_blob_writer *w = NULL;
    struct sl_blob blob;
    cr_assert_eq(sl_blob_writer_create(blobs, 5, &w), SL_OK);
    cr_assert_eq(sl_blob_writer_append(w, "hello", 5), SL_OK);
    cr_assert_eq(sl_blobs_join(directory, &other), SL_OK);
    cr_assert_eq(sl_blob_writer_finish(&w, &blob), SL_OK);
    sl_blobs_close(&other);
}
