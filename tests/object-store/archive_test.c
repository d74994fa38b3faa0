/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"

/* What came out: "path=bytes;", in order. */
static struct sl_buf got;
static struct sl_archive_result result;
static struct sl_cause cause;
static struct sl_buf tar; /* Tar bytes in the making, written by hand: what no packer would make. */

static enum sl_err
take_file(void *self, const char *path, uint64_t size)
{
    (void)size;
    sl_buf_append_str(self, path);
    sl_buf_append_str(self, "=");
    return SL_OK;
}

static enum sl_err
take_data(void *self, const void *data, size_t size)
{
    sl_buf_append(self, data, size);
    return SL_OK;
}

static enum sl_err
end_file(void *self)
{
    sl_buf_append_str(self, ";");
    return SL_OK;
}

static const struct sl_archive_sink sink = {
    .self = &got, .file = take_file, .data = take_data, .file_end = end_file};

static void
teardown(void)
{
    sl_buf_deinit(&tar);
    sl_buf_deinit(&got);
}

TestSuite(archive, .fini = teardown);

static void
pad(size_t block)
{
    while (tar.size % block != 0)
        sl_buf_append_u8(&tar, 0);
}

/* One ustar header; `size` is what it states, `data` may hold less. */
static void
add_header(const char *name, char kind, const char *link, uint64_t size)
{
    uint8_t h[512] = {0};
    unsigned sum = 0;
    cr_assert_lt(strlen(name), 100);
    memcpy(h, name, strlen(name));
    (void)sprintf((char *)h + 100, "%07o", 07777);
    (void)sprintf((char *)h + 108, "%07o", 0);
    (void)sprintf((char *)h + 116, "%07o", 0);
    (void)sprintf((char *)h + 124, "%011llo", (unsigned long long)size);
    (void)sprintf((char *)h + 136, "%011o", 0);
    memset(h + 148, ' ', 8);
    h[156] = (uint8_t)kind;
    if (link != NULL)
        memcpy(h + 157, link, strlen(link));
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += h[i];
    (void)sprintf((char *)h + 148, "%06o", sum);
    sl_buf_append(&tar, h, sizeof(h));
}

static void
add_file(const char *name, const char *text)
{
    add_header(name, '0', NULL, strlen(text));
    sl_buf_append_str(&tar, text);
    pad(512);
}

static void
finish(void)
{
    uint8_t end[1024] = {0};
    sl_buf_append(&tar, end, sizeof(end));
}

/* The bytes through gzip, as an open descriptor. */
static int
packed(struct sl_slice data)
{
    size_t capacity = data.size + 65536, used = 0;
    void *out = sl_alloc(capacity);
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    cr_assert_eq(archive_write_set_format_raw(a), ARCHIVE_OK);
    cr_assert_eq(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    cr_assert_eq(archive_write_open_memory(a, out, capacity, &used), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    cr_assert_eq(archive_write_header(a, entry), ARCHIVE_OK);
    cr_assert_eq(archive_write_data(a, data.data, data.size), (la_ssize_t)data.size);
    cr_assert_eq(archive_write_free(a), ARCHIVE_OK);
    archive_entry_free(entry);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    cr_assert_eq(write(fd, out, used), (ssize_t)used);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    sl_free(out);
    return fd;
}

static enum sl_err
read_all(int fd, const struct sl_archive_limits *limits)
{
    sl_buf_clear(&got);
    memset(&cause, 0, sizeof(cause));
    return sl_archive_read(fd, limits, &sink, &result, &cause);
}

static enum sl_err
unpack(const struct sl_archive_limits *limits)
{
    int fd = packed(sl_buf_slice(&tar));
    enum sl_err err = read_all(fd, limits);
    (void)close(fd);
    return err;
}

static void
refused(const struct sl_archive_limits *limits, enum sl_err want, const char *says)
{
    enum sl_err err = unpack(limits);
    cr_expect_eq(err, want, "%s: %s", sl_err_name(err), cause.text);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    sl_buf_clear(&tar);
}

Test(archive, gives_files_with_clean_paths)
{
    add_header("./", '5', NULL, 0);
    add_header("model/", '5', NULL, 0);
    add_file("model/config.json", "{}");
    add_file("./model//1_Pooling/./config.json", "{\"a\":1}");
    add_header("model/", '5', NULL, 0);
    add_file("empty", "");
    finish();
    cr_assert_eq(unpack(NULL), SL_OK, "%s", cause.text);
    cr_assert_eq(result.entries_count, 6);
    cr_assert_eq(result.size_bytes, 9);
    sl_buf_append_u8(&got, 0);
    cr_assert_str_eq((const char *)got.data,
                     "model/config.json={};model/1_Pooling/config.json={\"a\":1};empty=;");
}

static enum sl_err
refuse(void *self, const char *path, uint64_t size)
{
    (void)self;
    (void)size;
    return sl_cause_set(&cause, SL_ENOSPC, "no room for %s", path);
}

Test(archive, ends_with_what_the_sink_says)
{
    struct sl_archive_sink full = sink;
    full.file = refuse;
    add_file("a", "x");
    finish();
    int fd = packed(sl_buf_slice(&tar));
    cr_assert_eq(sl_archive_read(fd, NULL, &full, &result, &cause), SL_ENOSPC);
    cr_assert_str_eq(cause.text, "no room for a");
    (void)close(fd);
}

Test(archive, refuses_paths_that_leave_the_root)
{
    static const char *const names[] = {"../evil", "a/../../evil", "a/..", "..", "a/../b"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        add_file(names[i], "x");
        refused(NULL, SL_EINVAL, "'..'");
    }
    add_file("/etc/evil", "x");
    refused(NULL, SL_EINVAL, "absolute");
    add_header("../evil/", '5', NULL, 0);
    refused(NULL, SL_EINVAL, "'..'");
    add_file("a\nb", "x");
    refused(NULL, SL_EINVAL, "control");
    add_file("./", "");
    add_file(".", "x");
    refused(NULL, SL_EINVAL, "no name for a file");
}

Test(archive, refuses_links_and_devices)
{
    add_header("link", '2', "/etc/passwd", 0);
    refused(NULL, SL_EINVAL, "symbolic link");
    add_file("file", "x");
    add_header("hard", '1', "file", 0);
    refused(NULL, SL_EINVAL, "hard link");
    add_header("char", '3', NULL, 0);
    refused(NULL, SL_EINVAL, "device");
    add_header("block", '4', NULL, 0);
    refused(NULL, SL_EINVAL, "device");
    add_header("pipe", '6', NULL, 0);
    refused(NULL, SL_EINVAL, "pipe");
}

Test(archive, holds_every_limit)
{
    struct sl_archive_limits l = {.entries_max = 2};
    add_file("a", "");
    add_file("b", "");
    add_file("c", "");
    refused(&l, SL_ETOOBIG, "over 2 entries");
    add_file("d1/d2/d3", "");
    refused(&(struct sl_archive_limits){.depth_max = 2}, SL_EINVAL, "deep");
    add_file("long-name", "");
    refused(&(struct sl_archive_limits){.path_size_max = 8}, SL_EINVAL, "over 8 bytes");
    add_file("e", "12345");
    refused(&(struct sl_archive_limits){.size_bytes_max = 4}, SL_ETOOBIG, "limit of 4");
    add_file("f", "123");
    add_file("g", "45");
    refused(&(struct sl_archive_limits){.size_bytes_max = 4}, SL_ETOOBIG, "limit of 4");
    add_header("h", '0', NULL, 07777777777ull);
    refused(&(struct sl_archive_limits){.size_bytes_max = 1000}, SL_ETOOBIG, "limit of 1000");
}

Test(archive, stops_a_compression_bomb)
{
    static const uint8_t zeroes[65536];
    add_header("zeroes", '0', NULL, 64 * sizeof(zeroes));
    for (int i = 0; i < 64; i++)
        sl_buf_append(&tar, zeroes, sizeof(zeroes));
    finish();
    struct sl_archive_limits l = {.ratio_from_bytes = SL_MIB};
    cr_assert_eq(unpack(&l), SL_ETOOBIG);
    cr_assert(strstr(cause.text, "bomb") != NULL, "%s", cause.text);
    cr_assert_lt(result.size_bytes, 2 * SL_MIB);
    cr_assert_eq(unpack(NULL), SL_OK, "4 MiB are under the default: %s", cause.text);
}

Test(archive, refuses_what_is_not_tar_gz)
{
    static const char *const texts[] = {"", "hello", "PK\003\004 a zip file", "\037\213"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        int fd = memfd_create("archive", MFD_CLOEXEC);
        cr_assert_eq(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        cr_expect_eq(read_all(fd, NULL), SL_EINVAL);
        cr_expect(strstr(cause.text, "tar -czf") != NULL, "%s", cause.text);
        (void)close(fd);
    }
    add_file("plain", "x"); /* A tar that nobody compressed. */
    finish();
    int fd = memfd_create("archive", MFD_CLOEXEC);
    cr_assert_eq(write(fd, tar.data, tar.size), (ssize_t)tar.size);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    cr_expect_eq(read_all(fd, NULL), SL_EINVAL);
    (void)close(fd);
    sl_buf_clear(&tar);
    sl_buf_append_str(&tar, "gzip, but no tar in it");
    refused(NULL, SL_EINVAL, "tar -czf");
}

Test(archive, refuses_every_cut_that_loses_data)
{
    static uint8_t noise[3000];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)((i * 2654435761u) >> 13);
    add_header("a", '0', NULL, sizeof(noise));
    sl_buf_append(&tar, noise, sizeof(noise));
    pad(512);
    size_t data_end = tar.size;
    finish();
    int fd = packed(sl_buf_slice(&tar));
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    for (off_t size = 0; size < st.st_size - 40; size += 7) {
        cr_assert_eq(ftruncate(fd, st.st_size), 0);
        int cut = memfd_create("cut", MFD_CLOEXEC);
        char *bytes = sl_alloc((size_t)size + 1);
        cr_assert_eq(pread(fd, bytes, (size_t)size, 0), size);
        cr_assert_eq(write(cut, bytes, (size_t)size), size);
        cr_assert_eq(lseek(cut, 0, SEEK_SET), 0);
        cr_expect_neq(read_all(cut, NULL), SL_OK, "cut at %ld", (long)size);
        sl_free(bytes);
        (void)close(cut);
    }
    (void)close(fd);
    tar.size = data_end - 512; /* The tar itself is cut; its gzip is whole. */
    refused(NULL, SL_EINVAL, "cut");
}
