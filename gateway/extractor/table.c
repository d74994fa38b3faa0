/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/extractor/info.h"

#define NEEDS_MODEL "no model that reads this modality is built in; deploy a plugin that backs it"
#define NEEDS_CODE  "its decoder is not built in; deploy a plugin that backs it"

/* JSON in pieces reads best wrapped where a field of it begins: */
/* clang-format off */
#define COST(tier, label, rates)                                                                   \
    "{\"tier\":" #tier ",\"tier_label\":\"" label "\",\"rates\":[" rates "]}"
#define RATE(unit, credits, text)                                                                  \
    "{\"unit\":\"" unit "\",\"credits_per_unit\":" #credits ",\"description\":\"" text "\"}"

#define EMBEDDING(field)                                                                           \
    "\"" field "\":{\"type\":\"array\",\"items\":{\"type\":\"number\"},"                           \
    "\"description\":\"L2-normalised vector\"}"
#define FIELD(name, type, text) "\"" name "\":{\"type\":\"" type "\",\"description\":\"" text "\"}"

static const struct sl_extractor_index text_indexes[] = {
    {SL_TEXT_HASH_INDEX, "text_extractor_v1_embedding", SL_TEXT_HASH_DIMENSIONS, "text"},
};
static const struct sl_extractor_index image_indexes[] = {
    {"google_siglip_base_v1", "image_extractor_v1_embedding", 768, "image"},
};
static const struct sl_extractor_index multimodal_v1_indexes[] = {
    {"vertex_multimodal_embedding", "multimodal_extractor_v1_multimodal_embedding", 1408,
     "multimodal"},
    {"multilingual_e5_large_instruct_v1", "multimodal_extractor_v1_transcription_embedding", 1024,
     "text"},
};
static const struct sl_extractor_index multimodal_v2_indexes[] = {
    {"gemini-embedding-2", "multimodal_extractor_v2_multimodal_embedding", 3072, "multimodal"},
    {"multilingual_e5_large_instruct_v1", "multimodal_extractor_v2_transcription_embedding", 1024,
     "text"},
};
static const struct sl_extractor_index face_indexes[] = {
    {"insightface__arcface", "face_identity_extractor_v1_embedding", 512, "image"},
};
static const struct sl_extractor_index document_indexes[] = {
    {"intfloat__multilingual_e5_large_instruct", "document_graph_extractor_v1_text_embedding", 1024,
     "text"},
};
static const struct sl_extractor_index audio_indexes[] = {
    {"laion__clap_htsat_tiny", "audio_fingerprint_extractor_v1_embedding", 512, "audio"},
};
static const struct sl_extractor_index gemini_indexes[] = {
    {"gemini-embedding-2", "gemini_multifile_extractor_v1_embedding", 3072, "multimodal"},
};
static const struct sl_extractor_index universal_indexes[] = {
    {"gemini-embedding-2", "universal_extractor_v1_embedding", 3072, "multimodal"},
};
static const struct sl_extractor_index web_indexes[] = {
    {"intfloat__multilingual_e5_large_instruct", "web_scraper_v1_text_embedding", 1024, "text"},
    {"web_code_embedding", "web_scraper_v1_code_embedding", 768, "code"},
    {"web_image_embedding", "web_scraper_v1_image_embedding", 768, "image"},
    {"web_screenshot_embedding", "web_scraper_v1_screenshot_embedding", 768, "image"},
};

#define TEXT_PARAMETERS                                                                            \
    "{\"extractor_type\":{\"type\":\"string\",\"enum\":[\"text_extractor\"]},"                     \
    "\"source_type\":{\"type\":\"string\",\"enum\":[\"text\",\"youtube\"],\"default\":\"text\"},"  \
    "\"split_by\":{\"type\":\"string\",\"enum\":[\"characters\",\"words\",\"sentences\","          \
    "\"paragraphs\",\"pages\",\"time_segments\",\"none\"],\"default\":\"none\"},"                  \
    "\"chunk_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,\"default\":1000},"      \
    "\"chunk_overlap\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":5000,\"default\":0},"       \
    "\"segment_length_seconds\":{\"type\":\"integer\",\"minimum\":30,\"maximum\":600,"             \
    "\"default\":120},"                                                                            \
    "\"language\":{\"type\":\"string\",\"default\":\"en\"},"                                       \
    "\"extract_captions\":{\"type\":\"boolean\",\"default\":true},"                                \
    "\"response_shape\":{},\"llm_provider\":{\"type\":\"string\"},"                                \
    "\"llm_model\":{\"type\":\"string\"},\"llm_api_key\":{\"type\":\"string\"},"                   \
    "\"embedding_model\":{\"type\":\"string\"},"                                                   \
    "\"embedding_task\":{\"type\":\"string\",\"enum\":[\"retrieval_document\","                    \
    "\"retrieval_query\",\"semantic_similarity\",\"classification\",\"clustering\"],"              \
    "\"default\":\"retrieval_document\"}}"

#define TEXT_DEFAULTS                                                                              \
    "{\"extractor_type\":\"text_extractor\",\"source_type\":\"text\",\"split_by\":\"none\","       \
    "\"chunk_size\":1000,\"chunk_overlap\":0,\"segment_length_seconds\":120,"                      \
    "\"language\":\"en\",\"extract_captions\":true,"                                               \
    "\"embedding_task\":\"retrieval_document\"}"

#define TEXT_OUTPUTS                                                                               \
    "{" FIELD("text", "string", "The chunk") "," EMBEDDING("text_extractor_v1_embedding") ","      \
    FIELD("chunk_index", "integer", "Position of the chunk in its source, from 0") ","             \
    FIELD("total_chunks", "integer", "Chunks of the source") "}"

#define INDEXES(table) .indexes = (table), .indexes_count = SL_COUNT_OF(table)
#define NO_PARAMETERS  .parameters = "{}", .defaults = "{}"

static const struct sl_extractor_info infos[] = {
    {
        .name = "text_extractor",
        .version = "v1",
        .id = "text_extractor_v1",
        .description = "Splits text into chunks and embeds each one for semantic search.",
        .icon = "type",
        .inputs = "{" FIELD("text", "string", "Text to embed") "}",
        .inputs_required = "[\"text\"]",
        .input_types = "[\"text\",\"string\"]",
        .inputs_max = "{\"text\":1}",
        .parameters = TEXT_PARAMETERS,
        .defaults = TEXT_DEFAULTS,
        .outputs = TEXT_OUTPUTS,
        .costs = COST(1, "SIMPLE", RATE("1k_tokens", 1, "Text read")),
        .position_fields = "[\"chunk_index\"]",
        INDEXES(text_indexes),
    },
    {
        .name = "passthrough_extractor",
        .version = "v1",
        .id = "passthrough_extractor_v1",
        .description = "Copies the source's fields into one document, without any features.",
        .icon = "arrow-right",
        .inputs = "{" FIELD("content", "string", "URL or inline content of any type") ","
                   FIELD("data", "object", "Direct payload") "}",
        .inputs_required = "[]",
        .input_types = "[\"text\",\"string\",\"image\",\"audio\",\"video\",\"pdf\",\"excel\","
                   "\"object\"]",
        .inputs_max = "{}",
        .parameters = "{\"preserve_metadata\":{\"type\":\"boolean\",\"default\":true}}",
        .defaults = "{\"preserve_metadata\":true}",
        .outputs = "{" FIELD("content_url", "string", "Where the canonical copy lives") ","
                   FIELD("content_type", "string", "Detected MIME type") ","
                   FIELD("size_bytes", "integer", "Size of the content") ","
                   FIELD("metadata", "object", "Preserved metadata") "}",
        .costs = COST(1, "SIMPLE", RATE("extraction", 1, "Objects copied")),
        .position_fields = "[]",
    },
    {
        .name = "image_extractor",
        .version = "v1",
        .id = "image_extractor_v1",
        .description = "Embeds images for visual search.",
        .icon = "image",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("image", "string", "Image or page to embed") "}",
        .inputs_required = "[\"image\"]",
        .input_types = "[\"image\",\"pdf\"]",
        .inputs_max = "{\"image\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("image_extractor_v1_embedding") "}",
        .costs = COST(2, "MODERATE", RATE("image", 2, "Images embedded")),
        .position_fields = "[]",
        INDEXES(image_indexes),
    },
    {
        .name = "multimodal_extractor",
        .version = "v1",
        .id = "multimodal_extractor_v1",
        .description = "Embeds video, images and text into one shared space.",
        .icon = "film",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("video", "string", "Video") "," FIELD("image", "string", "Image") ","
                   FIELD("text", "string", "Text") "," FIELD("gif", "string", "Animation") ","
                   FIELD("custom_thumbnail", "string", "Thumbnail to keep") "}",
        .inputs_required = "[]",
        .input_types = "[\"video\",\"image\",\"text\",\"string\"]",
        .inputs_max = "{\"video\":1,\"image\":1,\"text\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("multimodal_extractor_v1_multimodal_embedding") ","
                   EMBEDDING("multimodal_extractor_v1_transcription_embedding") ","
                   FIELD("start_ms", "integer", "Start of the segment") ","
                   FIELD("end_ms", "integer", "End of the segment") "}",
        .costs = COST(4, "PREMIUM", RATE("minute", 50, "Video") "," RATE("image", 5, "Images") ","
                   RATE("1k_tokens", 2, "Text")),
        .position_fields = "[\"start_ms\"]",
        INDEXES(multimodal_v1_indexes),
    },
    {
        .name = "multimodal_extractor",
        .version = "v2",
        .id = "multimodal_extractor_v2",
        .description = "Embeds video, images and text into one shared space, at 3072 dimensions.",
        .icon = "film",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("video", "string", "Video") "," FIELD("image", "string", "Image") ","
                   FIELD("text", "string", "Text") "," FIELD("gif", "string", "Animation") ","
                   FIELD("custom_thumbnail", "string", "Thumbnail to keep") "}",
        .inputs_required = "[]",
        .input_types = "[\"video\",\"image\",\"text\",\"string\"]",
        .inputs_max = "{\"video\":1,\"image\":1,\"text\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("multimodal_extractor_v2_multimodal_embedding") ","
                   EMBEDDING("multimodal_extractor_v2_transcription_embedding") ","
                   FIELD("start_ms", "integer", "Start of the segment") ","
                   FIELD("end_ms", "integer", "End of the segment") "}",
        .costs = COST(4, "PREMIUM", RATE("minute", 50, "Video") "," RATE("image", 5, "Images") ","
                   RATE("1k_tokens", 2, "Text")),
        .position_fields = "[\"start_ms\"]",
        INDEXES(multimodal_v2_indexes),
    },
    {
        .name = "face_identity_extractor",
        .version = "v1",
        .id = "face_identity_extractor_v1",
        .description = "Finds faces and embeds each one, a document per face.",
        .icon = "scan-face",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("image", "string", "Image") "," FIELD("video", "string", "Video") ","
                   FIELD("video_frame", "string", "Frame of a video") ","
                   FIELD("pdf", "string", "Pages") "}",
        .inputs_required = "[]",
        .input_types = "[\"image\",\"video\",\"pdf\"]",
        .inputs_max = "{\"image\":1,\"video\":1,\"pdf\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("face_identity_extractor_v1_embedding") ","
                   FIELD("face_index", "integer", "Which face of the source, from 0") "}",
        .costs = COST(3, "COMPLEX", RATE("image", 5, "Images") "," RATE("face", 5, "Faces")),
        .position_fields = "[\"face_index\"]",
        INDEXES(face_indexes),
    },
    {
        .name = "document_graph_extractor",
        .version = "v1",
        .id = "document_graph_extractor_v1",
        .description = "Reads the layout of a PDF, a document per block of text.",
        .icon = "file-text",
        .unavailable_reason = NEEDS_CODE,
        .inputs = "{" FIELD("pdf", "string", "Document to read") "}",
        .inputs_required = "[\"pdf\"]",
        .input_types = "[\"pdf\"]",
        .inputs_max = "{\"pdf\":1}",
        NO_PARAMETERS,
        .outputs = "{" FIELD("text", "string", "Text of the block") ","
                   FIELD("block_index", "integer", "Which block, from 0") ","
                   EMBEDDING("document_graph_extractor_v1_text_embedding") "}",
        .costs = COST(3, "COMPLEX", RATE("page", 5, "Pages") ","
                   RATE("extraction", 20, "Documents")),
        .position_fields = "[\"block_index\"]",
        INDEXES(document_indexes),
    },
    {
        .name = "audio_fingerprint_extractor",
        .version = "v1",
        .id = "audio_fingerprint_extractor_v1",
        .description = "Embeds windows of sound of 5 s, one every 2.5 s.",
        .icon = "audio-lines",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("audio", "string", "Sound") "," FIELD("video", "string", "Video") "}",
        .inputs_required = "[]",
        .input_types = "[\"audio\",\"video\"]",
        .inputs_max = "{\"audio\":1,\"video\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("audio_fingerprint_extractor_v1_embedding") ","
                   FIELD("start_ms", "integer", "Start of the window") "}",
        .costs = COST(2, "MODERATE", RATE("extraction", 3, "Windows embedded")),
        .position_fields = "[\"start_ms\"]",
        INDEXES(audio_indexes),
    },
    {
        .name = "gemini_multifile_extractor",
        .version = "v1",
        .id = "gemini_multifile_extractor_v1",
        .description = "Embeds several files of one object together.",
        .icon = "files",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("files", "array", "Files to embed together") "}",
        .inputs_required = "[\"files\"]",
        .input_types = "[\"text\",\"image\",\"audio\",\"video\",\"pdf\"]",
        .inputs_max = "{\"files\":16}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("gemini_multifile_extractor_v1_embedding") "}",
        .costs = COST(4, "PREMIUM", RATE("image", 10, "Files embedded")),
        .position_fields = "[]",
        INDEXES(gemini_indexes),
    },
    {
        .name = "universal_extractor",
        .version = "v1",
        .id = "universal_extractor_v1",
        .description = "Detects the modality of the content and embeds it.",
        .icon = "sparkles",
        .unavailable_reason = NEEDS_MODEL,
        .inputs = "{" FIELD("content", "string", "Content of any modality") "}",
        .inputs_required = "[\"content\"]",
        .input_types = "[\"text\",\"string\",\"image\",\"audio\",\"video\",\"pdf\"]",
        .inputs_max = "{\"content\":1}",
        NO_PARAMETERS,
        .outputs = "{" EMBEDDING("universal_extractor_v1_embedding") "}",
        .costs = COST(4, "PREMIUM", RATE("image", 15, "Contents embedded")),
        .position_fields = "[]",
        INDEXES(universal_indexes),
    },
    {
        .name = "scrolling_text_extractor",
        .version = "v1",
        .id = "scrolling_text_extractor_v1",
        .description = "Reads text that scrolls through a video.",
        .icon = "scroll-text",
        .unavailable_reason = NEEDS_CODE,
        .inputs = "{" FIELD("video", "string", "Video to read") "}",
        .inputs_required = "[\"video\"]",
        .input_types = "[\"video\"]",
        .inputs_max = "{\"video\":1}",
        NO_PARAMETERS,
        .outputs = "{" FIELD("scrolling_text", "string", "What scrolled by") ","
                   FIELD("scroll_bands", "array", "Where it scrolled") ","
                   FIELD("bands_detected", "integer", "How many bands") "}",
        .costs = COST(4, "PREMIUM", RATE("minute", 30, "Video")),
        .position_fields = "[]",
    },
    {
        .name = "web_scraper",
        .version = "v1",
        .id = "web_scraper_v1",
        .description = "Fetches web pages and embeds their text, code and images.",
        .icon = "globe",
        .unavailable_reason = "it would have to reach out of this network; deploy a plugin",
        .inputs = "{" FIELD("url", "string", "Page to begin from") "}",
        .inputs_required = "[\"url\"]",
        .input_types = "[\"text\",\"string\"]",
        .inputs_max = "{\"url\":1}",
        NO_PARAMETERS,
        .outputs = "{" FIELD("text", "string", "Text of the chunk") ","
                   FIELD("page_url", "string", "Page it is from") ","
                   FIELD("chunk_index", "integer", "Which chunk, from 0") ","
                   EMBEDDING("web_scraper_v1_text_embedding") "}",
        .costs = COST(3, "COMPLEX", RATE("page", 5, "Pages") ","
                   RATE("extraction", 1, "Chunks") "," RATE("image", 2, "Images")),
        .position_fields = "[\"page_url\",\"chunk_index\"]",
        INDEXES(web_indexes),
    },
};
/* clang-format on */

const struct sl_extractor_info *
sl_extractor_infos_builtin(uint32_t *ret_count)
{
    *ret_count = SL_COUNT_OF(infos);
    return infos;
}
