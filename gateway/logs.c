/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of the processes on the head's machine (runtime/report_tap.h), as pages. A
 * tenant's key sees those alone that are about its tenant; a replica that works for several tenants
 * is nobody's, but for lines that say whose they are.
 */
#include "gateway/logs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/report_tap.h"
#include "runtime/time.h"

#define PAGE         100
#define PAGE_MAX     500
#define CURSOR_CHARS 17 /* "n" or "o" and 16 hex digits. */

static const char *const severities[] = {"debug", "info", "warning", "error"};
static_assert(SL_COUNT_OF(severities) == SL_REPORT_ERROR + 1, "each level has its word");

/* ---- what is asked for ----------------------------------------------------------------------- */

static const char *
text_or_null(struct sl_call *call, const char *name)
{
    struct sl_slice value = sl_call_query(call, name);
    if (value.size == 0)
        return NULL;
    if (memchr(value.data, '\0', value.size) != NULL)
        sl_call_invalid(call, "query", "value_error", "%s has a NUL", name);
    return (const char *)sl_call_copy(call, value).data;
}

static void
read_severities(struct sl_call *call, struct sl_report_wanted *wanted)
{
    const char *list = text_or_null(call, "severity");
    while (list != NULL && *list != '\0') {
        size_t size = strcspn(list, ","), i = 0;
        while (i < SL_COUNT_OF(severities) &&
               (strlen(severities[i]) != size || memcmp(severities[i], list, size) != 0))
            i++;
        if (i == SL_COUNT_OF(severities)) {
            sl_call_invalid(call, "query.severity", "value_error",
                            "a severity is debug, info, warning or error");
            return;
        }
        wanted->levels |= 1u << i;
        list += size + (list[size] == ',');
    }
}

static bool
read_cursor(const char *text, struct sl_report_wanted *wanted)
{
    if (strlen(text) != CURSOR_CHARS || (text[0] != 'n' && text[0] != 'o') ||
        strspn(text + 1, "0123456789abcdef") != CURSOR_CHARS - 1)
        return false;
    wanted->is_forward = text[0] == 'n';
    wanted->from = strtoull(text + 1, NULL, 16);
    return wanted->from != 0 && wanted->from != UINT64_MAX;
}

static void
read_place(struct sl_call *call, struct sl_report_wanted *wanted)
{
    const char *since = text_or_null(call, "since"), *cursor = text_or_null(call, "cursor");
    if (since != NULL && sl_time_parse(sl_slice_str(since), &wanted->since_ms) != SL_OK)
        sl_call_invalid(call, "query.since", "value_error", "a time, as 2030-01-01T00:00:00Z");
    if (cursor != NULL && !read_cursor(cursor, wanted))
        sl_call_invalid(call, "query.cursor", "value_error",
                        "it is none that a page of logs has ended with");
}

/* Whose lines; false: it has failed. */
static bool
read_tenant(struct sl_call *call, struct sl_report_wanted *wanted)
{
    struct sl_slice name = sl_call_query(call, "tenant_id");
    if (name.data == NULL)
        name = sl_call_query(call, "tenant");
    struct sl_identity tenant = call->who;
    if (name.data != NULL && ((!call->who.is_operator && !sl_slice_is(name, call->who.tenant_id)) ||
                              sl_keyring_tenant(call->gateway->keyring, name, &tenant) != SL_OK)) {
        sl_call_not_found(call, "tenant", name);
        return false;
    }
    if (name.data != NULL || !call->who.is_operator) {
        wanted->scope = tenant.scope.id;
        wanted->texts[SL_REPORT_tenant] = sl_call_format(call, "%s", tenant.tenant_id);
    }
    return true;
}

static bool
read_wanted(struct sl_call *call, struct sl_report_wanted *wanted)
{
    static const struct {
        enum sl_report_field field;
        const char *name;
    } filters[] = {{SL_REPORT_node, "node"},      {SL_REPORT_extractor, "extractor"},
                   {SL_REPORT_job, "job_id"},     {SL_REPORT_request, "request_id"},
                   {SL_REPORT_trace, "trace_id"}, {SL_REPORT_role, "role"},
                   {SL_REPORT_event, "event"},    {SL_REPORT_message, "q"}};
    if (!read_tenant(call, wanted))
        return false;
    for (size_t i = 0; i < SL_COUNT_OF(filters); i++)
        wanted->texts[filters[i].field] = text_or_null(call, filters[i].name);
    wanted->limit = sl_list_number(call, "limit", NULL, 1, PAGE_MAX, PAGE);
    read_severities(call, wanted);
    read_place(call, wanted);
    return !sl_call_has_failed(call);
}

/* ---- a page ---------------------------------------------------------------------------------- */

struct page {
    struct sl_call *call;
    struct sl_identity tenant; /* The last that was looked for by its number. */
    struct sl_buf bytes;       /* Lines as JSON, in the order of the walk. */
    size_t ends[PAGE_MAX];     /* Of each. */
    uint32_t count;
};

/* A line that knows its tenant by number only: which that is. A tenant that has gone has none. */
static const char *
tenant_of(struct page *page, const struct sl_report_entry *e)
{
    struct sl_scope scope = {e->scope};
    if (e->texts[SL_REPORT_tenant][0] != '\0' || e->scope == 0)
        return e->texts[SL_REPORT_tenant];
    if (page->tenant.scope.id != e->scope &&
        sl_keyring_tenant_of(page->call->gateway->keyring, scope, &page->tenant) != SL_OK)
        page->tenant = (struct sl_identity){.scope = scope};
    return page->tenant.tenant_id;
}

static void
take(void *arg, const struct sl_report_entry *e)
{
    struct page *page = arg;
    struct sl_jsonw w;
    char when[SL_TIME_TEXT_SIZE];
    sl_time_format(e->at_ms, when);
    sl_jsonw_init(&w, &page->bytes);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "log_id", sl_call_format(page->call, "log_%016" PRIx64, e->sequence));
    sl_jsonw_member_str(&w, "ts", when);
    sl_jsonw_member_str(&w, "severity", severities[e->level]);
    sl_jsonw_member_u64(&w, "pid", e->pid);
    for (uint32_t i = 0; i < SL_REPORT_FIELDS; i++)
        sl_jsonw_member_str(&w, sl_report_field_shown(i),
                            i == SL_REPORT_tenant ? tenant_of(page, e) : e->texts[i]);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    page->ends[page->count++] = page->bytes.size;
}

/* The latest last, whichever way it was walked. */
static void
write_lines(const struct page *page, bool is_forward, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "results");
    sl_jsonw_array(w);
    for (uint32_t n = 0; n < page->count; n++) {
        uint32_t i = is_forward ? n : page->count - 1 - n;
        size_t from = i == 0 ? 0 : page->ends[i - 1];
        sl_jsonw_raw(w, sl_slice(page->bytes.data + from, page->ends[i] - from));
    }
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "total", page->count);
}

static void
write_page(struct sl_call *call, const struct sl_report_wanted *wanted)
{
    struct sl_report_tap *tap = call->gateway->lines;
    struct page *page = sl_call_alloc(call, sizeof(*page));
    struct sl_report_walk walk = {0};
    struct sl_jsonw *w = &call->out;
    page->call = call;
    /* What comes after this number is not on this page: who follows goes on from there. */
    uint64_t newest = tap == NULL ? 0 : sl_report_tap_newest(tap);
    if (tap != NULL)
        sl_report_tap_find(tap, wanted, take, page, &walk);
    sl_jsonw_object(w);
    write_lines(page, wanted->is_forward, w);
    sl_jsonw_member_u64(w, "missed", tap == NULL ? 0 : sl_report_tap_missed(tap));
    sl_jsonw_name(w, "pagination");
    sl_jsonw_object(w);
    if (walk.is_more)
        sl_jsonw_member_str(
            w, "next_cursor",
            sl_call_format(call, "%c%016" PRIx64, wanted->is_forward ? 'n' : 'o', walk.walked_to));
    if (tap != NULL)
        sl_jsonw_member_str(
            w, "follow_cursor",
            sl_call_format(call, "n%016" PRIx64, wanted->is_forward ? walk.walked_to : newest));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_buf_deinit(&page->bytes);
}

sl_handler_fn sl_api_list_logs;

void
sl_api_list_logs(struct sl_call *call)
{
    struct sl_report_wanted wanted = {0};
    if (read_wanted(call, &wanted))
        write_page(call, &wanted);
}

void
sl_logs_about(const struct sl_call *call, struct sl_report_about *ret_about,
              char ret_trace[static SL_LOGS_TRACE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *trace = call->sent.trace.trace;
    ret_trace[0] = '\0';
    for (size_t i = 0; i < 16 && sl_trace_context_is_set(&call->sent.trace); i++) {
        ret_trace[2 * i] = digits[trace[i] >> 4];
        ret_trace[2 * i + 1] = digits[trace[i] & 15];
        ret_trace[2 * i + 2] = '\0';
    }
    *ret_about = (struct sl_report_about){.scope = call->who.scope.id,
                                          .tenant = call->who.tenant_id,
                                          .request = call->request_id,
                                          .trace = ret_trace};
}
