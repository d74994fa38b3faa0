/* SPDX-License-Identifier: Apache-2.0 */
/* What addresses in objects may name: files below a root and nothing else of this machine. */
#include "gateway/source_fetch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"

static char base[64], root[80];
static struct sl_blobs *blobs;
static struct sl_source_found found;

static void
put(const char *path, const char *text)
{
    char *full = sl_format("%s/%s", base, path);
    FILE *file = fopen(full, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    fclose(file);
    sl_free(full);
}

static void
set_up(void)
{
    snprintf(base, sizeof(base), "/tmp/source-test-XXXXXX");
    cr_assert_not_null(mkdtemp(base));
    snprintf(root, sizeof(root), "%s/root", base);
    char *in = sl_format("%s/in", root), *stored = sl_format("%s/blobs", base);
    cr_assert_eq(mkdir(root, 0700), 0);
    cr_assert_eq(mkdir(in, 0700), 0);
    put("root/a b.txt", "pears");
    put("root/in/empty", "");
    put("secret", "hidden");
    cr_assert_eq(sl_blobs_open(stored, true, &blobs), SL_OK);
    sl_free(in);
    sl_free(stored);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void
tear_down(void)
{
    sl_blobs_close(&blobs);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(source_fetch, .init = set_up, .fini = tear_down);

static struct sl_source_rules
rules(void)
{
    return (struct sl_source_rules){
        .file_root = root, .size_bytes_max = 100, .timeout_ns = 5 * SL_SECOND_NS};
}

static enum sl_err
fetch(const struct sl_source_rules *r, const char *format, const char *path)
{
    char *prefix = sl_format(format, root);
    char *url = sl_format("%s%s", prefix, path);
    enum sl_err err = sl_source_fetch(r, blobs, sl_slice_str(url), &found);
    sl_free(prefix);
    sl_free(url);
    return err;
}

/* Names in the directory of blobs that are being made. */
static bool
has_leftovers(void)
{
    char *command = sl_format("test -z \"$(ls -A %s/blobs/tmp)\"", base);
    bool is_clean = system(command) == 0;
    sl_free(command);
    return !is_clean;
}

Test(source_fetch, copies_a_file_below_the_root)
{
    struct sl_source_rules r = rules();
    static const char *const spellings[] = {"file://%s", "file:%s", "file://localhost%s"};
    for (size_t i = 0; i < SL_COUNT_OF(spellings); i++) {
        cr_assert_eq(fetch(&r, spellings[i], "/a%20b.txt"), SL_OK, "%s", found.cause);
        cr_assert_eq(found.blob.size_bytes, 5);
    }
    cr_assert_eq(fetch(&r, "file://%s", "/in/../a%20b.txt"), SL_OK, "%s", found.cause);
    cr_assert_eq(fetch(&r, "file://%s", "/in/empty"), SL_OK, "%s", found.cause);
    cr_assert_eq(found.blob.size_bytes, 0);
}

Test(source_fetch, reads_no_file_where_no_root_is_configured)
{
    struct sl_source_rules r = rules();
    r.file_root = "";
    cr_assert_eq(fetch(&r, "file://%s", "/a%20b.txt"), SL_EDENIED);
    r.file_root = NULL;
    cr_assert_eq(fetch(&r, "file://%s", "/a%20b.txt"), SL_EDENIED);
}

Test(source_fetch, does_not_leave_the_root)
{
    struct sl_source_rules r = rules();
    static const char *const paths[] = {"/../secret",
                                        "/in/../../secret",
                                        "/%2e%2e/secret",
                                        "/..%2fsecret",
                                        "//etc/passwd",
                                        "",
                                        "/",
                                        "/.",
                                        "/in",
                                        "/no",
                                        "x/a",
                                        "/a%00b",
                                        "/a%",
                                        "/a%20b.txt/"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        cr_assert_neq(fetch(&r, "file://%s", paths[i]), SL_OK, "%s", paths[i]);
        cr_assert_neq(found.cause[0], '\0', "%s", paths[i]);
    }
    cr_assert_neq(fetch(&r, "file://%.0s", "/etc/passwd"), SL_OK);
    cr_assert_neq(fetch(&r, "file://%.0s", "etc/passwd"), SL_OK);
    cr_assert_neq(fetch(&r, "file://elsewhere%s", "/a%20b.txt"), SL_OK);
    cr_assert(!has_leftovers());
}

Test(source_fetch, follows_no_link_and_opens_no_pipe)
{
    struct sl_source_rules r = rules();
    static const struct {
        const char *to, *name;
    } links[] = {{"../secret", "up"}, {"/etc/passwd", "out"}, {"a b.txt", "near"}, {"..", "dir"}};
    for (size_t i = 0; i < SL_COUNT_OF(links); i++) {
        char *path = sl_format("%s/%s", root, links[i].name);
        cr_assert_eq(symlink(links[i].to, path), 0);
        sl_free(path);
    }
    char *pipe = sl_format("%s/pipe", root);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    sl_free(pipe);
    static const char *const paths[] = {"/up", "/out", "/near", "/dir/secret", "/pipe"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++)
        cr_assert_eq(fetch(&r, "file://%s", paths[i]), SL_EDENIED, "%s", paths[i]);
}

Test(source_fetch, stops_at_the_size_limit)
{
    struct sl_source_rules r = rules();
    r.size_bytes_max = 4;
    cr_assert_eq(fetch(&r, "file://%s", "/a%20b.txt"), SL_ETOOBIG);
    r.size_bytes_max = 5;
    cr_assert_eq(fetch(&r, "file://%s", "/a%20b.txt"), SL_OK);
    cr_assert(!has_leftovers());
}

Test(source_fetch, reaches_no_private_host_and_no_object_store)
{
    struct sl_source_rules r = rules();
    cr_assert_eq(fetch(&r, "http://127.0.0.1:1/%.0s", ""), SL_EDENIED);
    cr_assert(!sl_source_may_pass(SL_EDENIED));
    cr_assert_eq(fetch(&r, "s3://bucket/%.0s", "a"), SL_EINVAL);
    cr_assert_eq(fetch(&r, "gs://bucket/%.0s", "a"), SL_EINVAL);
    r.is_private_allowed = true;
    enum sl_err err = fetch(&r, "http://127.0.0.1:1/%.0s", "");
    cr_assert_eq(err, SL_EUNAVAIL);
    cr_assert(sl_source_may_pass(err));
    cr_assert(!has_leftovers());
}

Test(source_fetch, tells_addresses_from_texts)
{
    static const char *const yes[] = {"http://a", "https://a/b?c", "s3://b/k", "gs://b/k",
                                      "file:/a"};
    static const char *const no[] = {"",        "http",  "see http://a", "http://a is down",
                                     "ftp://a", "files", "https://a\n"};
    for (size_t i = 0; i < SL_COUNT_OF(yes); i++) {
        char *raw = sl_format("\"%s\"", yes[i]);
        cr_assert(sl_source_is_address(sl_slice_str(yes[i])), "%s", yes[i]);
        cr_assert(sl_source_may_be_address(sl_slice_str(raw)), "%s", yes[i]);
        sl_free(raw);
    }
    for (size_t i = 0; i < SL_COUNT_OF(no); i++)
        cr_assert(!sl_source_is_address(sl_slice_str(no[i])), "%s", no[i]);
    cr_assert(sl_source_may_be_address(sl_slice_str("\"\\u0068ttp://a\"")));
    cr_assert(!sl_source_may_be_address(sl_slice_str("\"pears\"")));
}

Test(source_fetch, takes_the_type_of_a_field_from_the_ending)
{
    static const struct {
        const char *url, *type;
    } cases[] = {{"http://a.b/x.PNG", "image"}, {"http://a.b/x.pdf?y=z.mp3", "pdf"},
                 {"http://a.mp4/x", "text"},    {"http://a/x.tar.gz", "text"},
                 {"http://a/.mp3/", "text"},    {"", "text"},
                 {"file:/x.xlsx#y", "excel"},   {"http://a/x.jpeg", "image"}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++)
        cr_assert_str_eq(sl_source_type(sl_slice_str(cases[i].url)), cases[i].type, "%s",
                         cases[i].url);
}
