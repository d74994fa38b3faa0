/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/probe.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extractors/replica_confine.h"
#include "extractors/replica_end.h"
#include "gateway/isolation/attack.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define PAGE_BYTES 4096

struct probe {
    int fd, object_fd;
    struct sl_json text;
    struct sl_probe_said hello;
};

static void
say(const struct probe *p, struct sl_probe_said *said, enum sl_probe_word what)
{
    said->magic = SL_PROBE_MAGIC;
    said->what = what;
    if (send(p->fd, said, sizeof(*said), MSG_NOSIGNAL) != (ssize_t)sizeof(*said))
        _exit(1); /* Nobody waits any more. */
}

/* What a neighbour would want to have: a page and a memory file. Before it goes in, since a replica
 * that shares nothing may fill no file. */
static void
prepare(struct probe *p)
{
    static const char secret[] = "of this tenant alone";
    char *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p->hello.memory_fd = memfd_create("of-a-tenant", MFD_CLOEXEC);
    if (page == MAP_FAILED || p->hello.memory_fd < 0 ||
        write(p->hello.memory_fd, secret, sizeof(secret)) != (ssize_t)sizeof(secret))
        _exit(1);
    memcpy(page, secret, sizeof(secret));
    p->hello.address = (uint64_t)(uintptr_t)page;
}

static void
go_in(struct probe *p, const struct sl_child *child)
{
    struct sl_replica_settings settings;
    char *blobs = sl_json_strdup(sl_json_member(p->text, "blobs"));
    struct sl_replica_place place = {.blobs = blobs};
    if (sl_json_u64(sl_json_member(p->text, "tenant"), &place.tenant) != SL_OK)
        place.tenant = 0;
    sl_replica_settings_read(sl_json_member(p->text, "settings"), &settings);
    p->hello.states = sl_replica_confine(&settings, &place);
    sl_replica_settings_deinit(&settings);
    sl_free(blobs);
    sl_child_guard(child, sl_replica_watch_look, NULL);
    p->hello.user = sl_attack_user();
    p->hello.uid = getuid();
    p->hello.pid = getpid();
}

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

/* Its strings are left to the process's end. */
static void
read_target(const struct probe *p, struct sl_json said, struct sl_attack_target *ret_target)
{
    *ret_target =
        (struct sl_attack_target){.pid = (int)number(said, "pid"),
                                  .address = number(said, "address"),
                                  .memory_fd = (int)number(said, "memory_fd"),
                                  .user = number(said, "user"),
                                  .uid = (uint32_t)number(said, "uid"),
                                  .server_pid = (int)number(said, "server_pid"),
                                  .socket = sl_json_strdup(sl_json_member(said, "socket")),
                                  .api = sl_json_strdup(sl_json_member(said, "api")),
                                  .data = sl_json_strdup(sl_json_member(said, "data")),
                                  .paths = sl_json_member(said, "paths"),
                                  .memory_bytes = number(said, "memory_bytes"),
                                  .file_bytes = number(said, "file_bytes"),
                                  .object_fd = p->object_fd,
                                  .object_tenant = number(said, "object_tenant"),
                                  .own_fd = p->fd};
    /* 0 and -1 would be ourselves and all: what is told is checked, though it is our server's. */
    if (ret_target->pid <= 1 || ret_target->server_pid <= 1 || ret_target->data == NULL)
        _exit(1);
}

static void
attack(const struct probe *p, const struct sl_attack_target *target, enum sl_attack_by by)
{
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++) {
        struct sl_probe_said said = {.attack = i};
        if (sl_attack_info((enum sl_attack)i)->by != by)
            continue;
        if (i == SL_ATTACK_run_programs) { /* Nothing comes behind one that is run. */
            sl_attack_note(&said.result, -1, "it became another program");
            say(p, &said, SL_PROBE_RESULT);
        }
        uint64_t begun_ns = sl_time_mono_ns();
        sl_attack_run((enum sl_attack)i, target, &said.result);
        said.result.took_ns = sl_time_mono_ns() - begun_ns;
        say(p, &said, SL_PROBE_RESULT);
    }
    say(p, &(struct sl_probe_said){0}, SL_PROBE_END);
}

/* What is told, and with it a socket to a store of objects. */
static ssize_t
hear(struct probe *p, char *text, size_t size)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {text, size};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(p->fd, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&p->object_fd, CMSG_DATA(c), sizeof(int));
    return got;
}

int
sl_isolation_probe_run(const struct sl_child *child)
{
    static char text[SL_PROBE_TARGET_MAX];
    struct sl_json_doc *doc = NULL, *target_doc = NULL;
    if (child->fds_count != 1 || sl_json_parse(sl_slice_str(child->text), &doc, NULL) != SL_OK)
        return 1;
    struct probe p = {.fd = child->fds[0], .object_fd = -1, .text = sl_json_root(doc)};
    bool is_victim = sl_json_is(sl_json_member(p.text, "role"), "victim");
    bool is_glutton = sl_json_is(sl_json_member(p.text, "role"), "glutton");
    if (is_victim)
        prepare(&p);
    go_in(&p, child);
    say(&p, &p.hello, SL_PROBE_HELLO);
    ssize_t size = hear(&p, text, sizeof(text)); /* The victim's is the socket's end. */
    if (!is_victim && size > 0 &&
        sl_json_parse(sl_slice(text, (size_t)size), &target_doc, NULL) == SL_OK) {
        struct sl_attack_target target;
        read_target(&p, sl_json_root(target_doc), &target);
        attack(&p, &target, is_glutton ? SL_ATTACK_BY_GLUTTON : SL_ATTACK_BY_ATTACKER);
        (void)recv(p.fd, text, sizeof(text), 0);
    }
    _exit(0); /* A report of leaks would be of what it took on purpose. */
}
