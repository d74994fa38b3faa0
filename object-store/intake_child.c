/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/intake_child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "object-store/bert_layout.h"
#include "object-store/intake_details.h"
#include "object-store/model.h"
#include "runtime/alloc.h"

#define MEMORY_BYTES (256 * SL_MIB)
#define CPU_SECONDS  900
#define IMAGE_MAX    (16 * SL_GIB)

static enum sl_err
take_file(void *self, const char *path, uint64_t size)
{
    return sl_model_intake_file(self, path, size);
}

static enum sl_err
take_data(void *self, const void *data, size_t size)
{
    return sl_model_intake_data(self, data, size);
}

static enum sl_err
end_file(void *self)
{
    return sl_model_intake_file_end(self);
}

static bool
lookup_file(void *arg, const char *path, struct sl_slice *ret_text)
{
    return sl_model_file_lookup(arg, path, ret_text);
}

/* What the small files of a Hugging Face directory say must hold together. */
static enum sl_err
check_directory(struct sl_model *model, struct sl_intake_report *r)
{
    uint32_t count = sl_model_files_count(model);
    const char **paths = sl_alloc((count + 1) * sizeof(*paths));
    struct sl_huggingface facts = {0};
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice unused;
        sl_model_file_at(model, i, &paths[i], &unused);
    }
    struct sl_huggingface_files files = {
        .lookup = lookup_file, .arg = model, .paths = paths, .paths_count = count};
    enum sl_err err = sl_huggingface_check(&files, &facts, &r->cause);
    if (err == SL_OK)
        sl_details_of_huggingface(&facts, &r->details);
    sl_huggingface_deinit(&facts);
    sl_free(paths);
    return err;
}

/* What the image must be, beyond being whole. */
static enum sl_err
check(const struct sl_intake_child *child, int image_fd, struct sl_intake_report *r)
{
    struct sl_model *model = NULL;
    struct sl_bert_shape shape;
    enum sl_err err = sl_model_open(image_fd, &model, &r->cause);
    if (err == SL_OK && strcmp(r->model.format, "huggingface") == 0)
        err = check_directory(model, r);
    if (err == SL_OK && child->is_embedding) {
        err = sl_model_check_bert(model, &shape, &r->cause);
        r->dimensions = err == SL_OK ? shape.hidden_size : 0;
    }
    sl_model_destroy(&model);
    return err;
}

static enum sl_err
take_in(const struct sl_intake_child *child, int directory_fd, int image_fd,
        struct sl_intake_report *r)
{
    struct sl_intake_options options = {.format = child->format,
                                        .size_bytes_max = child->limits.size_bytes_max,
                                        .image_fd = image_fd,
                                        .spool_fd = directory_fd};
    struct sl_model_intake *intake = sl_model_intake_create(&options, &r->cause);
    struct sl_archive_sink sink = {
        .self = intake, .file = take_file, .data = take_data, .file_end = end_file};
    enum sl_err err =
        sl_archive_read(child->archive_fd, &child->limits, &sink, &r->archive, &r->cause);
    if (err == SL_OK)
        err = sl_model_intake_finish(intake, &r->model, NULL);
    struct sl_slice details = sl_model_intake_details(intake);
    sl_buf_append(&r->details, details.data, details.size);
    sl_model_intake_destroy(&intake);
    if (err == SL_OK)
        err = check(child, image_fd, r);
    if (err == SL_OK && (fsync(image_fd) != 0 || fsync(directory_fd) != 0))
        err = sl_cause_set(&r->cause, sl_err_from_errno(errno), "the model could not be kept: %s",
                           strerror(errno));
    return err;
}

static enum sl_err
run(const struct sl_intake_child *child, struct sl_intake_report *r)
{
    int directory_fd = open(child->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory_fd < 0)
        return sl_cause_set(&r->cause, sl_err_from_errno(errno), "the directory to work in: %s",
                            strerror(errno));
    uint64_t file_bytes =
        child->limits.size_bytes_max == 0 ? IMAGE_MAX : child->limits.size_bytes_max;
    file_bytes = child->file_bytes == 0 ? file_bytes : child->file_bytes;
    r->confined = sl_confine(&(struct sl_confine_options){
        .directory_fd = directory_fd,
        .memory_bytes = child->memory_bytes == 0 ? MEMORY_BYTES : child->memory_bytes,
        .file_bytes = file_bytes,
        .cpu_seconds = child->cpu_seconds == 0 ? CPU_SECONDS : child->cpu_seconds});
    int image_fd = openat(directory_fd, SL_INTAKE_IMAGE,
                          O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum sl_err err = image_fd < 0
                          ? sl_cause_set(&r->cause, sl_err_from_errno(errno),
                                         "the model cannot be written: %s", strerror(errno))
                          : take_in(child, directory_fd, image_fd, r);
    if (image_fd >= 0)
        (void)close(image_fd);
    (void)close(directory_fd);
    return err;
}

static bool
send_report(int report_fd, const struct sl_intake_report *report)
{
    struct sl_buf out = {0};
    sl_intake_report_write(report, &out);
    size_t done = 0;
    while (done < out.size) {
        ssize_t n = write(report_fd, out.data + done, out.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    bool is_written = done == out.size;
    sl_buf_deinit(&out);
    return is_written;
}

int
sl_intake_child_main(const struct sl_intake_child *child)
{
    sl_assert(child->directory != NULL && child->format != NULL);
    struct sl_intake_report report = {.confined = {.landlock = EAGAIN, .seccomp = EAGAIN}};
    report.err = run(child, &report);
    if (report.err == SL_ENOMEM) /* Of what this process may have: another try ends like this. */
        report.err = SL_ETOOBIG;
    bool is_written = send_report(child->report_fd, &report);
    sl_intake_report_deinit(&report);
    return is_written ? 0 : 1;
}
