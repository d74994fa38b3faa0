/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feature_uri.h - "mixpeek://text_extractor@v1/all_minilm_l6_v2" in its parts. The scheme "sluice"
 * is read too; a missing output, or "embedding", means the primary index and gives an empty slice.
 */
#ifndef SL_GATEWAY_FEATURE_URI_H
#define SL_GATEWAY_FEATURE_URI_H

#include "runtime/base.h"

struct sl_feature_uri {
    struct sl_slice extractor, version, output; /* Borrowed from the text. */
};

/* SL_EINVAL: not a feature URI. */
SL_MUST_CHECK enum sl_err sl_feature_uri_parse(struct sl_slice text,
                                               struct sl_feature_uri *ret_uri);

#endif
