/* SPDX-License-Identifier: Apache-2.0 */
/* Model archives through the real children: this program is its own child. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/unpack.h"
#include "tests/object-store/tiny_model.h"

/* Runs before Criterion's main: a child's arguments are not for it. */
__attribute__((constructor)) static void
be_the_child(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], SL_UNPACK_VERB) == 0)
        _exit(sl_unpack_main(argc - 1, argv + 1));
}

static char root[64];

static void
make_root(void)
{
    (void)snprintf(root, sizeof root, "/tmp/sl-unpack-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void
remove_root(void)
{
    sl_tree_remove(root);
}

TestSuite(unpack, .init = make_root, .fini = remove_root);

static const char *
below(const char *name)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void
run(const char *const argv[])
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", argv[0]);
}

static bool
is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static enum sl_err
unpack(const char *archive, bool is_embedding, struct sl_unpack_report *ret_report,
       struct sl_cause *ret_cause)
{
    int fd = open(archive, O_RDONLY | O_CLOEXEC);
    struct sl_unpack_request q = {
        .program = "/proc/self/exe",
        .archive_fd = fd,
        .temporary = below("tmp/a"),
        .format = "safetensors",
        .is_embedding = is_embedding,
        .timeout_s = 60,
    };
    enum sl_err err = sl_unpack_model(&q, ret_report, ret_cause);
    (void)close(fd);
    return err == SL_OK ? sl_unpack_keep(q.temporary, below("models/7/ns_a/m_1")) : err;
}

/* Both places, after a refusal. */
static void
check_nothing_left(void)
{
    cr_assert_not(is_there(below("tmp/a")));
    cr_assert_not(is_there(below("models/7/ns_a/m_1")));
}

static const char *
pack_model(const struct tiny_model_options *options)
{
    const char *from = below("from"), *archive = below("a.tar.gz");
    cr_assert_eq(mkdir(from, 0700), 0);
    cr_assert_eq(tiny_model_write(from, options), 0);
    const char *const argv[] = {"tar", "-czf", archive, "-C", from, ".", NULL};
    run(argv);
    return archive;
}

Test(unpack, keeps_a_model_that_holds_together)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    struct tiny_model_options options = {.hidden_size = 32};
    cr_assert_eq(unpack(pack_model(&options), true, &report, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(report.dimensions, 32);
    cr_assert_gt(report.model.size_bytes, 0);
    cr_assert(is_there(below("models/7/ns_a/m_1")));
    cr_assert_not(is_there(below("tmp/a")));
}

Test(unpack, leaves_nothing_of_a_model_whose_shapes_disagree)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    struct tiny_model_options options = {.bend_tensor = "embeddings.LayerNorm.weight"};
    cr_assert_eq(unpack(pack_model(&options), true, &report, &cause), SL_EINVAL);
    cr_assert_gt(strlen(cause.text), 0);
    check_nothing_left();
}

Test(unpack, leaves_nothing_of_what_is_no_archive)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    const char *path = below("a.tar.gz");
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    (void)fputs("this is not a gzip file at all, whatever its name says", file);
    (void)fclose(file);
    cr_assert_eq(unpack(path, true, &report, &cause), SL_EINVAL);
    cr_assert_gt(strlen(cause.text), 0);
    check_nothing_left();
}

Test(unpack, leaves_nothing_of_a_cut_archive)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    struct tiny_model_options options = {0};
    const char *path = pack_model(&options);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size / 2), 0);
    cr_assert_neq(unpack(path, true, &report, &cause), SL_OK);
    check_nothing_left();
}

Test(unpack, lets_no_path_out_of_its_directory)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    const char *from = below("from"), *archive = below("a.tar.gz");
    cr_assert_eq(mkdir(from, 0700), 0);
    FILE *file = fopen(below("from/evil"), "we");
    cr_assert_not_null(file);
    (void)fclose(file);
    const char *const argv[] = {
        "tar", "-czf", archive, "-C", from, "--transform=s,evil,../../evil,", "-P", "evil", NULL};
    run(argv);
    cr_assert_eq(unpack(archive, false, &report, &cause), SL_EINVAL);
    cr_assert_not(is_there(below("evil")));
    check_nothing_left();
}

Test(unpack, replaces_what_a_crash_left)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    struct tiny_model_options options = {0};
    const char *archive = pack_model(&options);
    cr_assert_eq(unpack(archive, true, &report, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(unlink(below("models/7/ns_a/m_1/image")), 0);
    cr_assert_eq(unpack(archive, true, &report, &cause), SL_OK, "%s", cause.text);
    cr_assert(is_there(below("models/7/ns_a/m_1/image")));
    cr_assert_not(is_there(below("tmp/a")));
}

Test(unpack, reports_a_child_that_cannot_be_started)
{
    struct sl_unpack_report report;
    struct sl_cause cause = {0};
    struct sl_unpack_request q = {.program = "/nowhere/sluice",
                                  .archive_fd = 0,
                                  .temporary = below("tmp/a"),
                                  .format = "safetensors"};
    cr_assert_neq(sl_unpack_model(&q, &report, &cause), SL_OK);
    check_nothing_left();
}
