/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/unpack.h"

#include <signal.h>
#include <sys/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "object-store/archive.h"
#include "object-store/bert_layout.h"
#include "object-store/model.h"
#include "runtime/buf.h"
#include "runtime/json.h"

static bool
write_all(int fd, struct sl_slice text)
{
    while (text.size > 0) {
        ssize_t size = write(fd, text.data, text.size);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return false;
        text = sl_slice(text.data + size, text.size - (size_t)size);
    }
    return true;
}

static enum sl_err
check_model(const char *directory, const char *format, bool is_embedding,
            struct sl_unpack_report *ret_report, struct sl_cause *cause)
{
    struct sl_model_options options = {.format = format};
    struct sl_model *model = NULL;
    struct sl_bert_shape shape;
    int model_fd = -1;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_cause_set(cause, sl_err_from_errno(errno), "the directory cannot be opened");
    enum sl_err err = sl_model_build(fd, &options, &model_fd, cause);
    if (err == SL_OK)
        err = sl_model_attach(model_fd, &model, cause);
    if (err == SL_OK) {
        ret_report->size_bytes = sl_model_size_bytes(model);
        if (is_embedding)
            err = sl_model_check_bert(model, &shape, cause);
        if (is_embedding && err == SL_OK)
            ret_report->dimensions = shape.hidden_size;
    }
    sl_model_destroy(&model);
    if (model_fd >= 0)
        (void)close(model_fd);
    (void)close(fd);
    return err;
}

static int
check_main(const char *directory, const char *format, bool is_embedding)
{
    struct sl_unpack_report report = {0};
    struct sl_cause cause = {0};
    struct sl_buf out = {0};
    struct sl_jsonw w;
    enum sl_err err = check_model(directory, format, is_embedding, &report, &cause);
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "err", sl_err_name(err));
    sl_jsonw_member_u64(&w, "dimensions", report.dimensions);
    sl_jsonw_member_u64(&w, "bytes", report.size_bytes);
    if (err != SL_OK)
        sl_jsonw_member_str(&w, "message", cause.text);
    sl_jsonw_end(&w);
    bool is_written = write_all(1, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return is_written ? 0 : 1;
}

int
sl_unpack_main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* No process outlives main. */
    if (argc == 3 && strcmp(argv[1], "unpack") == 0)
        /* No exit handlers: what they would open (a leak check does) lies out of reach by now. */
        _exit(sl_archive_child_main(0, argv[2], 1, NULL));
    if (argc == 5 && strcmp(argv[1], "check") == 0)
        return check_main(argv[2], argv[3], strcmp(argv[4], "embedding") == 0);
    return 2;
}
