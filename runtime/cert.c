/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/alloc.h"

#define FILE_BYTES_MAX (16 * SL_KIB)

static bool
is_name(struct sl_slice name)
{
    if (name.size == 0 || name.size >= SL_CERT_NAME_SIZE)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < ' ' || name.data[i] > '~' || name.data[i] == '"')
            return false;
    }
    return true;
}

static void
copy_text(char *to, struct sl_slice text)
{
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

enum sl_err
sl_cert_create(const char *name, struct sl_cert *ret_cert)
{
    struct sl_cert cert = {0};
    if (!is_name(sl_slice_str(name)))
        return SL_EINVAL;
    copy_text(cert.name, sl_slice_str(name));
    if (zmq_curve_keypair(cert.public_key, cert.secret_key) != 0)
        return SL_EUNAVAIL; /* A ZeroMQ without CURVE. */
    *ret_cert = cert;
    return SL_OK;
}

/* ---- text ---------------------------------------------------------------------------------- */

void
sl_cert_print(const struct sl_cert *cert, bool with_secret, struct sl_buf *out)
{
    sl_buf_printf(out, "#   A certificate of sluice's links. %s\n\n",
                  with_secret ? "Keep this file to yourself: it has the secret key."
                              : "It may be given to others.");
    sl_buf_printf(out, "metadata\n    name = \"%s\"\ncurve\n    public-key = \"%s\"\n", cert->name,
                  cert->public_key);
    if (with_secret)
        sl_buf_printf(out, "    secret-key = \"%s\"\n", cert->secret_key);
}

static struct sl_slice
trim(struct sl_slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = sl_slice(s.data + 1, s.size - 1);
    while (s.size > 0 &&
           (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t' || s.data[s.size - 1] == '\r'))
        s.size--;
    return s;
}

static struct sl_slice
take_line(struct sl_slice *rest)
{
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    struct sl_slice line = sl_slice(rest->data, size);
    size_t used = size + (end == NULL ? 0 : 1);
    *rest = sl_slice(rest->data + used, rest->size - used);
    return line;
}

static bool
is_key(struct sl_slice text)
{
    uint8_t bytes[32];
    char copy[SL_CERT_KEY_SIZE];
    if (text.size != SL_CERT_KEY_SIZE - 1 || memchr(text.data, '\0', text.size) != NULL)
        return false;
    copy_text(copy, text);
    return zmq_z85_decode(bytes, copy) != NULL;
}

/* One `name = "value"`; other lines are none of ours. False: a value that cannot be. */
static bool
take_value(struct sl_slice line, struct sl_cert *cert)
{
    const uint8_t *sign = line.size == 0 ? NULL : memchr(line.data, '=', line.size);
    if (sign == NULL || trim(line).data[0] == '#')
        return true;
    struct sl_slice name = trim(sl_slice(line.data, (size_t)(sign - line.data)));
    struct sl_slice value = trim(sl_slice(sign + 1, (size_t)(line.data + line.size - sign - 1)));
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
        value = sl_slice(value.data + 1, value.size - 2);
    bool is_public = sl_slice_is(name, "public-key"), is_secret = sl_slice_is(name, "secret-key");
    if (is_public || is_secret) {
        if (!is_key(value))
            return false;
        copy_text(is_public ? cert->public_key : cert->secret_key, value);
    } else if (sl_slice_is(name, "name") && is_name(value)) {
        copy_text(cert->name, value);
    }
    return true;
}

enum sl_err
sl_cert_parse(struct sl_slice text, struct sl_cert *ret_cert)
{
    struct sl_cert cert = {0};
    while (text.size > 0) {
        if (!take_value(take_line(&text), &cert))
            return SL_EINVAL;
    }
    if (cert.public_key[0] == '\0')
        return SL_EINVAL;
    *ret_cert = cert;
    return SL_OK;
}

/* ---- files --------------------------------------------------------------------------------- */

static enum sl_err
write_file(const char *path, mode_t mode, struct sl_slice text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return sl_err_from_errno(errno);
    ssize_t written = write(fd, text.data, text.size);
    enum sl_err err = SL_OK;
    if (written < 0)
        err = sl_err_from_errno(errno);
    else if ((size_t)written != text.size)
        err = SL_ENOSPC;
    else if (fsync(fd) != 0)
        err = sl_err_from_errno(errno);
    close(fd);
    if (err != SL_OK)
        unlink(path);
    return err;
}

enum sl_err
sl_cert_save(const struct sl_cert *cert, const char *path)
{
    char *secret_path = sl_format("%s%s", path, SL_CERT_SECRET_TAIL);
    struct sl_buf secret = {0}, public = {0};
    sl_cert_print(cert, true, &secret);
    sl_cert_print(cert, false, &public);
    enum sl_err err = write_file(secret_path, 0600, sl_buf_slice(&secret));
    if (err == SL_OK) {
        err = write_file(path, 0644, sl_buf_slice(&public));
        if (err != SL_OK)
            unlink(secret_path);
    }
    explicit_bzero(secret.data, secret.size);
    sl_buf_deinit(&secret);
    sl_buf_deinit(&public);
    sl_free(secret_path);
    return err;
}

static enum sl_err
load_at(int directory, const char *path, struct sl_cert *ret_cert)
{
    uint8_t text[FILE_BYTES_MAX];
    struct stat about;
    struct sl_cert cert = {0};
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sl_err_from_errno(errno);
    ssize_t size = -1;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        size = read(fd, text, sizeof(text));
    close(fd);
    if (size < 0)
        return SL_EINVAL;
    enum sl_err err = sl_cert_parse(sl_slice(text, (size_t)size), &cert);
    if (err == SL_OK && cert.secret_key[0] != '\0' && (about.st_mode & 077) != 0)
        err = SL_EDENIED;
    if (err == SL_OK)
        *ret_cert = cert;
    explicit_bzero(text, sizeof(text));
    explicit_bzero(&cert, sizeof(cert));
    return err;
}

enum sl_err
sl_cert_load(const char *path, struct sl_cert *ret_cert)
{
    return load_at(AT_FDCWD, path, ret_cert);
}

bool
sl_cert_find(const char *directory, const char *public_key, struct sl_cert *ret_cert)
{
    DIR *files = opendir(directory);
    bool is_found = false;
    if (files == NULL)
        return false;
    const struct dirent *file;
    for (uint32_t i = 0; !is_found && i < SL_CERT_FILES_MAX && (file = readdir(files)) != NULL;
         i++) {
        struct sl_cert cert;
        if (file->d_name[0] == '.' || load_at(dirfd(files), file->d_name, &cert) != SL_OK)
            continue;
        is_found = strcmp(cert.public_key, public_key) == 0;
        if (is_found)
            *ret_cert = cert;
    }
    closedir(files);
    return is_found;
}
