/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/incoming.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"

static char root[64];
static struct sl_incoming *in;
static struct sl_blobs *blobs;

static void
open_both(void)
{
    char *path = sl_format("%s/uploads", root), *kept = sl_format("%s/blobs", root);
    cr_assert_eq(sl_incoming_open(path, true, &in), SL_OK);
    cr_assert_eq(sl_blobs_open(kept, true, &blobs), SL_OK);
    sl_free(path);
    sl_free(kept);
}

static void
setup(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/sluice-incoming-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    open_both();
}

static void
teardown(void)
{
    char *command[] = {"rm", "-rf", root, NULL};
    sl_incoming_close(&in);
    sl_blobs_close(&blobs);
    if (fork() == 0) /* No shell, and no walk of our own. */
        execv("/bin/rm", command);
}

TestSuite(incoming, .init = setup, .fini = teardown);

static enum sl_err
write_at(const char *name, uint64_t offset, const char *text, bool is_whole, struct sl_blob *blob)
{
    struct sl_incoming_writer *w = NULL;
    enum sl_err err = sl_incoming_begin(in, name, offset, 100, &w);
    if (err != SL_OK)
        return err;
    cr_assert_eq(sl_incoming_append(w, text, strlen(text)), SL_OK);
    return sl_incoming_end(&w, is_whole, blob);
}

static uint64_t
size_of(const char *name)
{
    uint64_t size = 0;
    cr_assert_eq(sl_incoming_size(in, name, &size), SL_OK);
    return size;
}

static void
hash_of(const char *text, char ret_hex[static SL_BLOB_ID_SIZE])
{
    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(sl_slice_str(text), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), ret_hex);
}

static struct sl_incoming *
open_again(void)
{
    struct sl_incoming *again = NULL;
    char directory[128];
    (void)snprintf(directory, sizeof(directory), "%s/uploads", root);
    cr_assert_eq(sl_incoming_open(directory, true, &again), SL_OK);
    return again;
}

Test(incoming, hashes_a_whole_file_however_it_came)
{
    struct sl_blob blob;
    char wanted[SL_BLOB_ID_SIZE];
    hash_of("hello world", wanted);
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(write_at("a", 0, "hello world", true, &blob), SL_OK);
    cr_assert_str_eq(blob.id, wanted);
    cr_assert_eq(write_at("a", 0, "hello wXXX", false, &blob), SL_OK);
    cr_assert_str_eq(blob.id, "");
    cr_assert_eq(write_at("a", 7, "orld", true, &blob), SL_OK);
    cr_assert_str_eq(blob.id, wanted);
    cr_assert_eq(blob.size_bytes, 11);
}

/* Whatever is sent again, and wherever from: the hash is that of the bytes that are there. */
Test(incoming, hashes_what_is_there_after_any_pieces)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct sl_random random;
    sl_random_seed(&random, 7);
    cr_assert_eq(sl_incoming_make(in, "r"), SL_OK);
    char whole[101] = "";
    struct sl_incoming *processes[2] = {in, open_again()};
    for (int round = 0; round < 3000; round++) {
        in = processes[sl_random_below(&random, 2)];
        size_t size = strlen(whole);
        bool goes_on = sl_random_below(&random, 2) == 0;
        size_t offset = goes_on ? size : (size_t)sl_random_below(&random, size + 1);
        size_t count = (size_t)sl_random_below(&random, 20);
        count = SL_MIN(count, 100 - offset);
        const char *from = letters + sl_random_below(&random, 26 - count);
        struct sl_incoming_writer *w = NULL;
        struct sl_blob blob;
        char wanted[SL_BLOB_ID_SIZE];
        cr_assert_eq(sl_incoming_begin(in, "r", offset, 100, &w), SL_OK);
        enum sl_err err = sl_incoming_append(w, from, count);
        cr_assert_eq(err, SL_OK, "%s at %zu of %zu, %zu", sl_err_name(err), offset, size, count);
        (void)snprintf(whole + offset, sizeof(whole) - offset, "%.*s", (int)count, from);
        hash_of(whole, wanted);
        if (sl_random_below(&random, 3) == 0) {
            sl_incoming_drop(&w);
            continue;
        }
        bool is_whole = sl_random_below(&random, 2) == 0;
        cr_assert_eq(sl_incoming_end(&w, is_whole, &blob), SL_OK);
        if (is_whole)
            cr_assert_str_eq(blob.id, wanted);
    }
    in = processes[0];
    sl_incoming_close(&processes[1]);
}

Test(incoming, takes_the_hash_along_from_piece_to_piece)
{
    char wanted[SL_BLOB_ID_SIZE];
    struct sl_blob blob;
    hash_of("hello world", wanted);
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(write_at("a", 0, "hello ", false, &blob), SL_OK);
    /* Other bytes of the same number, written by somebody who hides it: they are not read again. */
    char *path = sl_format("%s/uploads/a", root);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    FILE *file = fopen(path, "r+");
    cr_assert_eq(fputs("HELLO ", file), 1);
    fclose(file);
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    sl_free(path);
    cr_assert_eq(write_at("a", 6, "world", true, &blob), SL_OK);
    cr_assert_str_eq(blob.id, wanted);
}

/* Two processes on one directory: neither knows what the other has written. */
Test(incoming, hashes_what_is_there_whoever_wrote_it)
{
    struct sl_incoming *mine = in, *theirs = open_again();
    char wanted[SL_BLOB_ID_SIZE];
    struct sl_blob blob;
    hash_of("HELLO world", wanted);
    cr_assert_eq(sl_incoming_make(mine, "s"), SL_OK);
    cr_assert_eq(write_at("s", 0, "hello ", false, &blob), SL_OK);
    in = theirs;
    cr_assert_eq(write_at("s", 0, "HELLO ", false, &blob), SL_OK);
    in = mine;
    cr_assert_eq(write_at("s", 6, "world", true, &blob), SL_OK);
    cr_assert_str_eq(blob.id, wanted);
    sl_incoming_close(&theirs);
}

Test(incoming, refuses_gaps_strangers_and_second_writers)
{
    struct sl_blob blob;
    struct sl_incoming_writer *one = NULL, *two = NULL;
    cr_assert_eq(write_at("a", 0, "x", false, &blob), SL_ENOTFOUND);
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(sl_incoming_make(in, "a"), SL_EEXIST);
    cr_assert_eq(sl_incoming_make(in, "../a"), SL_EINVAL);
    cr_assert_eq(sl_incoming_make(in, ""), SL_EINVAL);
    cr_assert_eq(sl_incoming_make(in, ".secret"), SL_EINVAL);
    cr_assert_eq(write_at("a", 1, "x", false, &blob), SL_EINVAL);
    cr_assert_eq(write_at("a", 101, "x", false, &blob), SL_ETOOBIG);
    cr_assert_eq(sl_incoming_begin(in, "a", 0, 3, &one), SL_OK);
    cr_assert_eq(sl_incoming_begin(in, "a", 0, 3, &two), SL_EBUSY);
    cr_assert_eq(sl_incoming_append(one, "abc", 3), SL_OK);
    cr_assert_eq(sl_incoming_append(one, "d", 1), SL_ETOOBIG);
    cr_assert_eq(sl_incoming_end(&one, true, &blob), SL_ETOOBIG);
    cr_assert_null(one);
    cr_assert_eq(size_of("a"), 3);
}

Test(incoming, keeps_what_came_over_a_restart)
{
    struct sl_blob blob;
    uint8_t secret[SL_INCOMING_SECRET_SIZE];
    struct sl_incoming_writer *w = NULL;
    memcpy(secret, sl_incoming_secret(in), sizeof(secret));
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(sl_incoming_begin(in, "a", 0, 100, &w), SL_OK);
    cr_assert_eq(sl_incoming_append(w, "hello ", 6), SL_OK);
    sl_incoming_drop(&w); /* As when the client hangs up. */
    sl_incoming_close(&in);
    sl_blobs_close(&blobs);
    open_both();
    cr_assert_eq(memcmp(secret, sl_incoming_secret(in), sizeof(secret)), 0);
    cr_assert_eq(size_of("a"), 6);
    cr_assert_eq(write_at("a", 6, "world", true, &blob), SL_OK);
    cr_assert_eq(blob.size_bytes, 11);
}

Test(incoming, becomes_a_blob_once_and_stays_one)
{
    struct sl_blob blob, other;
    uint64_t size = 0;
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(write_at("a", 0, "hello", true, &blob), SL_OK);
    other = blob;
    other.size_bytes = 4;
    cr_assert_eq(sl_incoming_keep(in, "a", blobs, &other), SL_ESTALE);
    cr_assert_eq(sl_incoming_keep(in, "a", blobs, &blob), SL_OK);
    cr_assert_eq(sl_incoming_keep(in, "a", blobs, &blob), SL_OK);
    cr_assert_eq(sl_blob_size(blobs, blob.id, &size), SL_OK);
    cr_assert_eq(size, 5);
    cr_assert_eq(sl_incoming_size(in, "a", &size), SL_ENOTFOUND);
    hash_of("never", other.id);
    cr_assert_eq(sl_incoming_keep(in, "a", blobs, &other), SL_ENOTFOUND);
}

static bool
is_a(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "a") == 0;
}

Test(incoming, what_came_can_be_read_before_it_is_kept)
{
    struct sl_blob blob;
    char text[8] = "";
    int fd = -1;
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(write_at("a", 0, "hello", true, &blob), SL_OK);
    cr_assert_eq(sl_incoming_read(in, "a", &fd), SL_OK);
    cr_assert_eq(read(fd, text, sizeof(text)), 5);
    cr_assert_str_eq(text, "hello");
    close(fd);
    cr_assert_eq(sl_incoming_read(in, "b", &fd), SL_ENOTFOUND);
    cr_assert_eq(sl_incoming_read(in, "../a", &fd), SL_EINVAL);
}

Test(incoming, sweeps_what_nobody_waits_for_but_not_its_secret)
{
    uint64_t size;
    cr_assert_eq(sl_incoming_make(in, "a"), SL_OK);
    cr_assert_eq(sl_incoming_make(in, "b"), SL_OK);
    cr_assert_eq(sl_incoming_sweep(in, is_a, NULL), 1);
    cr_assert_eq(size_of("a"), 0);
    cr_assert_eq(sl_incoming_size(in, "b", &size), SL_ENOTFOUND);
    cr_assert_eq(sl_incoming_sweep(in, is_a, NULL), 0);
}
