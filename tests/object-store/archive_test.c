/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "tests/object-store/tiny_model.h"
#include "tests/runtime/descriptors.h"

static char directory[64];
static int directory_fd = -1;
static struct sl_archive_result result;
static struct sl_buf tar; /* Tar bytes in the making, written by hand: what no packer would make. */

static void
setup(void)
{
    cr_assert_not_null(tiny_directory_make(directory));
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
teardown(void)
{
    sl_buf_deinit(&tar);
    (void)close(directory_fd);
    tiny_directory_remove(directory);
}

TestSuite(archive, .init = setup, .fini = teardown);

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
unpack(const struct sl_archive_limits *limits)
{
    int fd = packed(sl_buf_slice(&tar));
    memset(&result, 0, sizeof(result));
    enum sl_err err = sl_archive_unpack(fd, directory_fd, limits, &result);
    cr_assert_eq(err, result.err);
    (void)close(fd);
    return err;
}

static void
refused(const struct sl_archive_limits *limits, enum sl_err want, const char *says)
{
    enum sl_err err = unpack(limits);
    cr_expect_eq(err, want, "%s: %s", sl_err_name(err), result.cause.text);
    cr_expect(strstr(result.cause.text, says) != NULL, "'%s' does not say '%s'", result.cause.text,
              says);
    sl_buf_clear(&tar);
}

static struct stat
stat_of(const char *path)
{
    struct stat st = {0};
    cr_expect_eq(fstatat(directory_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", path);
    return st;
}

Test(archive, unpacks_files_and_directories_with_its_own_modes)
{
    umask(0);
    add_header("./", '5', NULL, 0);
    add_header("model/", '5', NULL, 0);
    add_file("model/config.json", "{}");
    add_file("./model//1_Pooling/./config.json", "{\"a\":1}");
    add_header("model/", '5', NULL, 0);
    finish();
    cr_assert_eq(unpack(NULL), SL_OK, "%s", result.cause.text);
    cr_assert_eq(result.entries_count, 5);
    cr_assert_eq(result.size_bytes, 9);
    cr_assert_eq(stat_of("model").st_mode, S_IFDIR | 0700);
    cr_assert_eq(stat_of("model/config.json").st_mode, S_IFREG | 0600);
    cr_assert_eq(stat_of("model/1_Pooling/config.json").st_size, 7);
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

Test(archive, does_not_follow_a_link_that_lies_in_its_way)
{
    char outside[64];
    cr_assert_not_null(tiny_directory_make(outside));
    cr_assert_eq(symlinkat(outside, directory_fd, "d"), 0);
    add_file("d/evil", "x");
    finish();
    refused(NULL, SL_EINVAL, "d/evil");
    cr_assert_eq(symlinkat("evil", directory_fd, "f"), 0);
    add_file("f", "x");
    finish();
    refused(NULL, SL_EINVAL, "twice");
    cr_assert_eq(rmdir(outside), 0, "something was written outside");
}

Test(archive, refuses_a_path_twice)
{
    add_file("a", "1");
    add_file("./a", "2");
    refused(NULL, SL_EINVAL, "twice");
    add_file("b", "1");
    add_file("b/c", "2");
    refused(NULL, SL_EINVAL, "twice");
    add_file("c/d", "1");
    add_file("c", "2");
    refused(NULL, SL_EINVAL, "twice");
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
    cr_assert(strstr(result.cause.text, "bomb") != NULL, "%s", result.cause.text);
    cr_assert_lt(result.size_bytes, 2 * SL_MIB);
    cr_assert_eq(unlinkat(directory_fd, "zeroes", 0), 0);
    cr_assert_eq(unpack(NULL), SL_OK, "4 MiB are under the default: %s", result.cause.text);
}

Test(archive, refuses_what_is_not_tar_gz)
{
    static const char *const texts[] = {"", "hello", "PK\003\004 a zip file", "\037\213"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        int fd = memfd_create("archive", MFD_CLOEXEC);
        cr_assert_eq(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        cr_expect_eq(sl_archive_unpack(fd, directory_fd, NULL, &result), SL_EINVAL);
        cr_expect(strstr(result.cause.text, "tar -czf") != NULL, "%s", result.cause.text);
        (void)close(fd);
    }
    add_file("plain", "x"); /* A tar that nobody compressed. */
    finish();
    int fd = memfd_create("archive", MFD_CLOEXEC);
    cr_assert_eq(write(fd, tar.data, tar.size), (ssize_t)tar.size);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    cr_expect_eq(sl_archive_unpack(fd, directory_fd, NULL, &result), SL_EINVAL);
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
        cr_expect_neq(sl_archive_unpack(cut, directory_fd, NULL, &result), SL_OK, "cut at %ld",
                      (long)size);
        (void)unlinkat(directory_fd, "a", 0);
        sl_free(bytes);
        (void)close(cut);
    }
    (void)close(fd);
    tar.size = data_end - 512; /* The tar itself is cut; its gzip is whole. */
    refused(NULL, SL_EINVAL, "cut");
}

/* The nth descriptor cannot be had, for every n until all can. */
Test(archive, survives_running_out_of_descriptors_anywhere)
{
    struct rlimit limit, low;
    add_file("a/b/c/d", "x");
    finish();
    int fd = packed(sl_buf_slice(&tar));
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    enum sl_err err = SL_EIO;
    uint32_t failures = 0;
    uint32_t open_count = descriptors_open();
    for (rlim_t n = (rlim_t)fd + 1; err != SL_OK && failures < 64; n++, failures++) {
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        low = (struct rlimit){.rlim_cur = n, .rlim_max = limit.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        err = sl_archive_unpack(fd, directory_fd, NULL, &result);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_assert_neq(err, SL_EINVAL, "blames the archive: %s", result.cause.text);
        cr_assert_eq(descriptors_open(), open_count, "a descriptor was left open");
    }
    cr_assert_eq(err, SL_OK);
    cr_assert_gt(failures, 1);
    (void)close(fd);
}

/* ---- the child ----------------------------------------------------------------------------- */

static enum sl_err
run_child(int archive_fd, const char *where, const struct sl_archive_limits *limits,
          int *ret_status)
{
    int report[2];
    char text[SL_ARCHIVE_REPORT_SIZE_MAX] = "";
    cr_assert_eq(pipe(report), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sl_archive_child_main(archive_fd, where, report[1], limits));
    (void)close(report[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(report[0], text + size, sizeof(text) - size)) > 0;)
        size += (size_t)n;
    (void)close(report[0]);
    cr_assert_eq(waitpid(pid, ret_status, 0), pid);
    cr_assert(size == 0 || text[size - 1] == '\n');
    return sl_archive_report_parse(sl_slice(text, size), &result);
}

Test(archive, child_unpacks_and_reports_one_line)
{
    int status = -1;
    add_file("m/config.json", "{}");
    finish();
    int fd = packed(sl_buf_slice(&tar));
    cr_assert_eq(run_child(fd, directory, NULL, &status), SL_OK);
    cr_assert_eq(status, 0);
    cr_assert_eq(result.err, SL_OK, "%s", result.cause.text);
    cr_assert_eq(result.entries_count, 1);
    cr_assert_eq(result.size_bytes, 2);
    cr_assert_eq(stat_of("m/config.json").st_size, 2);
    (void)close(fd);
}

Test(archive, child_reports_refusals_with_their_cause)
{
    int status = -1;
    add_file("../evil", "\"quoted\"");
    finish();
    int fd = packed(sl_buf_slice(&tar));
    cr_assert_eq(run_child(fd, directory, NULL, &status), SL_OK);
    cr_assert_eq(status, 0);
    cr_assert_eq(result.err, SL_EINVAL);
    cr_assert(strstr(result.cause.text, "'../evil' leads out") != NULL, "%s", result.cause.text);
    (void)close(fd);
    cr_assert_eq(run_child(-1, "/proc/no/such/place", NULL, &status), SL_OK);
    cr_assert_eq(result.err, SL_ENOTFOUND);
}

/* Landlock where the kernel has it: what the child could open before, it cannot now. */
Test(archive, child_is_confined_to_its_directory)
{
    int status = -1;
    pid_t pid = fork();
    add_file("a", "x");
    finish();
    int fd = packed(sl_buf_slice(&tar));
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)sl_archive_child_main(fd, directory, null, NULL);
        int out = open("/tmp/sluice-escaped", O_WRONLY | O_CREAT, 0600);
        _exit(out < 0 && errno == EACCES ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    bool was_open = unlink("/tmp/sluice-escaped") == 0;
    (void)unlinkat(directory_fd, "a", 0);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    cr_assert_eq(run_child(fd, directory, NULL, &(int){0}), SL_OK);
    cr_assert_eq(result.err, SL_OK, "%s", result.cause.text);
    cr_assert_eq(result.is_confined, !was_open);
    cr_assert_eq(status == 0, result.is_confined);
    (void)close(fd);
}

Test(archive, report_that_is_none_is_refused)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"err\":\"OK\"}",
        "{\"err\":\"EWHAT\",\"entries\":1,\"bytes\":1,\"confined\":true}",
        "{\"err\":\"OK\",\"entries\":4294967296,\"bytes\":1,\"confined\":true}",
        "{\"err\":\"OK\",\"entries\":1,\"bytes\":-1,\"confined\":true}",
        "{\"err\":\"OK\",\"entries\":1,\"bytes\":1,\"confined\":1}"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++)
        cr_expect_eq(sl_archive_report_parse(sl_slice_str(texts[i]), &result), SL_EINVAL, "%s",
                     texts[i]);
}
