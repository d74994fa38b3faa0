/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/directory.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define READY_MAX_NS  (20 * SL_SECOND_NS)
#define STOP_MAX_NS   (40 * SL_SECOND_NS)
#define PROCESSES_MAX 256

/* ---- its directory ------------------------------------------------------------------------- */

/* First line of DIR/NAME that begins with `prefix`, without it, owned; NULL: none. */
static char *
read_line(const char *directory, const char *name, const char *prefix)
{
    char *path = sl_format("%s/%s", directory, name), line[256], *found = NULL;
    FILE *file = fopen(path, "re");
    while (file != NULL && found == NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            found = sl_strdup(line + strlen(prefix));
    }
    if (file != NULL)
        (void)fclose(file);
    sl_free(path);
    return found;
}

static void
show_complaints(const char *directory)
{
    char *path = sl_format("%s/stderr", directory), line[512];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        (void)fprintf(stderr, "  %s", line);
    if (file != NULL)
        (void)fclose(file);
    sl_free(path);
}

char *
sl_bench_server_address(const struct sl_bench_server *server, const char *name)
{
    char *data = sl_format("%s/data", server->directory), *prefix = sl_format("%s=", name);
    char *found = read_line(data, "address", prefix);
    sl_free(data);
    sl_free(prefix);
    if (found == NULL)
        (void)sl_bench_fail("the server does not say where its %s is", name);
    return found;
}

/* Seen from this program: the server's may be another one. */
char *
sl_bench_server_plugins(const char *name)
{
    char program[512];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[SL_MAX(size, (ssize_t)0)] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(program, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    char *directory = sl_format("%s/lib/sluice-bench", program);
    char *plugin = sl_format("%s/%s.so", directory, name);
    if (access(plugin, R_OK) != 0) {
        (void)sl_bench_fail("%s is not there: build the target %s", plugin, name);
        sl_free(directory);
        directory = NULL;
    }
    sl_free(plugin);
    return directory;
}

/* ---- start and stop ------------------------------------------------------------------------ */

SL_NORETURN static void
become(const char *program, const char *directory, int out)
{
    /* It follows the thread that forked: here that is the main thread, which lives to the end. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    char *data = sl_format("%s/data", directory);
    char *config = sl_format("%s/config", directory);
    char *log = sl_format("%s/stderr", directory);
    int err = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (err >= 0 && in >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(err, STDERR_FILENO) >= 0)
        (void)execl(program, "sluice", "up", "--data", data, "--http", "127.0.0.1:0", "--dashboard",
                    "127.0.0.1:0", "--config", config, (char *)NULL);
    _exit(127);
}

/* Read until a line says ready. */
static bool
wait_ready(int out, uint64_t until_ns)
{
    char text[256];
    size_t size = 0;
    for (;;) {
        uint64_t now_ns = sl_time_mono_ns();
        struct pollfd fd = {.fd = out, .events = POLLIN};
        if (now_ns >= until_ns || size == sizeof(text) - 1)
            return false;
        if (poll(&fd, 1, (int)((until_ns - now_ns) / SL_MILLI_NS) + 1) < 1)
            continue;
        ssize_t got = read(out, text + size, sizeof(text) - 1 - size);
        if (got <= 0)
            return false;
        size += (size_t)got;
        text[size] = '\0';
        if (strstr(text, "ready\n") != NULL)
            return true;
    }
}

static bool
spawn(const char *program, struct sl_bench_server *s)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        return sl_bench_fail("pipe: %s", strerror(errno));
    uint64_t start_ns = sl_time_mono_ns();
    s->pid = fork();
    if (s->pid == 0)
        become(program, s->directory, out[1]);
    (void)close(out[1]);
    bool is_ready = s->pid > 0 && wait_ready(out[0], start_ns + READY_MAX_NS);
    s->ready_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    (void)close(out[0]);
    if (!is_ready) {
        (void)sl_bench_fail("%s up did not become ready", program);
        show_complaints(s->directory);
    }
    return is_ready;
}

static bool
connect_operator(struct sl_bench_server *s)
{
    char *data = sl_format("%s/data", s->directory);
    char *port = read_line(data, "address", "http=");
    char *key = read_line(data, "admin.key", "");
    bool is_ok = port != NULL && key != NULL;
    if (is_ok) {
        s->url = sl_format("http://127.0.0.1:%s", port);
        s->admin = sl_http_client_create(s->url, key);
    } else {
        (void)sl_bench_fail("no address or key in %s", data);
    }
    sl_free(data);
    sl_free(port);
    sl_free(key);
    return is_ok;
}

static bool
write_config(const char *directory, const char *yaml)
{
    char *path = sl_format("%s/config", directory);
    FILE *file = fopen(path, "we");
    bool is_ok = file != NULL && fputs(yaml, file) >= 0;
    if (file != NULL)
        is_ok = fclose(file) == 0 && is_ok;
    if (!is_ok)
        (void)sl_bench_fail("%s: %s", path, strerror(errno));
    sl_free(path);
    return is_ok;
}

static bool
start(const struct sl_bench *bench, const char *yaml, struct sl_bench_server *s)
{
    return write_config(s->directory, yaml) && spawn(bench->program, s) && connect_operator(s);
}

bool
sl_bench_server_start_as(const struct sl_bench *bench, const char *yaml,
                         struct sl_bench_server *ret_server)
{
    struct sl_bench_server s = {.directory = sl_bench_directory_make(bench)};
    if (s.directory == NULL)
        return false;
    if (!start(bench, yaml, &s)) {
        (void)sl_bench_server_stop(&s);
        return false;
    }
    *ret_server = s;
    return true;
}

bool
sl_bench_server_start(const struct sl_bench *bench, struct sl_bench_server *ret_server)
{
    return sl_bench_server_start_as(bench, "{}\n", ret_server);
}

void
sl_bench_server_kill(struct sl_bench_server *s)
{
    int status;
    sl_http_client_destroy(&s->admin);
    sl_free(s->url);
    s->url = NULL;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, &status, 0);
    s->pid = 0;
}

bool
sl_bench_server_restart(const struct sl_bench *bench, const char *yaml, struct sl_bench_server *s)
{
    return start(bench, yaml, s);
}

static bool
wait_gone(pid_t pid)
{
    uint64_t until_ns = sl_time_mono_ns() + STOP_MAX_NS;
    int status = 0;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (got < 0 || sl_time_mono_ns() >= until_ns)
            break;
        sl_time_sleep_ns(5 * SL_MILLI_NS);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return false;
}

bool
sl_bench_server_stop(struct sl_bench_server *s)
{
    bool is_clean = true;
    sl_http_client_destroy(&s->admin);
    if (s->pid > 0) {
        (void)kill(s->pid, SIGTERM);
        is_clean = wait_gone(s->pid) || sl_bench_fail("sluice up did not stop cleanly");
    }
    sl_bench_directory_remove(&s->directory);
    sl_free(s->url);
    *s = (struct sl_bench_server){0};
    return is_clean;
}

/* ---- what it costs ------------------------------------------------------------------------- */

/* The number after `name` in a file of "name: number" lines; 0: not there. */
static uint64_t
proc_number(pid_t pid, const char *file, const char *name)
{
    char path[64], line[256];
    unsigned long long value = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        value = strtoull(line + strlen(name), NULL, 10);
        break;
    }
    if (f != NULL)
        (void)fclose(f);
    return value;
}

/* Append the children of a process, whichever of its threads forked them. */
static uint32_t
add_children(pid_t pid, pid_t *pids, uint32_t count)
{
    char path[320];
    long child;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, entry->d_name);
        FILE *f = fopen(path, "re");
        while (f != NULL && count < PROCESSES_MAX && fscanf(f, "%ld", &child) == 1)
            pids[count++] = (pid_t)child;
        if (f != NULL)
            (void)fclose(f);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return count;
}

/* The server and all that descend from it. */
static uint32_t
list_processes(const struct sl_bench_server *s, pid_t ret_pids[static PROCESSES_MAX])
{
    uint32_t count = 1;
    ret_pids[0] = s->pid;
    for (uint32_t i = 0; i < count; i++)
        count = add_children(ret_pids[i], ret_pids, count);
    return count;
}

double
sl_bench_memory_mib(const struct sl_bench_server *s, enum sl_bench_whom whom)
{
    pid_t pids[PROCESSES_MAX] = {s->pid};
    uint32_t count = whom == SL_BENCH_MAIN ? 1 : list_processes(s, pids);
    uint64_t kib = 0;
    for (uint32_t i = 0; i < count; i++)
        kib += proc_number(pids[i], "status", "RssAnon:") +
               proc_number(pids[i], "smaps_rollup", "Pss_Shmem:");
    return (double)kib / 1024;
}

static uint64_t
threads_cpu_ns(pid_t pid)
{
    char path[320];
    uint64_t sum_ns = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        unsigned long long ns = 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        FILE *f = fopen(path, "re");
        if (f != NULL && fscanf(f, "%llu", &ns) == 1)
            sum_ns += ns;
        if (f != NULL)
            (void)fclose(f);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return sum_ns;
}

double
sl_bench_cpu_s(const struct sl_bench_server *s)
{
    pid_t pids[PROCESSES_MAX];
    uint32_t count = list_processes(s, pids);
    uint64_t sum_ns = 0;
    for (uint32_t i = 0; i < count; i++)
        sum_ns += threads_cpu_ns(pids[i]);
    return (double)sum_ns / 1e9;
}

/* ---- talking to it ------------------------------------------------------------------------- */

static bool
ask(struct sl_bench_client *c, struct sl_http_client *http, const struct sl_http_request *request)
{
    sl_json_destroy(&c->doc);
    c->json = (struct sl_json){0};
    if (sl_http_send(http, request, &c->reply) != SL_OK)
        return sl_bench_fail("%s %s: %s", request->method, request->path, sl_http_error(http));
    if (c->reply.status < 200 || c->reply.status > 299)
        return sl_bench_fail("%s %s: %ld: %.200s", request->method, request->path, c->reply.status,
                             sl_buf_text(&c->reply.body));
    if (sl_json_parse(sl_buf_slice(&c->reply.body), &c->doc, NULL) != SL_OK)
        return sl_bench_fail("%s %s: the reply is no JSON", request->method, request->path);
    c->json = sl_json_root(c->doc);
    return true;
}

bool
sl_bench_ask(struct sl_bench_client *c, const char *path, struct sl_slice body)
{
    struct sl_http_request request = {.method = body.size == 0 ? "GET" : "POST",
                                      .path = path,
                                      .body = body,
                                      .namespace_id = c->namespace_id};
    return ask(c, c->http, &request);
}

char *
sl_bench_text(const struct sl_bench_client *c, const char *member)
{
    char *text = sl_json_strdup(sl_json_member(c->json, member));
    if (text == NULL)
        (void)sl_bench_fail("a reply lacks %s", member);
    return text;
}

bool
sl_bench_client_open(const struct sl_bench_server *s, struct sl_bench_client *ret_client)
{
    return sl_bench_client_open_as(s, "bench", ret_client);
}

bool
sl_bench_client_open_as(const struct sl_bench_server *s, const char *id,
                        struct sl_bench_client *ret_client)
{
    struct sl_bench_client c = {0};
    char *body = sl_format("{\"tenant_id\":\"%s\",\"name\":\"%s\",\"plan\":\"unlimited\"}", id, id);
    struct sl_http_request tenant = {
        .method = "POST", .path = "/v1/tenants", .body = sl_slice_str(body)};
    bool is_made = ask(&c, s->admin, &tenant);
    sl_free(body);
    if (!is_made || (c.key = sl_bench_text(&c, "api_key")) == NULL)
        goto fail;
    c.http = sl_http_client_create(s->url, c.key);
    if (!sl_bench_ask(&c, "/v1/namespaces", sl_slice_str("{\"namespace_name\":\"bench\"}")) ||
        (c.namespace_id = sl_bench_text(&c, "namespace_id")) == NULL)
        goto fail;
    *ret_client = c;
    return true;
fail:
    sl_bench_client_close(&c);
    return false;
}

void
sl_bench_client_reconnect(const struct sl_bench_server *s, struct sl_bench_client *c)
{
    sl_http_client_destroy(&c->http);
    c->http = sl_http_client_create(s->url, c->key);
}

void
sl_bench_client_close(struct sl_bench_client *c)
{
    sl_http_client_destroy(&c->http);
    sl_json_destroy(&c->doc);
    sl_buf_deinit(&c->reply.body);
    sl_free(c->key);
    sl_free(c->namespace_id);
    *c = (struct sl_bench_client){0};
}
