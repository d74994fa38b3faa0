/* SPDX-License-Identifier: Apache-2.0 */
/* The verb config: the reference of all keys, and files of overrides: checked, compared, applied.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/cli.h"
#include "gateway/gateway_options.h"
#include "gateway/overrides/merge.h"
#include "gateway/overrides/store.h"
#include "gateway/owner.h"
#include "gateway/up/options.h"
#include "gateway/worker.h"
#include "runtime/alloc.h"

static int
print_reference(struct sl_cli *cli)
{
    const char *of = cli->arguments_count < 2 ? "up" : cli->arguments[1];
    struct sl_buf out = {0};
    if (strcmp(of, "up") == 0)
        sl_config_reference(sl_up_keys(), SL_UP_KEY_COUNT, "", &out);
    else if (strcmp(of, "worker") == 0)
        sl_worker_reference(&out);
    else if (strcmp(of, "gateway") == 0)
        sl_gateway_reference(&out);
    else if (strcmp(of, "overrides") == 0)
        sl_overrides_reference(&out);
    else
        return SL_EXIT_USAGE;
    (void)fputs(sl_buf_text(&out), stdout);
    sl_buf_deinit(&out);
    return SL_EXIT_OK;
}

/* ---- without a server ---------------------------------------------------------------------- */

/* A file, and what it makes of a configuration. */
struct reading {
    struct sl_buf text;
    struct sl_config *base, *config;
    struct sl_overrides *overrides;
};

static void
reading_deinit(struct reading *r)
{
    sl_buf_deinit(&r->text);
    sl_config_destroy(&r->base);
    sl_config_destroy(&r->config);
    sl_overrides_destroy(&r->overrides);
}

static int
read_text(struct sl_cli *cli, const char *path, struct sl_buf *text)
{
    enum sl_err err = sl_overrides_read_file(path, text);
    if (err == SL_OK)
        return SL_EXIT_OK;
    cli->is_told = true;
    sl_cli_error("%s cannot be read: the cause is %s", path, sl_err_text(err));
    return SL_EXIT_FAILED;
}

static int
read_base(struct sl_cli *cli, struct sl_config **ret_base)
{
    char *error = NULL;
    *ret_base = sl_up_options_load(sl_cli_option(cli, "config"), &error);
    if (*ret_base != NULL)
        return SL_EXIT_OK;
    cli->is_told = true;
    sl_cli_error("%s", error);
    sl_free(error);
    return SL_EXIT_FAILED;
}

/* Faults go to standard error, remarks to standard output, if they are wanted. */
static int
read_overrides(struct sl_cli *cli, const char *path, bool has_remarks, struct reading *r)
{
    struct sl_buf said = {0};
    int code = read_text(cli, path, &r->text);
    if (code == SL_EXIT_OK)
        code = read_base(cli, &r->base);
    if (code != SL_EXIT_OK)
        return code;
    sl_up_options_install(r->base);
    r->config = sl_up_options_merge(r->base, sl_buf_slice(&r->text), &r->overrides);
    sl_overrides_print(r->overrides, path, r->config != NULL && has_remarks, &said);
    (void)fputs(sl_buf_text(&said), r->config == NULL ? stderr : stdout);
    sl_buf_deinit(&said);
    return r->config == NULL ? SL_EXIT_FAILED : SL_EXIT_OK;
}

static int
check(struct sl_cli *cli, const char *path)
{
    struct reading r = {0};
    int code = read_overrides(cli, path, true, &r);
    if (code == SL_EXIT_OK)
        printf("%s is good: %u values\n", path, r.overrides->count);
    reading_deinit(&r);
    return code;
}

/* What is in force in a data directory: the base with what was applied. NULL: said why not. */
static struct sl_config *
config_of(struct sl_disk *disk, const struct sl_config *base)
{
    struct sl_buf text = {0};
    struct sl_overrides *o = NULL;
    struct sl_config *config = NULL;
    enum sl_err err = sl_overrides_load(disk, &text);
    if (err == SL_OK)
        config = sl_up_options_merge_good(base, sl_buf_slice(&text), &o);
    else if (err == SL_ENOTFOUND)
        config = sl_config_copy(base);
    else
        sl_cli_error(SL_OVERRIDES_FILE ": the cause is %s", sl_err_text(err));
    if (o != NULL && o->errors > 0) {
        /* What is there does not fit any more; the new one takes its place all the same. */
        struct sl_buf said = {0};
        sl_overrides_print(o, SL_OVERRIDES_FILE, false, &said);
        sl_cli_error("of the overrides that were applied before this is left out:\n%s",
                     sl_buf_text(&said));
        sl_buf_deinit(&said);
    }
    sl_overrides_destroy(&o);
    sl_buf_deinit(&text);
    return config;
}

static int
open_directory(const char *data, struct sl_disk *ret_disk)
{
    char *format = sl_format("%s/format", data);
    bool is_there = access(format, F_OK) == 0;
    sl_free(format);
    enum sl_err err = is_there ? sl_disk_open(data, ret_disk) : SL_ENOTFOUND;
    if (err == SL_ENOTFOUND)
        sl_cli_error("%s is no data directory", data);
    else if (err != SL_OK)
        sl_cli_error("%s: the cause is %s", data, sl_err_text(err));
    return err == SL_OK ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static int
print_changes(struct sl_disk *disk, const struct reading *r)
{
    struct sl_buf out = {0};
    struct sl_config *old = config_of(disk, r->base);
    if (old == NULL)
        return SL_EXIT_FAILED;
    struct sl_config_changes changes = sl_config_changes(old, r->config);
    sl_config_changes_print(&changes, &out);
    (void)fputs(changes.count == 0 ? "no change\n" : sl_buf_text(&out), stdout);
    sl_config_changes_deinit(&changes);
    sl_config_destroy(&old);
    sl_buf_deinit(&out);
    return SL_EXIT_OK;
}

/* What keeps a server from the directory, and tells that one has it. */
struct locks {
    int store, children; /* -1: not held. */
};

static void
unlock_directory(struct locks *locks)
{
    if (locks->store >= 0)
        close(locks->store);
    if (locks->children >= 0)
        close(locks->children);
}

/* A file that nobody made yet is one that nobody holds. */
static bool
lock_file(const char *data, const char *name, int *ret_fd)
{
    char *path = sl_format("%s/%s", data, name);
    *ret_fd = open(path, O_RDWR | O_CLOEXEC);
    bool is_held = *ret_fd < 0 ? errno == ENOENT : flock(*ret_fd, LOCK_EX | LOCK_NB) == 0;
    if (!is_held && errno == EWOULDBLOCK) {
        char *owner = sl_owner_read(data);
        sl_cli_error("%s is open in another sluice (%s): apply it there, with --url", data, owner);
        sl_free(owner);
    } else if (!is_held) {
        sl_cli_error("%s: it cannot be locked: %s", path, strerror(errno));
    }
    sl_free(path);
    return is_held;
}

/* The store's own lock, and that which a server and its children hold. */
static bool
lock_directory(const char *data, struct locks *ret_locks)
{
    return lock_file(data, "catalogue/lock", &ret_locks->store) &&
           lock_file(data, "children.lock", &ret_locks->children);
}

static int
offline(struct sl_cli *cli, const char *path, const char *data, bool is_apply)
{
    struct reading r = {0};
    struct sl_disk disk;
    struct locks locks = {-1, -1};
    int code = read_overrides(cli, path, false, &r);
    if (code != SL_EXIT_OK || (code = open_directory(data, &disk)) != SL_EXIT_OK) {
        reading_deinit(&r);
        return code;
    }
    if (is_apply && !lock_directory(data, &locks))
        code = SL_EXIT_FAILED;
    if (code == SL_EXIT_OK)
        code = print_changes(&disk, &r);
    if (code == SL_EXIT_OK && is_apply) {
        enum sl_err err = sl_overrides_save(&disk, sl_buf_slice(&r.text));
        if (err != SL_OK)
            sl_cli_error("%s: the next start may take the old overrides or these: writing them "
                         "failed, the cause is %s",
                         data, sl_err_text(err));
        else
            printf("applied: the next start on %s takes it\n", data);
        code = err == SL_OK ? SL_EXIT_OK : SL_EXIT_FAILED;
    }
    unlock_directory(&locks);
    sl_disk_close(&disk);
    reading_deinit(&r);
    return code;
}

/* ---- with a server ------------------------------------------------------------------------- */

static void
print_change(struct sl_json change)
{
    char *path = sl_json_strdup(sl_json_member(change, "path"));
    char *old = sl_json_strdup(sl_json_member(change, "old"));
    char *new = sl_json_strdup(sl_json_member(change, "new"));
    printf("%s: %s -> %s%s\n", path == NULL ? "-" : path, old == NULL ? "(not set)" : old,
           new == NULL ? "(not set)" : new,
           sl_json_bool(sl_json_member(change, "is_live"), false) ? "" : " (after a restart)");
    sl_free(path);
    sl_free(old);
    sl_free(new);
}

static void
print_reply(const struct sl_cli *cli, struct sl_json reply)
{
    struct sl_json changes = sl_json_member(reply, "changes");
    if (cli->is_json) {
        sl_cli_print_json(cli);
        return;
    }
    for (struct sl_json_iter i = sl_json_iter(changes); sl_json_next(&i);)
        print_change(i.value);
    if (sl_json_count(changes) == 0)
        puts("no change");
    if (!sl_json_bool(sl_json_member(reply, "is_applied"), false))
        return;
    struct sl_json waiting = sl_json_member(reply, "after_restart");
    printf("applied%s", sl_json_count(waiting) == 0 ? "" : "; the next start takes");
    for (struct sl_json_iter i = sl_json_iter(waiting); sl_json_next(&i);) {
        char *path = sl_json_strdup(i.value);
        printf(" %s", path == NULL ? "-" : path);
        sl_free(path);
    }
    (void)putchar('\n');
}

/* What is wrong with the file itself is said here, with the name that it has here. */
static bool
is_file_good(const char *path, struct sl_slice text)
{
    struct sl_overrides *o = sl_overrides_read(text);
    struct sl_buf said = {0};
    bool is_good = o->errors == 0;
    sl_overrides_print(o, path, false, &said);
    (void)fputs(sl_buf_text(&said), stderr);
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
    return is_good;
}

static int
online(struct sl_cli *cli, const char *path, bool is_apply)
{
    struct sl_buf text = {0}, body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    int code = read_text(cli, path, &text);
    if (code == SL_EXIT_OK && !is_file_good(path, sl_buf_slice(&text)))
        code = SL_EXIT_FAILED;
    if (code == SL_EXIT_OK) {
        sl_jsonw_init(&w, &body);
        sl_jsonw_object(&w);
        sl_jsonw_member_slice(&w, "overrides", sl_buf_slice(&text));
        sl_jsonw_member_bool(&w, "dry_run", !is_apply);
        sl_jsonw_end(&w);
        struct sl_http_request q = {
            .method = "PUT", .path = "/v1/cluster/overrides", .body = sl_buf_slice(&body)};
        code = sl_cli_ask(cli, &q, &reply);
    }
    if (code == SL_EXIT_OK)
        print_reply(cli, reply);
    sl_buf_deinit(&text);
    sl_buf_deinit(&body);
    return code;
}

int
sl_cli_config(struct sl_cli *cli)
{
    const char *what = cli->arguments_count == 0 ? "" : cli->arguments[0];
    const char *data = sl_cli_option(cli, "data");
    bool is_apply = strcmp(what, "apply") == 0;
    if (strcmp(what, "reference") == 0 && cli->arguments_count <= 2)
        return print_reference(cli);
    if (cli->arguments_count != 2)
        return SL_EXIT_USAGE;
    if (strcmp(what, "check") == 0)
        return check(cli, cli->arguments[1]);
    if (!is_apply && strcmp(what, "diff") != 0)
        return SL_EXIT_USAGE;
    return data != NULL ? offline(cli, cli->arguments[1], data, is_apply)
                        : online(cli, cli->arguments[1], is_apply);
}
