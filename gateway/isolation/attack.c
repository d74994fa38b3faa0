/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls are made by number where the C library would do something else first: what counts is
 * what the kernel says.
 */
#include "gateway/isolation/attack.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/object_client.h"
#include "runtime/alloc.h"
#include "gateway/isolation/glutton.h"

typedef void attack_fn(const struct sl_attack_target *t, struct sl_attack_result *r);

/* The result of a system call: refused, or not. */
static void
note_call(struct sl_attack_result *r, long result, const char *text)
{
    sl_attack_note(r, result < 0 ? errno : -1, text);
}

/* An open that is to fail; what it gave is closed. */
static void
note_open(struct sl_attack_result *r, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
    note_call(r, fd, path);
    if (fd >= 0)
        (void)close(fd);
}

/* A file of the tenant's process, by a name in /proc/PID. */
static void
note_proc(const struct sl_attack_target *t, struct sl_attack_result *r, const char *name, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d%s%s", t->pid, *name == '\0' ? "" : "/", name);
    note_open(r, path, flags);
}

uint64_t
sl_attack_user(void)
{
    struct stat st;
    uint64_t space = stat("/proc/self/ns/user", &st) == 0 ? st.st_ino : 0;
    return space << 32 | (uint64_t)getuid();
}

/* ---- files ---------------------------------------------------------------------------------- */

static void
try_paths(const struct sl_attack_target *t, struct sl_attack_result *r, bool is_directory,
          int flags)
{
    for (struct sl_json_iter i = sl_json_iter(t->paths); sl_json_next(&i);) {
        char *path = sl_json_strdup(i.value);
        size_t size = path == NULL ? 0 : strlen(path);
        if (size > 1 && (path[size - 1] == '/') == is_directory)
            note_open(r, path, flags);
        sl_free(path);
    }
}

static void
attack_read_files(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    try_paths(t, r, false, O_RDONLY);
}

static void
attack_write_files(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    try_paths(t, r, false, O_WRONLY); /* Opened and closed again. */
}

static void
attack_list_directories(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    try_paths(t, r, true, O_RDONLY | O_DIRECTORY);
}

static void
attack_create_files(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    char *path = sl_format("%s/isolation-probe-%d", t->data, (int)getpid());
    note_open(r, path, O_WRONLY | O_CREAT | O_EXCL);
    if (r->through > 0)
        (void)unlink(path);
    sl_free(path);
}

/* ---- memory that is shared ------------------------------------------------------------------ */

static void
attack_open_memory_files(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "fd/%d", t->memory_fd);
    note_proc(t, r, name, O_RDONLY);
    note_proc(t, r, name, O_RDWR);
}

static void
attack_open_mappings(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    note_proc(t, r, "map_files", O_RDONLY | O_DIRECTORY);
    note_proc(t, r, "smaps", O_RDONLY);
}

static void
attack_shared_memory(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    (void)t;
    note_open(r, "/dev/shm", O_RDONLY | O_DIRECTORY);
    long segment = syscall(SYS_shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    note_call(r, segment, "shmget");
    if (segment >= 0)
        (void)shmctl((int)segment, IPC_RMID, NULL);
    long queue = syscall(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600);
    note_call(r, queue, "msgget");
    if (queue >= 0)
        (void)msgctl((int)queue, IPC_RMID, NULL);
}

/* A misbehaving client is dropped: then it is gone for what follows, too. */
static void
note_object(struct sl_attack_result *r, enum sl_err err, const char *text)
{
    if (err != SL_ETIMEOUT) /* Which says nothing of what would have been said. */
        sl_attack_note(r, err == SL_OK ? -1 : err == SL_ENOTFOUND ? 0 : EPERM, text);
}

/* As if it were the tenant, whose id is no secret. */
static void
attack_objects(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct sl_object_id id;
    struct sl_object_ref ref;
    int fd = t->object_fd < 0 ? -1 : fcntl(t->object_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 ||
        sl_object_id_named(t->object_tenant, sl_slice_str(SL_ATTACK_OBJECT), &id) != SL_OK)
        return;
    struct sl_object_client *client =
        sl_object_client_create(fd, t->object_tenant, 5 * SL_SECOND_NS);
    enum sl_err err = sl_object_client_get(client, &id, &ref);
    note_object(r, err, "an object of the tenant's was got");
    if (err == SL_OK)
        sl_object_client_release(client, &ref);
    note_object(r, sl_object_client_delete(client, &id), "an object of the tenant's was deleted");
    sl_object_client_destroy(&client);
}

/* ---- the network ---------------------------------------------------------------------------- */

static void
attack_sockets(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    static const struct {
        int family, type;
        const char *name;
    } kinds[] = {{AF_INET, SOCK_STREAM, "socket(AF_INET, SOCK_STREAM)"},
                 {AF_INET, SOCK_DGRAM, "socket(AF_INET, SOCK_DGRAM)"},
                 {AF_INET6, SOCK_STREAM, "socket(AF_INET6, SOCK_STREAM)"},
                 {AF_UNIX, SOCK_STREAM, "socket(AF_UNIX, SOCK_STREAM)"},
                 {AF_UNIX, SOCK_DGRAM, "socket(AF_UNIX, SOCK_DGRAM)"},
                 {AF_NETLINK, SOCK_RAW, "socket(AF_NETLINK)"},
                 {AF_PACKET, SOCK_RAW, "socket(AF_PACKET)"}};
    (void)t;
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        int fd = socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, 0);
        note_call(r, fd, kinds[i].name);
        if (fd >= 0)
            (void)close(fd);
    }
}

static void
connect_to(struct sl_attack_result *r, const struct sockaddr *to, socklen_t size, const char *text)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    note_call(r, fd < 0 ? fd : connect(fd, to, size), text);
    if (fd >= 0)
        (void)close(fd);
}

static void
attack_server_socket(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (t->socket == NULL || strlen(t->socket) >= sizeof(to.sun_path))
        return;
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", t->socket);
    connect_to(r, (const struct sockaddr *)&to, sizeof(to), t->socket);
}

static void
attack_server_port(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char host[INET6_ADDRSTRLEN], *address = host;
    const char *colon = t->api == NULL ? NULL : strrchr(t->api, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - t->api);
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > UINT16_MAX || size >= sizeof(host))
        return;
    (void)snprintf(host, sizeof(host), "%.*s", (int)size, t->api);
    if (size > 1 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        address++;
    }
    if (*address == '\0' || strcmp(address, "localhost") == 0)
        address = (char[]){"127.0.0.1"};
    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) { /* 0.0.0.0 is this machine. */
        connect_to(r, (const struct sockaddr *)&v4, sizeof(v4), t->api);
    } else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) { /* So is "::". */
        connect_to(r, (const struct sockaddr *)&v6, sizeof(v6), t->api);
    }
}

/* Its own is the one that it was told over. */
static void
attack_inherited(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct stat own = {0};
    (void)stat("/proc/self", &own); /* Which the sandbox keeps open. */
    for (int fd = 0; fd < (int)SL_SANDBOX_FILES_MAX; fd++) {
        struct stat st;
        if (fd == t->own_fd || fd == t->object_fd || fstat(fd, &st) != 0 ||
            (st.st_dev == own.st_dev && st.st_ino == own.st_ino))
            continue;
        char text[48];
        (void)snprintf(text, sizeof(text), "descriptor %d is a %s", fd,
                       S_ISSOCK(st.st_mode) ? "socket" : "directory");
        sl_attack_note(r, S_ISSOCK(st.st_mode) || S_ISDIR(st.st_mode) ? -1 : 0, text);
    }
}

/* ---- other processes ------------------------------------------------------------------------ */

static void
attack_signals(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    note_call(r, syscall(SYS_kill, t->pid, 0), "kill(replica)");
    note_call(r, syscall(SYS_tgkill, t->pid, t->pid, 0), "tgkill(replica)");
    note_call(r, syscall(SYS_kill, t->server_pid, 0), "kill(server)");
    note_call(r, syscall(SYS_kill, getppid(), 0), "kill(spawner)");
    note_call(r, syscall(SYS_kill, -1, 0), "kill(all)");
}

static void
attack_trace(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    /* It is let go of with our end. The server is left alone: a signal would stop it until then. */
    note_call(r, syscall(SYS_ptrace, PTRACE_SEIZE, (long)t->pid, 0L, 0L), "PTRACE_SEIZE");
}

static void
attack_read_memory(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    char bytes[16] = {0};
    struct iovec here = {bytes, sizeof(bytes)};
    struct iovec there = {(void *)(uintptr_t)t->address, sizeof(bytes)};
    note_call(r, syscall(SYS_process_vm_readv, (long)t->pid, &here, 1UL, &there, 1UL, 0UL),
              "process_vm_readv");
    note_call(r, syscall(SYS_process_vm_writev, (long)t->pid, &here, 1UL, &there, 1UL, 0UL),
              "process_vm_writev");
    note_proc(t, r, "mem", O_RDONLY);
    note_proc(t, r, "mem", O_RDWR);
}

static void
attack_look_into(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    note_open(r, "/proc", O_RDONLY | O_DIRECTORY);
    note_proc(t, r, "", O_RDONLY | O_DIRECTORY);
    note_proc(t, r, "cmdline", O_RDONLY);
    note_proc(t, r, "status", O_RDONLY);
    note_proc(t, r, "environ", O_RDONLY);
    note_proc(t, r, "maps", O_RDONLY);
    note_proc(t, r, "fd", O_RDONLY | O_DIRECTORY);
    note_proc(t, r, "cwd", O_RDONLY | O_DIRECTORY);
    note_proc(t, r, "root", O_RDONLY | O_DIRECTORY);
}

static void
attack_take_descriptors(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    long of = syscall(SYS_pidfd_open, (long)t->pid, 0UL);
    long fd = of < 0 ? of : syscall(SYS_pidfd_getfd, of, (long)t->memory_fd, 0UL);
    note_call(r, fd, "pidfd_getfd");
    if (fd >= 0)
        (void)close((int)fd);
    if (of >= 0)
        (void)close((int)of);
}

/* To what they are already. */
static void
attack_change_it(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct rlimit limit;
    cpu_set_t processors;
    note_call(r, syscall(SYS_prlimit64, (long)t->pid, (long)RLIMIT_NOFILE, NULL, &limit),
              "prlimit64");
    note_call(r, syscall(SYS_setpriority, (long)PRIO_PROCESS, (long)t->pid, 0L), "setpriority");
    if (sched_getaffinity(0, sizeof(processors), &processors) == 0)
        note_call(r, syscall(SYS_sched_setaffinity, (long)t->pid, sizeof(processors), &processors),
                  "sched_setaffinity");
}

static void
enter_space(const struct sl_attack_target *t, struct sl_attack_result *r, const char *name)
{
    char path[48];
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", t->pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    note_call(r, fd < 0 ? fd : syscall(SYS_setns, fd, 0), path);
    if (fd >= 0)
        (void)close(fd);
}

/* Who is root already cannot be refused to be root. */
static void
attack_become(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    note_call(r, syscall(SYS_setresuid, (long)t->uid, (long)t->uid, (long)t->uid),
              "setresuid(the tenant's)");
    note_call(r, syscall(SYS_setresuid, 0L, 0L, 0L), "setresuid(root)");
    note_call(r, syscall(SYS_unshare, (long)CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
    enter_space(t, r, "user");
    enter_space(t, r, "pid");
}

/* It would be the program from here on, and whoever waits for more is told so: see the probe. */
static void
attack_run_programs(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    static const char *const programs[] = {"/bin/true", "/usr/bin/true", "/proc/self/exe"};
    (void)t;
    for (size_t i = 0; i < SL_COUNT_OF(programs); i++) {
        const char *argv[] = {programs[i], NULL}, *envp[] = {NULL};
        note_call(r, syscall(SYS_execve, programs[i], argv, envp), programs[i]);
    }
}

static void
attack_same_user(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    sl_attack_note(r, sl_attack_user() == t->user ? -1 : 0,
                   "the neighbour's processes are of the same user");
}

/* ---- the table ------------------------------------------------------------------------------ */

void
sl_attack_run(enum sl_attack attack, const struct sl_attack_target *target,
              struct sl_attack_result *ret_result)
{
#define HERE(name) [SL_ATTACK_##name] = attack_##name
#define FAR(name)  [SL_ATTACK_##name] = sl_glutton_##name
    static attack_fn *const attacks[SL_ATTACK_COUNT] = {
        HERE(read_files),
        HERE(write_files),
        HERE(list_directories),
        HERE(create_files),
        HERE(open_memory_files),
        HERE(open_mappings),
        HERE(objects),
        HERE(shared_memory),
        HERE(sockets),
        HERE(server_socket),
        HERE(server_port),
        HERE(inherited),
        HERE(signals),
        HERE(trace),
        HERE(read_memory),
        HERE(look_into),
        HERE(become),
        HERE(take_descriptors),
        HERE(change_it),
        HERE(run_programs),
        HERE(same_user),
        FAR(fork_bomb),
        FAR(threads),
        FAR(memory),
        FAR(descriptors),
        FAR(memory_files),
        FAR(limits),
    };
    sl_assert(attack < SL_ATTACK_COUNT && attacks[attack] != NULL);
    *ret_result = (struct sl_attack_result){0};
    attacks[attack](target, ret_result);
}
