/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h - a node's directory of sealed files, such as models' images, each named by its digest
 * (chunks.h) in 64 lower-case hex digits, and of those that are still coming from other nodes.
 *
 *   (none) --begin--> PART --put, put, ...--> PART --finish (synced, renamed)--> whole --remove-->
 *                      |  `--close, crash--> its files stay --begin--> PART, with what was put
 *                      `--remove--> (none)
 *
 *   <digest>         whole; appears at once with all of its bytes
 *   <digest>.part    being fetched, with holes
 *   <digest>.list    the digests of its chunks: of a part, and of a whole one that others asked for
 *
 * No note is kept of which chunks of a part are there: each is hashed again when it is begun anew,
 * which is cheaper than a copy from another node, and trusts neither the order in which a crash let
 * writes through nor a disk that lies. The list proves itself by the digest. Nothing is synced
 * before the end, so a loss of power may cost what came since the kernel last wrote; a process that
 * dies loses nothing.
 *
 * Threading: calls block on the disk. A part has one owner at a time; all else on any thread of as
 * many processes as there are, as far as the disk (file.h) can.
 */
#ifndef SL_OBJECT_STORE_IMAGES_H
#define SL_OBJECT_STORE_IMAGES_H

#include "object-store/chunks.h"
#include "runtime/file.h"

#define SL_IMAGE_NAME_SIZE (2 * SL_SHA256_SIZE + 1)

struct sl_image_part;

struct sl_images {
    struct sl_disk disk; /* Of the directory, which sl_disk_open makes 0700. Borrowed. */
};

struct sl_image_name { /* A digest, by value. */
    uint8_t digest[SL_SHA256_SIZE];
};

void sl_image_name_text(const struct sl_image_name *name, char ret_text[static SL_IMAGE_NAME_SIZE]);
/* False: not 64 lower-case hex digits. */
bool sl_image_name_read(const char *text, struct sl_image_name *ret_name);

/* ---- whole ones: SL_ENOTFOUND where there is none, SL_EIO ------------------------------------ */

SL_MUST_CHECK enum sl_err sl_images_size(const struct sl_images *images,
                                         const struct sl_image_name *name,
                                         uint64_t *ret_size_bytes);
/* The digests of its chunks, from its list, or by reading all of it once: SL_ECORRUPT: its bytes
 * are not those of its name. */
SL_MUST_CHECK enum sl_err sl_images_chunks(const struct sl_images *images,
                                           const struct sl_image_name *name,
                                           struct sl_chunks *ret_chunks);
/* A chunk of a whole one or of a part, into SL_CHUNK_BYTES; not checked: who gets it does that.
 * SL_EINVAL: there is no such chunk. */
SL_MUST_CHECK enum sl_err sl_images_read(const struct sl_images *images,
                                         const struct sl_image_name *name, uint32_t index,
                                         uint8_t *data, size_t *ret_size);
/* With its list and what there may be of a part. Absent: SL_OK. Who has it open keeps it. */
SL_MUST_CHECK enum sl_err sl_images_remove(const struct sl_images *images,
                                           const struct sl_image_name *name);
/* Call `found` with each whole one. SL_EIO: some were not shown. */
SL_MUST_CHECK enum sl_err sl_images_each(const struct sl_images *images,
                                         void (*found)(void *arg, const struct sl_image_name *name,
                                                       uint64_t size_bytes),
                                         void *arg);
/* Remove whole ones and parts, with their lists, that `is_kept` says no to, and lists of nothing.
 * How many files. */
uint32_t sl_images_sweep(const struct sl_images *images,
                         bool (*is_kept)(void *arg, const struct sl_image_name *name), void *arg);

/* ---- parts ----------------------------------------------------------------------------------- */

/*
 * Go on with what a former part left, or begin. `chunks`: as a holder told, NULL: as the list here
 * tells. SL_EINVAL: chunks that the name does not name. SL_ENOTFOUND: no chunks, and no list here.
 * SL_EEXIST: it is whole. SL_ENOSPC: there is no room for it. SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_image_part_begin(const struct sl_images *images,
                                              const struct sl_image_name *name,
                                              const struct sl_chunks *chunks,
                                              struct sl_image_part **ret_part);
/* Of a part, borrowed until it is closed. */
const struct sl_chunks *sl_image_part_chunks(const struct sl_image_part *part);
bool sl_image_part_has(const struct sl_image_part *part, uint32_t index);
/* Check a chunk and write it. SL_ECORRUPT: it is another; nothing was written. SL_ENOSPC, SL_EIO:
 * it is not there. What is there already is SL_OK. */
SL_MUST_CHECK enum sl_err sl_image_part_put(struct sl_image_part *part, uint32_t index,
                                            struct sl_slice data);
/* Make it whole, and destroy it; on error it is closed. SL_EBUSY: chunks are missing.
 * SL_ECORRUPT: somebody else wrote to its file, which is gone now. SL_ENOSPC, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_image_part_finish(struct sl_image_part **part);
void sl_image_part_close(struct sl_image_part **part); /* Its files stay. NULL inside is fine. */

#endif
