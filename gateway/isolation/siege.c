/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/siege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/cluster.h"
#include "gateway/isolation/attack.h"
#include "gateway/isolation/probe.h"
#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"
#include "runtime/time.h"

#define SIEGE_NS  (30 * SL_SECOND_NS) /* It takes a fraction of one; a sanitizer is slow. */
#define PATHS_MAX 48
#define TAG_FIRST                                                                                  \
    UINT64_C(0xf0000000) /* Above the numbers of nodes, which are the others' tags.                \
                          */

#define STORE_BYTES     (256 * SL_MIB) /* Of address space: segments are large. */
#define STORE_VICTIM    1
#define STORE_NEIGHBOUR 2
#define STORE_NS        (5 * SL_SECOND_NS)

static const char *const roles[SL_SIEGE_ROLES] = {"victim", "attacker", "glutton"};

/* ---- begin ---------------------------------------------------------------------------------- */

/* The descriptor is the port's: it may be handled when this siege is long over. */
static void
spawn(struct sl_live *live, const char *text, int fd)
{
    static uint64_t count; /* The store's thread's. */
    struct sl_m_spawn want = {.kind = SL_CHILD_PROBE,
                              .tag = TAG_FIRST + count++ % 0xffff,
                              .fd = fd,
                              .text = sl_slice_str(text)};
    struct sl_msg *msg = sl_msg_create(SL_M_spawn, &want);
    msg->to = sl_at(SL_NODE_PORT, SL_PORT_SPAWNER);
    msg->level = SL_LEVEL_RAM;
    sl_live_post(live, msg);
}

static char *
text_for(const struct sl_siege_options *o, enum sl_siege_role role)
{
    uint64_t neighbour = o->tenant == 0 ? 0 : SL_SIEGE_NEIGHBOUR;
    const uint64_t tenants[SL_SIEGE_ROLES] = {o->tenant, neighbour, SL_SIEGE_GREEDY};
    char *blobs = sl_format("%s/blobs", o->data);
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "role", roles[role]);
    sl_jsonw_member_u64(&w, "tenant", tenants[role]);
    sl_jsonw_member_str(&w, "blobs", blobs);
    sl_jsonw_member_raw(&w, "settings", o->settings);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    char *text = sl_strdup(sl_buf_text(&out));
    sl_buf_deinit(&out);
    sl_free(blobs);
    return text;
}

static void
close_all(int fds[static SL_SIEGE_ROLES])
{
    for (unsigned i = 0; i < SL_SIEGE_ROLES; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
        fds[i] = -1;
    }
}

enum sl_err
sl_siege_begin(const struct sl_siege_options *options, struct sl_siege *ret_siege)
{
    struct sl_siege s = {.ours = {-1, -1, -1}};
    int theirs[SL_SIEGE_ROLES] = {-1, -1, -1};
    char *texts[SL_SIEGE_ROLES] = {0};
    enum sl_err err = SL_OK;
    for (unsigned i = 0; i < SL_SIEGE_ROLES; i++) {
        int pair[2];
        texts[i] = text_for(options, (enum sl_siege_role)i);
        if (strlen(texts[i]) >= SL_SPAWN_TEXT_MAX)
            err = SL_ETOOBIG;
        else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
            err = SL_EFULL;
        else {
            s.ours[i] = pair[0];
            theirs[i] = pair[1];
        }
    }
    for (unsigned i = 0; i < SL_SIEGE_ROLES; i++) {
        if (err == SL_OK)
            spawn(options->live, texts[i], theirs[i]);
        sl_free(texts[i]);
    }
    if (err != SL_OK) {
        close_all(s.ours);
        close_all(theirs);
        return err;
    }
    s.data = sl_strdup(options->data);
    s.socket = options->socket == NULL ? NULL : sl_strdup(options->socket);
    s.api = sl_strdup(options->api);
    s.memory_bytes = options->memory_bytes;
    s.until_ns = sl_time_mono_ns() + SIEGE_NS;
    *ret_siege = s;
    return SL_OK;
}

/* ---- what there is to be had ---------------------------------------------------------------- */

/* Regular files, and directories with a '/' behind; those of `depth` and what is in them. */
static void
write_paths(struct sl_jsonw *w, const char *directory, uint32_t depth, uint32_t *count)
{
    DIR *d = opendir(directory);
    for (struct dirent *e; d != NULL && *count < PATHS_MAX && (e = readdir(d)) != NULL;) {
        struct stat st;
        char *path = sl_format("%s/%s", directory, e->d_name);
        if (e->d_name[0] != '.' && lstat(path, &st) == 0 &&
            (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
            char *named = sl_format("%s%s", path, S_ISDIR(st.st_mode) ? "/" : "");
            sl_jsonw_str(w, named);
            sl_free(named);
            ++*count;
            /* Who knows the digest of bytes may read them: docs/security.md. */
            if (S_ISDIR(st.st_mode) && depth > 0 && strcmp(e->d_name, "blobs") != 0)
                write_paths(w, path, depth - 1, count);
        }
        sl_free(path);
    }
    if (d != NULL)
        (void)closedir(d);
}

static void
write_target(const struct sl_siege *s, const struct sl_probe_said *victim, struct sl_buf *out)
{
    struct sl_jsonw w;
    uint32_t count = 1;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "pid", (uint64_t)victim->pid);
    sl_jsonw_member_u64(&w, "address", victim->address);
    sl_jsonw_member_u64(&w, "memory_fd", (uint64_t)victim->memory_fd);
    sl_jsonw_member_u64(&w, "user", victim->user);
    sl_jsonw_member_u64(&w, "uid", victim->uid);
    sl_jsonw_member_u64(&w, "server_pid", (uint64_t)getpid());
    if (s->socket != NULL)
        sl_jsonw_member_str(&w, "socket", s->socket);
    sl_jsonw_member_str(&w, "api", s->api);
    sl_jsonw_member_str(&w, "data", s->data);
    sl_jsonw_member_u64(&w, "memory_bytes", s->memory_bytes);
    sl_jsonw_member_u64(&w, "file_bytes", 0);
    sl_jsonw_member_u64(&w, "object_tenant", STORE_VICTIM);
    sl_jsonw_name(&w, "paths");
    sl_jsonw_array(&w);
    char *root = sl_format("%s/", s->data);
    sl_jsonw_str(&w, root);
    sl_free(root);
    write_paths(&w, s->data, 1, &count);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* ---- objects -------------------------------------------------------------------------------- */

/* A store of objects as a node has one, with an object of the tenant's. */
struct store {
    struct sl_object_node *node;
    struct sl_object_client *client;
    struct sl_object_id id;
    int neighbour_fd; /* -1: there is no store. */
};

static void
open_store(struct store *s)
{
    struct sl_object_node_options options = {.memory_bytes = STORE_BYTES};
    struct sl_object_peer victim = {.tenant = STORE_VICTIM},
                          neighbour = {.tenant = STORE_NEIGHBOUR};
    int fd = -1;
    *s = (struct store){.neighbour_fd = -1};
    if (sl_object_node_open(&options, &s->node) != SL_OK ||
        sl_object_node_grant(s->node, &victim, &fd) != SL_OK)
        return;
    s->client = sl_object_client_create(fd, STORE_VICTIM, STORE_NS);
    if (sl_object_id_named(STORE_VICTIM, sl_slice_str(SL_ATTACK_OBJECT), &s->id) == SL_OK &&
        sl_object_client_put(s->client, &s->id, sl_slice_str("of this tenant alone"), 0) == SL_OK &&
        sl_object_node_grant(s->node, &neighbour, &s->neighbour_fd) != SL_OK)
        s->neighbour_fd = -1;
}

/* It is to be there still. */
static void
close_store(struct store *s, struct sl_attack_result *r)
{
    struct sl_object_ref ref;
    if (r->tried > 0 && sl_object_client_get(s->client, &s->id, &ref) == SL_OK)
        sl_object_client_release(s->client, &ref);
    else if (r->tried > 0)
        sl_attack_note(r, -1, "the object is gone");
    if (s->neighbour_fd >= 0)
        (void)close(s->neighbour_fd);
    sl_object_client_destroy(&s->client);
    sl_object_node_close(&s->node);
}

/* ---- run ------------------------------------------------------------------------------------ */

/* The next that one says. False: it is gone, or says nothing that we know, or not in time. */
static bool
hear(struct sl_siege *s, enum sl_siege_role role, struct sl_probe_said *ret_said)
{
    struct pollfd poll_fd = {.fd = s->ours[role], .events = POLLIN};
    for (;;) {
        uint64_t now_ns = sl_time_mono_ns();
        if (now_ns >= s->until_ns)
            return false;
        int ready = poll(&poll_fd, 1, (int)((s->until_ns - now_ns) / SL_MILLI_NS) + 1);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            break;
    }
    return recv(s->ours[role], ret_said, sizeof(*ret_said), MSG_DONTWAIT) ==
               (ssize_t)sizeof(*ret_said) &&
           ret_said->magic == SL_PROBE_MAGIC;
}

static bool
hear_hello(struct sl_siege *s, enum sl_siege_role role, struct sl_probe_said *ret_said)
{
    return hear(s, role, ret_said) && ret_said->what == SL_PROBE_HELLO;
}

/* With a descriptor beside it; -1: without. */
static bool
tell(int fd, const struct sl_buf *text, int passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec data = {text->data, text->size};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
    if (passed >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed, sizeof(int));
    }
    return text->size <= SL_PROBE_TARGET_MAX &&
           sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text->size;
}

static void
hear_results(struct sl_siege *s, enum sl_siege_role role, struct sl_isolation *found)
{
    enum sl_attack_by by = role == SL_SIEGE_GLUTTON ? SL_ATTACK_BY_GLUTTON : SL_ATTACK_BY_ATTACKER;
    struct sl_probe_said said;
    while (hear(s, role, &said) && said.what == SL_PROBE_RESULT && said.attack < SL_ATTACK_COUNT &&
           sl_attack_info((enum sl_attack)said.attack)->by == by) {
        said.result.text[sizeof(said.result.text) - 1] = '\0';
        said.result.through = SL_MIN(said.result.through, said.result.tried);
        found->of[said.attack] = said.result;
    }
}

void
sl_siege_run(struct sl_siege *siege, struct sl_isolation *found)
{
    struct sl_probe_said said[SL_SIEGE_ROLES] = {0};
    struct sl_buf target = {0};
    struct store store;
    bool is_there = true;
    for (unsigned i = 0; i < SL_SIEGE_ROLES; i++)
        is_there = is_there && hear_hello(siege, (enum sl_siege_role)i, &said[i]);
    if (!is_there) {
        sl_report_warn("isolation-probe", "action=\"unverified\" why=\"a probe did not start\"");
        return;
    }
    found->states = said[SL_SIEGE_ATTACKER].states;
    write_target(siege, &said[SL_SIEGE_VICTIM], &target);
    open_store(&store);
    if (!tell(siege->ours[SL_SIEGE_ATTACKER], &target, store.neighbour_fd) ||
        !tell(siege->ours[SL_SIEGE_GLUTTON], &target, -1))
        sl_report_warn("isolation-probe", "action=\"unverified\" errno=%d", errno);
    sl_buf_deinit(&target);
    hear_results(siege, SL_SIEGE_ATTACKER, found);
    hear_results(siege, SL_SIEGE_GLUTTON, found);
    close_store(&store, &found->of[SL_ATTACK_objects]);
}

void
sl_siege_end(struct sl_siege *siege)
{
    close_all(siege->ours);
    sl_free(siege->data);
    sl_free(siege->socket);
    sl_free(siege->api);
    siege->data = siege->socket = siege->api = NULL;
}
