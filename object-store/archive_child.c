/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "object-store/archive.h"
#include "runtime/json.h"

#define MEMORY_BYTES (512 * SL_MIB)
#define CPU_SECONDS  600

/* Newer than the headers we build with; the kernel that we run on says whether it knows them. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* Address space in use, from /proc; 0 when that cannot be read. */
static uint64_t
address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
lower(int resource, uint64_t value)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    rlim_t want = now.rlim_max == RLIM_INFINITY ? value : SL_MIN(value, now.rlim_max);
    struct rlimit limit = {.rlim_cur = want, .rlim_max = want};
    (void)setrlimit((__rlimit_resource_t)resource, &limit);
}

static void
lower_limits(const struct sl_archive_limits *l)
{
    uint64_t memory = l->memory_bytes == 0 ? MEMORY_BYTES : l->memory_bytes;
    uint64_t size = l->size_bytes_max == 0 ? 16 * SL_GIB : l->size_bytes_max;
    /* A write over the limit should fail with EFBIG and be reported, not kill. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_CPU, l->cpu_seconds == 0 ? CPU_SECONDS : l->cpu_seconds);
    lower(RLIMIT_FSIZE, size);
    lower(RLIMIT_AS, address_space_bytes() + memory);
}

/* From here on only `directory_fd` and what is below it can be opened, made or written. */
static bool
confine(int directory_fd)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return false;
    uint64_t handled = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* All of version 1. */
    if (version >= 2)
        handled |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        handled |= LANDLOCK_ACCESS_FS_TRUNCATE;
    struct landlock_ruleset_attr rules = {.handled_access_fs = handled};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (fd < 0)
        return false;
    struct landlock_path_beneath_attr below = {
        .allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                          LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_READ_DIR,
        .parent_fd = directory_fd,
    };
    bool is_confined =
        syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    (void)close(fd);
    return is_confined;
}

static bool
send_report(int report_fd, const struct sl_archive_result *result)
{
    struct sl_buf out = {0};
    sl_archive_report_write(result, &out);
    const uint8_t *at = out.data;
    size_t left = out.size;
    while (left > 0) {
        ssize_t n = write(report_fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
    sl_buf_deinit(&out);
    return left == 0;
}

int
sl_archive_child_main(int archive_fd, const char *directory, int report_fd,
                      const struct sl_archive_limits *limits)
{
    sl_assert(directory != NULL);
    struct sl_archive_limits l = limits == NULL ? (struct sl_archive_limits){0} : *limits;
    struct sl_archive_result result = {0};
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        result.err = sl_cause_set(&result.cause, sl_err_from_errno(errno),
                                  "the directory to unpack into: %s", strerror(errno));
    } else {
        lower_limits(&l);
        result.is_confined = confine(fd);
        result.err = sl_archive_unpack(archive_fd, fd, &l, &result);
        (void)close(fd);
    }
    return send_report(report_fd, &result) ? 0 : 1;
}

void
sl_archive_report_write(const struct sl_archive_result *result, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "err", sl_err_name(result->err));
    sl_jsonw_member_u64(&w, "entries", result->entries_count);
    sl_jsonw_member_u64(&w, "bytes", result->size_bytes);
    sl_jsonw_member_bool(&w, "confined", result->is_confined);
    if (result->err != SL_OK)
        sl_jsonw_member_str(&w, "message", result->cause.text);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_u8(out, '\n');
}

static bool
parse_err(struct sl_json v, enum sl_err *ret_err)
{
    for (int i = 0; i < SL_ERR_COUNT; i++) {
        if (sl_json_is(v, sl_err_name((enum sl_err)i))) {
            *ret_err = (enum sl_err)i;
            return true;
        }
    }
    return false;
}

enum sl_err
sl_archive_report_parse(struct sl_slice text, struct sl_archive_result *ret_result)
{
    sl_assert(ret_result != NULL);
    struct sl_archive_result r = {0};
    struct sl_json_doc *doc = NULL;
    uint64_t entries = 0;
    if (text.size == 0 || text.size > SL_ARCHIVE_REPORT_SIZE_MAX ||
        sl_json_parse(text, &doc, NULL) != SL_OK)
        return SL_EINVAL;
    struct sl_json root = sl_json_root(doc);
    bool is_sound = parse_err(sl_json_member(root, "err"), &r.err) &&
                    sl_json_u64(sl_json_member(root, "entries"), &entries) == SL_OK &&
                    entries <= UINT32_MAX &&
                    sl_json_u64(sl_json_member(root, "bytes"), &r.size_bytes) == SL_OK &&
                    sl_json_kind(sl_json_member(root, "confined")) == SL_JSON_BOOL;
    if (is_sound) {
        r.entries_count = (uint32_t)entries;
        r.is_confined = sl_json_bool(sl_json_member(root, "confined"), false);
        struct sl_buf scratch = {0};
        struct sl_slice message;
        if (r.err != SL_OK &&
            sl_json_text(sl_json_member(root, "message"), &scratch, &message) == SL_OK)
            (void)sl_cause_set(&r.cause, r.err, "%.*s", SL_SLICE_FMT(message));
        sl_buf_deinit(&scratch);
        *ret_result = r;
    }
    sl_json_destroy(&doc);
    return is_sound ? SL_OK : SL_EINVAL;
}
