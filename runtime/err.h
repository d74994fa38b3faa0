/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - the one list of errors. Foreign codes (errno, zmq, mdb, archive...) are mapped to these
 * in one adapter file per library and never travel further.
 */
#ifndef SL_RUNTIME_ERR_H
#define SL_RUNTIME_ERR_H

enum sl_err {
#define ERR(code, text) SL_##code,
#include "runtime/err.def"
    SL_ERR_COUNT
};

/* The code as written, e.g. "ENOTFOUND". Static storage; "E?" for a number that is no code. */
const char *sl_err_name(enum sl_err err);

/* A text for people that completes "the cause is ...". Static storage. */
const char *sl_err_text(enum sl_err err);

/* Map an errno value. Unknown values become SL_EIO. */
enum sl_err sl_err_from_errno(int error);

#endif
