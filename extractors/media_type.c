/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/media_type.h"

#include <strings.h>

#include "runtime/utf8.h"

#define TEXT_LOOK_BYTES 4096u

static const struct {
    uint32_t offset, size;
    const char *bytes;
    const char *type;
} magics[] = {
    {0, 8, "\x89PNG\r\n\x1A\n", "image/png"},
    {0, 3, "\xFF\xD8\xFF", "image/jpeg"},
    {0, 4, "GIF8", "image/gif"},
    {8, 4, "WEBP", "image/webp"},
    {0, 4, "II*\0", "image/tiff"},
    {0, 4, "MM\0*", "image/tiff"},
    {0, 2, "BM", "image/bmp"},
    {0, 5, "%PDF-", "application/pdf"},
    {0, 4, "PK\x03\x04", "application/zip"},
    {0, 2, "\x1F\x8B", "application/gzip"},
    {0, 4, "\x28\xB5\x2F\xFD", "application/zstd"},
    {257, 5, "ustar", "application/x-tar"},
    {8, 4, "AVI ", "video/x-msvideo"},
    {8, 4, "WAVE", "audio/wav"},
    {4, 8, "ftypM4A ", "audio/mp4"},
    {4, 8, "ftypqt  ", "video/quicktime"},
    {4, 8, "ftypavif", "image/avif"},
    {4, 8, "ftypheic", "image/heic"},
    {4, 4, "ftyp", "video/mp4"},
    {0, 4, "\x1A\x45\xDF\xA3", "video/webm"},
    {0, 4, "OggS", "audio/ogg"},
    {0, 4, "fLaC", "audio/flac"},
    {0, 3, "ID3", "audio/mpeg"},
    {0, 2, "\xFF\xFB", "audio/mpeg"},
    {0, 8, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "application/x-ole-storage"},
    {0, 4,
     "\x7F"
     "ELF",
     "application/x-executable"},
    {0, 4, "wOF2", "font/woff2"},
};

static bool
is_text(struct sl_slice data)
{
    const uint8_t *at = data.data, *end = at + SL_MIN(data.size, (size_t)TEXT_LOOK_BYTES);
    while (at < end) {
        size_t size = sl_utf8_size(at, data.data + data.size);
        if (size == 0 || (*at < 0x20 && (*at < '\t' || *at > '\r') && *at != 0x1B))
            return false;
        at += size;
    }
    return true;
}

static bool
starts_with(struct sl_slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && strncasecmp((const char *)text.data, prefix, size) == 0;
}

static const char *
text_type(struct sl_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r')))
        text = sl_slice(text.data + 1, text.size - 1);
    if (starts_with(text, "<!doctype html") || starts_with(text, "<html"))
        return "text/html";
    if (starts_with(text, "<svg"))
        return "image/svg+xml";
    if (starts_with(text, "<?xml"))
        return "application/xml";
    if (text.size >= 2 && (text.data[0] == '{' || text.data[0] == '[')) {
        uint8_t last = text.data[text.size - 1];
        for (size_t i = text.size; last <= ' ' && i > 1; i--)
            last = text.data[i - 2];
        if (last == text.data[0] + 2)
            return "application/json"; /* '{' and '}' are two apart, as '[' and ']'. */
    }
    return "text/plain";
}

const char *
sl_media_type(struct sl_slice data)
{
    for (size_t i = 0; i < SL_COUNT_OF(magics); i++) {
        if (data.size >= magics[i].offset + magics[i].size &&
            memcmp(data.data + magics[i].offset, magics[i].bytes, magics[i].size) == 0 &&
            !(magics[i].size == 2 && magics[i].bytes[0] == 'B' && is_text(data)))
            return magics[i].type;
    }
    return data.size > 0 && is_text(data) ? text_type(data) : "application/octet-stream";
}

/* type "/" subtype, of the characters that RFC 6838 allows; parameters are not wanted. */
static bool
is_declarable(const char *type)
{
    size_t slashes = 0, size = strlen(type);
    for (size_t i = 0; i < size; i++) {
        bool is_plain = (type[i] >= 'a' && type[i] <= 'z') || (type[i] >= 'A' && type[i] <= 'Z') ||
                        (type[i] >= '0' && type[i] <= '9') || strchr("!#$&^_.+-", type[i]) != NULL;
        if (!is_plain && type[i] != '/')
            return false;
        slashes += type[i] == '/';
    }
    return slashes == 1 && size <= 127 && type[0] != '/' && type[size - 1] != '/';
}

const char *
sl_media_type_with(struct sl_slice data, const char *declared)
{
    const char *seen = sl_media_type(data);
    bool is_vague =
        strcmp(seen, "text/plain") == 0 || strcmp(seen, "application/octet-stream") == 0;
    return is_vague && declared != NULL && is_declarable(declared) ? declared : seen;
}
