/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - one YAML document as a tree whose every node knows its line, for files whose keys no
 * table can be read with directly. What a file has no need of is refused: aliases, tags, a second
 * document, a name that comes twice.
 *
 * Threading: a tree is only read.
 */
#ifndef SL_RUNTIME_YAML_H
#define SL_RUNTIME_YAML_H

#include "runtime/base.h"

#define SL_YAML_SIZE_MAX  (256u * 1024) /* Bytes of the text. */
#define SL_YAML_NODES_MAX 4096u
#define SL_YAML_DEPTH_MAX 12u
#define SL_YAML_NAME_MAX  128u /* Bytes of a mapping's key. */

enum sl_yaml_kind { SL_YAML_SCALAR, SL_YAML_LIST, SL_YAML_MAP };

struct sl_yaml_node {
    enum sl_yaml_kind kind;
    bool is_quoted;       /* A scalar that is certainly a text. */
    uint32_t line, count; /* Line of its name, if it has one: from 1. Count of its children. */
    char *name;           /* In a mapping; NULL elsewhere. */
    char *text;           /* Of a scalar: "" where the file has nothing. */
    struct sl_yaml_node *first, *next; /* Its first child, and the next of the same parent. */
};

/*
 * Read `text`. *ret_root is the caller's, to be destroyed; NULL when the text holds nothing.
 * SL_EINVAL, SL_ETOOBIG, SL_ENOMEM: *ret_why is a sentence, the caller's, and *ret_line where; both
 * are set on an error only.
 */
SL_MUST_CHECK enum sl_err sl_yaml_read(struct sl_slice text, struct sl_yaml_node **ret_root,
                                       uint32_t *ret_line, char **ret_why);
void sl_yaml_destroy(struct sl_yaml_node **root); /* NULL inside is fine. */

#endif
