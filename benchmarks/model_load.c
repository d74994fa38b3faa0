/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads and deploys weights for benchmarks/model_peers, which starts each in a process of its own.
 *
 *   model-load write DIRECTORY    write 1 GiB of seeded weights as DIRECTORY/model.safetensors
 *   model-load deploy DIRECTORY   build the memory file, send its descriptor over the socket that
 * is standard input, print how long it took, and end model-load exec COMMAND...    become COMMAND;
 * BENCH_START_NS tells it when that was model-load attach FD TENSOR   attach a memory file, read
 * the first byte of a tensor; print when it was exec'ed, main began and the byte was read
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/bench/model.h"
#include "object-store/model.h"
#include "runtime/time.h"

static bool
send_fd(int fd)
{
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(STDIN_FILENO, &message, 0) == 1;
}

static int
deploy(const char *directory)
{
    double ms = 0;
    int fd = sl_bench_model_deploy(directory, &ms);
    if (fd < 0 || !send_fd(fd))
        return 1;
    printf("{\"deploy_ms\":%.3f}\n", ms);
    return 0;
}

static int
attach(const char *fd, const char *name, uint64_t main_ns)
{
    struct sl_model *model = NULL;
    struct sl_cause cause = {0};
    struct sl_tensor tensor;
    if (sl_model_attach(atoi(fd), &model, &cause) != SL_OK) {
        (void)fprintf(stderr, "model-load: %s\n", cause.text);
        return 1;
    }
    if (!sl_model_tensor_lookup(model, name, &tensor))
        return 1;
    unsigned byte = *(const volatile uint8_t *)tensor.data;
    uint64_t first_ns = sl_time_mono_ns();
    const char *start = getenv("BENCH_START_NS");
    printf("{\"start_ns\":%s,\"ready_ns\":%" PRIu64 ",\"first_ns\":%" PRIu64 ",\"byte\":%u}\n",
           start == NULL ? "0" : start, main_ns, first_ns, byte);
    return 0;
}

static int
become(char **argv)
{
    char now[32];
    (void)snprintf(now, sizeof(now), "%" PRIu64, sl_time_mono_ns());
    (void)setenv("BENCH_START_NS", now, 1);
    (void)execvp(argv[0], argv);
    perror("model-load");
    return 1;
}

int
main(int argc, char **argv)
{
    uint64_t main_ns = sl_time_mono_ns();
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return sl_bench_weights_write(&SL_BENCH_WEIGHTS_GIB, argv[2]) ? 0 : 1;
    if (argc == 3 && strcmp(argv[1], "deploy") == 0)
        return deploy(argv[2]);
    if (argc >= 3 && strcmp(argv[1], "exec") == 0)
        return become(argv + 2);
    if (argc == 4 && strcmp(argv[1], "attach") == 0)
        return attach(argv[2], argv[3], main_ns);
    (void)fputs("usage: model-load write|deploy DIRECTORY | exec COMMAND... | attach FD TENSOR\n",
                stderr);
    return 2;
}
