/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart/form-data: fields into the call, the part "file" into blob storage as it comes. Parts
 * come in any order. Making a blob durable blocks on the disk, and may be gigabytes: that happens
 * on the settler's thread while the connection sleeps.
 */
#include "gateway/front/state.h"

#include <assert.h>
#include <unistd.h>

#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"

#define FIELD_BYTES_MAX (64 * SL_KIB)
#define NAME_BYTES_MAX  256
#define PARSER_BYTES    (32 * SL_KIB)

struct sl_form {
    struct MHD_PostProcessor *parser;
    struct sl_request *request;
    struct sl_blob_writer *writer; /* NULL: no file yet, or settled. */
    struct sl_blob blob;
    struct sl_blobs *blobs;
    int fd;                       /* Of what was settled, until the call has it. */
    char name[SL_BLOB_LEFT_SIZE]; /* Instead of fd, where the call goes to a head elsewhere. */
    enum sl_err settle_err;
    struct sl_buf field; /* The value under way, of form[form_count - 1]. */
    struct sl_slice filename;
    bool is_in_file, has_file;
};

static void
fail_write(struct sl_call *call, enum sl_err err)
{
    if (err == SL_ETOOBIG)
        sl_call_fail(call, SL_API_TOO_LARGE, "the file is larger than %llu bytes",
                     (unsigned long long)SL_LIMIT_ARCHIVE_BYTES);
    else if (err == SL_ENOSPC)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the store is full");
    else
        sl_call_fail(call, SL_API_UNAVAILABLE, "the upload could not be stored");
}

/* The value under way is complete: keep it. */
static void
end_field(struct sl_form *form)
{
    struct sl_call *call = form->request->call;
    if (!form->is_in_file && call->form_count > 0 &&
        call->form[call->form_count - 1].value.data == NULL)
        call->form[call->form_count - 1].value = sl_call_copy(call, sl_buf_slice(&form->field));
    sl_buf_clear(&form->field);
}

static void
begin_field(struct sl_form *form, const char *name)
{
    struct sl_call *call = form->request->call;
    form->is_in_file = false;
    if (call->form_count == SL_CALL_FORM_MAX) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the form has more than %d fields",
                     SL_CALL_FORM_MAX);
        return;
    }
    call->form[call->form_count++] = (struct sl_pair){
        .name = sl_call_copy(call, sl_slice_str(name)), .value = sl_slice(NULL, 0)};
}

static void
begin_file(struct sl_form *form, const char *filename)
{
    struct sl_request *request = form->request;
    form->is_in_file = true;
    if (form->has_file) {
        sl_call_fail(request->call, SL_API_BAD_REQUEST, "the form has two files");
        return;
    }
    form->has_file = true;
    form->filename = sl_call_copy(request->call, sl_slice_str(filename == NULL ? "" : filename));
    enum sl_err err = sl_blob_writer_create(form->blobs, SL_LIMIT_ARCHIVE_BYTES, &form->writer);
    if (err != SL_OK)
        fail_write(request->call, err);
}

static void
take_bytes(struct sl_form *form, const char *data, size_t size)
{
    struct sl_call *call = form->request->call;
    if (form->is_in_file) {
        enum sl_err err = size == 0 ? SL_OK : sl_blob_writer_append(form->writer, data, size);
        if (err != SL_OK)
            fail_write(call, err);
    } else if (form->field.size + size > FIELD_BYTES_MAX) {
        sl_call_fail(call, SL_API_TOO_LARGE, "a field of the form is larger than %llu bytes",
                     (unsigned long long)FIELD_BYTES_MAX);
    } else {
        sl_buf_append(&form->field, data, size);
    }
}

/* libmicrohttpd calls this for each piece of each part; offset 0 is the first of a part. */
static enum MHD_Result
on_part(void *arg, enum MHD_ValueKind kind, const char *name, const char *filename,
        const char *type, const char *encoding, const char *data, uint64_t offset, size_t size)
{
    (void)kind, (void)type, (void)encoding;
    struct sl_form *form = arg;
    struct sl_call *call = form->request->call;
    if (name == NULL || strlen(name) > NAME_BYTES_MAX) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "a part of the form has no fit name");
    } else if (offset == 0) {
        end_field(form);
        if (strcmp(name, "file") == 0)
            begin_file(form, filename);
        else
            begin_field(form, name);
    }
    if (!sl_call_has_failed(call))
        take_bytes(form, data, size);
    return sl_call_has_failed(call) ? MHD_NO : MHD_YES;
}

struct sl_form *
sl_form_create(struct sl_request *request)
{
    if (sl_request_plane(request)->blobs == NULL) {
        sl_call_fail(request->call, SL_API_UNAVAILABLE, "uploads are not available");
        return NULL;
    }
    struct sl_form *form = sl_zalloc(sizeof(*form));
    form->request = request;
    form->blobs = sl_request_plane(request)->blobs;
    form->fd = -1;
    form->parser = MHD_create_post_processor(request->connection, PARSER_BYTES, on_part, form);
    if (form->parser == NULL) {
        sl_call_fail(request->call, SL_API_BAD_REQUEST, "the multipart boundary cannot be read");
        sl_form_destroy(&form);
    }
    return form;
}

void
sl_form_destroy(struct sl_form **form)
{
    struct sl_form *dead = *form;
    if (dead == NULL)
        return;
    *form = NULL;
    if (dead->parser != NULL)
        MHD_destroy_post_processor(dead->parser);
    sl_blob_writer_abort(&dead->writer);
    if (dead->name[0] != '\0')
        sl_blob_drop_left(dead->blobs, dead->name);
    if (dead->fd >= 0)
        (void)close(dead->fd);
    sl_buf_deinit(&dead->field);
    sl_free(dead);
}

static void
fail_syntax(struct sl_call *call)
{
    if (!sl_call_has_failed(call))
        sl_call_fail(call, SL_API_BAD_REQUEST, "the multipart body is malformed or ends early");
}

void
sl_form_receive(struct sl_request *request, const char *data, size_t size)
{
    if (MHD_post_process(request->form->parser, data, size) != MHD_YES)
        fail_syntax(request->call);
}

void
sl_form_end(struct sl_request *request)
{
    struct sl_form *form = request->form;
    enum MHD_Result result = MHD_destroy_post_processor(form->parser);
    form->parser = NULL;
    if (result != MHD_YES)
        fail_syntax(request->call);
    end_field(form);
    if (!sl_call_has_failed(request->call))
        sl_route_form_body(request->call);
}

bool
sl_form_has_upload(const struct sl_form *form)
{
    return form != NULL && form->writer != NULL;
}

void
sl_form_settle(struct sl_request *request)
{
    struct sl_form *form = request->form;
    if (request->front->options.is_relayed)
        form->settle_err = sl_blob_writer_leave(&form->writer, &form->blob, form->name);
    else
        form->settle_err = sl_blob_writer_detach(&form->writer, &form->blob, &form->fd);
}

void
sl_form_publish(struct sl_request *request)
{
    struct sl_form *form = request->form;
    struct sl_call *call = request->call;
    if (form->settle_err != SL_OK) {
        fail_write(call, form->settle_err);
        return;
    }
    static_assert(sizeof(call->upload.blob) == sizeof(form->blob.id), "both are a SHA-256 in hex");
    memcpy(call->upload.blob, form->blob.id, sizeof(call->upload.blob));
    call->upload.size_bytes = form->blob.size_bytes;
    call->upload.fd = form->fd;
    form->fd = -1;
    memcpy(call->upload.name, form->name, sizeof(form->name));
    form->name[0] = '\0';
    call->upload.filename = form->filename;
}
