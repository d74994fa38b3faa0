/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors.h - read and check the header of a .safetensors file.
 *
 *   u64 LE header size | JSON header | tensor bytes, tiled without a hole or an overlap
 *
 * Everything is checked before a number is used: dtype, shape product, range, tiling, unique names.
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_SAFETENSORS_H
#define SL_OBJECT_STORE_SAFETENSORS_H

#include "object-store/cause.h"
#include "object-store/weights.h"
#include "runtime/base.h"

/* 65,536 tensors take some 10 MiB; the format allows 100 MB, which only costs memory. */
#define SL_SAFETENSORS_HEADER_SIZE_MAX (16 * SL_MIB)

/*
 * How many bytes of the file sl_safetensors_parse must see: `head` holds at least its first 8.
 * SL_EINVAL: the size it states is impossible for a file of `file_size` bytes.
 */
SL_MUST_CHECK
enum sl_err sl_safetensors_head_size(struct sl_slice head, uint64_t file_size, uint64_t *ret_size,
                                     struct sl_cause *ret_cause);

/*
 * Parse a file of `file_size` bytes from its first bytes, which must reach to the end of the header
 * (a whole mapped file is fine). `head` is borrowed for the call. SL_EINVAL, with a cause that
 * names the tensor. On success deinit the weights, which are sorted by offset.
 */
SL_MUST_CHECK
enum sl_err sl_safetensors_parse(struct sl_slice head, uint64_t file_size,
                                 struct sl_weights *ret_weights, struct sl_cause *ret_cause);

#endif
