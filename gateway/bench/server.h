/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/server.h - a sluice that a benchmark starts, watches from outside and stops.
 *
 *   start -> (memory, cpu, client)... -> stop
 *
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_BENCH_SERVER_H
#define SL_GATEWAY_BENCH_SERVER_H

#include <sys/types.h>

#include "gateway/bench.h"
#include "gateway/http_client.h"
#include "runtime/json.h"

struct sl_bench_server {
    pid_t pid;
    char *directory; /* Removed at stop. */
    char *url;
    struct sl_http_client *admin; /* With the key of the operator. */
    double ready_ms;              /* From the fork to the line that says ready. */
};

/* False: it did not come up, which has been said; nothing is left behind. */
bool sl_bench_server_start(const struct sl_bench *bench, struct sl_bench_server *ret_server);
/*
 * The same with a configuration (YAML). Kill it (SIGKILL, with nobody asked), and start it again on
 * what it left; clients then connect anew.
 */
bool sl_bench_server_start_as(const struct sl_bench *bench, const char *yaml,
                              struct sl_bench_server *ret_server);
void sl_bench_server_kill(struct sl_bench_server *server);
bool sl_bench_server_restart(const struct sl_bench *bench, const char *yaml,
                             struct sl_bench_server *server);
/* Ask it to stop, wait for that, and remove its directory. False: it did not stop cleanly. */
bool sl_bench_server_stop(struct sl_bench_server *server);

/* A line of what it wrote to DIR/address, without "NAME=", owned; NULL: none, which was said. */
char *sl_bench_server_address(const struct sl_bench_server *server, const char *name);

/* Where the build puts the benchmarks' plugins, owned; NULL: that one is not there, as was said. */
char *sl_bench_server_plugins(const char *name);

enum sl_bench_whom { SL_BENCH_MAIN, SL_BENCH_ALL };
/* Anonymous resident memory plus the proportional share of shared memory, MiB. */
double sl_bench_memory_mib(const struct sl_bench_server *server, enum sl_bench_whom whom);
/* Processor time that the living threads of all its processes have used, seconds. */
double sl_bench_cpu_s(const struct sl_bench_server *server);

/* ---- talking to it ------------------------------------------------------------------------- */
struct sl_bench_client {
    struct sl_http_client *http;
    char *key, *namespace_id;
    struct sl_http_reply reply;
    struct sl_json_doc *doc;
    struct sl_json json; /* The last reply; until the next ask. */
};
/* A tenant without limits, its key and a namespace in it. */
bool sl_bench_client_open(const struct sl_bench_server *server, struct sl_bench_client *ret_client);
/* The same of a tenant of that id: others than "bench", one of each. */
bool sl_bench_client_open_as(const struct sl_bench_server *server, const char *tenant,
                             struct sl_bench_client *ret_client);
/* After a restart: its key and namespace are as they were. */
void sl_bench_client_reconnect(const struct sl_bench_server *server,
                               struct sl_bench_client *client);
void sl_bench_client_close(struct sl_bench_client *client);
/* Ask, expect 2xx. An empty `body` is a GET. */
bool sl_bench_ask(struct sl_bench_client *client, const char *path, struct sl_slice body);
/* A string member of the last reply, owned; NULL when it is not there, which has been said. */
char *sl_bench_text(const struct sl_bench_client *client, const char *member);

#endif
