/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_message.h"

#define SL_PROTOCOL_DEF  "actors/image.def"
#define SL_PROTOCOL_NAME image
#define SL_PROTOCOL_ID   SL_PROTOCOL_IMAGE
#include "runtime/message_table.h"

bool
sl_image_head_takes(const struct sl_msg *msg)
{
    if (msg->to.actor == SL_ACTOR_LOCATOR)
        return msg->id == SL_M_image_has || msg->id == SL_M_image_gone ||
               msg->id == SL_M_image_locate;
    return msg->to.actor == SL_ACTOR_IMAGES &&
           (msg->id == SL_M_image_list_want || msg->id == SL_M_image_chunk_want);
}

bool
sl_image_node_takes(const struct sl_msg *msg)
{
    if (msg->to.actor != SL_ACTOR_IMAGES || msg->from.node >= SL_NODE_REPLICAS_FIRST)
        return false;
    if (msg->id == SL_M_image_located || msg->id == SL_M_image_drop)
        return msg->from.node == SL_NODE_HEAD;
    return msg->id == SL_M_image_list_want || msg->id == SL_M_image_chunk_want ||
           msg->id == SL_M_image_list || msg->id == SL_M_image_chunk;
}

bool
sl_image_name_of(struct sl_slice bytes, struct sl_image_name *ret_name)
{
    if (bytes.size != sizeof(ret_name->digest))
        return false;
    memcpy(ret_name->digest, bytes.data, bytes.size);
    return true;
}
