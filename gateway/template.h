/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - {{INPUT.x}} in the parameters of retriever stages: paths only, nothing is evaluated.
 *
 * Roots are INPUT/inputs, DOC/doc, CONTEXT/context and STAGE/stage. A string that is one template
 * alone becomes the value itself; inside other text a string goes in as it is, other values as
 * JSON, null and what is absent as nothing. What has no root here stays as it was written.
 */
#ifndef SL_GATEWAY_TEMPLATE_H
#define SL_GATEWAY_TEMPLATE_H

#include "runtime/base.h"
#include "runtime/json.h"

struct sl_template_scope {
    struct sl_json input, doc, context, stage; /* NONE: such templates stay as they are. */
};

/*
 * Write `v` with its strings expanded. Template text that came out of a value is not expanded
 * again, so an input cannot read what its sender may not.
 */
void sl_template_expand(struct sl_json v, const struct sl_template_scope *scope,
                        struct sl_jsonw *w);

#endif
