/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dashboard.h"

#include <arpa/inet.h>
#include <strings.h>

#include "gateway/exposition.h"

/* The page lies in the executable: there is no file to find, and none to be changed under us. */
__asm__(".section .rodata\n"
        ".global sl_dashboard_html\n.hidden sl_dashboard_html\n"
        "sl_dashboard_html: .incbin \"" SL_DASHBOARD_HTML "\"\n"
        ".global sl_dashboard_html_end\n.hidden sl_dashboard_html_end\n"
        "sl_dashboard_html_end: .byte 0\n"
        ".text\n");
extern const char sl_dashboard_html[], sl_dashboard_html_end[];

bool
sl_dashboard_page(void *arg, const char *path, struct sl_page *page)
{
    static const char history[] = "/history/";
    const struct sl_dashboard *dashboard = arg;
    if (strcmp(path, "/") == 0) {
        sl_buf_append(&page->body, sl_dashboard_html,
                      (size_t)(sl_dashboard_html_end - sl_dashboard_html));
        page->type = "text/html; charset=utf-8";
        return true;
    }
    if (strcmp(path, "/metrics") == 0) {
        page->type = SL_EXPOSITION_TYPE;
        if (!dashboard->metrics(dashboard->arg, &page->body))
            page->status = 503;
        return true;
    }
    if (strncmp(path, history, sizeof(history) - 1) == 0) {
        const char *span = path + sizeof(history) - 1;
        if (!dashboard->history(dashboard->arg, sl_slice(span, strcspn(span, ".")), &page->body))
            page->status = 404;
        return true;
    }
    if (strcmp(path, "/status.json") == 0) {
        dashboard->status(dashboard->arg, &page->body);
        return true;
    }
    return false;
}

/* Cut ":port" off; "[::1]:80" keeps what is between the brackets. SL_EINVAL: neither form. */
static enum sl_err
host_of(struct sl_slice text, char ret_host[static 64])
{
    const uint8_t *end = NULL;
    if (text.size > 0 && text.data[0] == '[') {
        text = sl_slice(text.data + 1, text.size - 1);
        end = memchr(text.data, ']', text.size);
        if (end == NULL)
            return SL_EINVAL;
    } else if (text.size > 0) {
        end = memchr(text.data, ':', text.size);
    }
    size_t size = end == NULL ? text.size : (size_t)(end - text.data);
    if (size == 0 || size > 63)
        return SL_EINVAL;
    memcpy(ret_host, text.data, size);
    ret_host[size] = '\0';
    return SL_OK;
}

static bool
is_local(struct sl_slice text)
{
    char host[64];
    struct in6_addr address;
    if (host_of(text, host) != SL_OK)
        return false;
    return strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &address) == 1 ||
           inet_pton(AF_INET6, host, &address) == 1;
}

bool
sl_page_is_trusted(struct sl_slice host, struct sl_slice origin)
{
    bool is_tls = origin.size > 5 && origin.data[4] == 's';
    const char *scheme = is_tls ? "https://" : "http://";
    size_t size = strlen(scheme);
    if (!is_local(host))
        return false;
    if (origin.data == NULL)
        return true;
    /* The same address, port and all: another server on this machine is another origin. */
    return origin.size > size && memcmp(origin.data, scheme, size) == 0 &&
           sl_slice_equal(sl_slice(origin.data + size, origin.size - size), host);
}
