/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/err.h"

#include <errno.h>

static const char *const names[SL_ERR_COUNT] = {
#define ERR(code, text) [SL_##code] = #code,
#include "runtime/err.def"
};

static const char *const texts[SL_ERR_COUNT] = {
#define ERR(code, text) [SL_##code] = text,
#include "runtime/err.def"
};

const char *
sl_err_name(enum sl_err err)
{
    return (unsigned)err < SL_ERR_COUNT ? names[err] : "E?";
}

const char *
sl_err_text(enum sl_err err)
{
    return (unsigned)err < SL_ERR_COUNT ? texts[err] : "an unknown error";
}

enum sl_err
sl_err_from_errno(int error)
{
    switch (error) {
    case 0:
        return SL_OK;
    case ENOENT:
    case ESRCH:
        return SL_ENOTFOUND;
    case EEXIST:
        return SL_EEXIST;
    case EBUSY:
    case EADDRINUSE:
    case EAGAIN:
        return SL_EBUSY;
    case EACCES:
    case EPERM:
    case EROFS:
        return SL_EDENIED;
    case ENOSPC:
    case EDQUOT:
        return SL_ENOSPC;
    case ENOMEM:
        return SL_ENOMEM;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
        return SL_EINVAL;
    case EMFILE:
    case ENFILE:
        return SL_EFULL;
    case EFBIG:
    case EMSGSIZE:
        return SL_ETOOBIG;
    default:
        return SL_EIO;
    }
}
