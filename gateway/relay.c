/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/relay.h"

#include <assert.h>
#include <stddef.h>

#define SL_PROTOCOL_DEF  "gateway/relay.def"
#define SL_PROTOCOL_NAME relay
#define SL_PROTOCOL_ID   SL_PROTOCOL_RELAY
#include "runtime/message_table.h"

#define KEPT_BYTES SL_MIB /* Memory for the next call or reply. */

static_assert(SL_EDGE_PIECE_BYTES < SL_LIMIT_FRAME_BYTES, "a piece fits in a frame");
static_assert(sizeof(struct sl_m_edge_call) == sizeof(struct sl_m_edge_reply), "both alike");

static enum sl_err
refuse(struct sl_relay_parts *parts, enum sl_err err)
{
    sl_relay_parts_deinit(parts);
    return err;
}

enum sl_err
sl_relay_take(struct sl_relay_parts *parts, const struct sl_relay_piece *piece, uint64_t bytes_max)
{
    if (piece->offset == 0) { /* Whoever sends begins the next only behind the last. */
        parts->serial = piece->serial;
        parts->total = piece->total;
        if (parts->text.capacity > KEPT_BYTES)
            sl_buf_deinit(&parts->text);
        sl_buf_clear(&parts->text);
    }
    if (piece->total == 0 || piece->total > bytes_max)
        return refuse(parts, SL_ETOOBIG);
    if (piece->serial != parts->serial || piece->total != parts->total ||
        piece->offset != parts->text.size || piece->bytes.size == 0 ||
        piece->bytes.size > piece->total - piece->offset)
        return refuse(parts, SL_ECORRUPT);
    sl_buf_append_slice(&parts->text, piece->bytes);
    return parts->text.size == parts->total ? SL_OK : SL_EBUSY;
}

void
sl_relay_parts_deinit(struct sl_relay_parts *parts)
{
    sl_buf_deinit(&parts->text);
    *parts = (struct sl_relay_parts){0};
}

void
sl_relay_send(struct sl_ctx *ctx, const struct sl_relay_head *head, struct sl_slice text)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = SL_MIN(text.size - at, (size_t)SL_EDGE_PIECE_BYTES);
        struct sl_m_edge_call m = {.term = head->term,
                                   .serial = head->serial,
                                   .offset = at,
                                   .total = text.size,
                                   .piece = sl_slice(text.data + at, size)};
        sl_request(ctx, head->to, head->serial, head->id, &m);
        at += size;
    }
}
