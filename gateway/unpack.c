/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/intake_child.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/subprocess.h"
#include "runtime/time.h"

#define TIMEOUT_S_DEFAULT 900
#define TREE_DEPTH_MAX    16

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    (void)remove(path); /* What stays makes its parent stay; nobody can do more about it. */
    return 0;
}

void
sl_tree_remove(const char *path)
{
    (void)nftw(path, remove_one, TREE_DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
}

static enum sl_err
sync_parent(const char *path)
{
    char *parent = sl_strdup(path);
    char *slash = strrchr(parent, '/');
    enum sl_err err = SL_OK;
    if (slash != NULL && slash != parent)
        *slash = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        err = sl_err_from_errno(errno);
    if (fd >= 0)
        (void)close(fd);
    sl_free(parent);
    return err;
}

/* Make the parents of `path`. */
static enum sl_err
make_parents(const char *path)
{
    enum sl_err err = SL_OK;
    char *copy = sl_strdup(path);
    for (char *at = copy + 1; *at != '\0' && err == SL_OK; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) == 0)
            err = sync_parent(copy); /* What lies below is as durable as its name. */
        else if (errno != EEXIST)
            err = sl_err_from_errno(errno);
        *at = '/';
    }
    sl_free(copy);
    return err;
}

static enum sl_err
explain(enum sl_err err, struct sl_cause *cause)
{
    if (err == SL_ETIMEOUT)
        return sl_cause_set(cause, err, "reading the archive took too long");
    if (err == SL_ECRASHED)
        return sl_cause_set(cause, err,
                            "the process that read the archive died: the archive is "
                            "damaged or asks for too much");
    return sl_cause_set(cause, err, "the archive could not be read: %s", sl_err_text(err));
}

/* Run the child to its end. */
static enum sl_err
take_in(const struct sl_unpack_request *q, struct sl_unpack_report *ret_report,
        struct sl_cause *cause)
{
    const char *const argv[] = {
        "sluice", SL_UNPACK_VERB, q->temporary, q->format, q->is_embedding ? "embedding" : "any",
        NULL};
    uint64_t seconds = q->timeout_s == 0 ? TIMEOUT_S_DEFAULT : q->timeout_s;
    struct sl_buf text = {0};
    struct sl_intake_report report = {0};
    enum sl_err err =
        sl_subprocess_run(&(struct sl_subprocess){.program = q->program,
                                                  .argv = argv,
                                                  .input_fd = q->archive_fd,
                                                  .timeout_ns = seconds * SL_SECOND_NS,
                                                  .output_size_max = SL_INTAKE_REPORT_SIZE_MAX},
                          &text);
    if (err == SL_OK && sl_intake_report_parse(sl_buf_slice(&text), &report) != SL_OK)
        err = SL_ECRASHED;
    sl_buf_deinit(&text);
    if (err != SL_OK)
        return explain(err, cause);
    if (report.confined.landlock != 0 || report.confined.seccomp != 0)
        sl_report_warn("intake-not-confined", "landlock=%d seccomp=%d", report.confined.landlock,
                       report.confined.seccomp);
    if (report.err != SL_OK) {
        *cause = report.cause;
        sl_intake_report_deinit(&report);
        return report.err;
    }
    *ret_report = (struct sl_unpack_report){
        .model = report.model, .details = report.details, .dimensions = report.dimensions};
    return SL_OK;
}

void
sl_unpack_report_deinit(struct sl_unpack_report *report)
{
    sl_buf_deinit(&report->details);
}

enum sl_err
sl_unpack_keep(const char *temporary, const char *directory)
{
    enum sl_err err = make_parents(directory);
    if (err == SL_OK) {
        sl_tree_remove(directory);
        if (rename(temporary, directory) != 0)
            err = sl_err_from_errno(errno);
    }
    if (err == SL_OK) {
        err = sync_parent(directory);
        if (err != SL_OK)
            sl_tree_remove(directory);
    }
    if (err != SL_OK)
        sl_tree_remove(temporary);
    return err;
}

/* The child's word alone is not enough: what it read may have got hold of it. */
static bool
is_whole(const char *directory, uint64_t size)
{
    struct stat st;
    char *path = sl_format("%s/" SL_INTAKE_IMAGE, directory);
    bool is_there = lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
    sl_free(path);
    return is_there;
}

enum sl_err
sl_unpack_model(const struct sl_unpack_request *q, struct sl_unpack_report *ret_report,
                struct sl_cause *ret_cause)
{
    struct sl_unpack_report report = {0};
    enum sl_err err = make_parents(q->temporary);
    if (err == SL_OK && mkdir(q->temporary, 0700) != 0)
        err = sl_err_from_errno(errno);
    if (err != SL_OK)
        return sl_cause_set(ret_cause, err, "no room to unpack in: %s", sl_err_text(err));
    err = take_in(q, &report, ret_cause);
    if (err == SL_OK && !is_whole(q->temporary, report.model.size_bytes))
        err = explain(SL_ECRASHED, ret_cause);
    if (err == SL_OK)
        *ret_report = report;
    else
        sl_tree_remove(q->temporary);
    return err;
}
