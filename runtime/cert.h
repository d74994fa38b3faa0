/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - certificates of links: a CURVE key pair and a name, in files that czmq's tools read too.
 * `PATH` holds the public key and may be given to others; `PATH_secret` holds both, mode 0600. The
 * names of an allowed directory's files mean nothing: every public key in it is allowed.
 * Threading: any thread.
 */
#ifndef SL_RUNTIME_CERT_H
#define SL_RUNTIME_CERT_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_CERT_KEY_SIZE    41 /* Z85 text of 32 bytes, and a NUL. */
#define SL_CERT_NAME_SIZE   64
#define SL_CERT_FILES_MAX   10000 /* Of an allowed directory. */
#define SL_CERT_SECRET_TAIL "_secret"

struct sl_cert {
    char public_key[SL_CERT_KEY_SIZE];
    char secret_key[SL_CERT_KEY_SIZE]; /* "": only the public half is known. */
    char name[SL_CERT_NAME_SIZE];
};

/* Make a new pair. SL_EINVAL: the name is not 1 to 63 printable characters without quotes. */
SL_MUST_CHECK enum sl_err sl_cert_create(const char *name, struct sl_cert *ret_cert);
/* SL_EINVAL: no such text. */
SL_MUST_CHECK enum sl_err sl_cert_parse(struct sl_slice text, struct sl_cert *ret_cert);
void sl_cert_print(const struct sl_cert *cert, bool with_secret, struct sl_buf *out);

/* Write PATH and PATH_secret. SL_EEXIST: one is there; nothing was written. */
SL_MUST_CHECK enum sl_err sl_cert_save(const struct sl_cert *cert, const char *path);
/* SL_EDENIED: it has a secret and others may read the file. SL_ENOTFOUND, SL_EIO, SL_EINVAL. */
SL_MUST_CHECK enum sl_err sl_cert_load(const char *path, struct sl_cert *ret_cert);

/* Whether a file of `directory` has this public key; *ret_cert is that certificate. */
bool sl_cert_find(const char *directory, const char *public_key, struct sl_cert *ret_cert);

#endif
