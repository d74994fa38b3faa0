/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/source_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/fetch.h"
#include "gateway/percent.h"
#include "runtime/alloc.h"

#define READ_BYTES    (256 * SL_KIB)
#define REDIRECTS_MAX 5

static bool
has_prefix(struct sl_slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

bool
sl_source_is_address(struct sl_slice text)
{
    static const char *const schemes[] = {"http://", "https://", "s3://", "gs://", "file:"};
    bool is_one = false;
    for (size_t i = 0; i < SL_COUNT_OF(schemes); i++)
        is_one = is_one || has_prefix(text, schemes[i]);
    for (size_t i = 0; is_one && i < text.size; i++)
        is_one = text.data[i] > ' ';
    return is_one;
}

bool
sl_source_may_be_address(struct sl_slice raw)
{
    static const char *const starts[] = {"\"http", "\"s3:", "\"gs:", "\"file:", "\"\\"};
    for (size_t i = 0; i < SL_COUNT_OF(starts); i++) {
        if (has_prefix(raw, starts[i]))
            return true;
    }
    return false;
}

const char *
sl_source_type(struct sl_slice url)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{"jpg", "image"},  {"jpeg", "image"}, {"png", "image"}, {"gif", "image"},
                 {"webp", "image"}, {"mp3", "audio"},  {"wav", "audio"}, {"flac", "audio"},
                 {"ogg", "audio"},  {"mp4", "video"},  {"mov", "video"}, {"webm", "video"},
                 {"mkv", "video"},  {"pdf", "pdf"},    {"xls", "excel"}, {"xlsx", "excel"}};
    size_t end = 0, dot = 0;
    while (end < url.size && url.data[end] != '?' && url.data[end] != '#') {
        if (url.data[end] == '.' || url.data[end] == '/')
            dot = end;
        end++;
    }
    if (end == 0 || url.data[dot] != '.')
        return "text";
    for (size_t i = 0; i < SL_COUNT_OF(types); i++) {
        size_t size = strlen(types[i].ending);
        if (end - dot - 1 == size &&
            strncasecmp((const char *)url.data + dot + 1, types[i].ending, size) == 0)
            return types[i].type;
    }
    return "text";
}

static enum sl_err
fail(struct sl_source_found *ret, enum sl_err err, const char *why)
{
    (void)snprintf(ret->cause, sizeof(ret->cause), "%s", why);
    return err;
}

/* ---- files --------------------------------------------------------------------------------- */

/* The kernel keeps it below the root, and follows no link at all: so nobody who may write there
 * can point elsewhere either. */
static int
open_below(const char *root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -1;
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    int error = errno;
    (void)close(root_fd);
    errno = error;
    return fd;
}

static enum sl_err
copy_file(int fd, struct sl_blob_writer *w)
{
    uint8_t *piece = sl_alloc(READ_BYTES);
    enum sl_err err = SL_OK;
    for (ssize_t n = 1; n > 0 && err == SL_OK;) {
        n = read(fd, piece, READ_BYTES);
        if (n > 0)
            err = sl_blob_writer_append(w, piece, (size_t)n);
        else if (n < 0)
            err = sl_err_from_errno(errno);
    }
    sl_free(piece);
    return err;
}

/* The path below the root that "file:///ROOT/a%20b" names, owned; NULL: it is not below it. */
static char *
path_of(const char *root, struct sl_slice url)
{
    struct sl_slice rest = sl_slice(url.data + strlen("file:"), url.size - strlen("file:"));
    if (has_prefix(rest, "//localhost/"))
        rest = sl_slice(rest.data + strlen("//localhost"), rest.size - strlen("//localhost"));
    else if (has_prefix(rest, "//"))
        rest = sl_slice(rest.data + 2, rest.size - 2);
    char *path = sl_zalloc(rest.size + 1);
    size_t size = 0, root_size = strlen(root);
    while (root_size > 0 && root[root_size - 1] == '/')
        root_size--;
    bool is_below = sl_percent_decode(rest, true, (uint8_t *)path, &size) == SL_OK &&
                    size > root_size + 1 && memcmp(path, root, root_size) == 0 &&
                    path[root_size] == '/';
    char *below = is_below ? sl_strndup(path + root_size + 1, size - root_size - 1) : NULL;
    sl_free(path);
    return below;
}

static enum sl_err
fetch_file(const struct sl_source_rules *rules, struct sl_slice url, struct sl_blob_writer *w,
           struct sl_source_found *ret)
{
    struct stat st;
    if (rules->file_root == NULL || rules->file_root[0] == '\0')
        return fail(ret, SL_EDENIED, "files are not read here: sources.file_root is not set");
    char *path = path_of(rules->file_root, url);
    int fd = path == NULL ? -1 : open_below(rules->file_root, path);
    sl_free(path);
    if (fd < 0)
        return fail(ret, SL_EDENIED, "is no file below sources.file_root");
    enum sl_err err = SL_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        err = fail(ret, SL_EDENIED, "is no regular file");
    else if ((uint64_t)st.st_size > rules->size_bytes_max)
        err = fail(ret, SL_ETOOBIG, "the file is larger than sources.size_max");
    else if ((err = copy_file(fd, w)) != SL_OK)
        (void)fail(ret, err, sl_err_text(err));
    (void)close(fd);
    return err;
}

/* ---- http ---------------------------------------------------------------------------------- */

static enum sl_err
take(void *arg, const void *data, size_t size)
{
    return sl_blob_writer_append(arg, data, size);
}

static enum sl_err
fetch_http(const struct sl_source_rules *rules, struct sl_slice url, struct sl_blob_writer *w,
           struct sl_source_found *ret)
{
    char *text = sl_strndup((const char *)url.data, url.size);
    struct sl_fetch_request request = {.url = text,
                                       .take = take,
                                       .take_arg = w,
                                       .size_bytes_max = rules->size_bytes_max,
                                       .timeout_ns = rules->timeout_ns,
                                       .redirects_max = REDIRECTS_MAX,
                                       .is_private_allowed = rules->is_private_allowed,
                                       .is_cancelled = rules->is_cancelled};
    struct sl_fetch_reply reply;
    enum sl_err err = sl_fetch(&request, &reply);
    if (err != SL_OK) {
        (void)snprintf(ret->cause, sizeof(ret->cause), "it could not be fetched: %s", reply.cause);
    } else if (reply.status < 200 || reply.status > 299) {
        (void)snprintf(ret->cause, sizeof(ret->cause), "it could not be fetched: status %u",
                       (unsigned)reply.status);
        err = reply.status >= 500 || reply.status == 429 ? SL_EUNAVAIL : SL_ENOTFOUND;
    }
    (void)snprintf(ret->media_type, sizeof(ret->media_type), "%.*s",
                   (int)strcspn(reply.content_type, "; "), reply.content_type);
    sl_free(text);
    return err;
}

bool
sl_source_may_pass(enum sl_err err)
{
    return err == SL_EUNAVAIL || err == SL_ETIMEOUT || err == SL_EIO || err == SL_ENOSPC;
}

enum sl_err
sl_source_fetch(const struct sl_source_rules *rules, struct sl_blobs *blobs, struct sl_slice url,
                struct sl_source_found *ret_found)
{
    struct sl_source_found *ret = ret_found;
    struct sl_blob_writer *w = NULL;
    *ret = (struct sl_source_found){0};
    if (has_prefix(url, "s3://") || has_prefix(url, "gs://"))
        return fail(ret, SL_EINVAL, "s3 and gs addresses are not read");
    enum sl_err err = sl_blob_writer_create(blobs, rules->size_bytes_max, &w);
    if (err != SL_OK)
        return fail(ret, err, sl_err_text(err));
    err =
        has_prefix(url, "file:") ? fetch_file(rules, url, w, ret) : fetch_http(rules, url, w, ret);
    if (err != SL_OK) {
        sl_blob_writer_abort(&w);
        return err;
    }
    err = sl_blob_writer_finish(&w, &ret->blob);
    return err == SL_OK ? SL_OK : fail(ret, err, sl_err_text(err));
}
