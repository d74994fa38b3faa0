/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up/process.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "actors/cluster.h"
#include "actors/image_message.h"
#include "actors/queue_wire.h"
#include "extractors/replica.h"
#include "gateway/api.h"
#include "gateway/relay.h"
#include "runtime/report.h"

#define DESCRIPTORS_ELSE 1024u /* Files, sockets and pipes of everything but connections. */

static void
mask(int how)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGHUP);
    sigprocmask(how, &stop, NULL);
}

void
sl_process_descriptors(uint64_t connections)
{
    struct rlimit limit;
    uint64_t wanted = connections + DESCRIPTORS_ELSE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = SL_MIN((rlim_t)wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        sl_report_warn("few-descriptors",
                       "wanted=%" PRIu64 " allowed=%" PRIu64 " action=\"raise RLIMIT_NOFILE\"",
                       wanted, (uint64_t)limit.rlim_cur);
}

/* Threads start with these blocked, so that only the scheduler's descriptor hears them. */
void
sl_process_prepare(uint64_t connections)
{
    mask(SIG_BLOCK);
    signal(SIGPIPE, SIG_IGN);
    sl_report_role_set("main");
    sl_process_descriptors(connections);
    /* One arena a thread would keep tens of megabytes of freed memory apart. */
    mallopt(M_ARENA_MAX, 2);
    /*
     * Bodies, batches and log records of megabytes get mappings of their own, which go back when
     * they are freed. Left alone the threshold rises to the largest block ever freed, and then the
     * heap keeps them for good.
     */
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    sl_protocol_register(&sl_protocol_api);
    sl_protocol_register(&sl_protocol_relay);
    sl_protocol_register(&sl_protocol_queue);
}

void
sl_process_unblock(void)
{
    mask(SIG_UNBLOCK);
}
