/* SPDX-License-Identifier: Apache-2.0 */
/* The verb queue, as far as it is about a data directory: verify and backup. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/queue_projection.h"
#include "gateway/backup.h"
#include "gateway/cli/queue.h"
#include "gateway/owner.h"
#include "runtime/alloc.h"
#include "runtime/store_verify.h"
#include "runtime/time.h"

#define DAMAGES_SHOWN_MAX 1000 /* The rest is counted. */
#define PROGRESS_NS       SL_SECOND_NS
#define BACKUP_SECONDS    (24 * 60 * 60)

/* ---- verify -------------------------------------------------------------------------------- */

struct check {
    const struct sl_cli *cli;
    struct sl_buf json; /* The damages. */
    struct sl_jsonw w;
    uint64_t shown, told_ns;
    bool is_told;
};

/* Of a snapshot all is damaged, of a log a place: a position 0 is of no known record. */
static void
on_damage(void *arg, const char *name, uint64_t offset, uint64_t position)
{
    struct check *c = arg;
    if (c->shown++ >= DAMAGES_SHOWN_MAX)
        return;
    sl_jsonw_object(&c->w);
    sl_jsonw_member_str(&c->w, "file", name);
    sl_jsonw_member_u64(&c->w, "offset", offset);
    sl_jsonw_member_u64(&c->w, "position", position);
    sl_jsonw_end(&c->w);
    if (c->cli->is_json)
        return;
    if (strcmp(name, "missing") == 0)
        printf("missing   records from position %" PRIu64 " on\n", position);
    else
        printf("damaged   %s at byte %" PRIu64 "%s%.0" PRIu64 "\n", name, offset,
               position == 0 ? "" : ", record ", position);
}

/* For who waits at a terminal; each second at most. */
static void
on_progress(void *arg, uint64_t records)
{
    struct check *c = arg;
    uint64_t now_ns = sl_time_mono_ns();
    if (c->cli->is_json || !isatty(STDERR_FILENO) || now_ns < c->told_ns + PROGRESS_NS)
        return;
    (void)fprintf(stderr, "\r%" PRIu64 " records", records);
    c->told_ns = now_ns;
    c->is_told = true;
}

static int
report_error(struct sl_cli *cli, const char *directory, enum sl_err err)
{
    cli->is_told = true;
    if (err == SL_EBUSY) {
        char *owner = sl_owner_read(directory);
        sl_cli_error("%s is open in another sluice (%s): stop that one first, or verify a backup",
                     directory, owner);
        sl_free(owner);
        return SL_EXIT_USAGE;
    }
    if (err == SL_ENOTFOUND) {
        sl_cli_error("%s is no data directory: it has no log, catalogue and snapshots", directory);
        return SL_EXIT_USAGE;
    }
    sl_cli_error("%s: the cause is %s (%s)", directory, sl_err_text(err), sl_err_name(err));
    return SL_EXIT_FAILED;
}

static void
print_verdict_json(const struct check *c, const struct sl_store_verdict *v)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_bool(&w, "is_sound", v->damages == 0);
    sl_jsonw_member_u64(&w, "damages", v->damages);
    sl_jsonw_member_raw(&w, "damaged", sl_buf_slice(&c->json));
    sl_jsonw_member_u64(&w, "segments", v->log.segments);
    sl_jsonw_member_u64(&w, "records", v->log.records);
    sl_jsonw_member_u64(&w, "bytes", v->log.bytes);
    sl_jsonw_member_u64(&w, "last_position", v->log.last);
    sl_jsonw_member_u64(&w, "catalogue_position", v->catalogue_position);
    sl_jsonw_member_u64(&w, "snapshots", v->snapshots);
    sl_jsonw_member_u64(&w, "snapshots_bytes", v->snapshots_bytes);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    puts(sl_buf_text(&out));
    sl_buf_deinit(&out);
}

static void
print_verdict(const struct check *c, const char *directory, const struct sl_store_verdict *v)
{
    if (c->shown > DAMAGES_SHOWN_MAX)
        printf("and %" PRIu64 " more\n", c->shown - DAMAGES_SHOWN_MAX);
    printf("%s    %s\n"
           "log      %" PRIu64 " records, %" PRIu64 " bytes in %u segments, last at %" PRIu64 "\n"
           "snapshots  %u, %" PRIu64 " bytes\n"
           "catalogue  at %" PRIu64 "; it has no checksums: its bytes were not judged\n",
           v->damages == 0 ? "sound  " : "damaged", directory, v->log.records, v->log.bytes,
           v->log.segments, v->log.last, v->snapshots, v->snapshots_bytes, v->catalogue_position);
}

int
sl_cli_queue_verify(struct sl_cli *cli)
{
    const char *directory = cli->arguments[1];
    struct check c = {.cli = cli, .told_ns = sl_time_mono_ns()};
    struct sl_store_verdict verdict;
    sl_jsonw_init(&c.w, &c.json);
    sl_jsonw_array(&c.w);
    enum sl_err err = sl_store_verify(
        &(struct sl_store_verify){
            .directory = directory, .arg = &c, .damaged = on_damage, .progress = on_progress},
        &verdict);
    sl_jsonw_end(&c.w);
    sl_jsonw_done(&c.w);
    if (c.is_told)
        (void)fputc('\n', stderr);
    int code = verdict.damages == 0 ? SL_EXIT_OK : SL_EXIT_FAILED;
    if (err != SL_OK)
        code = report_error(cli, directory, err);
    else if (cli->is_json)
        print_verdict_json(&c, &verdict);
    else
        print_verdict(&c, directory, &verdict);
    sl_buf_deinit(&c.json);
    return code;
}

/* ---- backup -------------------------------------------------------------------------------- */

/* The path as it is for a process that runs elsewhere. Owned; NULL: there is none. */
static char *
absolute(const char *path)
{
    if (path[0] == '/')
        return sl_strdup(path);
    char *here = getcwd(NULL, 0);
    char *whole = here == NULL ? NULL : sl_format("%s/%s", here, path);
    sl_free(here);
    return whole;
}

static int
ask_backup(struct sl_cli *cli, const char *path)
{
    static const char *const members[] = {"path", "files", "bytes", "began_at", "took_ms", NULL};
    struct sl_buf body = {0};
    struct sl_jsonw w;
    struct sl_json reply;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "path", path);
    sl_jsonw_end(&w);
    int code = sl_cli_ask(cli,
                          &(struct sl_http_request){.method = "POST",
                                                    .path = "/v1/cluster/backup",
                                                    .body = sl_buf_slice(&body),
                                                    .timeout_s = BACKUP_SECONDS},
                          &reply);
    sl_buf_deinit(&body);
    if (code == SL_EXIT_OK && cli->is_json)
        sl_cli_print_json(cli);
    else if (code == SL_EXIT_OK)
        sl_cli_print_members(reply, members);
    return code;
}

static int
refuse(const char *path, enum sl_err err)
{
    if (err == SL_EEXIST)
        sl_cli_error("%s, or %s.part, is there already", path, path);
    else if (err == SL_EINVAL)
        sl_cli_error("%s lies in the data directory", path);
    else
        sl_cli_error("no backup was made at %s: the cause is %s", path, sl_err_text(err));
    return SL_EXIT_FAILED;
}

static void
print_done(const struct sl_cli *cli, const char *path, const struct sl_backup_done *done)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    if (!cli->is_json) {
        printf("path   %s\nfiles  %" PRIu64 "\nbytes  %" PRIu64 "\n", path, done->files,
               done->bytes);
        return;
    }
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "path", path);
    sl_jsonw_member_u64(&w, "files", done->files);
    sl_jsonw_member_u64(&w, "bytes", done->bytes);
    sl_jsonw_end(&w);
    puts(sl_buf_text(&out));
    sl_buf_deinit(&out);
}

/* Of a store that nobody has open: opened as a start would, so that what a crash left is put right
 * in both. */
static int
backup_offline(struct sl_cli *cli, const char *data, const char *path)
{
    struct sl_queue *queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {
        .directory = data, .projections = &projection, .projections_count = 1};
    struct sl_store *store = NULL;
    struct sl_backup *backup;
    struct sl_backup_done done;
    char *log = sl_format("%s/log", data);
    enum sl_err err = access(log, F_OK) == 0 ? sl_store_open(&options, &store) : SL_ENOTFOUND;
    int code = err == SL_OK ? SL_EXIT_OK : report_error(cli, data, err);
    if (err == SL_OK) {
        err = sl_backup_check(data, path);
        if (err == SL_OK)
            err = sl_backup_begin(store, data, path, &backup);
        if (err == SL_OK) {
            sl_backup_run(backup);
            err = sl_backup_end(&backup, &done);
        }
        if (err == SL_OK)
            print_done(cli, path, &done);
        else
            code = refuse(path, err);
    }
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    sl_free(log);
    return code;
}

int
sl_cli_queue_backup(struct sl_cli *cli)
{
    const char *data = sl_cli_option(cli, "data");
    char *path = absolute(cli->arguments[1]);
    int code = SL_EXIT_FAILED;
    if (path == NULL)
        sl_cli_error("the working directory is gone");
    else
        code = data == NULL ? ask_backup(cli, path) : backup_offline(cli, data, path);
    sl_free(path);
    return code;
}
