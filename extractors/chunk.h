/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk.h - cut a text into chunks of so many characters, words, sentences, paragraphs or pages.
 *
 * The text is cut into units; a unit includes what separates it from the next one, so units put
 * together are the text. A chunk is up to `size` units in a row, shares `overlap` of them with the
 * chunk before it, and is handed out as a slice of the text, without white space at its ends.
 * A chunk that would only repeat the tail of the one before it is not made.
 *
 * Pure functions; any thread.
 */
#ifndef SL_EXTRACTORS_CHUNK_H
#define SL_EXTRACTORS_CHUNK_H

#include "runtime/base.h"

enum sl_chunk_unit {
    SL_CHUNK_NONE = 0,   /* The whole text is one chunk. */
    SL_CHUNK_CHARACTERS, /* Code points. */
    SL_CHUNK_WORDS,      /* Runs between white space. */
    SL_CHUNK_SENTENCES,
    SL_CHUNK_PARAGRAPHS, /* Set apart by blank lines. */
    SL_CHUNK_PAGES       /* Set apart by form feeds. */
};

#define SL_CHUNK_SIZE_MAX    10000
#define SL_CHUNK_OVERLAP_MAX 5000

struct sl_chunk_options {
    enum sl_chunk_unit unit;
    uint32_t size;    /* Units in a chunk, 1 to SL_CHUNK_SIZE_MAX; not looked at for NONE. */
    uint32_t overlap; /* Units shared with the chunk before; less than size. */
    bool keeps_space; /* Leave white space at the ends: with no overlap, chunks cover the text. */
};

/* The unit called "characters", "words"... as in split_by. SL_EINVAL: no such name. */
SL_MUST_CHECK
enum sl_err sl_chunk_unit_parse(struct sl_slice name, enum sl_chunk_unit *ret_unit);

/* SL_EINVAL: a size or overlap out of range. */
SL_MUST_CHECK
enum sl_err sl_chunk_check(const struct sl_chunk_options *options);

/*
 * Cut `text` (any bytes; invalid UTF-8 counts a byte as a character) into at most
 * SL_LIMIT_RECORDS_PER_TASK chunks. *ret_chunks is owned by the caller (sl_free) and NULL when
 * there are none: a text without anything but white space has none. The slices borrow from `text`.
 * SL_EINVAL: as sl_chunk_check. SL_ETOOBIG: more chunks than that.
 */
SL_MUST_CHECK
enum sl_err sl_chunk_split(struct sl_slice text, const struct sl_chunk_options *options,
                           struct sl_slice **ret_chunks, uint32_t *ret_count);

/*
 * The same a part at a time, for texts of any size: at most `count_max` chunks (at least 1), and
 * none after `bytes_max` bytes of them.
 */
struct sl_chunk_part {
    uint32_t count_max;
    uint64_t bytes_max;
    /* Where the part begins: 0, or what the part before left here. The text's size: it was the
     * last one. A number from anywhere else gives other chunks, and no harm. */
    uint64_t offset;
    struct sl_slice *chunks; /* As of sl_chunk_split. */
    uint32_t count;
};
SL_MUST_CHECK
enum sl_err sl_chunk_next(struct sl_slice text, const struct sl_chunk_options *options,
                          struct sl_chunk_part *part);
/* How many chunks there are from `offset` on. 0 for options that sl_chunk_check refuses. */
uint64_t sl_chunk_count(struct sl_slice text, const struct sl_chunk_options *options,
                        uint64_t offset);

#endif
