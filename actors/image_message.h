/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_message.h - the messages that move images between nodes (image.def).
 */
#ifndef SL_ACTORS_IMAGE_MESSAGE_H
#define SL_ACTORS_IMAGE_MESSAGE_H

#include "actors/cluster.h"
#include "object-store/images.h"

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "actors/image.def"
#undef MESSAGE
#undef F

enum sl_image_message {
    SL_IMAGE_FIRST = (SL_PROTOCOL_IMAGE << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "actors/image.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_image;

/* Whether another node may send this to the head's actors, or to a node's. */
bool sl_image_head_takes(const struct sl_msg *msg);
bool sl_image_node_takes(const struct sl_msg *msg);

/* False: not the bytes of a digest. */
bool sl_image_name_of(struct sl_slice bytes, struct sl_image_name *ret_name);
static inline struct sl_slice
sl_image_name_bytes(const struct sl_image_name *name)
{
    return sl_slice(name->digest, sizeof(name->digest));
}

#endif
