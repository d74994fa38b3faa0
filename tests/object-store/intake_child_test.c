/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/intake_child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/model.h"
#include "runtime/alloc.h"
#include "tests/object-store/tiny_model.h"

static char directory[64], from[64];
static struct sl_intake_report report;

static void
setup(void)
{
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_not_null(tiny_directory_make(from));
}

static void
teardown(void)
{
    tiny_directory_remove(directory);
    tiny_directory_remove(from);
}

TestSuite(intake_child, .init = setup, .fini = teardown);

/* What lies in `from`, packed, as an open descriptor. */
static int
packed(void)
{
    char *command = sl_format("tar -czf %s.tar.gz -C %s .", from, from);
    char *path = sl_format("%s.tar.gz", from);
    cr_assert_eq(system(command), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    (void)unlink(path);
    sl_free(command);
    sl_free(path);
    return fd;
}

static enum sl_err
run_child(struct sl_intake_child child, int *ret_status)
{
    int pipe_fds[2];
    char text[SL_INTAKE_REPORT_SIZE_MAX] = "";
    cr_assert_eq(pipe(pipe_fds), 0);
    child.report_fd = pipe_fds[1];
    child.directory = child.directory == NULL ? directory : child.directory;
    child.format = child.format == NULL ? "safetensors" : child.format;
    pid_t pid = fork();
    if (pid == 0)
        _exit(sl_intake_child_main(&child));
    (void)close(pipe_fds[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(pipe_fds[0], text + size, sizeof(text) - size)) > 0;)
        size += (size_t)n;
    (void)close(pipe_fds[0]);
    cr_assert_eq(waitpid(pid, ret_status, 0), pid);
    cr_assert(size == 0 || text[size - 1] == '\n');
    return sl_intake_report_parse(sl_slice(text, size), &report);
}

static char *
image_path(void)
{
    return sl_format("%s/" SL_INTAKE_IMAGE, directory);
}

Test(intake_child, leaves_one_image_that_is_what_it_reports)
{
    int status = -1;
    cr_assert_eq(tiny_model_write(from, &(struct tiny_model_options){.hidden_size = 32}), 0);
    int fd = packed();
    cr_assert_eq(
        run_child((struct sl_intake_child){.archive_fd = fd, .is_embedding = true}, &status),
        SL_OK);
    (void)close(fd);
    cr_assert_eq(status, 0);
    cr_assert_eq(report.err, SL_OK, "%s", report.cause.text);
    cr_assert_eq(report.dimensions, 32);
    cr_assert_str_eq(report.model.format, "safetensors");
    struct sl_model *model = NULL;
    char *path = image_path();
    int image = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(sl_model_open(image, &model, &report.cause), SL_OK, "%s", report.cause.text);
    cr_assert_eq(sl_model_size_bytes(model), report.model.size_bytes);
    cr_assert_eq(sl_model_tensors_count(model), report.model.tensors_count);
    sl_model_destroy(&model);
    (void)close(image);
    sl_free(path);
}

Test(intake_child, reports_refusals_with_their_cause)
{
    int status = -1;
    char *path = sl_format("%s/\"quoted\".json", from);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    (void)fclose(file);
    sl_free(path);
    int fd = packed();
    cr_assert_eq(run_child((struct sl_intake_child){.archive_fd = fd}, &status), SL_OK);
    (void)close(fd);
    cr_assert_eq(status, 0);
    cr_assert_eq(report.err, SL_EINVAL);
    cr_assert(strstr(report.cause.text, ".safetensors") != NULL, "%s", report.cause.text);
    cr_assert_eq(
        run_child((struct sl_intake_child){.archive_fd = -1, .directory = "/proc/no"}, &status),
        SL_OK);
    cr_assert_eq(report.err, SL_ENOTFOUND);
}

Test(intake_child, is_confined_as_the_kernel_can)
{
    int status = -1;
    struct sl_confined probed = sl_confine_probe();
    cr_assert_eq(tiny_model_write(from, NULL), 0);
    int fd = packed();
    cr_assert_eq(run_child((struct sl_intake_child){.archive_fd = fd}, &status), SL_OK);
    (void)close(fd);
    cr_assert_eq(report.confined.landlock == 0, probed.landlock == 0);
    cr_assert_eq(report.confined.seccomp == 0, probed.seccomp == 0);
}

/* The disk is full at byte n of the image, as RLIMIT_FSIZE says it: refused, and blamed on nobody.
 */
Test(intake_child, disk_full_in_the_middle)
{
    int status = -1;
    cr_assert_eq(tiny_model_write(from, NULL), 0);
    int fd = packed();
    uint32_t failures = 0;
    for (uint64_t n = 5000; n < 60000; n += 5000) {
        char *path = image_path();
        (void)unlink(path);
        sl_free(path);
        cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
        struct sl_intake_child child = {.archive_fd = fd};
        child.limits.size_bytes_max = SL_MIB;
        child.file_bytes = n;
        cr_assert_eq(run_child(child, &status), SL_OK);
        cr_assert(report.err == SL_OK || report.err == SL_ETOOBIG || report.err == SL_EIO ||
                      report.err == SL_ENOSPC,
                  "%s", sl_err_name(report.err));
        cr_assert(report.err == SL_OK || report.cause.text[0] != '\0');
        failures += report.err != SL_OK;
    }
    cr_assert_gt(failures, 3);
    (void)close(fd);
}

Test(intake_child, report_that_is_none_is_refused)
{
    struct sl_intake_report sound = {.err = SL_EINVAL};
    struct sl_buf text = {0};
    (void)snprintf(sound.cause.text, sizeof(sound.cause.text), "because");
    sl_intake_report_write(&sound, &text);
    cr_assert_eq(sl_intake_report_parse(sl_buf_slice(&text), &report), SL_OK);
    cr_assert_str_eq(report.cause.text, "because");
    /* Any byte of it that is not there, or another. */
    for (size_t i = 0; i + 1 < text.size; i++) {
        cr_expect_eq(sl_intake_report_parse(sl_slice(text.data, i), &report), SL_EINVAL);
        uint8_t was = text.data[i];
        text.data[i] = '"' + 1;
        enum sl_err err = sl_intake_report_parse(sl_buf_slice(&text), &report);
        cr_expect(err == SL_OK || err == SL_EINVAL);
        text.data[i] = was;
    }
    static const char *const texts[] = {"", "{}", "[]", "{\"err\":\"OK\"}"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++)
        cr_expect_eq(sl_intake_report_parse(sl_slice_str(texts[i]), &report), SL_EINVAL, "%s",
                     texts[i]);
    sl_buf_deinit(&text);
}
