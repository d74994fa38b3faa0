/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_face.h - a model as a plugin sees it (sluice/model.h): a mapping of its memory file, and
 * the calls that look into it.
 *
 * Threading: what is open may be read by any thread.
 */
#ifndef SL_EXTRACTORS_MODEL_FACE_H
#define SL_EXTRACTORS_MODEL_FACE_H

#include "object-store/model.h"
#include "sluice/model.h"

struct sl_model_face { /* It stays where it is while it is open. */
    uint32_t magic;
    struct sl_model *model;
    struct sluice_model_v1 face; /* What the plugin is given. */
};

struct sl_model_names {
    const char *name, *id; /* Borrowed until it is closed; NULL: "". */
};

/* Map it; `fd` is borrowed until it is closed: plugins may map it, too. As of sl_model_attach. */
SL_MUST_CHECK enum sl_err sl_model_face_open(struct sl_model_face *f, int fd,
                                             const struct sl_model_names *names,
                                             struct sl_cause *ret_cause);
void sl_model_face_close(struct sl_model_face *f); /* One that was opened. */

#endif
