/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any requests, one after another, to a gateway with something of everything: each is answered,
 * with a status that is stated and a body that is JSON. An input is text:
 *
 *   POST /v1/buckets/$b/objects?x=1      $b: the id of a bucket; see fuzz_world.c for others
 *   X-Namespace: shop                    headers; Host and the length of the body are added
 *                                        an empty line
 *   {"blob": {"text": "a"}}              the body
 *   %%                                   a line that ends the request
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/route.h"
#include "runtime/alloc.h"
#include "tests/gateway/fuzz_world.h"

#define REQUESTS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- reading an input ---------------------------------------------------------------------- */

/* Cut the text before `mark` off *rest; without a mark that is all of it. */
static struct sl_slice
cut(struct sl_slice *rest, const char *mark)
{
    struct sl_slice part = *rest;
    const uint8_t *at = rest->size == 0 ? NULL : memmem(rest->data, rest->size, mark, strlen(mark));
    if (at != NULL)
        part.size = (size_t)(at - rest->data);
    size_t used = at == NULL ? rest->size : part.size + strlen(mark);
    *rest = sl_slice(rest->data + used, rest->size - used);
    return part;
}

/* Owned text with ids in place of $b and its like; ends at a NUL, as libmicrohttpd's texts do. */
static void
expand(struct sl_slice text, bool is_body, struct sl_buf *out)
{
    for (size_t i = 0; i < text.size && (is_body || text.data[i] != '\0'); i++) {
        const char *id =
            text.data[i] == '$' && i + 1 < text.size ? fuzz_id((char)text.data[i + 1]) : NULL;
        if (id != NULL)
            sl_buf_append_str(out, id);
        else
            sl_buf_append_u8(out, text.data[i]);
        i += id != NULL;
    }
    sl_buf_append_u8(out, '\0');
}

struct input {
    struct sl_buf line, head, body; /* Expanded: what the request's texts lie in. */
    char length[24];
    struct fuzz_request request;
};

static void
add_pair(struct sl_pair *pairs, uint32_t *count, char *name, char *value)
{
    if (*count < FUZZ_PAIRS_MAX)
        pairs[(*count)++] = (struct sl_pair){
            sl_slice_str(name), value == NULL ? sl_slice(NULL, 0) : sl_slice_str(value)};
}

/* Cut `text` in place at the separator, and each part at the mark between name and value. */
static void
read_pairs(char *text, const char *separator, const char *mark, struct input *in)
{
    struct fuzz_request *r = &in->request;
    bool is_query = separator[0] == '&';
    char *rest = NULL;
    for (char *pair = strtok_r(text, separator, &rest); pair != NULL;
         pair = strtok_r(NULL, separator, &rest)) {
        char *value = strstr(pair, mark);
        if (value != NULL) {
            *value = '\0';
            value += strlen(mark);
        } else if (!is_query) {
            continue;
        }
        add_pair(is_query ? r->query : r->headers, is_query ? &r->query_count : &r->headers_count,
                 pair, value);
    }
}

static void
read_request(struct sl_slice text, struct input *in)
{
    struct sl_slice head = cut(&text, "\n\n"), line = cut(&head, "\n");
    struct fuzz_request *r = &in->request;
    expand(line, false, &in->line);
    expand(head, false, &in->head);
    expand(text, true, &in->body);
    char *method = (char *)in->line.data, *url = strchr(method, ' ');
    r->method = method;
    r->url = url == NULL ? "" : url + 1;
    r->head_bytes = (uint32_t)(in->line.size + in->head.size);
    if (url != NULL) {
        *url = '\0';
        char *query = strchr(url + 1, '?');
        if (query != NULL) {
            *query = '\0';
            read_pairs(query + 1, "&", "=", in);
        }
    }
    add_pair(r->headers, &r->headers_count, "Host", "localhost");
    read_pairs((char *)in->head.data, "\n", ": ", in);
    r->body = sl_slice(in->body.data, in->body.size - 1);
    snprintf(in->length, sizeof(in->length), "%zu", r->body.size);
    if (r->body.size > 0)
        add_pair(r->headers, &r->headers_count, "Content-Length", in->length);
}

/* ---- what must hold ------------------------------------------------------------------------ */

static void
check(struct sl_call *call)
{
    struct sl_json_doc *doc = NULL;
    if (!fuzz_is_stated(call)) {
        fprintf(stderr, "%u of %s is not stated: %.*s\n", call->status,
                call->route == NULL ? "no operation" : call->route->name, (int)call->reply.size,
                sl_buf_text(&call->reply));
        abort();
    }
    /* What succeeds may be a table or metrics; whatever fails says so in JSON. */
    bool is_text = call->status < 400 && call->reply_type != NULL;
    if (call->reply.size == 0 || is_text)
        return;
    enum sl_err err = sl_json_parse(sl_buf_slice(&call->reply), &doc, NULL);
    sl_assert(err == SL_OK);
    if (call->status >= 400) {
        uint64_t status = 0;
        err = sl_json_u64(sl_json_member(sl_json_root(doc), "status"), &status);
        sl_assert(err == SL_OK && status == call->status);
        sl_assert(!sl_json_bool(sl_json_member(sl_json_root(doc), "success"), true));
    }
    sl_json_destroy(&doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice rest = sl_slice(data, size);
    fuzz_world_ready();
    for (int i = 0; i < REQUESTS_MAX && rest.size > 0; i++) {
        struct input *in = sl_zalloc(sizeof(*in));
        read_request(cut(&rest, "\n%%\n"), in);
        struct sl_call *call = fuzz_answer(&in->request);
        if (call != NULL)
            check(call);
        sl_call_destroy(&call);
        sl_buf_deinit(&in->line);
        sl_buf_deinit(&in->head);
        sl_buf_deinit(&in->body);
        sl_free(in);
    }
    return 0;
}
