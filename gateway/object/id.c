/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/object/id.h"

#include "runtime/random.h"

#define PREFIX      "obj_"
#define PREFIX_SIZE 4
#define TAIL_SIZE   3
#define TAILS       (36u * 36u * 36u)
#define IDS_A_BLOCK 2048u /* Their rows are some hundred pages. */

static uint32_t
draw(uint32_t below)
{
    uint32_t bits;
    sl_random_secret(&bits, sizeof(bits));
    return bits % below;
}

/* TAILS is 2^6 * 3^6: a step that neither divides comes to every tail before it comes back. */
static void
begin_block(struct sl_object_id_block *b, struct sl_scope scope)
{
    b->scope = scope.id;
    sl_random_id(b->text, SL_OBJECT_ID_BLOCK);
    b->at = draw(TAILS);
    b->step = 6 * draw(TAILS / 6) + 1;
    b->left = IDS_A_BLOCK;
}

void
sl_object_id_next(struct sl_object_ids *ids, struct sl_scope scope,
                  char ret_id[static SL_OBJECT_ID_SIZE])
{
    struct sl_object_id_block *b = &ids->blocks[scope.id % SL_OBJECT_ID_SLOTS];
    if (b->left == 0 || b->scope != scope.id)
        begin_block(b, scope);
    memcpy(ret_id, PREFIX, PREFIX_SIZE);
    memcpy(ret_id + PREFIX_SIZE, b->text, SL_OBJECT_ID_BLOCK);
    char *tail = ret_id + PREFIX_SIZE + SL_OBJECT_ID_BLOCK;
    uint32_t rest = b->at;
    for (int i = TAIL_SIZE - 1; i >= 0; i--, rest /= 36)
        tail[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
    tail[TAIL_SIZE] = '\0';
    b->at = (b->at + b->step) % TAILS;
    b->left--;
}
