/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pytorch.h - read the tensors of a file that torch.save or torch.jit.save wrote (.pt, .pth,
 * pytorch_model.bin), in place and without running anything that it says.
 *
 *   <root>/data.pkl      which tensors there are, as a pickle      root: the same for all entries
 *   <root>/data/<key>    the bytes of a storage; tensors are views of storages
 *   <root>/version, <root>/byteorder
 *
 * Read: ZIP archives as zip.h takes them, written by torch 1.6 or later; the opcodes that pickle.h
 * lists; the symbols that pytorch.c lists, which are OrderedDict, Counter, torch.Size,
 * torch.device, dtypes and storages of what tensor.h knows, and tensors by _rebuild_tensor, _v2,
 * _v3, as they are or as parameters. Everything else is refused by its name. So are tar files and
 * streams of older versions, bare pickles, and big-endian files.
 *
 * Names: the way to the tensor, keys of dicts and indices of lists and tuples joined by '.', so
 * {"state_dict": {"a.weight": t}} gives "state_dict.a.weight". Two tensors of one name, or two
 * equal keys in one dict, are refused. What is no tensor is skipped: numbers, texts, bare storages,
 * the attributes of a dict (its _metadata).
 *
 * TorchScript (there is a constants.pkl): objects of its own classes are records, whose attributes
 * are walked like a dict. Its code, which alone may be compressed, is never looked at, nor are
 * constants.pkl and the inputs of a trace: both mean something to that code only.
 *
 * Views: offset, shape and strides lie within their storage, and a storage has exactly the bytes
 * that the pickle says. Tied tensors come out twice, with one offset. Offsets need not be aligned.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_PYTORCH_H
#define SL_OBJECT_STORE_PYTORCH_H

#include "object-store/cause.h"
#include "object-store/weights.h"
#include "runtime/base.h"

#define SL_PYTORCH_DEPTH_MAX 64u        /* Containers within each other, on the way to a tensor. */
#define SL_PYTORCH_STEPS_MAX (1u << 22) /* Members looked at, those of shared containers again. */
/* All views together, each for itself, take at most so many times the file, and a little more: a
 * view may repeat its storage, and there may be many of one. */
#define SL_PYTORCH_VIEWS_RATIO 4
#define SL_PYTORCH_VIEWS_MORE  (64 * SL_MIB)

/*
 * Find the tensors of `file`, a whole (mapped) file, in the order in which it lists them.
 * SL_EINVAL: damaged, inconsistent or over a limit. SL_EDENIED: it asks for something that is not
 * read as data. SL_EVERSION: a form of older or other versions. Each with a cause. On success
 * deinit the weights; they borrow nothing.
 */
SL_MUST_CHECK
enum sl_err sl_pytorch_parse(struct sl_slice file, struct sl_weights *ret_weights,
                             struct sl_cause *ret_cause);

#endif
