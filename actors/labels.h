/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - what nodes are labelled with, and which labels the tasks of an extractor ask for. Both
 * are JSON objects of texts; a node fits when it has every label that is asked for, with that very
 * value. Pure.
 */
#ifndef SL_ACTORS_LABELS_H
#define SL_ACTORS_LABELS_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/json.h"

/* Whether `has` fits `asked`; whoever asks for nothing (NONE, or empty) is fitted by all. */
bool sl_labels_fit(struct sl_json asked, struct sl_json has);
/* Append "k=v, k=v". */
void sl_labels_print(struct sl_json labels, struct sl_buf *out);

/*
 * Read what extractors ask for, as the configuration has it: {"NAME":{"labels":{"k":"v"}}}, or "",
 * then *ret_doc is NULL. The text outlives it. SL_EINVAL: *ret_why is a text, owned.
 */
SL_MUST_CHECK enum sl_err sl_labels_read(struct sl_slice config, struct sl_json_doc **ret_doc,
                                         char **ret_why);
/* Of one extractor; NONE: it asks for nothing. Lives as long as `doc`, which may be NULL. */
struct sl_json sl_labels_of(const struct sl_json_doc *doc, struct sl_json extractor);

#endif
