/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "object-store/intake_child.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

void
sl_intake_report_write(const struct sl_intake_report *r, struct sl_buf *out)
{
    char digest[2 * SL_SHA256_SIZE + 1];
    struct sl_jsonw w;
    sl_hex(sl_slice(r->model.digest, SL_SHA256_SIZE), digest);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "err", sl_err_name(r->err));
    sl_jsonw_member_u64(&w, "landlock", (uint64_t)r->confined.landlock);
    sl_jsonw_member_u64(&w, "seccomp", (uint64_t)r->confined.seccomp);
    sl_jsonw_member_u64(&w, "entries", r->archive.entries_count);
    sl_jsonw_member_u64(&w, "unpacked", r->archive.size_bytes);
    sl_jsonw_member_str(&w, "format", r->model.format);
    sl_jsonw_member_u64(&w, "bytes", r->model.size_bytes);
    sl_jsonw_member_u64(&w, "tensors", r->model.tensors_count);
    sl_jsonw_member_u64(&w, "files", r->model.files_count);
    sl_jsonw_member_u64(&w, "code", r->model.code_files_count);
    sl_jsonw_member_str(&w, "digest", digest);
    sl_jsonw_member_u64(&w, "dimensions", r->dimensions);
    if (r->details.size > 0)
        sl_jsonw_member_raw(&w, "details", sl_buf_slice(&r->details));
    if (r->err != SL_OK)
        sl_jsonw_member_str(&w, "message", r->cause.text);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_u8(out, '\n');
}

void
sl_intake_report_deinit(struct sl_intake_report *report)
{
    sl_buf_deinit(&report->details);
}

static bool
parse_err(struct sl_json v, enum sl_err *ret_err)
{
    for (int i = 0; i < SL_ERR_COUNT; i++) {
        if (sl_json_is(v, sl_err_name((enum sl_err)i))) {
            *ret_err = (enum sl_err)i;
            return true;
        }
    }
    return false;
}

static bool
parse_hex(struct sl_json v, uint8_t digest[static SL_SHA256_SIZE])
{
    struct sl_slice raw = sl_json_raw(v);
    if (raw.size != 2 * SL_SHA256_SIZE + 2)
        return false;
    for (size_t i = 0; i < SL_SHA256_SIZE * 2; i++) {
        uint8_t c = raw.data[1 + i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && !(c >= 'a' && c <= 'f'))
            return false;
        uint8_t value = (uint8_t)(is_digit ? c - '0' : c - 'a' + 10);
        digest[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : digest[i / 2] | value);
    }
    return true;
}

static bool
parse_format(struct sl_json v, char format[static 16])
{
    char *text = sl_json_strdup(v);
    bool is_sound = text != NULL && strlen(text) < 16;
    if (is_sound)
        (void)snprintf(format, 16, "%s", text);
    sl_free(text);
    return is_sound;
}

static bool
parse_members(struct sl_json root, struct sl_intake_report *r)
{
    uint64_t landlock, seccomp, entries, tensors, files, code, dimensions;
    const struct {
        const char *name;
        uint64_t *value, max;
    } numbers[] = {
        {"landlock", &landlock, 4095},           {"seccomp", &seccomp, 4095},
        {"entries", &entries, UINT32_MAX},       {"unpacked", &r->archive.size_bytes, INT64_MAX},
        {"tensors", &tensors, UINT32_MAX},       {"bytes", &r->model.size_bytes, INT64_MAX},
        {"files", &files, UINT32_MAX},           {"code", &code, UINT32_MAX},
        {"dimensions", &dimensions, UINT32_MAX},
    };
    for (size_t i = 0; i < SL_COUNT_OF(numbers); i++) {
        if (sl_json_u64(sl_json_member(root, numbers[i].name), numbers[i].value) != SL_OK ||
            *numbers[i].value > numbers[i].max)
            return false;
    }
    r->confined = (struct sl_confined){.landlock = (int)landlock, .seccomp = (int)seccomp};
    r->archive.entries_count = (uint32_t)entries;
    r->model.tensors_count = (uint32_t)tensors;
    r->model.files_count = (uint32_t)files;
    r->model.code_files_count = (uint32_t)code;
    r->dimensions = (uint32_t)dimensions;
    return parse_err(sl_json_member(root, "err"), &r->err) &&
           parse_format(sl_json_member(root, "format"), r->model.format) &&
           parse_hex(sl_json_member(root, "digest"), r->model.digest);
}

enum sl_err
sl_intake_report_parse(struct sl_slice text, struct sl_intake_report *ret_report)
{
    sl_assert(ret_report != NULL);
    struct sl_intake_report r = {0};
    struct sl_json_doc *doc = NULL;
    if (text.size == 0 || text.size > SL_INTAKE_REPORT_SIZE_MAX ||
        sl_json_parse(text, &doc, NULL) != SL_OK)
        return SL_EINVAL;
    struct sl_json root = sl_json_root(doc);
    bool is_sound = parse_members(root, &r);
    char *message = sl_json_strdup(sl_json_member(root, "message"));
    if (is_sound && r.err != SL_OK)
        (void)sl_cause_set(&r.cause, r.err, "%s", message == NULL ? sl_err_text(r.err) : message);
    sl_free(message);
    struct sl_json details = sl_json_member(root, "details");
    if (is_sound && sl_json_kind(details) == SL_JSON_OBJECT)
        sl_buf_append(&r.details, sl_json_raw(details).data, sl_json_raw(details).size);
    sl_json_destroy(&doc);
    if (is_sound)
        *ret_report = r;
    return is_sound ? SL_OK : SL_EINVAL;
}
