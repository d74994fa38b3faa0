/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/alloc.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static_assert(SL_SANDBOX_PARTS <= sizeof(uint64_t), "a part has a byte");
/* The kernel (5.14 and later) holds a namespace's threads to the limit of its maker as well, as it
   was then, against all threads of the user: one lowered before would be shared by all replicas. */
static_assert(SL_SANDBOX_USERNS < SL_SANDBOX_LIMITS, "a replica's threads are bounded by itself");

bool
sl_sandbox_is_sanitized(void)
{
    return IS_SANITIZED;
}

uint32_t
sl_sandbox_uid(uint64_t tenant)
{
    return SL_SANDBOX_UID_FIRST + (uint32_t)(tenant % SL_SANDBOX_UID_COUNT);
}

/* ---- limits -------------------------------------------------------------------------------- */

uint64_t
sl_sandbox_data_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int
sl_sandbox_lower(int resource, uint64_t value)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return errno;
    rlim_t want = now.rlim_max == RLIM_INFINITY ? value : SL_MIN(value, now.rlim_max);
    struct rlimit limit = {.rlim_cur = want, .rlim_max = want};
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0 ? 0 : errno;
}

static int
lower_limits(const struct sl_sandbox_options *o)
{
    /* A write over the limit should fail with EFBIG and be handled, not kill. */
    (void)signal(SIGXFSZ, SIG_IGN);
    int error = sl_sandbox_lower(RLIMIT_CORE, 0);
    if (error == 0)
        error = sl_sandbox_lower(RLIMIT_NOFILE, SL_SANDBOX_FILES_MAX);
    if (error == 0)
        error = sl_sandbox_lower(RLIMIT_NPROC, SL_SANDBOX_THREADS_MAX);
    /* A sanitizer writes its report to a file, and its memory ends in an abort with one rather than
       in a NULL that the plugin can answer: there the watch on what is resident has to do. */
    if (error == 0 && !IS_SANITIZED)
        error = sl_sandbox_lower(RLIMIT_FSIZE, o->file_bytes);
    /* Not RLIMIT_AS: models and inputs are mapped to be read, and may be larger than memory. */
    if (error == 0 && !IS_SANITIZED && o->data_bytes > 0)
        error = sl_sandbox_lower(RLIMIT_DATA, sl_sandbox_data_bytes() + o->data_bytes);
    return error;
}

/* ---- who it is ----------------------------------------------------------------------------- */

static int
keep_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (unsigned i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(wanted >> (32 * i)),
                                                  .permitted = (uint32_t)(wanted >> (32 * i))};
    return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

/*
 * A uid of the tenant's own. What the server owns only root may read: blobs, and plugins below an
 * operator's home. So the right to read stays, and Landlock says what: that is the part that holds
 * reading, this one holds all else (signals, other processes, writing, limits of the user). Where
 * there is no such uid (a container's root may have its own only), the rights go all the same.
 */
static int
become_user(uint32_t uid)
{
    int error = 0;
    if (setgroups(0, NULL) != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
        setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
        error = errno;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    int kept = keep_capabilities(UINT64_C(1) << CAP_DAC_READ_SEARCH);
    return error == 0 ? kept : error;
}

static int
write_once(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;
    if (fd < 0)
        return errno;
    if (write(fd, text, strlen(text)) < 0)
        error = errno;
    (void)close(fd);
    return error;
}

/* Without root all processes are one user's. A namespace counts its threads by itself and has the
   limit that is set in it, so that one replica cannot take those of all; nor has it rights in it.
 */
static int
enter_namespace(void)
{
    char users[48], groups[48];
    unsigned uid = getuid(), gid = getgid();
    (void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);
    (void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
    if (unshare(CLONE_NEWUSER) != 0)
        return errno;
    int error = write_once("/proc/self/setgroups", "deny");
    if (error == 0)
        error = write_once("/proc/self/uid_map", users);
    if (error == 0)
        error = write_once("/proc/self/gid_map", groups);
    int kept = keep_capabilities(0);
    return error == 0 ? kept : error;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* SL_SANDBOX_OFF: it is not asked for here. */
static uint32_t
enter_part(enum sl_sandbox_part part, const struct sl_sandbox_options *o)
{
    bool is_root = geteuid() == 0;
    if ((o->without & (1u << part)) != 0)
        return ENOSYS;
    switch (part) {
    case SL_SANDBOX_LIMITS:
        return (uint32_t)lower_limits(o);
    case SL_SANDBOX_UID: /* Another user could not write where a sanitizer was told to. */
        return is_root && o->uid != 0 && !IS_SANITIZED ? (uint32_t)become_user(o->uid)
                                                       : SL_SANDBOX_OFF;
    case SL_SANDBOX_USERNS:
        return is_root || o->uid == 0 || getuid() == o->uid || IS_SANITIZED
                   ? SL_SANDBOX_OFF
                   : (uint32_t)enter_namespace();
    case SL_SANDBOX_NEW_PRIVS:
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : (uint32_t)errno;
    case SL_SANDBOX_LANDLOCK:
        return (uint32_t)sl_sandbox_paths(o);
    case SL_SANDBOX_SECCOMP:
        return (uint32_t)sl_sandbox_calls();
    case SL_SANDBOX_PARTS:
        break;
    }
    return SL_SANDBOX_OFF;
}

uint64_t
sl_sandbox_enter(const struct sl_sandbox_options *options)
{
    uint64_t states = 0;
    for (unsigned i = 0; i < SL_SANDBOX_PARTS; i++) {
        uint32_t state = enter_part((enum sl_sandbox_part)i, options);
        states |= (uint64_t)SL_MIN(state, SL_SANDBOX_OFF) << (8 * i);
    }
    return states;
}

/* ---- what is in force ---------------------------------------------------------------------- */

static const char *const part_names[] = {
#define PART(name, text, doc) [SL_SANDBOX_##name] = text,
#include "runtime/sandbox.def"
#undef PART
};

const char *
sl_sandbox_part_name(enum sl_sandbox_part part)
{
    return part < SL_SANDBOX_PARTS ? part_names[part] : "";
}

static const char *
state_text(uint32_t state, char *text, size_t size)
{
    if (state == SL_SANDBOX_ENFORCED)
        return "enforced";
    if (state == SL_SANDBOX_OFF)
        return "off";
    (void)snprintf(text, size, "unavailable: %s", strerrordesc_np((int)state));
    return text;
}

void
sl_sandbox_write(uint64_t states, struct sl_jsonw *w)
{
    char text[96];
    sl_jsonw_object(w);
    for (unsigned i = 0; i < SL_SANDBOX_PARTS; i++)
        sl_jsonw_member_str(
            w, part_names[i],
            state_text(sl_sandbox_state(states, (enum sl_sandbox_part)i), text, sizeof(text)));
    sl_jsonw_end(w);
}

char *
sl_sandbox_text(uint64_t states)
{
    struct sl_buf line = {0};
    char text[96];
    for (unsigned i = 0; i < SL_SANDBOX_PARTS; i++)
        sl_buf_printf(
            &line, "%s%s=\"%s\"", i == 0 ? "" : " ", part_names[i],
            state_text(sl_sandbox_state(states, (enum sl_sandbox_part)i), text, sizeof(text)));
    char *copy = sl_strdup(sl_buf_text(&line));
    sl_buf_deinit(&line);
    return copy;
}
