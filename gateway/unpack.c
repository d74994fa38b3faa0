/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/archive.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
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
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            err = sl_err_from_errno(errno);
        *at = '/';
    }
    sl_free(copy);
    return err;
}

/* Run a child to its end; its report goes to `out`. SL_ECRASHED: it did not end well. */
static enum sl_err
run_child(const struct sl_unpack_request *q, const char *const argv[], struct sl_buf *out)
{
    uint64_t seconds = q->timeout_s == 0 ? TIMEOUT_S_DEFAULT : q->timeout_s;
    return sl_subprocess_run(&(struct sl_subprocess){.program = q->program,
                                                     .argv = argv,
                                                     .input_fd = q->archive_fd,
                                                     .timeout_ns = seconds * SL_SECOND_NS,
                                                     .output_size_max = SL_ARCHIVE_REPORT_SIZE_MAX},
                             out);
}

/* ---- the two steps ------------------------------------------------------------------------- */

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

static enum sl_err
unpack(const struct sl_unpack_request *q, struct sl_cause *cause)
{
    const char *const argv[] = {"sluice", SL_UNPACK_VERB, "unpack", q->temporary, NULL};
    struct sl_buf report = {0};
    struct sl_archive_result result;
    enum sl_err err = run_child(q, argv, &report);
    if (err == SL_OK && sl_archive_report_parse(sl_buf_slice(&report), &result) != SL_OK)
        err = SL_ECRASHED;
    if (err != SL_OK) {
        err = explain(err, cause);
    } else if (result.err != SL_OK) {
        *cause = result.cause;
        err = result.err;
    }
    sl_buf_deinit(&report);
    return err;
}

static enum sl_err
parse_check(struct sl_slice text, struct sl_unpack_report *ret_report, struct sl_cause *cause)
{
    struct sl_json_doc *doc = NULL;
    uint64_t dimensions = 0, size = 0;
    enum sl_err err = SL_ECRASHED;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return explain(SL_ECRASHED, cause);
    struct sl_json root = sl_json_root(doc);
    for (int i = 0; i < SL_ERR_COUNT; i++) {
        if (sl_json_is(sl_json_member(root, "err"), sl_err_name((enum sl_err)i)))
            err = (enum sl_err)i;
    }
    if (err == SL_OK &&
        (sl_json_u64(sl_json_member(root, "dimensions"), &dimensions) != SL_OK ||
         sl_json_u64(sl_json_member(root, "bytes"), &size) != SL_OK || dimensions > UINT32_MAX))
        err = SL_ECRASHED;
    char *message = sl_json_strdup(sl_json_member(root, "message"));
    if (err != SL_OK && message != NULL)
        (void)sl_cause_set(cause, err, "%s", message);
    else if (err != SL_OK)
        (void)explain(err, cause);
    else
        *ret_report =
            (struct sl_unpack_report){.size_bytes = size, .dimensions = (uint32_t)dimensions};
    sl_free(message);
    sl_json_destroy(&doc);
    return err;
}

static enum sl_err
check(const struct sl_unpack_request *q, struct sl_unpack_report *ret_report,
      struct sl_cause *cause)
{
    const char *const argv[] = {"sluice",     SL_UNPACK_VERB, "check",
                                q->temporary, q->format,      q->is_embedding ? "embedding" : "any",
                                NULL};
    struct sl_buf report = {0};
    enum sl_err err = run_child(q, argv, &report);
    err =
        err == SL_OK ? parse_check(sl_buf_slice(&report), ret_report, cause) : explain(err, cause);
    sl_buf_deinit(&report);
    return err;
}

/* Everything written below it is on disk when this returns. */
static enum sl_err
sync_tree(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = syncfs(fd) == 0 ? SL_OK : sl_err_from_errno(errno);
    (void)close(fd);
    return err;
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
    err = unpack(q, ret_cause);
    if (err == SL_OK)
        err = check(q, &report, ret_cause);
    if (err == SL_OK) {
        err = sync_tree(q->temporary);
        if (err != SL_OK)
            (void)sl_cause_set(ret_cause, err, "the model could not be kept: %s", sl_err_text(err));
    }
    if (err == SL_OK)
        *ret_report = report;
    else
        sl_tree_remove(q->temporary);
    return err;
}
