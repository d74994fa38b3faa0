/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `gateway`: what large things cost. An upload of 1 GiB goes over loopback to the disk:
 * the clock runs from the first byte to the reply, which comes when all of it is synced; memory is
 * that of the main process, compared with before the first byte. A list of 1,000,000 objects of one
 * bucket is walked page by page with cursors: pages at its far end against those at its beginning.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/door.h"
#include "gateway/bench/load.h"
#include "gateway/bench/scrape.h"
#include "gateway/bench/server.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define RUNS           3u
#define PIECE_BYTES    (SL_MIB)
#define SAMPLE_NS      (100 * SL_MILLI_NS)
#define OBJECTS_A_BODY 100u
#define PAGE_SIZE      100u
#define PAGES_TIMED    200u /* At each end. */
#define CONNECTIONS    4u

struct suite {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_client client;
    uint64_t upload_bytes;
    uint32_t objects;
};

/* ---- a plain connection: what sends must cost less than what is measured --------------------- */

static bool
send_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_bench_fail("the upload broke off: %s", strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static int
connect_to(const struct sl_bench_server *server)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = strrchr(server->url, ':') + 1;
    where.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof(where)) == 0)
        return fd;
    (void)sl_bench_fail("no connection: %s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool
expect_ok(int fd)
{
    char head[256];
    size_t size = 0;
    while (size < sizeof(head) - 1) {
        ssize_t n = recv(fd, head + size, sizeof(head) - 1 - size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    head[size] = '\0';
    return strncmp(head, "HTTP/1.1 200 ", 13) == 0 ||
           sl_bench_fail("the upload was answered with: %.100s", head);
}

/* ---- uploads ------------------------------------------------------------------------------- */

struct upload {
    double mb_per_s, growth_mib;
};

static bool
send_body(struct suite *s, int fd, double *ret_peak_mib)
{
    uint8_t *piece = sl_alloc(PIECE_BYTES);
    uint64_t sample_ns = 0;
    bool is_ok = true;
    for (size_t i = 0; i < PIECE_BYTES; i++)
        piece[i] = (uint8_t)(i * 2654435761u >> 13);
    for (uint64_t sent = 0; is_ok && sent < s->upload_bytes; sent += PIECE_BYTES) {
        is_ok = send_all(fd, piece, PIECE_BYTES);
        uint64_t now_ns = sl_time_mono_ns();
        if (now_ns < sample_ns)
            continue;
        sample_ns = now_ns + SAMPLE_NS;
        *ret_peak_mib = SL_MAX(*ret_peak_mib, sl_bench_memory_mib(&s->server, SL_BENCH_MAIN));
    }
    sl_free(piece);
    return is_ok;
}

/* PUT to the address of the last reply. */
static bool
put_upload(struct suite *s, struct upload *ret)
{
    char *url = sl_bench_text(&s->client, "presigned_url");
    const char *path = url == NULL ? NULL : strstr(url, "/v1/");
    int fd = path == NULL ? -1 : connect_to(&s->server);
    bool is_ok = fd >= 0;
    if (is_ok) {
        char *head = sl_format("PUT %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                               "Content-Length: %" PRIu64 "\r\n\r\n",
                               path, s->upload_bytes);
        double before_mib = sl_bench_memory_mib(&s->server, SL_BENCH_MAIN), peak_mib = before_mib;
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = send_all(fd, head, strlen(head)) && send_body(s, fd, &peak_mib) && expect_ok(fd);
        double seconds = (double)(sl_time_mono_ns() - start_ns) / 1e9;
        peak_mib = SL_MAX(peak_mib, sl_bench_memory_mib(&s->server, SL_BENCH_MAIN));
        *ret = (struct upload){(double)s->upload_bytes / 1e6 / seconds, peak_mib - before_mib};
        (void)close(fd);
        sl_free(head);
    }
    sl_free(url);
    return is_ok;
}

/* Its bytes are a blob with the size that was sent. */
static bool
confirm_upload(struct suite *s, const char *id)
{
    uint64_t size = 0;
    char *path = sl_format("/v1/buckets/bench/uploads/%s/confirm", id);
    bool is_ok = sl_bench_ask(&s->client, path, sl_slice_str("{}"));
    sl_free(path);
    if (!is_ok)
        return false;
    struct sl_json stated = sl_json_member(s->client.json, "file_size_bytes");
    return (sl_json_u64(stated, &size) == SL_OK && size == s->upload_bytes) ||
           sl_bench_fail("%" PRIu64 " bytes arrived, not %" PRIu64, size, s->upload_bytes);
}

static bool
upload_once(struct suite *s, struct upload *ret)
{
    if (!sl_bench_ask(&s->client, "/v1/buckets/bench/uploads",
                      sl_slice_str("{\"filename\":\"big.bin\",\"create_object_on_confirm\":false,"
                                   "\"content_type\":\"application/octet-stream\"}")))
        return false;
    char *id = sl_bench_text(&s->client, "upload_id");
    bool is_ok = id != NULL && put_upload(s, ret) && confirm_upload(s, id);
    sl_free(id);
    return is_ok;
}

/* As many bytes from this program straight into a file beside the server's: what the disk allows.
 */
static bool
write_raw(const struct suite *s, double *ret_mb_per_s)
{
    char *path = sl_format("%s/raw", s->server.directory);
    uint8_t *piece = sl_alloc(PIECE_BYTES);
    memset(piece, 0x5a, PIECE_BYTES);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_ok = fd >= 0;
    uint64_t start_ns = sl_time_mono_ns();
    for (uint64_t size = 0; is_ok && size < s->upload_bytes; size += PIECE_BYTES)
        is_ok = write(fd, piece, PIECE_BYTES) == (ssize_t)PIECE_BYTES;
    is_ok = is_ok && fdatasync(fd) == 0;
    *ret_mb_per_s = (double)s->upload_bytes / 1e3 / ((double)(sl_time_mono_ns() - start_ns) / 1e6);
    if (fd >= 0)
        (void)close(fd);
    (void)unlink(path);
    sl_free(path);
    sl_free(piece);
    return is_ok || sl_bench_fail("no raw file: %s", strerror(errno));
}

static bool
run_uploads(struct suite *s)
{
    double speeds[RUNS], raw[RUNS], growth_mib = 0;
    const char *note = s->bench->is_quick ? "256 MiB" : NULL;
    for (uint32_t i = 0; i < RUNS; i++) {
        struct upload one;
        if (!upload_once(s, &one) || !write_raw(s, &raw[i]))
            return false;
        sl_bench_say(s->bench, "run %u: %.0f MB/s, %.2f MiB more; the disk alone %.0f MB/s", i + 1,
                     one.mb_per_s, one.growth_mib, raw[i]);
        speeds[i] = one.mb_per_s;
        growth_mib = SL_MAX(growth_mib, one.growth_mib);
    }
    sl_bench_show(s->bench, &(struct sl_bench_figure){"gateway.upload.memory_growth", "MiB",
                                                      SL_BENCH_AT_MOST, 16, growth_mib, note});
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"gateway.upload.mb_per_s", "MB/s", SL_BENCH_AT_LEAST,
                                            300, sl_bench_median(speeds, RUNS), note});
    sl_bench_show(s->bench, &(struct sl_bench_figure){
                                "gateway.upload.disk_mb_per_s", "MB/s", SL_BENCH_NO_GOAL, 0,
                                sl_bench_median(raw, RUNS), "the same bytes written by a program"});
    return true;
}

/* ---- a long list --------------------------------------------------------------------------- */

static void
make_objects(void *arg, uint32_t index, struct sl_buf *body)
{
    (void)arg;
    sl_buf_append_str(body, "{\"objects\":[");
    for (uint32_t i = 0; i < OBJECTS_A_BODY; i++)
        sl_buf_printf(body, "%s{\"n\":%u}", i == 0 ? "" : ",", index * OBJECTS_A_BODY + i);
    sl_buf_append_str(body, "]}");
}

static bool
take_objects(void *arg, uint32_t index, struct sl_slice reply)
{
    (void)arg, (void)index;
    return reply.size > 0;
}

static bool
make_list(struct suite *s)
{
    struct sl_bench_load load = {.server = &s->server,
                                 .client = &s->client,
                                 .path = "/v1/buckets/bench/objects/batch",
                                 .connections = CONNECTIONS,
                                 .requests = s->objects / OBJECTS_A_BODY,
                                 .make = make_objects,
                                 .take = take_objects};
    return sl_bench_load_run(&load);
}

/* The next page: its time, its objects marked as seen, and the cursor after it in its place. */
static bool
walk_page(struct suite *s, char **cursor, double *ret_ms, uint8_t *seen)
{
    char *path = sl_format("/v1/buckets/bench/objects/list?limit=%u%s%s", PAGE_SIZE,
                           (*cursor)[0] == '\0' ? "" : "&cursor=", *cursor);
    uint64_t start_ns = sl_time_mono_ns();
    bool is_ok = sl_bench_ask(&s->client, path, sl_slice_str("{}"));
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    sl_free(path);
    sl_free(*cursor);
    *cursor = NULL;
    if (!is_ok)
        return false;
    struct sl_json_iter i = sl_json_iter(sl_json_member(s->client.json, "results"));
    for (uint64_t n = 0; sl_json_next(&i);) {
        if (sl_json_u64(sl_json_member(i.value, "n"), &n) != SL_OK || n >= s->objects || seen[n]++)
            return sl_bench_fail("an object was listed twice, or is none of ours");
    }
    struct sl_json pagination = sl_json_member(s->client.json, "pagination");
    *cursor = sl_json_strdup(sl_json_member(pagination, "next_cursor"));
    return true;
}

static bool
walk_list(struct suite *s, double *ms, uint32_t pages)
{
    uint8_t *seen = sl_zalloc(s->objects);
    char *cursor = sl_strdup("");
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < pages; i++) {
        is_ok = cursor != NULL || sl_bench_fail("the list ends after %u pages", i);
        is_ok = is_ok && walk_page(s, &cursor, &ms[i], seen);
    }
    is_ok = is_ok && (cursor == NULL || sl_bench_fail("the list never ends"));
    sl_free(cursor);
    sl_free(seen);
    return is_ok;
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void
show_pages(struct suite *s, const char *where, double *ms, double target_ms)
{
    char median[64], tail[64];
    const char *note = s->bench->is_quick ? "of 50000 objects" : NULL;
    (void)snprintf(median, sizeof(median), "gateway.list.%s.p50", where);
    (void)snprintf(tail, sizeof(tail), "gateway.list.%s.p99", where);
    qsort(ms, PAGES_TIMED, sizeof(*ms), compare);
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){
                      .name = median, .unit = "ms", .value = ms[PAGES_TIMED / 2], .note = note});
    sl_bench_show(s->bench, &(struct sl_bench_figure){
                                tail, "ms", target_ms > 0 ? SL_BENCH_AT_MOST : SL_BENCH_NO_GOAL,
                                target_ms, ms[PAGES_TIMED * 99 / 100], note});
}

static bool
run_list(struct suite *s)
{
    uint32_t pages = s->objects / PAGE_SIZE;
    double *ms = sl_alloc(pages * sizeof(*ms)), sum_ms = 0;
    bool is_ok = make_list(s) && walk_list(s, ms, pages);
    if (is_ok) {
        for (uint32_t i = 0; i < pages; i++)
            sum_ms += ms[i];
        double *far = ms + pages - PAGES_TIMED;
        show_pages(s, "first_pages", ms, 0);
        show_pages(s, "far_pages", far, 10);
        /* Both are sorted by now. */
        sl_bench_show(s->bench, &(struct sl_bench_figure){
                                    "gateway.list.far_ratio", "x", SL_BENCH_AT_MOST, 1.5,
                                    far[PAGES_TIMED / 2] / ms[PAGES_TIMED / 2],
                                    "a page at the far end by one at the beginning, p50"});
        sl_bench_show(s->bench, &(struct sl_bench_figure){.name = "gateway.list.objects_per_s",
                                                          .unit = "1/s",
                                                          .value = s->objects * 1e3 / sum_ms});
    }
    sl_free(ms);
    return is_ok;
}

/* ---- what a long walk costs the others ------------------------------------------------------ */

/* A process of its own, so that this one can ask meanwhile. */
static pid_t
start_count(struct suite *s)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct sl_bench_client own = {.http = sl_http_client_create(s->server.url, s->client.key),
                                  .namespace_id = s->client.namespace_id};
    bool is_ok = sl_bench_ask(&own, "/v1/buckets/bench/objects/list?include_total=true",
                              sl_slice_str("{\"limit\":1}"));
    _exit(is_ok ? 0 : 1);
}

static bool
run_wait(struct suite *s)
{
    double worst_ms = 0;
    int status = 0;
    bool is_ok = true;
    pid_t pid = start_count(s), ended = 0;
    while (is_ok && pid > 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0) {
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = sl_bench_ask(&s->client, "/v1/buckets/bench", sl_slice(NULL, 0));
        worst_ms = SL_MAX(worst_ms, (double)(sl_time_mono_ns() - start_ns) / 1e6);
        sl_time_sleep_ns(SL_MILLI_NS);
    }
    if (pid > 0 && ended != pid) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    if (!is_ok || pid < 0 || status != 0)
        return sl_bench_fail("the objects could not be counted");
    sl_bench_show(s->bench,
                  &(struct sl_bench_figure){"gateway.list.others_wait", "ms", SL_BENCH_AT_MOST, 100,
                                            worst_ms, "the worst while somebody counts all"});
    return true;
}

/* ---- the suite ----------------------------------------------------------------------------- */

bool
sl_bench_door(const struct sl_bench *bench)
{
    return sl_bench_door_costs(bench) && sl_bench_door_http(bench) &&
           sl_bench_door_clients(bench) && sl_bench_door_tenants(bench);
}

/* The door first, while nothing is to be written back to the disk. */
bool
sl_bench_gateway(const struct sl_bench *bench)
{
    if (!sl_bench_scrape(bench) || !sl_bench_door(bench))
        return false;
    struct suite s = {.bench = bench,
                      .upload_bytes = bench->is_quick ? 256 * SL_MIB : SL_GIB,
                      .objects = bench->is_quick ? 50000 : 1000000};
    if (!sl_bench_server_start(bench, &s.server))
        return false;
    bool is_ok =
        sl_bench_client_open(&s.server, &s.client) &&
        sl_bench_ask(&s.client, "/v1/buckets", sl_slice_str("{\"bucket_name\":\"bench\"}")) &&
        run_uploads(&s) && run_list(&s) && run_wait(&s);
    sl_bench_client_close(&s.client);
    return sl_bench_server_stop(&s.server) && is_ok;
}
