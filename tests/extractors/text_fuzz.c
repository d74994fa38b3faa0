/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant's text goes through: cutting, tokenising, hashing. The first bytes choose how.
 */
#include "extractors/chunk.h"
#include "extractors/media_type.h"
#include "extractors/text_hash.h"
#include "extractors/wordpiece.h"
#include "runtime/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vocabulary[] = "[UNK]\n[CLS]\n[SEP]\na\n##a\nthe\n##s\n.\n\xC3\xA9\n";
    struct sl_wordpiece *tokenizer = NULL;
    struct sl_slice *chunks = NULL;
    float vector[SL_TEXT_HASH_DIMENSIONS];
    uint32_t ids[64], count = 0;
    if (size < 3)
        return 0;
    struct sl_chunk_options options = {.unit = data[0] % (SL_CHUNK_PAGES + 1),
                                       .size = 1u + data[1] % 8,
                                       .overlap = data[2] % 8,
                                       .keeps_space = data[0] >= 128};
    struct sl_slice text = sl_slice(data + 3, size - 3);
    if (sl_chunk_split(text, &options, &chunks, &count) == SL_OK) {
        for (uint32_t i = 0; i < count; i++)
            sl_assert(chunks[i].size > 0 && chunks[i].data >= text.data &&
                      chunks[i].data + chunks[i].size <= text.data + text.size);
        sl_free(chunks);
    }
    sl_assert(sl_wordpiece_create(sl_slice_str(vocabulary), 100, data[1] >= 128, &tokenizer) ==
              SL_OK);
    count = sl_wordpiece_encode(tokenizer, text, ids, 3 + data[2] % 60);
    sl_assert(count >= 2 && count <= 3u + data[2] % 60);
    sl_wordpiece_destroy(&tokenizer);
    sl_text_hash(text, vector);
    sl_assert(sl_media_type(text) != NULL);
    /* The rest of the input as a vocabulary. */
    if (sl_wordpiece_create(text, 1000, true, &tokenizer) == SL_OK) {
        count = sl_wordpiece_encode(tokenizer, text, ids, 64);
        sl_wordpiece_destroy(&tokenizer);
    }
    return 0;
}
